"""What a layer should do for the loss and cannot, however its weights move; and the new units that help most.

On a batch of N rows the layer that reads a width wants to change its output by the goal V = −N ∂L/∂z. The part it can
reach by its own weights is the least-squares fit of V to what it reads; what is left is the expressivity bottleneck.
New units read what the width's writers read, φ. To first order k of them add Σ ω_k σ′(0) α_kᵀφ to z, and the best are
found by one singular value decomposition of S^{-1/2} E[φ Vᵀ] = U Σ Ωᵀ with S = E[φφᵀ]: α_k = √σ_k S^{-1/2} u_k,
ω_k = √σ_k Ω_k, and an amplitude γ of them decreases the loss by γ σ′(0) Σ σ_k² (Verbockhaven, Rudkiewicz, Chevallier,
Charpiat 2024, "Growing Tiny Networks", arXiv 2405.19816, Propositions 3.1 and 3.2).

Shape legend: M members (1 where there are none), N rows (samples × positions), F features with a last column of ones,
O outputs, k units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from autogrow.errors import GrowthError
from autogrow.growth.bottleneck.linear_algebra import fit, leading_svd_of_product, whitening
from autogrow.growth.bottleneck.patches import aligned, check_layer, places, read_rows, written_rows
from autogrow.growth.layers import layer_type
from autogrow.growth.modes import quiet
from autogrow.growth.sites.find import WidthSite

_ROUNDING = 1e-5  # of float32 gradients, and of least squares on nearly dependent features
Batch = tuple[Any, Any]
Loss = Callable[[Any, Any], Tensor]


@dataclass(frozen=True)
class Passed:
    """What went through a layer.

    Rows that it `read` (M, N, F), its `goal` −N ∂L/∂output (M, N, O), the places of both, its output's norm.
    """

    read: Tensor
    goal: Tensor
    at: torch.Size
    read_at: torch.Size
    norm: float


@dataclass(frozen=True)
class Units:
    """k new units: incoming (M, k, F) with the bias as the last column, outgoing (M, O, k), singular values (M, k)."""

    incoming: Tensor
    outgoing: Tensor
    values: Tensor


def loss_of(net: nn.Module, batch: Batch, loss: Loss) -> Tensor:
    """The loss of one batch (inputs, targets)."""
    x, y = batch
    value: Tensor = loss(net(x) if isinstance(x, Tensor) else net(*x), y)
    return value


def record(net: nn.Module, names: Iterable[str], batches: Sequence[Batch], loss: Loss) -> dict[str, Passed]:
    """Run batches forward and backward in eval mode and note what passed the named layers.

    The rows of all batches lie behind each other. Gradients of parameters stay as they are. Layers that the loss does
    not depend on are left out.
    """
    layers = {name: net.get_submodule(name) for name in names}
    parts: dict[str, list[Passed]] = {name: [] for name in layers}
    for batch in batches:
        seen: dict[str, tuple[Tensor, Tensor]] = {}
        handles = [layer.register_forward_hook(_noting(seen, name)) for name, layer in layers.items()]
        try:
            with quiet(net), torch.inference_mode(False), torch.enable_grad():
                value = loss_of(net, batch, loss)
                gradients = torch.autograd.grad(value, [written for _, written in seen.values()], allow_unused=True)
        finally:
            for handle in handles:
                handle.remove()
        for (name, (read, written)), gradient in zip(seen.items(), gradients, strict=True):
            if gradient is not None:
                layer = layers[name]
                at = places(layer, written)
                goal = -at.numel() * written_rows(layer, gradient)
                norm = float(written.detach().double().norm())
                parts[name].append(Passed(read_rows(layer, read), goal, at, places(layer, read), norm))
    return {name: _joined(found) for name, found in parts.items() if found}


def _noting(seen: dict[str, tuple[Tensor, Tensor]], name: str) -> Callable[..., Tensor]:
    def hook(_module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        if not output.requires_grad:  # frozen all the way: the gradient is wanted all the same
            output = output.detach().requires_grad_()
        seen[name] = (args[0].detach(), output)
        return output

    return hook


def _joined(parts: Sequence[Passed]) -> Passed:
    first = parts[0]
    at = torch.Size((sum(p.at[0] for p in parts), *first.at[1:]))
    read_at = torch.Size((sum(p.read_at[0] for p in parts), *first.read_at[1:]))
    norm = sum(p.norm**2 for p in parts) ** 0.5
    return Passed(torch.cat([p.read for p in parts], 1), torch.cat([p.goal for p in parts], 1), at, read_at, norm)


def with_ones(features: Tensor) -> Tensor:
    """Features with a last column of ones, for the bias: (M, N, F) → (M, N, F + 1)."""
    return torch.cat([features, torch.ones_like(features[..., :1])], dim=-1)


def unreachable(reader: Passed) -> Tensor:
    """What is left of the reader's goal when its own weights and bias have done what they can: (M, N, O)."""
    features = with_ones(reader.read)
    return unless_rounding(reader.goal - features @ fit(features, reader.goal), reader.goal)


def unless_rounding(part: Tensor, whole: Tensor) -> Tensor:
    """A part of something, or zeros where it is so small that it is only what rounding left (in float32 nets, too)."""
    return part if float(part.norm()) > _ROUNDING * float(whole.norm()) else torch.zeros_like(part)


def width_layers(net: nn.Module, site: WidthSite) -> tuple[str, tuple[str, ...]]:
    """The one layer that writes a width, and those that read it. Raises `GrowthError` where none can be computed."""
    writers = tuple(dict.fromkeys(p.module for p in site.writers))
    readers = tuple(dict.fromkeys(p.module for p in site.readers))
    reason = None
    if site.refused:
        reason = site.refused
    elif len(writers) != 1:
        reason = f"it is written by several layers ({', '.join(writers)})"
    elif any(p.role == "key" for p in site.readers):
        reason = "it is the inner width of an attention head, which queries write and keys read"
    elif site.unit > 1 or any(layer_type(net.get_submodule(p.module)) is not None for p in site.carried):
        reason = "its channels come in groups"
    elif any(len(p.spans) > 1 or p.spans[0].block > 1 for p in site.readers):
        reason = "a layer reads it at several places, as behind flatten"
    if reason:
        raise GrowthError(f"nothing can be computed from data for {site.name!r}: {reason}")
    for name in (*writers, *readers):
        check_layer(name, net.get_submodule(name))
    return writers[0], readers


def width_problem(
    net: nn.Module,
    writer: str,
    readers: Sequence[str],
    passed: Mapping[str, Passed],
    *,
    bias: bool = True,
    project: bool = True,
) -> tuple[Tensor, Tensor]:
    """What new units of a width would read (M, N, F), and what the readers want of them (M, N, Σ O·K).

    `bias`: with a last column of ones. `project`: without what the readers' own weights can do. Raises `GrowthError`
    where the places do not correspond.
    """
    goals = []
    for name in readers:
        if writer not in passed or name not in passed:
            raise GrowthError(f"the loss does not depend on {name!r}")
        if passed[name].read_at != passed[writer].at:
            raise GrowthError(
                f"{name!r} does not read {writer!r} place by place (pooling, flatten or a permutation lies between): "
                f"{tuple(passed[writer].at)} became {tuple(passed[name].read_at)}"
            )
        goal = unreachable(passed[name]) if project else passed[name].goal
        goals.append(aligned(net.get_submodule(name), goal, passed[name].at, passed[name].read_at))
    read = passed[writer].read
    return with_ones(read) if bias else read, torch.cat(goals, -1)


def best_units(features: Tensor, goal: Tensor, count: int, *, generator: torch.Generator | None = None) -> Units:
    """The `count` new units, reading `features` (M, N, F), whose first-order move towards `goal` (M, N, O) is largest.

    Beyond the rank of the problem units are zero. Signs are fixed: each unit's largest outgoing weight is positive.
    """
    base = whitening(features)
    left, values, right = leading_svd_of_product(features @ base / features.shape[-2], goal, count, generator=generator)
    values = torch.where(values > _ROUNDING * float(goal.norm()) / features.shape[-2] ** 0.5, values, 0.0)
    root = values.sqrt().unsqueeze(-2)
    sign = torch.gather(right, -2, right.abs().argmax(-2, keepdim=True)).sign()
    return Units((base @ left * root * sign).mT, right * root * sign, values)
