"""A look at how fine the columns are, and what knots would bring: only when a policy asks, and charged to the run."""

from __future__ import annotations

import torch
from torch import Tensor

from autogrow.data import Prepared
from autogrow.growth.column_scores import score_columns
from autogrow.growth.cost import counting
from autogrow.policy.history import Column
from autogrow.train.fit.net.module import GrowingModule

LOOK_ROWS = 2048


class ColumnLook:
    """`options.columns` of a run at one check. `flops`: what was spent on it."""

    def __init__(self, module: GrowingModule, rows: tuple[Tensor, Tensor]) -> None:
        self.module, self.rows = module, rows
        self.flops = 0

    def __call__(self, knots: int) -> dict[str, Column]:
        """The columns that can be resolved in more pieces, by name, with their scores on training rows."""
        module, members = self.module, self.module.spec.net.members
        found = module.columns.finer(module.sites, knots)
        asked = {site: at for _, _, finer in found.values() for site, at in finer.items()}
        scores: dict[str, float] = {}
        if asked:
            batch = self.rows if members == 1 else tuple(t.unsqueeze(0).expand(members, *t.shape) for t in self.rows)
            with counting() as counted:
                scores = score_columns(module.net, batch, module.loss, module.sites, asked)  # type: ignore[arg-type]
            self.flops += counted.flops
        site = module.columns.site
        return {name: Column(now, most, scores.get(site(name), 0.0)) for name, (now, most, _) in found.items()}


def look_rows(prepared: Prepared, device: torch.device) -> tuple[Tensor, Tensor]:
    """The training rows that are looked at: always the same ones."""
    return prepared.train.x[:LOOK_ROWS].to(device), prepared.train.y[:LOOK_ROWS].to(device)
