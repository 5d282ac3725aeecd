"""The way back: a guest's net as it was at the end of a check, put back by an undo, by an anneal, or at the very end.

A return never rewinds the run: steps, epochs and the module's own schedulers go on, and so do the values of its groups.
What goes back is the whole module (the size of its net too), its averages, and what the optimizers had come to.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from autogrow.errors import ConfigError
from autogrow.policy.book import Policy
from autogrow.policy.finish import deliverable, return_target
from autogrow.policy.history import GROWTHS, Action, Anneal, Decision, Keep, Row, Undo
from autogrow.policy.needs import anneals, requires
from autogrow.train.guest.architecture import GrowthRecord
from autogrow.train.guest.averages import averages_of, copies_of
from autogrow.train.guest.reconnect import names_in
from autogrow.train.guest.wiring import Wiring, groups_of, place_all
from autogrow.train.rewire.invariants import check_ranks, check_reconnected
from autogrow.train.rewire.rewire import rewire

Snapshot = dict[str, Any]


class WayBack:
    """The nets of a run that may still be returned to, and the anneal that is running.

    `best`: whether the net that is handed back is the best one (by default where the policy has a finish that anneals).
    """

    def __init__(self, policy: Policy, best: bool | None) -> None:
        self.anneals, self.undoes = anneals(policy), "undo" in requires(policy)
        self.best = self.anneals if best is None else best
        self.snapshots: dict[int, Snapshot] = {}
        self.anneal: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Plain containers; empty where nothing is ever returned to."""
        if not self.snapshots and self.anneal is None:
            return {}
        return {"snapshots": self.snapshots, "anneal": self.anneal}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.snapshots = {int(check): kept for check, kept in state.get("snapshots", {}).items()}
        self.anneal = state.get("anneal")

    def check(self, trainer: pl.Trainer) -> None:
        """Raise ConfigError where the learning rate of an anneal would be somebody else's."""
        if self.anneals and trainer.lr_scheduler_configs:
            names = ", ".join(type(c.scheduler).__name__ for c in trainer.lr_scheduler_configs)
            raise ConfigError(
                f"the policy returns to the best net and anneals, but the learning rate is your scheduler's ({names}): leave "
                "the scheduler out of configure_optimizers, or give LifeCycle(…, finish=NoFinish()) and restore_best=True"
            )

    def keep(self, trainer: pl.Trainer, module: pl.LightningModule, record: GrowthRecord, rows: Sequence[Row]) -> None:
        """After a check: keep the net where it may be wanted again, and let go of those that no longer may."""
        wanted: set[int | None] = set()
        if self.best:
            wanted |= {return_target(rows), deliverable(rows)}
        if self.undoes:
            wanted.add(next((r.check for r in reversed(rows) if isinstance(r.action, GROWTHS)), None))
        wanted.add(target_of(rows[-1].action))
        if rows[-1].check in wanted:
            self.snapshots[rows[-1].check] = _taken(trainer, module, record)
        self.snapshots = {check: kept for check, kept in self.snapshots.items() if check in wanted}

    def go(self, trainer: pl.Trainer, module: pl.LightningModule, record: GrowthRecord, action: Undo | Anneal) -> None:
        """Put an earlier net back; of an anneal also note from where its rate falls."""
        _install(trainer, module, record, self.snapshots[target_of(action)])  # type: ignore[index]
        if isinstance(action, Anneal):
            rates = [[float(group["lr"]) for group in optimizer.param_groups] for optimizer in trainer.optimizers]
            self.anneal = {"from": trainer.global_step, "steps": max(1, action.steps), "rates": rates}

    def there(self, row: Row, decision: Decision) -> Decision:
        """The decision, or Keep where it returns to a net that was not kept."""
        target = target_of(decision.action)
        if target is None or target == row.check or target in self.snapshots:
            return decision
        why = f"the net of check {target} was not kept to go back to: a policy says by `needs` that it undoes"
        return Decision(Keep(), f"kept: {why} ({decision.reason})")

    def set_rate(self, trainer: pl.Trainer) -> None:
        """In an anneal: the rate of the next step, on a line from where it was to nothing."""
        if self.anneal is None:
            return
        left = max(0.0, 1 - (trainer.global_step - self.anneal["from"] + 0.5) / self.anneal["steps"])
        for optimizer, rates in zip(trainer.optimizers, self.anneal["rates"], strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * left

    def hand_back(
        self, trainer: pl.Trainer, module: pl.LightningModule, record: GrowthRecord, rows: Sequence[Row]
    ) -> int | None:
        """At the end of the fit: leave the module with the best net. Answers with its check, None where it is there."""
        check = deliverable(rows) if self.best and rows else None
        if check is None or check == rows[-1].check or check not in self.snapshots:
            return None
        _install(trainer, module, record, self.snapshots[check])
        return check


def target_of(action: Action) -> int | None:
    """The check whose net an action puts back; None for what is no return."""
    return action.back_to if isinstance(action, (Undo, Anneal)) else None


def _taken(trainer: pl.Trainer, module: pl.LightningModule, record: GrowthRecord) -> Snapshot:
    names = names_in(module, record.net(module))
    wirings = [Wiring.of(optimizer, names) for optimizer in trainer.optimizers]
    return {
        "recipe": copy.deepcopy(record.recipe),
        "module": _cloned(module.state_dict()),
        "averages": [_cloned(whole.state_dict()) for whole in copies_of(module, record.path, record.averages)],
        "optimizers": [
            {
                "state": {name: _cloned(state) for name, state in w.state.items()},
                "members": [list(m) for m in w.members],
            }
            for w in wirings
        ],
    }


def _install(trainer: pl.Trainer, module: pl.LightningModule, record: GrowthRecord, kept: Snapshot) -> None:
    now = [Wiring.of(optimizer, names_in(module, record.net(module))) for optimizer in trainer.optimizers]
    then = [
        dataclasses.replace(wiring, state=of["state"], members=of["members"])
        for wiring, of in zip(now, kept["optimizers"], strict=True)
    ]
    schedules = [copy.deepcopy(c.scheduler.state_dict()) for c in trainer.lr_scheduler_configs]

    def change() -> None:
        record.rebuild(module, kept["recipe"])
        module.load_state_dict(kept["module"])
        for whole, values in zip(copies_of(module, record.path, record.averages), kept["averages"], strict=True):
            whole.load_state_dict(values)

    def place() -> None:
        optimizers = trainer.optimizers
        place_all(then, optimizers, names_in(module, record.net(module)), (), "carry")
        for schedule, config in zip(schedules, trainer.lr_scheduler_configs, strict=True):
            config.scheduler.load_state_dict(schedule)
        for wiring, optimizer in zip(then, optimizers, strict=True):
            wiring.put_back_groups(optimizer)
        check_reconnected(module, optimizers, (), groups_of(then))

    rewire(trainer, change, place)
    check_ranks(trainer, [module, *averages_of(module, record.path, record.averages)])


def _cloned(values: Any) -> dict[str, Any]:
    return {k: v.detach().clone() if isinstance(v, Tensor) else copy.deepcopy(v) for k, v in values.items()}
