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
from autogrow.growth.attributes import attribute_of
from autogrow.growth.draws import initial_std, normal
from autogrow.growth.sites.find import Port
from autogrow.growth.surgery.entries import Entries, resized
from autogrow.growth.surgery.plan import Plan, Regrow, TensorPlan, tensor_named
from autogrow.growth.surgery.units import Growth, normed_units
from autogrow.growth.written_norms import eps_attribute


def widening(net: nn.Module, growths: Sequence[Growth], generator: torch.Generator) -> Plan:
    """The plan that grows several widths at once: one regrowth per tensor and dimension."""
    lying: dict[str, dict[int, list[tuple[Port, Growth]]]] = {}
    for growth in growths:
        for port in (*growth.site.readers, *growth.site.carried, *growth.site.writers):
            laid = lying.setdefault(port.name, {}).setdefault(port.dim, [])
            if port.role != "tied" or all(port is not known for known, _ in laid):  # it is among readers and writers
                laid.append((port, growth))
    order = {"read": 0, "carry": 1, "write": 2, "key": 2, "tied": 2}
    for growth in growths:
        tied = [port.module for port in growth.site.writers if port.role == "tied"]
        if tied and bool((growth.units.share != 1).any()):
            raise GrowthError(
                f"{growth.site.name!r} cannot be grown by copies: the weight of {tied[0]!r} is tied, and would be both whole "
                "(where it is written) and shared (where it is read); use ZeroOutgoing"
            )
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
            now = of_module.get(sized.attribute, attribute_of(net.get_submodule(sized.module), sized.attribute))
            added = growth.added * sized.per_unit
            of_module[sized.attribute] = (now[0] + added,) if isinstance(now, (tuple, list)) else now + added
        for name in growth.site.normed.norms if growth.site.normed and growth.epsilon != 1 else ():
            norm = net.get_submodule(name)
            held = eps_attribute(norm)
            eps: Any = getattr(norm, held)
            if eps is None:
                eps = torch.finfo(norm.get_parameter("weight").dtype).eps
            values.setdefault(name, {})[held] = eps * growth.epsilon
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
    fills: list[tuple[float | str | Tensor, int]] = []  # with how many entries they are of
    noisy = any(Entries(old, shape, dim, p, g, 1, generator).noisy for p, g in laid)

    def unchanged(start: int, end: int) -> None:
        index.append(torch.arange(start, end))
        for factors in (scales, grads):
            factors.append(torch.ones(end - start, dtype=torch.float64))
        if noisy:
            adds.append(torch.zeros(resized(shape, dim, end - start), dtype=old.dtype))

    position = 0
    spans = sorted(((span, port, g) for port, g in laid for span in port.spans), key=lambda item: item[0].offset)
    for span, port, growth in spans:
        unchanged(position, span.offset)
        units, block = growth.units, span.block
        moved = units.index[:, None] * block + torch.arange(block) + span.offset
        index.append(torch.where(units.index[:, None] < 0, -1, moved).flatten())
        for factors, of_units in zip((scales, grads), _factors(port, growth), strict=True):
            factors.append(of_units.repeat_interleave(block))
        entries = Entries(old, shape, dim, port, growth, block, generator)
        if units.fresh:
            fills.append((_widened(entries.fill(), before, dim), units.fresh * block))
        if noisy:
            adds.append(entries.noise())
        position = span.offset + growth.site.units * block
    unchanged(position, old.shape[dim])
    add = torch.cat(adds, dim) if noisy else None
    return Regrow(
        dim, torch.cat(index), _unless_one(scales), _unless_one(grads), _one_fill(fills, laid, dim, shape), add
    )


def _factors(port: Port, growth: Growth) -> tuple[Tensor, Tensor]:
    """Per unit: the factor of the values and that of the gradient."""
    share = growth.units.share.double()
    one = torch.ones_like(share)
    rule = growth.site.normed
    scaled = rule is not None and rule.scaled is not None and port.module in rule.scaled
    row = growth.row_scale if growth.row_scale is not None and scaled else one
    is_gain = growth.gain is not None and rule is not None and port.module in rule.norms
    if port.role in ("read", "key"):
        return share, one
    copied = torch.where(growth.units.index < 0, 1.0, share) if growth.units.fresh == 0 else one
    if is_gain and growth.gain is not None:
        if port.parameter == "weight":
            return torch.where(growth.units.index < 0, 1.0, growth.gain), copied / growth.gain
        return one, copied
    if port.role == "write":
        if port.power:  # queries make up for a scale that depends on the width's size
            growth_of = len(growth.units.index) / growth.site.units
            row = torch.where(growth.units.index < 0, 1.0, row * growth_of**-port.power)
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
    fills: Sequence[tuple[float | str | Tensor, int]],
    laid: Sequence[tuple[Port, Growth]],
    dim: int,
    shape: Sequence[int],
) -> float | str | Tensor:
    """What the fresh entries of all spans are, as one."""
    kinds = {f for f, _ in fills if not isinstance(f, Tensor)}
    if len(fills) == 1:
        return fills[0][0]
    if len(kinds) < 2 and not any(isinstance(f, Tensor) for f, _ in fills):
        return kinds.pop() if kinds else 0.0
    if "mean" in kinds:
        raise GrowthError(f"the widths along {laid[0][0].name!r} start in different ways; widen them one at a time")
    values = [f if isinstance(f, Tensor) else torch.full(resized(shape, dim, n), float(f)) for f, n in fills]
    return torch.cat([v.cpu().double() for v in values], dim)


__all__ = ["Growth", "normed_units", "widening"]
