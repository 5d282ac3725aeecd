"""The table of layer types: along which dimension of which parameter a layer writes and reads its widths.

A row of the table is all that growth knows of a layer type; `register_layer` adds one for a type of your own. Norms are
in a table of their own below: they carry a width without changing it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.utils import parametrize

Build = Callable[[nn.Module, int, int], nn.Module]


@dataclass(frozen=True)
class LayerType:
    """How a layer type stores its widths.

    `writes`: parameter name → dimension along which its output width lies. `reads`: the same for its input width.
    `out_attributes`/`in_attributes`: integer attributes that hold the sizes. `spatial`: number of dimensions behind the
    feature dimension of its tensors (0: features last). `grouped`: whether an attribute `groups` cuts its channels.
    `build(like, inputs, outputs)`: a layer of the same kind that keeps all other dimensions of its input, for
    insertion; None where there is none.
    """

    writes: Mapping[str, int]
    reads: Mapping[str, int] = field(default_factory=dict)
    out_attributes: tuple[str, ...] = ()
    in_attributes: tuple[str, ...] = ()
    spatial: int = 0
    grouped: bool = False
    build: Build | None = None


@dataclass(frozen=True)
class NormType:
    """How a norm carries a width.

    `kind`: 'batch' has statistics of each channel's own, 'layer' and 'rms' one over all, 'group' between.
    """

    kind: str
    size_attribute: str
    features_last: bool = False
    carried: tuple[str, ...] = ("weight", "bias", "running_mean", "running_var")


def _build_linear(like: nn.Module, inputs: int, outputs: int) -> nn.Module:
    weight = like.weight
    assert isinstance(weight, torch.Tensor)
    return nn.Linear(inputs, outputs, device=weight.device, dtype=weight.dtype)


def _build_conv(like: nn.Module, inputs: int, outputs: int) -> nn.Module:
    assert isinstance(like, (nn.Conv1d, nn.Conv2d, nn.Conv3d))
    kernel = tuple(k if k % 2 else 1 for k in like.kernel_size)  # an even kernel has no centre
    return type(like)(
        inputs,
        outputs,
        kernel,  # type: ignore[arg-type]
        padding=tuple(k // 2 for k in kernel),  # type: ignore[arg-type]
        device=like.weight.device,
        dtype=like.weight.dtype,
    )


def _build_member_linear(like: nn.Module, inputs: int, outputs: int) -> nn.Module:
    weight = like.weight
    assert isinstance(weight, torch.Tensor)
    layer: nn.Module = type(like)(weight.shape[0], inputs, outputs)
    return layer.to(weight)


_LINEAR = LayerType({"weight": 0, "bias": 0}, {"weight": 1}, ("out_features",), ("in_features",), build=_build_linear)
_MEMBER_LINEAR = LayerType(
    {"weight": 1, "bias": 1}, {"weight": 2}, ("out_features",), ("in_features",), build=_build_member_linear
)
_EMBEDDING = LayerType({"weight": 1}, {}, ("embedding_dim",))


def _conv(spatial: int) -> LayerType:
    return LayerType(
        {"weight": 0, "bias": 0}, {"weight": 1}, ("out_channels",), ("in_channels",), spatial, grouped=True, build=_build_conv
    )  # fmt: skip


def _transposed(spatial: int) -> LayerType:
    return LayerType(
        {"weight": 1, "bias": 0}, {"weight": 0}, ("out_channels",), ("in_channels",), spatial, grouped=True
    )


# a string key is a type's full name: a type may be in the table without being imported
_LAYERS: dict[type[nn.Module] | str, LayerType] = {
    nn.Linear: _LINEAR,
    "autogrow.nets.members.MemberLinear": _MEMBER_LINEAR,
    nn.Conv1d: _conv(1),
    nn.Conv2d: _conv(2),
    nn.Conv3d: _conv(3),
    nn.ConvTranspose1d: _transposed(1),
    nn.ConvTranspose2d: _transposed(2),
    nn.ConvTranspose3d: _transposed(3),
    nn.Embedding: _EMBEDDING,
}

_NORMS: dict[type[nn.Module], NormType] = {
    nn.BatchNorm1d: NormType("batch", "num_features"),
    nn.BatchNorm2d: NormType("batch", "num_features"),
    nn.BatchNorm3d: NormType("batch", "num_features"),
    nn.SyncBatchNorm: NormType("batch", "num_features"),
    nn.InstanceNorm1d: NormType("batch", "num_features"),
    nn.InstanceNorm2d: NormType("batch", "num_features"),
    nn.InstanceNorm3d: NormType("batch", "num_features"),
    nn.LayerNorm: NormType("layer", "normalized_shape", features_last=True),
    nn.RMSNorm: NormType("rms", "normalized_shape", features_last=True),
    nn.GroupNorm: NormType("group", "num_channels"),
}


def register_layer(kind: type[nn.Module], layer: LayerType) -> None:
    """Tell growth how a layer type of your own stores its widths.

    >>> class Scaled(nn.Linear):
    ...     def forward(self, x): return 2 * super().forward(x)
    >>> register_layer(Scaled, LayerType({"weight": 0, "bias": 0}, {"weight": 1}, ("out_features",), ("in_features",)))
    """
    _LAYERS[kind] = layer


def _found(module: nn.Module, table: Mapping[type[nn.Module] | str, object]) -> type[nn.Module] | str | None:
    """The key of a module's type, or of the base that defines its forward (an override may compute anything)."""
    for base in type(module).__mro__:
        key = base if base in table else f"{base.__module__}.{base.__qualname__}"
        if key in table:
            return key
        if "forward" in vars(base) and not parametrize.is_parametrized(module):
            return None
    return None


def layer_type(module: nn.Module) -> LayerType | None:
    """The table's row for a module, or None."""
    key = _found(module, _LAYERS)
    return _LAYERS[key] if key is not None else None


def norm_type(module: nn.Module) -> NormType | None:
    """The norm table's row for a module, or None."""
    for base in type(module).__mro__:
        if base in _NORMS:
            return _NORMS[base]
        if "forward" in vars(base):
            return None
    return None


def norm_of(kind: type[nn.Module]) -> NormType:
    """The norm table's row of a type of torch."""
    return _NORMS[kind]


def untouchable(module: nn.Module) -> str | None:
    """Why the parameters of a known layer may not be replaced, or None."""
    if parametrize.is_parametrized(module):
        return "it is parametrized (torch.nn.utils.parametrize); remove the parametrization first"
    for name in ("weight", "bias"):
        value = getattr(module, name, None)
        if isinstance(value, torch.Tensor) and name not in module._parameters:
            return (
                f"its {name} is not a parameter but computed (weight_norm, spectral_norm or pruning); remove that first"
            )
    if isinstance(module, nn.modules.lazy.LazyModuleMixin) and module.has_uninitialized_params():
        return "it is lazy and has not seen data yet; run one batch through the net first"
    return None
