"""The finish: back to the best net, decay the learning rate to zero, once more on all rows; what is handed back."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from autogrow.errors import ConfigError, nearest
from autogrow.policy.event import FullVal
from autogrow.policy.history import Anneal, Decision, History, Keep, Options, Refit, Row, Stop
from autogrow.policy.rows import read
from autogrow.policy.signals import annealing, best, lowest_score, refitting, threshold


class FinishRule(Protocol):
    """How a run ends."""

    def steps(self, history: History, options: Options) -> int:
        """Optimizer steps the anneal wants from here; 0 for none."""
        ...

    def start(self, history: History, options: Options, *, left: float, why: str) -> Decision:
        """Begin the finish because of `why`, with at most `left` steps."""
        ...

    def proceed(self, history: History, options: Options, *, left: float, may_break: bool = True) -> Decision:
        """Keep or Stop, while the anneal runs. `may_break`: whether a score that rises may end it."""
        ...


OF = ("steps", "flops")


def _steps_worth(history: History, row: Row) -> float:
    """How many steps of the net of a row its training FLOPs would have bought."""
    place = row.check - history[0].check  # a history has every check
    before = history[place - 1] if place else None
    steps = row.step - (before.step if before else 0)
    flops = row.train_flops - (before.train_flops if before else 0)
    return row.train_flops * steps / flops if flops else row.step


@dataclass(frozen=True)
class Finish:
    """Return to the best check and decay the rate linearly to zero over share/(1 − share) × its step count.

    `of` 'flops': of its training FLOPs, at what a step of its net costs. A net that has grown has taken most of its
    steps when they were cheap, and would spend most of its FLOPs on as many again. The length is a whole number of
    checks, at least `least_checks`, at most what the budget leaves. The anneal is broken off when the score rises above
    best / `tolerance`.

    With `refit` an anneal that came to its end is repeated from where it began, step for step, on training and
    validation rows: what validation was kept for, the choice, has been made by then, and its rows are worth learning
    from. What the run says of validation is the net's before that; only test has not been seen.
    """

    share: float = 0.3
    least_checks: int = 2
    tolerance: float = 0.8
    refit: bool = False
    of: str = "steps"

    def __post_init__(self) -> None:
        if self.of not in OF:
            raise ConfigError(f"finish.of {self.of!r} is unknown; {nearest(self.of, OF)}")
        if not 0 < self.share < 1:
            raise ConfigError(f"finish.share must be between 0 and 1, got {self.share} (no finish: finish=none)")
        if self.least_checks < 1:
            raise ConfigError(f"finish.least_checks must be at least 1, got {self.least_checks}")
        if not 0 < self.tolerance <= 1:
            raise ConfigError(f"finish.tolerance must be in (0, 1], got {self.tolerance}")

    @property
    def share_of_run(self) -> float:
        """The share of all steps that anneal and refit take."""
        return 2 * self.share / (1 + self.share) if self.refit else self.share

    def shortened(self, factor: float) -> FinishRule:
        """For a stage that is not the last: an anneal of a share of the best net's own steps (none for 0), no refit."""
        if factor == 0:
            return NoFinish()
        length = factor * self.share / (1 - self.share)
        return replace(self, share=length / (1 + length), refit=False)

    def steps(self, history: History, options: Options) -> int:
        """The optimizer steps it wants: of the anneal, and of the refit."""
        return self._length(history, options) * (2 if self.refit else 1)

    def _length(self, history: History, options: Options) -> int:
        target = best(history)
        row = history[-1] if target is None else target
        wanted = self.share / (1 - self.share) * (row.step if self.of == "steps" else _steps_worth(history, row))
        return max(self.least_checks, round(wanted / options.steps_per_check)) * options.steps_per_check

    def start(self, history: History, options: Options, *, left: float, why: str) -> Decision:
        """Anneal from the best check, or Stop where there is none or no check fits any more."""
        target = best(history)
        if target is None:
            return Decision(Stop(), f"stopped: {why}; no check has finite losses to go back to")
        check = options.steps_per_check
        steps = int(min(self._length(history, options), left // check * check))
        if self.refit and steps >= 2 * check:  # both are equally long
            steps = int(min(steps, left // 2 // check * check))
        if steps < check:
            return Decision(Stop(), f"stopped: {why}; no step is left for an anneal")
        return Decision(
            Anneal(target.check, steps),
            f"annealing over {steps} steps from check {target.check} (score {target.score:.4g}): {why}",
        )

    def proceed(self, history: History, options: Options, *, left: float, may_break: bool = True) -> Decision:
        """Keep until the anneal is over, diverges, or the budget is spent; then the refit, likewise."""
        if refitting(history) is not None:
            return _proceed_refit(history, options, left=left)
        first, now = annealing(history), history[-1]
        if first is None or not isinstance(anneal := history[first - 1].action, Anneal):
            raise ValueError("no anneal is running")
        done = now.step - history[first - 1].step
        reference = min(target_key(history)[1], lowest_score(history[first:]))
        if not now.finite():
            return Decision(Stop(), f"stopped: the losses at check {now.check} of the anneal are not finite")
        if done >= anneal.steps:
            return self._end(anneal, left, f"the anneal is over ({done} of {anneal.steps} steps)")
        limit = -threshold(-reference, relative=1 / self.tolerance - 1)
        if may_break and now.score > limit:
            return Decision(Stop(), f"stopped: the score {now.score:.4g} rose above {limit:.4g} in the anneal")
        if left < options.steps_per_check:
            return Decision(Stop(), f"stopped: {done} of {anneal.steps} steps into the anneal the budget is spent")
        return Decision(Keep(), f"annealing, {done} of {anneal.steps} steps")

    def _end(self, anneal: Anneal, left: float, why: str) -> Decision:
        """After the anneal: the refit, where it is asked for and fits; else Stop."""
        if not self.refit:
            return Decision(Stop(), f"stopped: {why}")
        if left < anneal.steps:
            return Decision(Stop(), f"stopped: {why}; the budget leaves {max(0, int(left))} steps, too few for a refit")
        return Decision(
            Refit(anneal.back_to, anneal.steps),
            f"refitting on all rows over {anneal.steps} steps from check {anneal.back_to}: {why}",
        )


def _proceed_refit(history: History, options: Options, *, left: float) -> Decision:
    """Keep until the refit is over, diverges, or the budget is spent."""
    first, now = refitting(history), history[-1]
    if first is None or not isinstance(refit := history[first - 1].action, Refit):
        raise ValueError("no refit is running")
    done = now.step - history[first - 1].step
    if not math.isfinite(now.train_loss):
        return Decision(Stop(), f"stopped: the training loss at check {now.check} of the refit is not finite")
    if done >= refit.steps:
        return Decision(Stop(), f"stopped: the refit is over ({done} of {refit.steps} steps)")
    if left < options.steps_per_check:
        return Decision(Stop(), f"stopped: {done} of {refit.steps} steps into the refit the budget is spent")
    return Decision(Keep(), f"refitting, {done} of {refit.steps} steps")


@dataclass(frozen=True)
class NoFinish:
    """No anneal: the run ends where it stops, and the best check is handed back."""

    anneals: ClassVar[bool] = False

    def steps(self, history: History, options: Options) -> int:
        """None."""
        return 0

    def start(self, history: History, options: Options, *, left: float, why: str) -> Decision:
        """Stop."""
        return Decision(Stop(), f"stopped: {why}")

    def proceed(self, history: History, options: Options, *, left: float, may_break: bool = True) -> Decision:
        """Stop: an anneal that this rule did not start is not continued."""
        return Decision(Stop(), f"stopped at check {history[-1].check}: no finish")


def return_target(history: History) -> int | None:
    """The check with the best score before the anneal; None if none has finite losses.

    Looks at the whole history, undone branches included: the best net is the best net.
    """
    first = annealing(history)
    row = best(history if first is None else history[:first])
    return None if row is None else row.check


def target_key(history: History) -> tuple[float, float]:
    """(error, score) on all of val of the net that the anneal started from, as the anneal's event recorded them;
    (judged, score) where the run is judged by a metric of its own.

    Where the event has none (val is small enough to be measured whole at each check), those of the check itself.
    """
    first = annealing(history)
    before = best(history if first is None else history[:first])
    if before is None:
        return math.inf, math.inf
    event = history[first].event if first is not None else None
    return _key(before if event is None or event.full_val is None else event.full_val)


def deliverable(history: History) -> int | None:
    """The check whose net is handed back: the last of a refit that came to its end, else the `validated` one.

    None if no check has finite losses.
    """
    first, last = refitting(history), history[-1] if history else None
    if first is not None and last is not None and math.isfinite(last.train_loss):
        refit = history[first - 1].action
        if isinstance(refit, Refit) and last.step - history[first - 1].step >= refit.steps:
            return last.check
    return validated(history)


def validated(history: History) -> int | None:
    """The check that is best on validation: by error on all of val, then score, of the return target and the anneal's.

    A run that is judged by a metric of its own puts that metric in the error's place, and before an anneal, or without
    one, chooses among all checks. The earliest of equals; None if no check has finite losses. In a refit validation
    rows are learned from, and measure nothing.
    """
    target, first, refit = return_target(history), annealing(history), refitting(history)
    if target is None:
        return None
    if first is None:
        judged = read(
            history, "judged best", _NOTHING, lambda low, _, row: low if row.judged is None else _lower(low, row)
        )
        return target if judged == _NOTHING else judged[1]
    of_anneal = read(history[first:refit], "judged best of the anneal", _NOTHING, lambda low, _, row: _lower(low, row))
    return min((target_key(history), target), of_anneal)[1]


_NOTHING = ((math.inf, math.inf), sys.maxsize)
"""What is better than no row."""


def _lower(lowest: tuple[tuple[float, float], int], row: Row) -> tuple[tuple[float, float], int]:
    return min(lowest, (_key(row), row.check)) if row.finite() else lowest


def _key(found: Row | FullVal) -> tuple[float, float]:
    error = found.val_error if isinstance(found, Row) else found.error
    return led_by(error, found.judged), found.score


def led_by(error: float, judged: float | None) -> float:
    """What nets are compared by first: the error, or the metric that the run is judged by; infinite if not finite."""
    led = error if judged is None else judged
    return led if math.isfinite(led) else math.inf
