"""What a move of some layers' outputs would do to the loss, without touching the net.

A move that is right to first order has no size of its own. Its size is found by measuring: the loss at one small step
gives the curvature along the move, and with the known slope the step that a parabola likes best.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from autogrow.growth.bottleneck.problem import Batch, Loss, loss_of
from autogrow.growth.modes import quiet

_FIRST_STEP = 0.1  # of the outputs' own norm: small enough for a parabola, large enough for float32


@dataclass(frozen=True)
class Trial:
    """What a move gains.

    `slope`: first-order decrease of the loss per unit of amplitude. `amplitude`: the best one found; `gain`: the
    decrease there.
    """

    slope: float
    amplitude: float
    gain: float


def loss_with(net: nn.Module, moves: Mapping[str, Tensor], amplitude: float, batch: Batch, loss: Loss) -> float:
    """The loss of a batch in eval mode with `amplitude` × a tensor added to the output of each named module."""

    def adding(move: Tensor) -> Callable[..., Tensor]:
        def hook(_module: nn.Module, _args: Any, output: Tensor) -> Tensor:
            return output + (amplitude * move).to(output)

        return hook

    handles = [net.get_submodule(name).register_forward_hook(adding(move)) for name, move in moves.items()]
    try:
        with quiet(net):
            return float(loss_of(net, batch, loss))
    finally:
        for handle in handles:
            handle.remove()


def best_amplitude(
    net: nn.Module, moves: Mapping[str, Tensor], slope: float, size: float, batch: Batch, loss: Loss
) -> Trial:
    """How far to go along a move, and what that gains on the batch.

    `slope`: Σ ⟨−∂L/∂output, move⟩. `size`: norm of the outputs that are moved. Three evaluations of the loss. A move
    that goes uphill gains 0. Scaling a layer's output and its readers' weights against each other changes nothing here.
    """
    length = sum(float(move.norm()) ** 2 for move in moves.values()) ** 0.5
    if slope <= 0 or length == 0:
        return Trial(slope, 0.0, 0.0)
    step = _FIRST_STEP * (size / length if size else 1.0)
    start = loss_with(net, moves, 0.0, batch, loss)
    tried = {step: start - loss_with(net, moves, step, batch, loss)}
    curvature = 2 * (slope * step - tried[step]) / step**2
    furthest = step / _FIRST_STEP  # never further than the outputs are long
    best = min(slope / curvature, furthest) if curvature > 0 else furthest
    tried[best] = start - loss_with(net, moves, best, batch, loss)
    amplitude = max(tried, key=lambda a: tried[a])
    return Trial(slope, amplitude, tried[amplitude]) if tried[amplitude] > 0 else Trial(slope, 0.0, 0.0)
