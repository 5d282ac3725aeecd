"""Settings that contradict each other, refused before anything is trained, with the names and the numbers."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from autogrow.errors import ConfigError, nearest
from autogrow.policy.finish import Finish
from autogrow.policy.growth import Growth
from autogrow.policy.guards import Cooldown, GapCloses, Hysteresis, WarmUp
from autogrow.policy.history import Cost
from autogrow.policy.life import LifeCycle
from autogrow.policy.needs import never_grows, never_stops, parts, requires
from autogrow.policy.stop import Patience
from autogrow.policy.trial import Trial
from autogrow.policy.when import EarlyRamp, FixedSchedule


def check_settings(
    life: LifeCycle,
    *,
    recorded: Collection[str] | None = None,
    widths: Sequence[int] | None = None,
    start: Cost | None = None,
    steps_per_check: int | None = None,
    max_steps: float | None = None,
    checkpoint_bytes: int | None = None,
) -> None:
    """Raise ConfigError if the settings of a run contradict each other.

    Callable twice: when a config has been composed, and again when data and net are there. What is None is not known
    yet, and not checked. `recorded`: the names (see `requires`) that this run can record. `widths`, `start`,
    `checkpoint_bytes`: sizes and cost of the starting net. `max_steps`: the run's budget of optimizer steps, math.inf
    for none.
    """
    _check_recorded(life, recorded)
    _check_guards(life)
    _check_stop(life, max_steps)
    if start is not None:
        _check_start(life, {**start.to_plain(), "checkpoint_bytes": checkpoint_bytes})
    if widths is not None:
        _check_cap(life, widths)
    if steps_per_check is not None and max_steps is not None:
        _check_schedule(life, steps_per_check, max_steps)


def _check_recorded(life: LifeCycle, recorded: Collection[str] | None) -> None:
    for name in sorted(requires(life) - set(recorded or ())) if recorded is not None else ():
        raise ConfigError(f"the policy needs {name!r}, which this run does not record; {nearest(name, recorded or ())}")


def _check_guards(life: LifeCycle) -> None:
    found = {type(part): part for part in parts(life)}
    if (gap := found.get(GapCloses)) and (held := found.get(Hysteresis)) and held.close >= gap.max_gap:
        raise ConfigError(
            f"growth.guards.hysteresis.close={held.close} is never reached: gap_closes.max_gap={gap.max_gap} ends growth for good below it"
        )
    if (schedule := found.get(FixedSchedule)) and (cooldown := found.get(Cooldown)) and schedule.unit == "checks":
        for one, two in zip(schedule.at, schedule.at[1:], strict=False):
            if two - one < cooldown.checks:
                raise ConfigError(
                    f"growth.when.at has {one:g} and {two:g}, closer than growth.guards.cooldown.checks={cooldown.checks}"
                )
    warm_up = found.get(WarmUp)
    if warm_up and schedule and schedule.unit == "checks" and schedule.at and schedule.at[0] < warm_up.checks - 1:
        raise ConfigError(
            f"growth.when.at begins at check {schedule.at[0]:g}, inside growth.guards.warm_up.checks={warm_up.checks}"
        )
    if warm_up and (ramp := found.get(EarlyRamp)) and ramp.until < warm_up.checks - 1:
        raise ConfigError(
            f"growth.when.until={ramp.until} is over before growth.guards.warm_up.checks={warm_up.checks}: it would never grow"
        )
    if (trial := found.get(Trial)) and (patience := found.get(Patience)) and patience.after_growth < trial.checks:
        raise ConfigError(
            f"stop.after_growth={patience.after_growth} can end the run before growth.guards.trial.checks={trial.checks} have judged a growth"
        )


def _check_stop(life: LifeCycle, max_steps: float | None) -> None:
    endless = max_steps is not None and math.isinf(max_steps)
    run_limits = {"train_flops", "seconds"} & dict(life.budget.limits()).keys()
    if endless and never_stops(life.stop) and not run_limits:
        raise ConfigError(
            "stop=never needs an end: set trainer.max_epochs, budget.train_flops or budget.seconds (all are null)"
        )


def _check_start(life: LifeCycle, start: Mapping[str, float | None]) -> None:
    """A budget that the starting net is over already, by how much, and what would be smaller."""
    for name, limit in life.budget.limits():
        have = start.get(name)
        if have is not None and have > limit:
            raise ConfigError(
                f"budget.{name}={limit:g} is below the starting net, which has {have:.6g}, {have - limit:.6g} too much "
                "(start smaller: net.widths)"
            )


def _check_cap(life: LifeCycle, widths: Sequence[int]) -> None:
    for part in parts(life.growth):
        if not isinstance(part, Growth) or never_grows(part.when):
            continue
        if widths and min(widths) >= part.amount.cap and len(widths) >= part.where.deepest:
            raise ConfigError(
                f"growth.amount.cap={part.amount.cap} is not above the starting widths {list(widths)}: the net could never grow"
            )


def _check_schedule(life: LifeCycle, steps_per_check: int, max_steps: float) -> None:
    if max_steps < steps_per_check:
        raise ConfigError(
            f"trainer.max_epochs gives {max_steps:g} optimizer steps, fewer than one check ({steps_per_check} steps)"
        )
    share = life.finish.share_of_run if isinstance(life.finish, Finish) else 0.0
    end = (1 - share) * max_steps
    rest = f"the run's {max_steps:g} steps" + (f", the last {share:.0%} of which are the finish's" if share else "")
    for part in parts(life.growth):
        if isinstance(part, FixedSchedule):
            budget = None if math.isinf(max_steps) else int(max_steps)
            for point, given in zip(part.points(budget), part.at, strict=True):
                step = (point + 1) * steps_per_check if part.unit == "checks" else point
                if step > end:
                    raise ConfigError(f"growth.when.at has {given:g} ({part.unit}), step {step:g}, beyond {rest}")
        first = {WarmUp: "checks", EarlyRamp: "every"}.get(type(part))
        if first is not None and (at := getattr(part, first)) * steps_per_check > end:
            where = "growth.guards.warm_up.checks" if first == "checks" else "growth.when.every"
            raise ConfigError(f"{where}={at}, step {at * steps_per_check}, lies beyond {rest}: it would never grow")
