"""One check of somebody else's run: what it measured, what the policy may choose from,
and what may not be decided there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_info

from autogrow.growth import Sites
from autogrow.growth.cost import NetCost
from autogrow.policy.book import Book, Measured
from autogrow.policy.history import GROWTHS, Action, Decision, Deepen, Keep, Options, Refine, Row, Stop, Widen
from autogrow.policy.needs import requires
from autogrow.train.guest.architecture import GrowthRecord
from autogrow.train.guest.as_it_is import recorded
from autogrow.train.guest.averages import averaging_started
from autogrow.train.guest.compiled import eagerly
from autogrow.train.guest.monitors import max_steps
from autogrow.train.guest.resume import epochs_ended
from autogrow.train.guest.rows import GivenRows
from autogrow.train.record.ledger import Ledger
from autogrow.train.rewire.columns import Columns
from autogrow.train.rewire.event import in_steps, options_of, size_of


def measured_by(
    trainer: pl.Trainer,
    values: Mapping[str, float],
    sites: Sites,
    spent: NetCost,
    *,
    seen: Mapping[str, int],
    seconds: float,
    columns: Columns | None = None,
) -> Measured:
    """What this check found. `values`: of the monitors.
    `seen`: rows of data trained on and validated on since the last check.
    """
    return Measured(
        step=trainer.global_step,
        passes=float(epochs_ended(trainer)),
        train_loss=values["train_loss"],
        val_loss=values["val_loss"],
        train_error=values["train_error"],
        val_error=values["val_error"],
        score=values["val_loss"],
        lr=float(trainer.optimizers[0].param_groups[0]["lr"]),
        size=size_of(sites, spent, columns),
        train_flops=seen["train"] * spent.train_flops_per_sample,
        eval_flops=seen["val"] * spent.flops_per_sample,
        timing={"seconds": seconds},
    )


def options_for(
    trainer: pl.Trainer,
    book: Book,
    record: GrowthRecord,
    module: pl.LightningModule,
    sites: Sites,
    given: GivenRows,
    columns: Columns,
) -> Options:
    """What the policy may choose from at this check: no site whose growth was refused."""
    net = record.net(module)
    scored = "scores" in requires(book.policy)
    options = options_of(
        net,
        record.inputs(net),
        sites,
        steps_per_check=trainer.global_step - (book.last.step if book.last else 0),
        max_steps=max_steps(trainer, epochs_ended(trainer)),
        within=eagerly,
        scores=given.scores(net, sites) if scored else None,
        columns=columns,
        look=given.look(net, sites, columns),
    )
    refused = book.all_refused
    return dataclasses.replace(
        options,
        widths={name: size for name, size in options.widths.items() if name not in refused},
        depths={name: kinds for name, kinds in options.depths.items() if name not in refused},
    )


def sites_in(action: Action) -> tuple[str, ...]:
    """The sites that a growth is to happen at."""
    if isinstance(action, Widen):
        return tuple(action.widths)
    return (action.after,) if isinstance(action, Deepen) else tuple(action.knots) if isinstance(action, Refine) else ()


def allowed_in(trainer: pl.Trainer, sites: Sites, refused: Mapping[str, str]) -> Callable[[Row, Decision], Decision]:
    """Takes a decision for Keep where nothing may grow now, and a width for the next one that the net can have."""

    def allowed(row: Row, decision: Decision) -> Decision:
        if not isinstance(decision.action, GROWTHS):
            return decision
        if not row.finite():
            return Decision(Keep(), f"kept: the losses at check {row.check} are not finite")
        if averaging_started(trainer, trainer.current_epoch + 1):
            why = f"stochastic weight averaging has started, and its average cannot grow ({decision.reason})"
            return Decision(Keep(), f"kept: {why}")
        again = [name for name in sites_in(decision.action) if name in refused]
        if again:
            return Decision(Keep(), f"kept: {again[0]} was refused before ({refused[again[0]]})")
        possible = in_steps(decision.action, sites)
        if possible != decision.action:
            return Decision(possible, f"{decision.reason} (rounded up to whole units of the net)")
        return decision

    return allowed


def decided_row(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    book: Book,
    measured: Measured,
    sites: Sites,
    given: GivenRows,
    there: Callable[[Row, Decision], Decision],
) -> Row:
    """The row of a check, with what the policy decides, as rank 0 has it. `there`: what may be gone back to."""
    options = options_for(trainer, book, recorded(module), module, sites, given, given.columns(sites))
    allowed = allowed_in(trainer, sites, book.all_refused)
    decided = book.decided(book.row(measured), options, lambda row, decision: there(row, allowed(row, decision)))
    return Row.from_plain(trainer.strategy.broadcast(decided.to_plain()))


def enter(trainer: pl.Trainer, ledger: Ledger, row: Row) -> None:
    """Write a row to the ledger and to the run's loggers, say what it decides, and stop where it says so."""
    if trainer.is_global_zero:
        ledger.append(row)
        for logger in trainer.loggers:
            logger.log_metrics(sizes_to_log(row), step=trainer.fit_loop.epoch_loop._batches_that_stepped)
    if isinstance(row.action, Stop):
        trainer.should_stop = True
    if not isinstance(row.action, Keep):
        rank_zero_info(f"autogrow, check {row.check}: {row.reason}")


def sizes_to_log(row: Row) -> dict[str, float]:
    """Parameters and widths, for the run's loggers."""
    widths = {f"autogrow/width/{name}": float(size) for name, size in row.widths.items()}
    return {"autogrow/parameters": float(row.parameters), **widths}
