"""A net in 8 bits: symmetric weights with a scale for each output, activations with a factor for each input.

Every layer that multiplies by weights becomes integer: its inputs are rounded to int8, products are added in int32, the
sum is scaled back. What is between layers stays float: activations, norms, knots, skip connections. Factors come from
the largest values that calibration rows reach; each input has its own, which costs nothing (what lies before can be
scaled, and a column that reaches 10 does not make one that lives between 0 and 1 coarse).

n rows, I inputs of a layer, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from autogrow.deploy.export.layers import Affine, Convolve, Skip, Stack, Step
from autogrow.deploy.export.net import PortableNet
from autogrow.deploy.export.plain_net import Net
from autogrow.deploy.export.torch_module import module_of

MOST = 127
LEAST = 1e-12  # of a range: an input that is 0 in every row has none


@dataclass(frozen=True)
class Quantised:
    """A layer in int8: q = clip(round(x · factor) + zero, −128, 127), then (weight · q) · scale + bias.

    `layer`: the float layer that it stands for. `factor` (I,), float64; `zero`: −128 where no input is negative, else
    0; `weight`: int8, of the layer's shape; `scale`, `bias` (O,), float64: what `zero` adds is in `bias`. Products are
    added in int32. Rounding is to even. Of a convolution, I and O are channels, and the pixels around are q = zero.
    """

    layer: Affine | Convolve
    factor: np.ndarray
    zero: int
    weight: np.ndarray
    scale: np.ndarray
    bias: np.ndarray


Step8 = Step | Quantised


def quantised_stacks(net: PortableNet, calibration: np.ndarray) -> tuple[tuple[Step8, ...], ...]:
    """The net's stacks with every layer in int8; calibration: training rows (n, *input_shape), float64.

    A `Skip` holds quantised steps, too.
    """
    lowest, highest = _ranges(net, calibration)
    return tuple(
        _mapped(stack, f"members.{m}", lambda layer, name: _quantised(layer, lowest[name], highest[name]))
        for m, stack in enumerate(net.stacks)
    )


def _mapped(stack: Stack, name: str, make: Callable[[Affine | Convolve, str], Quantised]) -> tuple[Step8, ...]:
    """Each layer replaced by what `make` makes of it and of its name in `plain_net.Net`."""
    found: list[Step8] = []
    for i, step in enumerate(stack):
        here = f"{name}.steps.{i}"
        if isinstance(step, Skip):
            found.append(replace(step, steps=_mapped(step.steps, f"{here}.inner", make)))  # type: ignore[arg-type]
        else:
            found.append(make(step, here) if isinstance(step, (Affine, Convolve)) else step)
    return tuple(found)


def _ranges(net: PortableNet, calibration: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The least and the largest value (I,) that each input of each layer has on the calibration rows, by its name."""
    module: Net = module_of(net, torch.float64)
    lowest: dict[str, np.ndarray] = {}
    highest: dict[str, np.ndarray] = {}

    def seen(name: str, x: torch.Tensor) -> None:
        values = x.movedim(1, -1).reshape(-1, x.shape[1])
        lowest[name], highest[name] = values.amin(0).numpy(), values.amax(0).numpy()

    for name, part in module.named_modules():
        if getattr(part, "kind", "") in ("affine", "convolve"):
            part.register_forward_pre_hook(lambda _, given, name=name: seen(name, given[0]))
    with torch.no_grad():
        module(torch.from_numpy(calibration))
    return lowest, highest


def _quantised(layer: Affine | Convolve, lowest: np.ndarray, highest: np.ndarray) -> Quantised:
    positive = bool((lowest >= 0).all())
    zero = -128 if positive else 0
    reach = np.maximum(highest if positive else np.maximum(-lowest, highest), LEAST)
    factor = (255 if positive else MOST) / reach
    spread = (1, -1) + (1,) * (layer.weight.ndim - 2)
    weight = layer.weight / factor.reshape(spread)
    axes = tuple(range(1, weight.ndim))
    scale = np.maximum(np.abs(weight).max(axes), LEAST / MOST) / MOST
    whole = np.rint(weight / scale.reshape(-1, *[1] * len(axes))).astype(np.int8)
    bias = layer.bias - zero * whole.astype(np.float64).sum(axes) * scale
    return Quantised(layer, factor, zero, whole, scale, bias)
