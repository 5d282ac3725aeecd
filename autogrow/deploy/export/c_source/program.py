"""A dense net as a flat list of layers that a C program runs one behind another.

Value 0 is what the first layer reads: the columns, the rows of embedding tables, the ramps between knots. Layer k makes
value k + 1 of one value, and may add an earlier one: so a skip, whose steps are a tree, is flat too.

M members, I inputs of a layer, O its outputs, D columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from autogrow.deploy.export.layers import (
    Activation,
    Affine,
    Convolve,
    Flatten,
    GlobalMean,
    Lookup,
    MaxPool,
    Normalise,
    Ramps,
    Skip,
    Stack,
    Step,
)
from autogrow.deploy.export.net import PortableNet
from autogrow.errors import UsageError

NO_TABLES = Lookup(0, ())
NO_RAMPS = Ramps(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))


@dataclass(frozen=True)
class Add:
    """Plus an earlier value, by its number."""

    value: int


Operation = Activation | Normalise | Add


@dataclass(frozen=True)
class Layer:
    """weight (M, O, I) times value number `reads`, plus bias (M, O), and what is done `then`, in this order.

    Norms and activations are the same for all members.
    """

    reads: int
    weight: np.ndarray
    bias: np.ndarray
    then: tuple[Operation, ...] = ()

    @property
    def inputs(self) -> int:
        """I."""
        return int(self.weight.shape[2])

    @property
    def outputs(self) -> int:
        """O."""
        return int(self.weight.shape[1])


@dataclass(frozen=True)
class Program:
    """All that the C file computes: `net.columns` by `tables` and `ramps` to value 0, by `layers` to the last value, of
    each member, and by what `net` says of answers to these.
    """

    net: PortableNet
    tables: Lookup
    ramps: Ramps
    layers: tuple[Layer, ...]

    @property
    def members(self) -> int:
        """M."""
        return len(self.layers[-1].weight)

    @property
    def sizes(self) -> list[int]:
        """How many numbers each value holds."""
        return [self.layers[0].inputs, *(layer.outputs for layer in self.layers)]


def program_of(net: PortableNet) -> Program:
    """The program of a net. Raises UsageError, in one line, for one that C is not written for."""
    flat = _Flat()
    flat.run(net.stacks)
    return Program(net, flat.tables, flat.ramps, tuple(flat.layers))


class _Flat:
    """Steps of all members, side by side, turned into layers."""

    def __init__(self) -> None:
        self.tables, self.ramps = NO_TABLES, NO_RAMPS
        self.layers: list[Layer] = []

    def run(self, stacks: Sequence[Stack]) -> None:
        """What the stacks, one of each member, do to the value that is there."""
        for steps in zip(*stacks, strict=True):
            self._step(steps)

    def _step(self, steps: tuple[Step, ...]) -> None:
        match steps[0]:
            case Affine():
                both = [(step.weight, step.bias) for step in steps if isinstance(step, Affine)]
                weight, bias = (np.stack(parts) for parts in zip(*both, strict=True))
                self.layers.append(Layer(len(self.layers), weight, bias))
            case Skip():
                before = len(self.layers)
                self.run([step.steps for step in steps if isinstance(step, Skip)])
                self._then(Add(before))
            case Lookup() as tables:
                self.tables = tables
            case Ramps() as ramps:
                self.ramps = ramps
            case Flatten():
                pass  # rows are flat
            case Convolve() | MaxPool() | GlobalMean():
                raise UsageError("to=c writes dense nets, and this one has convolutions; to=onnx and to=pt2 take it")
            case operation:
                self._then(operation)

    def _then(self, operation: Operation) -> None:
        last = self.layers[-1]
        self.layers[-1] = replace(last, then=(*last.then, operation))
