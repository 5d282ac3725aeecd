"""Rows of data that a guest gives along with a loss: for scores, and for columns.

N rows, D columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from autogrow.errors import ConfigError
from autogrow.growth import Sites, score_sites
from autogrow.growth.column_scores import score_columns
from autogrow.policy.history import Column
from autogrow.train.rewire.columns import Columns

Loss = Callable[[Any, Tensor], Tensor]
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class GivenRows:
    """`batches`: pairs (input of the net, target) of training rows; `loss(output, target)`: the mean loss."""

    batches: Sequence[Batch] = ()
    loss: Loss | None = None

    def __post_init__(self) -> None:
        pairs = all(
            isinstance(b, (tuple, list)) and len(b) == 2 and all(isinstance(t, Tensor) for t in b) for b in self.batches
        )
        if not pairs:
            raise ConfigError("batches must be pairs (input of the net, target) of tensors: batches=[(x, y), …]")
        if bool(self.batches) != (self.loss is not None):
            raise ConfigError("batches and loss go together: batches=[(x, y), …], loss=nn.functional.cross_entropy")

    def on(self, net: nn.Module) -> list[Batch]:
        """The batches where the net is."""
        like = next(p for p in net.parameters() if p.is_floating_point())
        return [
            (x.to(like.device, like.dtype if x.is_floating_point() else None), y.to(like.device))
            for x, y in self.batches
        ]

    def scores(self, net: nn.Module, sites: Sites) -> Mapping[str, float]:
        """First-order gain of growing each site."""
        assert self.loss is not None
        found = score_sites(net, self.on(net), self.loss, sites=sites).found
        return {name: score.gain for name, score in found.items()}

    def columns(self, sites: Sites) -> Columns:
        """The columns of the net's input that can be refined, and where their knots would lie."""
        if not sites.finer or not self.batches or self.batches[0][0].ndim != 2:
            return Columns()
        rows = torch.cat([x for x, _ in self.batches]).float()
        return Columns.of([f"inputs[{i}]" for i in range(len(sites.finer))], rows)

    def look(self, net: nn.Module, sites: Sites, columns: Columns) -> Callable[[int], dict[str, Column]]:
        """How a policy is shown the columns: when it asks."""

        def look(knots: int) -> dict[str, Column]:
            found = columns.finer(sites, knots) if columns.names else {}
            asked = {site: at for _, _, finer in found.values() for site, at in finer.items()}
            if not asked or self.loss is None:
                return {}
            scores = score_columns(net, self.on(net)[0], self.loss, sites, asked)
            return {
                name: Column(now, most, scores.get(columns.site(name), 0.0)) for name, (now, most, _) in found.items()
            }

        return look
