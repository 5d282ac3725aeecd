"""How the units that a growth added fare beside the old ones: their gradient, their movement, their weights.

A net can grow without forgetting and still not use what it was given: new units whose outgoing weights are small are
handed small gradients, and stay small. So the two are compared, unit by unit.

U units, E entries of a unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autogrow.growth.sites.find import Port, Sites, WidthSite


@dataclass(frozen=True)
class Units:
    """The units of a width: squares (U,), summed over the incoming and over the outgoing weights of each, and over the
    gradients and the movement of both; `entries`: how many of these weights a unit has.
    """

    into: Tensor
    out: Tensor
    gradient: Tensor
    moved: Tensor
    entries: int

    def between(self, first: int, last: int) -> Units:
        """The units first … last − 1."""
        part = slice(first, last)
        return Units(self.into[part], self.out[part], self.gradient[part], self.moved[part], self.entries)


@dataclass(frozen=True)
class Standing:
    """New units over old ones, 1: alike. Root mean squares of the gradient and of the movement per weight, and the mean
    of the units' weight products (norm of the incoming weights times that of the outgoing ones).
    """

    gradient: float
    update: float
    weights: float


def units_of(
    sites: Sites, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor], moved: Mapping[str, Tensor]
) -> dict[str, Units]:
    """The units of every width, by its name. All three are given by parameter name; `moved`: by how much each has
    moved lately.
    """
    return {name: _units(site, weights, gradients, moved) for name, site in sites.widths.items()}


def standing(units: Mapping[str, Units], before: Mapping[str, int], after: Mapping[str, int]) -> Standing | None:
    """How the units stand that a growth from the widths `before` to `after` added: beside the old ones of their width,
    those of a new layer beside all old ones. The mean over the widths that grew; None where no unit was added.

    >>> four, one, quarter = (torch.tensor([v]) for v in (4.0, 1.0, 0.25))
    >>> one, two = Units(four, one, one, one, entries=3), Units(four, one, one, quarter, entries=3)
    >>> standing({"first": one, "second": two}, {"first": 1}, {"first": 1, "second": 1})
    Standing(gradient=1.0, update=0.5, weights=1.0)
    """
    found = []
    for name, size in after.items():
        first = before.get(name, 0)
        if size > first and name in units:
            own = [units[name].between(0, first)]
            old = own if first else [units[n].between(0, count) for n, count in before.items() if n in units]
            found.append(_beside([units[name].between(first, size)], old))
    if not found:
        return None
    return Standing(*(sum(ratios) / len(found) for ratios in zip(*found, strict=True)))


def _units(
    site: WidthSite, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor], moved: Mapping[str, Tensor]
) -> Units:
    both = (*site.writers, *site.readers)
    entries = sum(weights[port.name].numel() * _share(port, weights[port.name], site.size) for port in both)
    return Units(
        into=_squares(site.writers, weights, site.size),
        out=_squares(site.readers, weights, site.size),
        gradient=_squares(both, gradients, site.size),
        moved=_squares(both, moved, site.size),
        entries=round(entries / site.size),
    )


def _squares(ports: Sequence[Port], values: Mapping[str, Tensor], size: int) -> Tensor:
    """(U,): squares summed over the entries of each unit."""
    total = torch.zeros(())
    for port in ports:
        value = values[port.name]
        for span in port.spans:
            here = value.narrow(port.dim, span.offset, size * span.block).movedim(port.dim, 0)
            total = total.to(value) + here.reshape(size, -1).square().sum(1)
    return total


def _share(port: Port, value: Tensor, size: int) -> float:
    """The share of a tensor's entries that lie along the width."""
    return sum(size * span.block for span in port.spans) / value.shape[port.dim]


def _beside(new: Sequence[Units], old: Sequence[Units]) -> tuple[float, float, float]:
    gradients = (_rms([(u.gradient, u.entries) for u in side]) for side in (new, old))
    moved = (_rms([(u.moved, u.entries) for u in side]) for side in (new, old))
    products = (_mean([(u.into * u.out).sqrt() for u in side]) for side in (new, old))
    return _over(*gradients), _over(*moved), _over(*products)


def _rms(parts: Sequence[tuple[Tensor, int]]) -> float:
    count = sum(len(squares) * entries for squares, entries in parts)
    return math.sqrt(sum(float(squares.sum()) for squares, _ in parts) / count) if count else math.nan


def _mean(parts: Sequence[Tensor]) -> float:
    count = sum(len(values) for values in parts)
    return sum(float(values.sum()) for values in parts) / count if count else math.nan


def _over(new: float, old: float) -> float:
    return new / old if old > 0 else math.nan
