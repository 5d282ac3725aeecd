"""Narrowing: units are taken away. The one operation that does not keep the function; its receipt says by how much.

U units of a width.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from autogrow.errors import GrowthError
from autogrow.growth.neurons.drawn import NewUnits
from autogrow.growth.sites.example import Example
from autogrow.growth.sites.find import WidthSite, growth_sites, unwrapped
from autogrow.growth.surgery.layout import widening
from autogrow.growth.surgery.moves import Surgery
from autogrow.growth.surgery.parity import Probe, Promise
from autogrow.growth.surgery.units import Growth
from autogrow.growth.surgery.widen import operate


def narrow(net: nn.Module, keep: Mapping[str, Tensor], *, example: Example | None = None) -> Surgery:
    """Take units away, in place: of each width named in `keep` those stay whose numbers are given (U', ascending).

    What reads the width is not made up for what is gone: `useful_units` does that before. The receipt promises nothing
    and holds the change of the output on a fixed probe. Raises GrowthError for a width that cannot be changed, and for
    numbers that are not those of its units.

    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> surgery = narrow(net, {"0": torch.tensor([0, 2, 5])})
    >>> net[0].out_features, net[2].in_features, surgery.receipt.promise
    (3, 3, None)
    """
    net = unwrapped(net)
    sites = growth_sites(net, example)
    chosen = {name: sites.width(name) for name in keep}
    growths = [Growth(chosen[name], _kept(chosen[name], units)) for name, units in keep.items()]
    plan = widening(net, growths, torch.Generator().manual_seed(0))
    entry = {
        "op": "narrow",
        "widths": {site.name: len(keep[name]) * site.unit for name, site in chosen.items()},
        "before": {site.name: site.size for site in chosen.values()},
    }
    return operate(net, plan, entry, Probe(net, example), Promise(None))[0]


def _kept(site: WidthSite, units: Tensor) -> NewUnits:
    known = units.numel() and bool((units >= 0).all()) and bool((units < site.units).all())
    if not known or not bool((units.diff() > 0).all()):
        raise GrowthError(
            f"{site.name!r} has units 0 to {site.units - 1}; those that stay must be some of them, ascending, got {units.tolist()}"
        )
    return NewUnits(units, torch.ones(len(units)))
