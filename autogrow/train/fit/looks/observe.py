"""What some policies ask to be shown beyond rows and costs:
scores of each growth, latency, size on disk, rows to learn from.

Each is measured only where the policy's `requires` names it, and what it costs is charged to the run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from autogrow.data import Prepared
from autogrow.growth.cost import counting
from autogrow.growth.scores import score_sites
from autogrow.policy.history import History, Row
from autogrow.policy.rows import rows_of
from autogrow.policy.signals import births
from autogrow.train.fit.looks.columns import ColumnLook, look_rows
from autogrow.train.fit.looks.device import DeviceGauge
from autogrow.train.fit.looks.newborns import look_at_newborns
from autogrow.train.fit.net.module import GrowingModule

RECORDED = (
    "scores", "error", "undo", "seconds", "train_rows", "checkpoint_bytes", "latency_p95_ms", "flash_bytes", "ram_bytes", "dropout",
)  # fmt: skip
"""What a run of ours can show a policy."""

LOOK_ROWS = 1024
"""Training rows that are looked at, at most; scores are fitted on one half and judged on the other."""

NEWBORN_ROWS = 128
"""Training rows by whose gradient new units are compared with old ones."""


@dataclass(frozen=True)
class Observation:
    """`scores`: gain by site. `measured`: the other numbers by name. `flops`: what looking cost."""

    scores: dict[str, float] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)
    flops: int = 0


class Observer:
    """Looks at the net at a check, for a policy that needs more than the rows."""

    def __init__(
        self, prepared: Prepared, needs: Collection[str], device: torch.device, gauge: DeviceGauge | None = None
    ) -> None:
        self.needs, self.gauge = frozenset(needs), gauge
        self.train_rows = prepared.train_rows
        self._x = prepared.train.x[:LOOK_ROWS].to(device)
        self._y = prepared.train.y[:LOOK_ROWS].to(device)
        self._column_rows = look_rows(prepared, device)

    def device_of(self, net: nn.Module) -> Mapping[str, Any]:
        """What a net of these shapes takes on a device, as far as a budget asks."""
        return {} if self.gauge is None else self.gauge.take(net)

    def columns(self, module: GrowingModule) -> ColumnLook:
        """How a policy that asks is shown the columns of the net as it is."""
        return ColumnLook(module, self._column_rows)

    def look(self, module: GrowingModule) -> Observation:
        """What the policy asked to see of the net as it is."""
        measured: dict[str, float] = {}
        if "train_rows" in self.needs:
            measured["train_rows"] = self.train_rows
        if "checkpoint_bytes" in self.needs:
            measured["checkpoint_bytes"] = checkpoint_bytes(module)
        if "latency_p95_ms" in self.needs:
            assert self.gauge is not None
            measured["latency_p95_ms"] = self.gauge.latency(module.ema)
        if "scores" not in self.needs:
            return Observation({}, measured)
        return self._scored(module, measured)

    def newborns(self, module: GrowingModule, row: Row, before: History) -> Row:
        """The row with how the units stand that growths have added, and what looking costs. `before`: earlier rows."""
        born, members = births(rows_of(before).plus(row)), module.spec.net.members
        if not born:
            return row
        x, y = self._x[:NEWBORN_ROWS], self._y[:NEWBORN_ROWS]
        # counting what is dispatched would take longer than the look itself
        flops = len(x) * module.cost.train_flops_per_sample
        batch = (x, y) if members == 1 else (_repeated(x, members), _repeated(y, members))
        found = look_at_newborns(module, batch, born)
        return dataclasses.replace(row, newborns=found, eval_flops=row.eval_flops + flops)

    def _scored(self, module: GrowingModule, measured: dict[str, float]) -> Observation:
        parts = look_batches(self._x, self._y, module.spec.net.members)
        with counting() as counted:
            scores = score_sites(module.net, parts, module.loss, sites=module.sites)
        return Observation({name: score.gain for name, score in scores.found.items()}, measured, counted.flops)


def checkpoint_bytes(module: GrowingModule) -> int:
    """Of the weights and buffers that are delivered."""
    return sum(t.numel() * t.element_size() for t in module.ema.state_dict().values())


def look_batches(x: Tensor, y: Tensor, members: int) -> list[tuple[Tensor, Tensor]]:
    """The first rows in two halves, as the net takes them:
    one that moves or new units are fitted to, one to judge on.
    """
    x, y = x[:LOOK_ROWS].clone(), y[:LOOK_ROWS].clone()  # a copy of the net does not copy all the data
    half = len(x) // 2
    parts = [(x[:half], y[:half]), (x[half:], y[half:])]
    return parts if members == 1 else [(_repeated(x, members), _repeated(y, members)) for x, y in parts]


def _repeated(t: Tensor, members: int) -> Tensor:
    return t.unsqueeze(0).expand(members, *t.shape)
