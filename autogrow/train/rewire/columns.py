"""The columns of a run's input: their names, and where their knots lie.

n training rows, N numeric columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from autogrow.errors import GrowthError, nearest
from autogrow.growth import Sites
from autogrow.policy.history import Refine

SAMPLE = 16384
"""Training rows that quantiles are taken of: enough for a 64th of them."""

NARROWEST = 1e-5
"""Standard deviations between two knots: closer together, a ramp would be a matter of how a row was rounded."""

_CROWDED = 1.5  # times the rows that a piece should have


@dataclass(frozen=True)
class Columns:
    """Numeric columns that a net reads, in its order: `names` (N), `values` (n, N) as the net reads them, of training
    rows alone.

    >>> import torch
    >>> Columns(("age",), torch.tensor([[0.0], [1.0], [2.0], [3.0], [5.0]])).knots("age", 2)
    [0.0, 2.0, 5.0]
    """

    names: tuple[str, ...] = ()
    values: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros((0, 0), np.float32), repr=False)
    _known: dict[int, np.ndarray[Any, Any]] = field(default_factory=dict, repr=False, compare=False)

    @staticmethod
    def of(names: Sequence[str], x: Tensor) -> Columns:
        """The first columns of the training rows `x` (n, D), which are in a random order."""
        return Columns(tuple(names), x[:SAMPLE, : len(names)].cpu().numpy())

    def knots(self, name: str, count: int) -> list[float]:
        """Where the knots of a column lie, the outer ones too, for at most `count` pieces with as many rows in each.

        Quantiles that are equal, or nearly, are one: a column of few values has knots at its values, one of two or one
        has none but the outer ones.
        """
        if name not in self.names:
            raise GrowthError(f"no numeric column is called {name!r}; {nearest(name, self.names)}")
        if count not in self._known:
            # values that occur: between the only two of a column there is nothing to resolve
            at = np.quantile(self.values, np.linspace(0, 1, count + 1), axis=0, method="lower")
            self._known[count] = at
        at = np.unique(self._known[count][:, self.names.index(name)])
        return [float(v) for v, apart in zip(at, np.diff(at, prepend=-np.inf) > NARROWEST, strict=True) if apart]

    def site(self, name: str) -> str:
        """The name by which `growth_sites` lists a column."""
        return f"inputs[{self.names.index(name)}]" if name in self.names else name

    def placed(self, action: Refine, sites: Sites) -> dict[str, Sequence[float]]:
        """A refinement in the terms of the operator: sites, and positions of knots."""
        return {
            self.site(name): self._further(name, wanted, sites) if isinstance(wanted, int) else wanted
            for name, wanted in action.knots.items()
        }

    def _further(self, name: str, count: int, sites: Sites) -> list[float]:
        """The knots of a column for `count` pieces, where there are some already only those that are wanted: a piece
        with less than half as many rows again as it should have stays whole.
        """
        at, site = self.knots(name, count), sites.finer.get(self.site(name))
        if site is None or not site.knots:
            return at
        values, edges = self.values[:, self.names.index(name)], np.asarray(site.knots, np.float32)
        rows = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
        crowded = rows * count > _CROWDED * len(values)
        return [v for v in at if v in site.knots or crowded[np.searchsorted(edges, np.float32(v), side="right")]]

    def pieces(self, sites: Sites) -> dict[str, int]:
        """In how many pieces each refined column is resolved, by its name."""
        there = {site.column: site.pieces for site in sites.finer.values() if site.knots}
        return {self.names[i] if i < len(self.names) else f"inputs[{i}]": n for i, n in there.items()}

    def finer(self, sites: Sites, count: int) -> dict[str, tuple[int, int, Mapping[str, Sequence[float]]]]:
        """Of each column that can be resolved in more than one piece: how many there are now, how many there would be
        with up to `count`, and (where that is more) its site and knots.
        """
        found: dict[str, tuple[int, int, Mapping[str, Sequence[float]]]] = {}
        for name in self.names if sites.finer else ():
            site, at = sites.finer[self.site(name)], self._further(name, count, sites)
            most = max(1, len({*site.knots, *at}) - 1)
            if most > 1:
                found[name] = (site.pieces, most, {site.name: at} if most > site.pieces else {})
        return found
