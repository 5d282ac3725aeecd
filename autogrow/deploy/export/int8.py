"""A net in 8 bits: symmetric weights with a scale for each output, activations with a factor for each input.

Every layer that multiplies by weights becomes integer: its inputs are rounded to int8, products are added in int32, the
sum is scaled back. What is between layers stays float: activations, norms, knots, skip connections. Each input has a
factor of its own: a column that reaches 10 need not make one that lives between 0 and 1 coarse. What an input gains by
it its weights lose, so how far factors follow the inputs is chosen for each layer, by what its outputs on calibration
rows lose (as in SmoothQuant, Xiao et al. 2023, arXiv 2211.10438, equation 4). Where it can, a factor is put into the
scale of the columns, or, behind a ReLU, into that of the layer before, where it costs nothing.

n rows, I inputs of a layer, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from autogrow.deploy.export.inputs import Column
from autogrow.deploy.export.layers import Activation, Affine, Convolve, Flatten, Skip, Stack, Step
from autogrow.deploy.export.net import PortableNet
from autogrow.deploy.export.plain_net import Net
from autogrow.deploy.export.torch_module import module_of

MOST = 127
BALANCES = (0.0, 0.25, 0.5, 0.75, 1.0)  # 1: each input fills the grid; 0: each input's largest weight is the same
IMAGES = 100  # images that a convolution is judged on: each has many pixels
PASSING = ("relu", "leaky_relu")  # activations with f(a·x) = a·f(x) for a > 0


@dataclass(frozen=True)
class Quantised:
    """A layer in int8: q = clip(round(x · factor) + zero, −128, 127), then (weight · (q − zero)) · scale + bias.

    `factor` (I,), float64: 1 throughout where what lies before is scaled by it; `zero`: −128 where no input is
    negative, else 0; `weight`: int8, (O, I) or (O, I, k, k); `scale`, `bias` (O,), float64. Products are added in
    int32. Rounding is to even. Of a convolution I and O are channels, and pixels around, `padding` of them, q = zero.
    """

    factor: np.ndarray
    zero: int
    weight: np.ndarray
    scale: np.ndarray
    bias: np.ndarray
    padding: int = 0

    @property
    def scaled_before(self) -> bool:
        """Whether x comes in units of q already."""
        return bool((self.factor == 1).all())

    def scaling(self, factor: np.ndarray) -> Quantised:
        """The same layer, its outputs times factors (O,)."""
        return replace(self, scale=self.scale * factor, bias=self.bias * factor)


Step8 = Step | Quantised
Stack8 = tuple[Step8, ...]


@dataclass(frozen=True)
class QuantisedNet:
    """A net whose layers are integer: `columns`, the net's own with the factors of the first layer in their scale and
    clip where it reads them as they are; and the members' stacks, in which a `Skip` holds quantised steps, too.
    """

    columns: tuple[Column, ...]
    stacks: tuple[Stack8, ...]


def quantise(net: PortableNet, calibration: np.ndarray) -> QuantisedNet:
    """The net in int8; calibration: training rows (n, *input_shape), float64."""
    given = _inputs_of_layers(net, calibration)
    stacks = [
        _settled(_mapped(stack, f"members.{m}", lambda layer, name: _quantised(layer, given[name])))
        for m, stack in enumerate(net.stacks)
    ]
    if len(stacks) > 1:  # what members read is theirs alike, and their factors are not
        return QuantisedNet(net.columns, tuple(stacks))
    at = int(isinstance(stacks[0][0], Flatten))
    first = stacks[0][at]
    if not isinstance(first, Quantised) or first.weight.ndim > 2:
        return QuantisedNet(net.columns, tuple(stacks))
    columns = tuple(
        replace(c, scale=c.scale * f, clip=c.clip * f) for c, f in zip(net.columns, first.factor.tolist(), strict=True)
    )
    return QuantisedNet(columns, tuple((*stack[:at], _freed(stack[at]), *stack[at + 1 :]) for stack in stacks))


def _freed(step: Step8) -> Quantised:
    """A layer whose inputs come scaled by its factors."""
    assert isinstance(step, Quantised)
    return replace(step, factor=np.ones_like(step.factor))


def _settled(stack: Stack8) -> Stack8:
    """The factors of layers that stand behind a layer and a ReLU, which passes them on, in that layer."""
    found = list(stack)
    for i in range(len(found) - 2):
        before, act, layer = found[i : i + 3]
        if not (isinstance(before, Quantised) and isinstance(layer, Quantised) and isinstance(act, Activation)):
            continue
        if act.name in PASSING:
            found[i], found[i + 2] = before.scaling(layer.factor), _freed(layer)
    return tuple(found)


def _mapped(stack: Stack, name: str, make: Callable[[Affine | Convolve, str], Quantised]) -> Stack8:
    """Each layer replaced by what `make` makes of it and of its name in `plain_net.Net`."""
    found: list[Step8] = []
    for i, step in enumerate(stack):
        here = f"{name}.steps.{i}"
        if isinstance(step, Skip):
            found.append(replace(step, steps=_settled(_mapped(step.steps, f"{here}.inner", make))))  # type: ignore[arg-type]
        else:
            found.append(make(step, here) if isinstance(step, (Affine, Convolve)) else step)
    return tuple(found)


def _inputs_of_layers(net: PortableNet, calibration: np.ndarray) -> dict[str, torch.Tensor]:
    """What each layer is given on the calibration rows (n, I), of images (n, I, H, W), by its name."""
    module: Net = module_of(net, torch.float64)
    given: dict[str, torch.Tensor] = {}
    hooks = {
        name: (lambda _, inputs, name=name: given.__setitem__(name, inputs[0]))
        for name, part in module.named_modules()
        if getattr(part, "kind", "") in ("affine", "convolve")
    }
    for name, hook in hooks.items():
        module.get_submodule(name).register_forward_pre_hook(hook)
    rows = calibration[:IMAGES] if any(isinstance(step, Convolve) for step in net.stacks[0]) else calibration
    with torch.no_grad():
        module(torch.from_numpy(rows))
    return given


def _quantised(layer: Affine | Convolve, x: torch.Tensor) -> Quantised:
    """The layer in int8, as it does best on what it is given; what it then still loses on average its bias takes off
    again.
    """
    values = x.movedim(1, -1).reshape(-1, x.shape[1])
    lowest, highest = values.amin(0).numpy(), values.amax(0).numpy()
    candidates = [_balanced(layer, lowest, highest, balance) for balance in BALANCES]
    right = _products(layer.weight, x, layer)
    best = min(candidates, key=lambda one: float((_answers(one, x, layer) - right).square().mean()))
    lost = (right - _answers(best, x, layer)).movedim(1, -1).flatten(0, -2).mean(0)
    return replace(best, bias=best.bias + lost.numpy())


def _balanced(layer: Affine | Convolve, lowest: np.ndarray, highest: np.ndarray, balance: float) -> Quantised:
    """In int8, with factors that follow the inputs' ranges (I,) so far, and for the rest the weights'."""
    positive = bool((lowest >= 0).all())
    zero = -128 if positive else 0
    reach = highest if positive else np.maximum(-lowest, highest)
    reach = np.where(reach > 0, reach, 1.0)  # 0 in all of these rows: a rare category, or a unit that never fires
    most = np.abs(layer.weight).max(tuple(k for k in range(layer.weight.ndim) if k != 1))
    share = reach**balance / np.where(most > 0, most, 1.0) ** (1 - balance)
    factor = (255 if positive else MOST) / ((reach / share).max() * share)
    weight = layer.weight / factor.reshape(1, -1, *[1] * (layer.weight.ndim - 2))
    largest = np.abs(weight).max(tuple(range(1, weight.ndim)))
    scale = np.where(largest > 0, largest, 1.0) / MOST
    whole = np.rint(weight / scale.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.int8)
    return Quantised(factor, zero, whole, scale, layer.bias, getattr(layer, "padding", 0))


def _answers(one: Quantised, x: torch.Tensor, layer: Affine | Convolve) -> torch.Tensor:
    """What a layer in int8 answers, without its bias."""
    spread = (1, -1, *[1] * (x.ndim - 2))
    factor, scale = (torch.from_numpy(values).reshape(spread) for values in (one.factor, one.scale))
    whole = (torch.round(x * factor) + one.zero).clamp(-128, 127) - one.zero
    return _products(one.weight, whole, layer) * scale


def _products(weight: np.ndarray, x: torch.Tensor, layer: Affine | Convolve) -> torch.Tensor:
    """Weights times inputs, in float64."""
    held = torch.from_numpy(weight).double()
    return F.conv2d(x, held, padding=layer.padding) if isinstance(layer, Convolve) else x @ held.T
