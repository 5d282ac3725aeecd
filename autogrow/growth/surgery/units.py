"""One width's part in a widening, and how it is bent to the norm that takes statistics over all its units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from autogrow.errors import GrowthError
from autogrow.growth.neurons.drawn import NewUnits, Request, Split
from autogrow.growth.sites.find import WidthSite


@dataclass(frozen=True)
class Growth:
    """One width's part in a widening: its new units, and how the norm over it is kept exact.

    `start`: 'draw', 'mean' or 'zero' rows for fresh units, of the layers whose output the norm takes. `row_scale` (q,):
    factor of incoming weights; `gain`: (q,) factor of the norms' weights; `epsilon`: factor of their eps; `norm_bias`:
    std of fresh norm biases (0: they are 0). `drawn`: the layers whose columns are drawn, where not all are as the
    units say; `gains`: by which outputs of layers are multiplied before the norm, where they are.
    """

    site: WidthSite
    units: NewUnits
    start: str = "draw"
    row_scale: Tensor | None = None
    gain: Tensor | None = None
    epsilon: float = 1.0
    norm_bias: float = 0.0
    drawn: frozenset[str] | None = None
    gains: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def added(self) -> int:
        """How many units are added."""
        return len(self.units.index) - self.site.units


def normed_units(request: Request, units: NewUnits) -> Growth:
    """Bend a proposal to the norm that takes statistics over all units of the width, if there is one.

    Behind a LayerNorm the gradients of copies with unequal shares are their shares of the old one's but for what flows
    through the statistics, of which each copy gets as much; behind an RMSNorm, and of equal shares, they are exact.
    Raises GrowthError where the norm cannot be kept exact.
    """
    site, q = request.site, request.units
    rule = site.normed
    if rule is None:
        return Growth(site, units)
    n = site.units
    if units.fresh and rule.obstacle and rule.scaled is None and q % n == 0:
        units = Split().propose(request)  # equal copies alone are exact
    copies = torch.bincount(units.index.clamp(min=0), minlength=n)
    even = units.fresh == 0 and units.incoming_noise == 0 and bool((copies == copies[0]).all())
    if even and (rule.scaled is None or bool((units.share == units.share[0]).all())):
        # every unit as often as every other: no statistic changes
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
    # the columns of layers that read zero of a new unit are drawn: what they learn brings its rows to life
    fresh = NewUnits(index, torch.ones(q))
    start = "mean" if rule.kind == "layer" else "zero"
    # a new unit that is exactly 0 behind the norm gets no gradient through a ReLU: a bias of its own brings it to life
    tied = any(
        port.role == "tied" for port in site.writers
    )  # a head that is tied to what is written brings life itself
    bias = 0.0 if rule.alive or tied else 0.5
    gain = torch.full((q,), shrink, dtype=torch.float64)
    gains = {name: _gain(request.net, names) for name, names in rule.summed.items() if names}
    return Growth(site, fresh, start, gain=gain, epsilon=n / q, norm_bias=bias, drawn=rule.drawn, gains=gains)


def _gain(net: nn.Module, names: Sequence[str]) -> Tensor:
    """The product of gains, along the width."""
    return torch.stack([net.get_parameter(name).detach().flatten().double() for name in names]).prod(0)
