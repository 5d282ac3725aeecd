"""From new units to new tensors: lays what an initializer proposes out over every parameter along the widths that grow.

Columns (what a reader reads) come before rows (what a writer writes), so rows that are drawn see all columns. Where a
LayerNorm or RMSNorm takes statistics over a width, its rule decides how new units start (`normed_units`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from autogrow.errors import GrowthError
from autogrow.growth.neurons import NewUnits, Request, Split
from autogrow.growth.plan import Plan, Regrow, TensorPlan, tensor_named
from autogrow.growth.structure import Port, WidthSite


@dataclass(frozen=True)
class Growth:
    """One width's part in a widening: its new units, and how the norm over it is kept exact.

    `start`: 'draw', 'mean' or 'zero' rows for fresh units. `row_scale` (q,): factor of incoming weights; `gain`: (q,) factor of the norms'
    weights; `epsilon`: factor of their eps; `norm_bias`: std of fresh norm biases (0: they are 0).
    """

    site: WidthSite
    units: NewUnits
    start: str = "draw"
    row_scale: Tensor | None = None
    gain: Tensor | None = None
    epsilon: float = 1.0
    norm_bias: float = 0.0

    @property
    def added(self) -> int:
        """How many units are added."""
        return len(self.units.index) - self.site.units


def normed_units(request: Request, units: NewUnits) -> Growth:
    """Bend a proposal to the norm that takes statistics over all units of the width, if there is one.

    Raises GrowthError where the norm cannot be kept exact.
    """
    site, q = request.site, request.units
    rule = site.normed
    if rule is None:
        return Growth(site, units)
    n = site.units
    copies = torch.bincount(units.index.clamp(min=0), minlength=n)
    even = units.fresh == 0 and units.incoming_noise == 0 and bool((copies == copies[0]).all())
    if even:  # every unit as often as every other: no statistic changes
        return Growth(site, units)
    shrink = math.sqrt(n / q)
    if rule.scaled is not None and (units.fresh == 0 or rule.obstacle):
        # Σ a² = 1 over the copies of a unit keeps the mean square; fresh units would have to be zero, and dead
        if units.fresh:
            units = Split().propose(request)
        a = units.share.double().sqrt()
        return Growth(site, replace(units, incoming_noise=0.0), row_scale=a, gain=shrink / a, epsilon=n / q)
    if rule.obstacle:
        raise GrowthError(f"{site.name!r} cannot be widened to {q * site.unit}: {site.only_multiples}")
    index = torch.cat([torch.arange(n), torch.full((q - n,), -1)])
    fresh = NewUnits(index, torch.ones(q), draw_out=1.0 if rule.alive else 0.0)
    start = "mean" if rule.kind == "layer" else "zero"
    # a new unit that is exactly 0 behind the norm passes no gradient through a ReLU: a bias of its own brings it to life
    bias = 0.0 if rule.alive else 0.5
    return Growth(site, fresh, start, gain=torch.full((q,), shrink, dtype=torch.float64), epsilon=n / q, norm_bias=bias)


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
        shape, steps = list(old.shape), []
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
    if any(port.role == "carry" or port.parameter != "weight" for port, _ in laid):
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
        entry = _Entries(old, shape, dim, port, growth, block, generator)
        if units.fresh:
            fills.append(_widened(entry.fill(), before, dim))
        adds += [torch.zeros(_with(shape, dim, len(same)), dtype=torch.float64), entry.noise()]
        position = span.offset + growth.site.units * block
    rest = torch.arange(position, old.shape[dim])
    index.append(rest)
    scales.append(torch.ones(len(rest), dtype=torch.float64))
    grads.append(torch.ones(len(rest), dtype=torch.float64))
    adds.append(torch.zeros(_with(shape, dim, len(rest)), dtype=torch.float64))
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


@dataclass(frozen=True)
class _Entries:
    """The new entries of one span."""

    old: Tensor
    shape: Sequence[int]
    dim: int
    port: Port
    growth: Growth
    block: int
    generator: torch.Generator

    def fill(self) -> float | str | Tensor:
        """A number, 'mean', or drawn values of the fresh entries."""
        port, growth, units = self.port, self.growth, self.growth.units
        given = (units.outgoing if port.role == "read" else units.incoming).get(port.name)
        if given is not None:
            return given
        if port.role == "read":
            return self._drawn(units.draw_out, opposite=units.paired) if units.draw_out else 0.0
        if growth.start != "draw" and (port.role == "write" or port.fill == "mean"):
            return "mean" if growth.start == "mean" else 0.0
        if (
            growth.norm_bias
            and port.parameter == "bias"
            and growth.site.normed
            and port.module in growth.site.normed.norms
        ):
            return self._drawn(growth.norm_bias, std=1.0).abs()
        if port.fill == "draw":
            return self._drawn(units.draw_in)
        return port.fill

    def _drawn(self, scale: float, *, std: float | None = None, opposite: bool = False) -> Tensor:
        units = self.growth.units
        count = units.fresh
        half = -(-count // 2) if units.paired else count
        drawn = normal((half, self.block, *self._rest()), self.generator)
        if units.paired:
            mirrored = drawn[: count - half]
            if opposite and count - half < half:
                drawn[-1] = 0  # nobody answers the odd one out
            drawn = torch.cat([drawn, -mirrored if opposite else mirrored])
        drawn *= scale * (std if std is not None else own_std(self.old))
        return self._laid(drawn)

    def noise(self) -> Tensor:
        """What is added to the copies: noise that sums to zero over a unit's copies, or noise on new copies."""
        units = self.growth.units
        q = len(units.index)
        size = (q, self.block, *self._rest())
        if self.port.role == "read" and units.outgoing_noise and units.fresh == 0:
            drawn = normal(size, self.generator).double()  # the sum is zero to float64's last digits
            n = self.growth.site.units
            copies = torch.bincount(units.index, minlength=n).view(-1, *[1] * (drawn.ndim - 1))
            total = drawn.new_zeros((n, *drawn.shape[1:])).index_add_(0, units.index, drawn)
            drawn = (drawn - (total / copies)[units.index]) * units.outgoing_noise * own_std(self.old)
            return self._laid(drawn)
        if self.port.role == "write" and units.incoming_noise and units.fresh == 0:
            drawn = normal(size, self.generator).double() * units.incoming_noise * own_std(self.old)
            drawn[: self.growth.site.units] = 0
            return self._laid(drawn)
        return torch.zeros(_with(self.shape, self.dim, q * self.block), dtype=torch.float64)

    def _rest(self) -> list[int]:
        return [s for d, s in enumerate(self.shape) if d != self.dim]

    def _laid(self, values: Tensor) -> Tensor:
        return values.flatten(0, 1).movedim(0, self.dim)


def normal(size: Sequence[int], generator: torch.Generator) -> Tensor:
    """Standard normal values: the same from a generator whatever the net's dtype and device."""
    return torch.randn(tuple(size), generator=generator, device=generator.device, dtype=torch.float32)


def own_std(weight: Tensor) -> float:
    """Std of a layer's weights; where it is 0 (a gate that is still closed), that of nn.Linear's initialisation."""
    std = float(weight.detach().float().std()) if weight.numel() > 1 else 0.0
    return std if std > 0 and math.isfinite(std) else initial_std(weight)


def initial_std(weight: Tensor) -> float:
    """Std of nn.Linear's initialisation for a weight of this shape."""
    return 1 / math.sqrt(3 * max(1, weight[0].numel()))


def _with(shape: Sequence[int], dim: int, size: int) -> list[int]:
    return [size if d == dim else s for d, s in enumerate(shape)]


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
    fills: Sequence[float | str | Tensor], entry: _Entries, shape: Sequence[int], dim: int
) -> float | str | Tensor:
    if not fills:
        return 0.0
    if not any(isinstance(f, Tensor) for f in fills):
        return fills[0]
    tensors = [f for f in fills if isinstance(f, Tensor)]
    if len(tensors) < len(fills):
        raise GrowthError(f"the widths along {entry.port.name!r} start in different ways; widen them one at a time")
    return torch.cat([t.to("cpu", torch.float32) if len(tensors) > 1 else t for t in tensors], dim)
