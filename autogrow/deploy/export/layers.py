"""A net as plain steps, one behind another: what a target that writes its own arithmetic goes by.

O outputs of a step, I its inputs, K ramps, C channels. Weights are float64, of the values that the net has in 32 bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from autogrow.growth.blocks import ResidualBlock
from autogrow.nets import ACTIVATIONS, ColumnEmbedding, ConvNet, DenseNet, Knots, MemberLinear


@dataclass(frozen=True)
class Affine:
    """x → weight (O, I) · x + bias (O,). A BatchNorm behind a layer is in it."""

    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Activation:
    """Elementwise, by its name in `autogrow.nets.ACTIVATIONS`, with torch's own defaults."""

    name: str


@dataclass(frozen=True)
class Normalise:
    """Over the whole vector: 'layer', (x − mean) / √(var + eps), or 'rms', x / √(mean of x² + eps); then · weight,
    + bias.
    """

    kind: str
    weight: np.ndarray
    bias: np.ndarray
    eps: float


@dataclass(frozen=True)
class Skip:
    """x → x + steps(x)."""

    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Ramps:
    """x → x, and behind it K ramps: clip((x[column] − low) / (high − low), 0, 1); each (K,)."""

    column: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Lookup:
    """x → its first `numeric` columns as they are, then of each further one the row of its table (codes, size)."""

    numeric: int
    tables: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Convolve:
    """(C, H, W) → (O, H, W): correlation with weight (O, C, k, k), zeros around, plus bias (O,). BatchNorm is in it."""

    weight: np.ndarray
    bias: np.ndarray
    padding: int


@dataclass(frozen=True)
class MaxPool:
    """The largest of each 2×2 pixels; an odd last row or column is left out."""


@dataclass(frozen=True)
class GlobalMean:
    """(C, H, W) → (C,): the mean over pixels."""


@dataclass(frozen=True)
class Flatten:
    """(C, H, W) → one vector in this order. Nothing to do where columns are a vector already."""


Step = Affine | Activation | Normalise | Skip | Ramps | Lookup | Convolve | MaxPool | GlobalMean | Flatten
Stack = tuple[Step, ...]


def stacks_of(net: nn.Module) -> tuple[Stack, ...]:
    """The steps of each member of a net of ours in eval mode, from columns to logits or standardised targets."""
    if isinstance(net, ConvNet):
        return (tuple(_folded(step for part in net.children() for step in _steps(part, 0))),)
    assert isinstance(net, DenseNet)
    return tuple(tuple(_folded(_steps_of_net(net, member))) for member in range(net.members))


def _steps_of_net(net: DenseNet, member: int) -> Iterator[Step | _Scaling]:
    if len(net.input_shape) > 1:
        yield Flatten()
    if net.embedded:
        yield from _steps(net.embed, member)
    yield from _steps(net.columns, member)
    for i, stage in enumerate(net.hidden):
        steps = tuple(_folded(_steps(stage, member)))
        if net.residual and i > 0:
            yield Skip(steps)
        else:
            yield from steps
    yield from _steps(net.head, member)


def _steps(module: nn.Module, member: int) -> Iterator[Step | _Scaling]:  # noqa: PLR0912  (a case for each kind)
    """The steps of one module. Raises NotImplementedError for one that no net of ours has."""
    match module:
        case nn.Sequential() | nn.ModuleList():
            for part in module:
                yield from _steps(part, member)
        case ResidualBlock():
            norm = [module.norm] if hasattr(module, "norm") else []
            inner = (step for part in (module.inner, *norm, module.act, module.outer) for step in _steps(part, member))
            yield Skip(tuple(_folded(inner)))
        case nn.Linear():
            weight = _array(module.weight)
            yield Affine(weight, np.zeros(len(weight)) if module.bias is None else _array(module.bias))
        case MemberLinear():
            yield Affine(_array(module.weight[member]), _array(module.bias[member]))
        case nn.Conv2d():
            weight = _array(module.weight)
            bias = np.zeros(len(weight)) if module.bias is None else _array(module.bias)
            yield Convolve(weight, bias, int(module.padding[0]))
        case nn.MaxPool2d():
            yield MaxPool()
        case nn.AdaptiveAvgPool2d():
            yield GlobalMean()
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            yield _batch_norm(module)
        case nn.LayerNorm() | nn.RMSNorm():
            yield _norm(module)
        case Knots():
            yield Ramps(module.column.numpy(), _array(module.low), _array(module.high))
        case ColumnEmbedding():
            yield Lookup(module.numeric, tuple(_array(table.weight) for table in module.tables))  # type: ignore[arg-type]
        case nn.Identity() | nn.Dropout() | nn.Flatten():  # a vector that is one already
            return
        case _:
            yield Activation(_activation_name(module))


def _activation_name(module: nn.Module) -> str:
    for name, kind in ACTIVATIONS.items():
        if type(module) is kind and module.extra_repr() == kind().extra_repr():
            return name
    raise NotImplementedError(f"an export has no words for {module!r}")


@dataclass(frozen=True)
class _Scaling:
    """x → factor · x + shift, for each feature or channel: a BatchNorm before it is folded."""

    factor: np.ndarray
    shift: np.ndarray


def _batch_norm(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> _Scaling:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
    return _Scaling(factor, _array(norm.bias) - _array(norm.running_mean) * factor)


def _norm(norm: nn.LayerNorm | nn.RMSNorm) -> Normalise:
    weight = _array(norm.weight)
    bias = getattr(norm, "bias", None)
    eps = torch.finfo(norm.weight.dtype).eps if norm.eps is None else norm.eps
    kind = "layer" if isinstance(norm, nn.LayerNorm) else "rms"
    return Normalise(kind, weight, np.zeros(len(weight)) if bias is None else _array(bias), eps)


def _folded(steps: Iterable[Step | _Scaling]) -> Iterator[Step]:
    """The same steps with every BatchNorm in the layer that it stands behind."""
    held: Affine | Convolve | None = None
    for step in steps:
        if isinstance(step, _Scaling):
            assert held is not None, "a BatchNorm of ours stands behind a layer"
            weight = held.weight * step.factor.reshape(-1, *[1] * (held.weight.ndim - 1))
            held = replace(held, weight=weight, bias=held.bias * step.factor + step.shift)
            continue
        if held is not None:
            yield held
        held = step if isinstance(step, (Affine, Convolve)) else None
        if held is None:
            yield step
    if held is not None:
        yield held


def _array(tensor: torch.Tensor) -> np.ndarray:
    found: np.ndarray = tensor.detach().double().numpy()
    return found


def peak_of(stack: Stack, shape: tuple[int, ...]) -> int:
    """The most numbers that are held at once while a stack runs on one row of this shape, (D,) or (C, H, W): what a
    step reads and what it writes, and what a skip connection keeps meanwhile.
    """
    return _peak(stack, shape)[0]


def _peak(stack: Stack, shape: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """The peak, and the shape behind the last step."""
    most = math.prod(shape)
    for step in stack:
        before, kept = math.prod(shape), 0
        match step:
            case Affine(weight):
                shape = (len(weight),)
            case Convolve(weight):
                shape = (len(weight), *shape[1:])
            case MaxPool():
                shape = (shape[0], shape[1] // 2, shape[2] // 2)
            case GlobalMean():
                shape = shape[:1]
            case Ramps(column):
                shape = (shape[0] + len(column),)
            case Lookup(numeric, tables):
                shape = (numeric + sum(table.shape[1] for table in tables),)
            case Skip(steps):
                kept = before + _peak(steps, shape)[0]
            case Flatten():
                shape = (before,)
            case _:
                continue  # in place
        most = max(most, kept or before + math.prod(shape))
    return most, shape
