"""Weights and activations in 8 bits: the scales, chosen on training rows.

A value is step · (q − zero), q of 8 bits with a zero of its own, so that what a ReLU leaves uses all of them. Weights
are symmetric, a step for each unit. What the first layer reads is q of up to 16 bits around 0: its columns differ
in how far their values lie out (a clipped outlier at 10 beside a 0 or 1), and there are few of them. The rest of a
unit's work, once for its many products, is in floats: sum · factor + bias, activation, norm and back to 8 bits. So any
activation will do, and nothing overflows or loses digits in a chain of shifts.

M members, n rows, I inputs of a layer, O its outputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autogrow.deploy.export.c_source.program import Program
from autogrow.deploy.export.c_source.reckon import applied, read, values_of

SUM = 2**31 - 1
"""The largest sum that 32 bits hold."""
SHRUNK = np.linspace(1.0, 0.5, 26)
"""Shares of the range seen that are tried: a few rows far out are cut off where the others gain by it."""


@dataclass(frozen=True)
class Grid:
    """Where a value's numbers may lie: step · (q − zero), low ≤ q ≤ high."""

    step: float
    zero: int
    low: int
    high: int

    def whole(self, v: np.ndarray) -> np.ndarray:
        """The nearest q, half away from zero, as C rounds it."""
        at = v / self.step + self.zero
        found: np.ndarray = np.clip(np.trunc(at + np.where(at < 0, -0.5, 0.5)), self.low, self.high)
        return found

    def value(self, q: np.ndarray) -> np.ndarray:
        """The numbers that q stand for."""
        return (q - self.zero) * self.step


@dataclass(frozen=True)
class Quantised:
    """A layer in 8 bits: weight (M, O, I) int8; of its sums of products the `factor` and `bias` (M, O) that make the
    layer's product of them.
    """

    weight: np.ndarray
    factor: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Int8Program:
    """A program, its layers in 8 bits, and the grid of each value but the last, which stays in floats."""

    program: Program
    layers: tuple[Quantised, ...]
    grids: tuple[Grid, ...]


def quantised(program: Program, rows: np.ndarray) -> Int8Program:
    """The program in 8 bits. rows: training rows (n, I) as they are given."""
    values = values_of(program, rows)
    weights = [_whole_weights(layer.weight) for layer in program.layers]
    first = [whole for layer, (whole, _) in zip(program.layers, weights, strict=True) if layer.reads == 0]
    grids = [_first_grid(program, values[0], first), *(_grid(v) for v in values[1:-1])]
    layers = []
    for layer, (whole, step) in zip(program.layers, weights, strict=True):
        grid = grids[layer.reads]
        factor = step * grid.step
        mean = values[layer.reads].mean(1)  # (M, I): what rounding the weights adds on average is taken off again
        lost = ((layer.weight - whole * step[..., None]) * mean[:, None]).sum(-1)
        bias = layer.bias + lost - factor * grid.zero * whole.sum(-1)
        layers.append(Quantised(whole.astype(np.int8), factor.astype(np.float32), bias.astype(np.float32)))
    return Int8Program(program, tuple(layers), tuple(grids))


def reckoned(int8: Int8Program, rows: np.ndarray) -> np.ndarray:
    """What the C file computes, reckoned here: the last value (M, n, O) of rows (n, I)."""
    program = int8.program
    first = read(program, rows)
    whole = [np.broadcast_to(int8.grids[0].whole(first), (program.members, *first.shape))]
    v = first
    for k, (layer, q) in enumerate(zip(program.layers, int8.layers, strict=True)):
        v = whole[layer.reads] @ q.weight.transpose(0, 2, 1).astype(float) * q.factor[:, None] + q.bias[:, None]
        earlier = [grid.value(one) for grid, one in zip(int8.grids, whole, strict=False)]
        for operation in layer.then:
            v = applied(operation, v, earlier)
        if k + 1 < len(program.layers):
            whole.append(int8.grids[k + 1].whole(v))
    return v


def _whole_weights(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weights (M, O, I) as whole numbers up to 127, and the step of each unit (M, O)."""
    most = np.abs(weight).max(-1)
    step = np.where(most > 0, most, 1.0) / 127
    return np.round(weight / step[..., None]), step


def _first_grid(program: Program, v: np.ndarray, weights: list[np.ndarray]) -> Grid:
    """As fine as the sums of the layers that read the columns allow, and as far out as a column may lie."""
    sums = max(np.abs(whole).sum(-1).max() for whole in weights)
    limit = int(min(2**15 - 1, SUM // max(1, sums)))
    clips = [c.clip for c in program.net.columns if c.scale != 0 and np.isfinite(c.clip)]
    most = max([float(np.abs(v).max()), *clips])
    return Grid((most or 1.0) / limit, 0, -limit, limit)


def _grid(v: np.ndarray) -> Grid:
    """256 numbers from about the least to about the most seen, by which the least mean square is lost."""
    low, high = min(0.0, float(v.min())), max(0.0, float(v.max()))
    if high == low:
        return Grid(1.0, 0, -128, 127)
    tried = [_spanning(low * shrunk, high * shrunk) for shrunk in SHRUNK]
    return min(tried, key=lambda grid: float(np.square(grid.value(grid.whole(v)) - v).mean()))


def _spanning(low: float, high: float) -> Grid:
    step = float(np.float32((high - low) / 255))
    return Grid(step, int(np.clip(np.round(-128 - low / step), -128, 127)), -128, 127)
