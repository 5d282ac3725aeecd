"""One check of somebody else's run: its row, the options the policy is shown, and what it decides."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl

from autogrow.growth import Sites
from autogrow.growth.cost import NetCost, dry_run
from autogrow.policy import LifeCycle, options_to_plain
from autogrow.policy.guards import growth_ended
from autogrow.policy.history import GROWTHS, Action, Cost, Decision, History, Keep, Options, Row, action_to_plain
from autogrow.train.averages import averaging_started
from autogrow.train.compiled import eagerly
from autogrow.train.growth_record import GrowthRecord
from autogrow.train.monitors import Policy, max_steps
from autogrow.train.resume import epochs_ended


def measured_row(
    trainer: pl.Trainer,
    rows: History,
    measured: Mapping[str, float],
    sites: Sites,
    spent: NetCost,
    *,
    seen: Mapping[str, int],
    event: Mapping[str, Any] | None,
    seconds: float,
) -> Row:
    """The row of this check, before anything is decided. `seen`: rows of data trained on and validated on since the last."""
    last = rows[-1] if rows else None
    return Row(
        check=len(rows),
        step=trainer.global_step,
        passes=float(epochs_ended(trainer)),
        phase="grow",
        lineage=(last.lineage if last else 0) + (event is not None),
        train_loss=measured["train_loss"],
        val_loss=measured["val_loss"],
        train_error=measured["train_error"],
        val_error=measured["val_error"],
        score=measured["val_loss"],
        gap=measured["val_loss"] - measured["train_loss"],
        lr=float(trainer.optimizers[0].param_groups[0]["lr"]),
        widths=_widths(sites),
        parameters=spent.parameters,
        flops_per_sample=spent.flops_per_sample,
        train_flops=(last.train_flops if last else 0) + seen["train"] * spent.train_flops_per_sample,
        eval_flops=(last.eval_flops if last else 0)
        + seen["val"] * spent.flops_per_sample
        + (event or {}).get("flops", 0),
        event=event,
        timing={"seconds": seconds},
    )


def options_for(
    trainer: pl.Trainer, rows: History, record: GrowthRecord, module: pl.LightningModule, sites: Sites
) -> Options:
    """What the policy may choose from at this check."""
    net = record.net(module)

    def dry(action: Action) -> Cost:
        with eagerly():
            spent = dry_run(net, record.inputs(net), action_to_plain(action))
        return Cost(spent.parameters, spent.flops_per_sample)

    return Options(
        widths=_widths(sites),
        depths={name: tuple(site.kinds) for name, site in sites.depths.items()},
        cost=dry,
        steps_per_check=trainer.global_step - (rows[-1].step if rows else 0),
        max_steps=max_steps(trainer),
    )


def decided_row(trainer: pl.Trainer, policy: Policy, rows: History, row: Row, options: Options) -> Row:
    """The row with phase, decision, and what the policy was shown."""
    row = dataclasses.replace(row, phase=_phase(policy, [*rows, row]))
    decision = _allowed(trainer, row, policy([*rows, row], options))
    return dataclasses.replace(row, action=decision.action, reason=decision.reason, options=options_to_plain(options))


def sizes_to_log(row: Row) -> dict[str, float]:
    """Parameters and widths, for the run's loggers."""
    widths = {f"autogrow/width/{name}": float(size) for name, size in row.widths.items()}
    return {"autogrow/parameters": float(row.parameters), **widths}


def _phase(policy: Policy, rows: History) -> str:
    if isinstance(policy, LifeCycle):
        return policy.phase(rows)
    return "hold" if growth_ended(policy, rows).fires else "grow"


def _allowed(trainer: pl.Trainer, row: Row, decision: Decision) -> Decision:
    """The decision, or Keep where nothing may grow now."""
    if not isinstance(decision.action, GROWTHS):
        return decision
    if not row.finite():
        return Decision(Keep(), f"kept: the losses at check {row.check} are not finite")
    if averaging_started(trainer, trainer.current_epoch + 1):
        why = f"stochastic weight averaging has started, and its average cannot grow ({decision.reason})"
        return Decision(Keep(), f"kept: {why}")
    return decision


def _widths(sites: Sites) -> dict[str, int]:
    return {name: site.size for name, site in sites.widths.items()}
