"""From new units to new tensors: lays what an initializer proposes out over every parameter along the widths that grow.

Columns (what a reader reads) come before rows (what a writer writes), so rows that are drawn see all columns. Where a
LayerNorm or RMSNorm takes statistics over a width, its rule decides how new units start (`layout_units`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from autogrow.errors import GrowthError
from autogrow.growth.layout_entries import Entries, initial_std, normal, own_std, resized
from autogrow.growth.layout_units import Growth, normed_units
from autogrow.growth.plan import Plan, Regrow, TensorPlan, tensor_named
from autogrow.growth.structure import Port


def widening(net: nn.Module, growths: Sequence[Growth], generator: torch.Generator) -> Plan:
    """The plan that grows several widths at once: one regrowth per tensor and dimension."""
    lying: dict[str, dict[int, list[tuple[Port, Growth]]]] = {}
    for growth in growths:
        for port in (*growth.site.readers, *growth.site.carried, *growth.site.writers):
            lying.setdefault(port.name, {}).setdefault(port.dim, []).append((port, growth))
    order = {"read": 0, "carry": 1, "write": 2}
    tensors = []
    for name, dims in sorted(lying.items()):
        old = tensor_named(net, name)
        shape = list(old.shape)
        steps: list[Regrow] = []
        for dim, laid in sorted(dims.items(), key=lambda item: order[item[1][0][0].role]):
            step = _regrow(old, shape, steps, dim, laid, generator)
            shape[dim] = len(step.index)
            steps.append(step)
        tensors.append(TensorPlan(name, tuple(steps), *_shrunk(old, shape, dims, generator)))
    return Plan(tuple(tensors), _attributes(net, growths))


def _shrunk(
    old: Tensor, shape: Sequence[int], dims: Mapping[int, Sequence[tuple[Port, Growth]]], generator: torch.Generator
) -> tuple[float, Tensor | None]:
    """What a layer's weights are shrunk by, and the fresh initialisation that is added."""
    laid = [(port, growth.units) for of_dim in dims.values() for port, growth in of_dim]
    if any(port.role == "carry" or port.fill != "draw" for port, _ in laid):
        return 1.0, None
    shrink, perturb = min(u.shrink for _, u in laid), max(u.perturb for _, u in laid)
    return shrink, normal(shape, generator) * perturb * initial_std(old) if perturb else None


def _attributes(net: nn.Module, growths: Sequence[Growth]) -> dict[str, dict[str, Any]]:
    values: dict[str, dict[str, Any]] = {}
    for growth in growths:
        for sized in growth.site.attributes:
            of_module = values.setdefault(sized.module, {})
            now = of_module.get(sized.attribute, getattr(net.get_submodule(sized.module), sized.attribute))
            added = growth.added * sized.per_unit
            of_module[sized.attribute] = (now[0] + added,) if isinstance(now, (tuple, list)) else now + added
        for name in growth.site.normed.norms if growth.site.normed and growth.epsilon != 1 else ():
            norm = net.get_submodule(name)
            eps: Any = norm.eps
            if eps is None:
                eps = torch.finfo(norm.get_parameter("weight").dtype).eps
            values.setdefault(name, {})["eps"] = eps * growth.epsilon
    return values


def _regrow(
    old: Tensor,
    shape: Sequence[int],
    before: Sequence[Regrow],
    dim: int,
    laid: Sequence[tuple[Port, Growth]],
    generator: torch.Generator,
) -> Regrow:
    """One dimension of one tensor, along which one or several growing widths lie.

    `shape`: the tensor's shape after the regrowths `before`.
    """
    index: list[Tensor] = []
    scales: list[Tensor] = []
    grads: list[Tensor] = []
    adds: list[Tensor] = []
    fills: list[float | str | Tensor] = []
    position = 0
    spans = sorted(((span, port, g) for port, g in laid for span in port.spans), key=lambda item: item[0].offset)
    for span, port, growth in spans:
        same = torch.arange(position, span.offset)
        one = torch.ones(len(same), dtype=torch.float64)
        units, block = growth.units, span.block
        moved = units.index[:, None] * block + torch.arange(block) + span.offset
        index += [same, torch.where(units.index[:, None] < 0, -1, moved).flatten()]
        scale, grad = _factors(port, growth)
        scales += [one, scale.repeat_interleave(block)]
        grads += [one, grad.repeat_interleave(block)]
        entry = Entries(old, shape, dim, port, growth, block, generator)
        if units.fresh:
            fills.append(_widened(entry.fill(), before, dim))
        adds += [torch.zeros(resized(shape, dim, len(same)), dtype=torch.float64), entry.noise()]
        position = span.offset + growth.site.units * block
    rest = torch.arange(position, old.shape[dim])
    index.append(rest)
    scales.append(torch.ones(len(rest), dtype=torch.float64))
    grads.append(torch.ones(len(rest), dtype=torch.float64))
    adds.append(torch.zeros(resized(shape, dim, len(rest)), dtype=torch.float64))
    noisy = any(growth.units.outgoing_noise or growth.units.incoming_noise for _, growth in laid)
    add = torch.cat(adds, dim) if noisy and any(bool(a.any()) for a in adds) else None
    return Regrow(
        dim, torch.cat(index), _unless_one(scales), _unless_one(grads), _one_fill(fills, entry, shape, dim), add
    )


def _factors(port: Port, growth: Growth) -> tuple[Tensor, Tensor]:
    """Per unit: the factor of the values and that of the gradient."""
    share = growth.units.share.double()
    one = torch.ones_like(share)
    rule = growth.site.normed
    scaled = rule is not None and rule.scaled is not None and port.module in rule.scaled
    row = growth.row_scale if growth.row_scale is not None and scaled else one
    is_gain = growth.gain is not None and rule is not None and port.module in rule.norms
    if port.role == "read":
        return share, one
    copied = torch.where(growth.units.index < 0, 1.0, share) if growth.units.fresh == 0 else one
    if is_gain and growth.gain is not None:
        if port.parameter == "weight":
            return torch.where(growth.units.index < 0, 1.0, growth.gain), copied / growth.gain
        return one, copied
    if port.role == "write":
        return row, copied / row
    return one, copied


def _widened(fill: float | str | Tensor, before: Sequence[Regrow], dim: int) -> float | str | Tensor:
    """Values that were given for the old columns, with what has been done to the columns since (new ones 0)."""
    if not isinstance(fill, Tensor):
        return fill
    for step in before:
        if step.dim != dim and fill.shape[step.dim] != len(step.index):
            fill = replace(step, fill=0.0, add=None).build(fill)
    return fill


def _unless_one(factors: Sequence[Tensor]) -> Tensor | None:
    joined = torch.cat(list(factors))
    return None if bool((joined == 1).all()) else joined


def _one_fill(
    fills: Sequence[float | str | Tensor], entry: Entries, shape: Sequence[int], dim: int
) -> float | str | Tensor:
    if not fills:
        return 0.0
    if not any(isinstance(f, Tensor) for f in fills):
        return fills[0]
    tensors = [f for f in fills if isinstance(f, Tensor)]
    if len(tensors) < len(fills):
        raise GrowthError(f"the widths along {entry.port.name!r} start in different ways; widen them one at a time")
    return torch.cat([t.to("cpu", torch.float32) if len(tensors) > 1 else t for t in tensors], dim)


__all__ = ["Growth", "normal", "normed_units", "own_std", "widening"]
