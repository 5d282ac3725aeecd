"""A rehearsal: what a run's policy may do, found by playing it on made-up scores with the real net,
before anything is trained.

A policy is a pure function of the rows, so it can be asked what it would do on rows that never happened. Two courses
are played: in one the score falls well at every check for as long as the net grows, in the other it never falls. A
policy that goes by the clock does the same in both; for one that looks at the loss they are the ends of what it may do.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from autogrow.data import Prepared
from autogrow.policy import Budget
from autogrow.policy.book import Book, Measured
from autogrow.policy.budget import RUN_LIMITS
from autogrow.policy.event import Event
from autogrow.policy.guards import growth_ended
from autogrow.policy.history import (
    GROWTHS,
    RETURNS,
    Action,
    Anneal,
    Column,
    Keep,
    Options,
    Refit,
    Row,
    Stop,
)
from autogrow.policy.needs import by_the_clock, requires, schedule_over
from autogrow.policy.rows import rows_of
from autogrow.policy.signals import births
from autogrow.train.fit.looks.device import DeviceGauge
from autogrow.train.fit.looks.observe import NEWBORN_ROWS, Observation, Observer
from autogrow.train.fit.net.module import GrowingModule
from autogrow.train.fit.operate import applied
from autogrow.train.fit.setup import check_run, module_of, step_limit, stream_of
from autogrow.train.fit.spec import FitSpec
from autogrow.train.rehearse.footprint import Footprint, Gauge
from autogrow.train.rewire.event import growth_event, options_of, units_generator

_IDLE = 100  # checks without a growth, after which there will be none
_LONGEST = 3000  # checks; a run that is not over by then is said to have no end
_FALL = 0.9  # what the score is multiplied by at a check, where it falls


@dataclass(frozen=True)
class Stage:
    """A stretch of the run with one net. `action` began it (None: the start), at `passes` and optimizer step `step`;
    the rest is its own.
    """

    action: Action | None
    widths: tuple[int, ...]
    footprint: Footprint
    passes: float
    step: int
    steps: int
    train_flops: int
    eval_flops: int
    seconds: float


@dataclass(frozen=True)
class Course:
    """One course that the run may take: rows whose scores are made up and whose sizes and costs are not.
    `ended`: whether anything ended it.
    """

    rows: tuple[Row, ...]
    stages: tuple[Stage, ...]
    ended: bool


@dataclass(frozen=True)
class Limited:
    """Where one limit of the budget, alone, would end growth if the score fell for ever: at which widths and how many
    parameters, and `why` in the policy's words (None: it does not; growth ends there by itself).
    """

    name: str
    limit: float
    widths: tuple[int, ...]
    parameters: int
    why: str | None


@dataclass(frozen=True)
class Rehearsal:
    """`falling`: the course if the score falls well at every check until growth is over.
    `resting`: the course if it never falls.

    `exact`: growth goes by the clock alone, and both are the same. `scored`: what grows is chosen by scores of the
    trained net, taken as alike here. `most`: passes, training FLOPs and seconds of all steps that `trainer.max_epochs`
    allows at the largest size; None without that limit. `limited`: where each of the budget's limits of the net ends
    growth.
    """

    falling: Course
    resting: Course
    exact: bool
    scored: bool
    most: tuple[float, float, float] | None
    limited: tuple[Limited, ...] = ()


def rehearse(spec: FitSpec, prepared: Prepared) -> Rehearsal:
    """Play the policy of `spec` on its net and data. Nothing is trained and nothing written;
    raises what a run would refuse.

    Seconds are those of some steps on this host with throw-away copies of the nets.
    """
    stream = stream_of(spec, prepared)
    check_run(spec, module_of(spec, prepared), stream, DeviceGauge(spec, prepared))
    gauge = Gauge(spec, prepared)
    exact = by_the_clock(spec.policy.growth)
    # first to see how far growth goes if the score falls for ever, then with a score that rests from there on
    falling = _Play(spec, prepared, gauge, falls_for=_last_growth(_Play(spec, prepared, gauge).course())).course()
    resting = falling if exact else _Play(spec, prepared, gauge, falls_for=0).course()
    limit, most = step_limit(spec, stream), None
    if limit is not None:
        largest = max(
            (stage.footprint for course in (falling, resting) for stage in course.stages),
            key=lambda f: f.train_flops_per_step,
        )
        passes, flops = limit / stream.steps_per_pass, float(limit * largest.train_flops_per_step)
        most = (passes, flops, limit * largest.seconds_per_step)
    budget = getattr(spec.policy, "budget", Budget())
    limited = tuple(_limited(spec, prepared, gauge, *limit) for limit in budget.limits() if limit[0] not in RUN_LIMITS)
    return Rehearsal(falling, resting, exact, "scores" in requires(spec.policy), most, limited)


def _limited(spec: FitSpec, prepared: Prepared, gauge: Gauge, name: str, limit: float) -> Limited:
    alone = replace(spec, policy=replace(spec.policy, budget=spec.policy.budget.only(name)))
    rows = _Play(alone, prepared, gauge).course().rows
    grown = max((row.check for row in rows if isinstance(row.action, GROWTHS)), default=-1)
    refused = f"kept, because {name} would be "
    why = next((row.reason for row in rows[grown + 1 :] if row.reason.startswith(refused)), None)
    last = rows[-1]
    said = None if why is None else why.removeprefix("kept, because ")
    return Limited(name, limit, tuple(last.widths.values()), last.parameters, said)


def _last_growth(course: Course) -> int:
    return max((row.check + 1 for row in course.rows if isinstance(row.action, GROWTHS)), default=0)


class _Play:
    """The controller's loop without training. `falls_for`: checks at which the score falls;
    None: all, until growth is over.
    """

    def __init__(self, spec: FitSpec, prepared: Prepared, gauge: Gauge, *, falls_for: int | None = None) -> None:
        self.policy, self.gauge, self.falls_for = spec.policy, gauge, falls_for
        self.stream = stream_of(spec, prepared)
        self.limit = step_limit(spec, self.stream)
        self.looks = [min(spec.trainer.check_rows, len(split)) for split in (prepared.train, prepared.val)]
        self.all_val = len(prepared.val)
        self.module = module_of(spec, prepared)
        needs = requires(spec.policy)
        self.scored = "scores" in needs
        self.observer = Observer(prepared, needs, self.module.example.device, DeviceGauge(spec, prepared))
        self.seen = Observation()
        self.book = Book(spec.policy)
        self.starts: list[tuple[int, Action | None, Footprint]] = []
        self.nets: dict[int, GrowingModule] = {}  # as they were when a lineage began

    @property
    def rows(self) -> list[Row]:
        """The checks so far."""
        return self.book.rows

    def course(self) -> Course:
        """Play to the end."""
        while not isinstance(self.book.pending, Stop) and len(self.rows) < _LONGEST and not self._pointless():
            action = self.book.take()
            if not self.rows or not isinstance(action, Keep):
                self._apply(action)
            self.book.enter(self.book.decided(self._looked_at(self.book.row(self._measured())), self._options()))
        return Course(tuple(self.rows), tuple(self._stages()), isinstance(self.book.pending, Stop))

    def _pointless(self) -> bool:
        """Whether this course was only to show how far growth goes, and has."""
        return self.falls_for is None and bool(self.rows) and self._grown_out()

    def _grown_out(self) -> bool:
        over = schedule_over(self.policy.growth, self.rows[-1], self.limit)
        if over is not None:
            return over
        grown = max((row.check for row in self.rows if isinstance(row.action, GROWTHS)), default=0)
        return len(self.rows) - grown > _IDLE or growth_ended(self.policy.growth, self.rows).fires

    def _apply(self, action: Action) -> None:
        before, decided_at = self.module.size, self.book.decided_at
        if isinstance(action, RETURNS):
            target = self.rows[action.back_to]
            self.module = copy.deepcopy(self.nets[target.lineage])
            self.module.architecture_changed()  # sites are of one net, and do not survive being copied
            flops = self.all_val * self.module.cost.flops_per_sample if isinstance(action, Anneal) else 0
            self.book.applied(Event(action, before, self.module.size, decided_at=decided_at, flops=flops))
        elif isinstance(action, GROWTHS):
            generator = units_generator(self.module.spec.seed, self.book.events)
            surgery, flops = applied(self.module, action, generator)
            after = self.module.size
            self.book.applied(growth_event(action, surgery, before, after, decided_at=decided_at, flops=flops))
        lineage = len(self.starts)
        self.nets[lineage] = copy.deepcopy(self.module)
        self.seen = self.observer.look(self.module)
        began = None if isinstance(action, Keep) else action
        self.starts.append((len(self.rows), began, self.gauge.footprint(self.module)))

    def _measured(self) -> Measured:
        last = self.book.last
        falls = last is None or self.falls_for is None or len(self.rows) <= self.falls_for
        score = 1.0 if last is None else last.score * (_FALL if falls else 1.0)
        error = min(0.5, score)
        _, _, cost = self.starts[-1]
        begun = {type(action) for _, action, _ in self.starts}
        on_val = 0 if Refit in begun else self.all_val if Anneal in begun else self.looks[1]
        looks = self.looks[0] + on_val
        steps = self.stream.steps_per_check
        step = (last.step if last else 0) + steps
        fresh = self.book.event is not None and isinstance(self.book.event.done, Anneal)
        rows_seen = looks + (self.all_val if fresh else 0)
        seconds = steps * cost.seconds_per_step + rows_seen * cost.seconds_per_row
        return Measured(
            step=step,
            passes=self.stream.passes(step),
            train_loss=score,
            val_loss=score,
            train_error=error,
            val_error=error,
            score=score,
            lr=self.module.spec.optimizer.lr,
            size=self.module.size,
            train_flops=steps * cost.train_flops_per_step,
            eval_flops=looks * cost.flops_per_sample + self.seen.flops,
            timing={"seconds": (last.timing["seconds"] if last else 0.0) + seconds},
        )

    def _looked_at(self, row: Row) -> Row:
        """The row with what a look at new units costs, where there are any."""
        if not births(rows_of(self.rows).plus(row)):
            return row
        flops = min(self.stream.rows, NEWBORN_ROWS) * self.module.cost.train_flops_per_sample
        return dataclasses.replace(row, eval_flops=row.eval_flops + flops)

    def _options(self) -> Options:
        module, sites = self.module, self.module.sites
        alike = dict.fromkeys([*sites.widths, *sites.depths], 1.0) if self.scored else {}
        return options_of(
            module.net,
            module.example,
            sites,
            scores=alike,
            measured=self.seen.measured,
            steps_per_check=self.stream.steps_per_check,
            max_steps=self.limit,
            columns=module.columns,
            look=self._columns,
            device=self.observer.device_of,
        )

    def _columns(self, knots: int) -> dict[str, Column]:
        """All alike: each promises much where the score falls, nothing where it does not."""
        falls = self.falls_for is None or len(self.rows) < self.falls_for
        score = math.inf if falls else 0.0
        found = self.module.columns.finer(self.module.sites, knots)
        return {name: Column(now, most, score) for name, (now, most, _) in found.items()}

    def _stages(self) -> Sequence[Stage]:
        ends = [first for first, _, _ in self.starts[1:]] + [len(self.rows)]
        stages = []
        for (first, action, footprint), end in zip(self.starts, ends, strict=True):
            last, before = self.rows[end - 1], self.rows[first - 1] if first else None
            stages.append(
                Stage(
                    action=action,
                    widths=tuple(last.widths.values()),
                    footprint=footprint,
                    passes=before.passes if before else 0.0,
                    step=before.step if before else 0,
                    steps=last.step - (before.step if before else 0),
                    train_flops=last.train_flops - (before.train_flops if before else 0),
                    eval_flops=last.eval_flops - (before.eval_flops if before else 0),
                    seconds=last.timing["seconds"] - (before.timing["seconds"] if before else 0.0),
                )
            )
        return stages
