"""The layers that deepening inserts: an identity, or a residual block whose gate is closed."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from autogrow.growth.blocks import ResidualBlock
from autogrow.growth.draws import normal
from autogrow.growth.layers import layer_type


def built(like: nn.Module, inputs: int, outputs: int) -> nn.Module:
    """A layer of the same kind as `like`, without touching the global random state."""
    layer = layer_type(like)
    assert layer is not None
    assert layer.build is not None
    with torch.random.fork_rng(devices=[]):
        return layer.build(like, inputs, outputs)


def identity_layers(like: nn.Module, act: nn.Module, size: int) -> list[nn.Module]:
    """A layer that passes its input on, and a copy of the activation (exact where σ(σ(x)) = σ(x))."""
    layer = built(like, size, size)
    _zero(layer)
    with torch.no_grad():
        square(layer).copy_(torch.eye(size))
    return [layer, fresh_copy(act)]


def residual_layers(
    like: nn.Module, act: nn.Module | None, norm: nn.Module | None, size: int, generator: torch.Generator
) -> list[nn.Module]:
    """A residual block with drawn inner weights and zero outer ones."""
    inner, outer = built(like, size, size), built(like, size, size)
    with torch.no_grad():
        for parameter in inner.parameters():
            parameter.zero_()
        weight = inner.get_parameter("weight")
        fan_in = size * _kernel_size(inner)
        weight.copy_(normal(weight.shape, generator) / (3 * fan_in) ** 0.5)  # nn.Linear's own std
    _zero(outer)
    block_norm = norm_like(norm, size) if norm is not None else None
    return [ResidualBlock(inner, fresh_copy(act) if act is not None else nn.ReLU(), outer, block_norm)]


def norm_like(norm: nn.Module, size: int) -> nn.Module:
    """A fresh norm of the same kind for `size` channels."""
    where = next(norm.parameters(), next(norm.buffers(), torch.empty(0)))
    made: nn.Module
    if isinstance(norm, nn.GroupNorm):
        made = nn.GroupNorm(math.gcd(norm.num_groups, size), size, norm.eps, norm.affine)
    elif isinstance(norm, nn.LayerNorm):
        made = nn.LayerNorm(size, norm.eps, norm.elementwise_affine, bias=norm.bias is not None)
    elif isinstance(norm, nn.RMSNorm):
        made = nn.RMSNorm(size, norm.eps, norm.elementwise_affine)
    else:
        assert isinstance(norm, (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm))
        made = type(norm)(size, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)  # type: ignore[arg-type]
    return made.to(where.device, where.dtype)


def calibrated_batchnorm(like: nn.modules.batchnorm._BatchNorm, values: Tensor) -> nn.Module:
    """A batch norm that is the identity on these values (B, C, …): γ = √(var + eps), β = mean, running statistics set.

    Exact in eval mode on any data, in train mode on a batch with these statistics.
    """
    with torch.random.fork_rng(devices=[]):
        norm = type(like)(
            values.shape[1], eps=like.eps, momentum=like.momentum, device=values.device, dtype=values.dtype
        )
    dims = [d for d in range(values.ndim) if d != 1]
    with torch.no_grad():
        mean, var = values.mean(dims), values.var(dims, unbiased=False)
        norm.weight.copy_((var + norm.eps).sqrt())
        norm.bias.copy_(mean)
        if norm.running_mean is not None and norm.running_var is not None:
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(var)
    return norm


def square(layer: nn.Module) -> Tensor:
    """The weight as (…, outputs, inputs): of a convolution the kernel's centre, of members every member."""
    kind = layer_type(layer)
    assert kind is not None
    out_dim, in_dim = kind.writes["weight"], kind.reads["weight"]
    weight = layer.get_parameter("weight").movedim((out_dim, in_dim), (-2, -1))
    return weight[tuple(k // 2 for k in weight.shape[:-2])] if kind.spatial else weight


def _kernel_size(layer: nn.Module) -> int:
    kind = layer_type(layer)
    assert kind is not None
    weight = layer.get_parameter("weight")
    return int(torch.Size(weight.shape[-kind.spatial :]).numel()) if kind.spatial else 1


def _zero(layer: nn.Module) -> None:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()


def fresh_copy(module: nn.Module, shared: Mapping[int, object] | None = None) -> nn.Module:
    """A deep copy without the hooks people put on the original. `shared`: by id, what is not copied but shared."""
    new = copy.deepcopy(module, dict(shared or {}))
    for part in new.modules():
        if id(part) in (shared or {}):
            continue
        for hooks in (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks, part._backward_pre_hooks):
            hooks.clear()
    return new


def copies(modules: Sequence[nn.Module]) -> list[nn.Module]:
    """Deep copies, for a second net that gets the same insertion."""
    return [copy.deepcopy(m) for m in modules]
