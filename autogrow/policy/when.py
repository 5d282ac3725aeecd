"""When to grow, by the clock: never, a fixed schedule, an early ramp, the arrival of data.

Every `when` answers `when(history, options) -> Verdict` and is a frozen value without counters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from autogrow.errors import ConfigError, nearest
from autogrow.policy.history import GROWTHS, History, Options, Row
from autogrow.policy.signals import continued
from autogrow.policy.verdict import Verdict

UNITS = ("checks", "steps", "fraction")


class When(Protocol):
    """Whether to grow now."""

    def __call__(self, history: History, options: Options) -> Verdict:
        """The verdict after the history's last row."""
        ...


@dataclass(frozen=True)
class Never:
    """Do not grow: training at a fixed size."""

    never_grows: ClassVar[bool] = True
    by_the_clock: ClassVar[bool] = True

    def ended(self, history: History) -> Verdict:
        """Growth is over before it began."""
        return Verdict(True, "the policy never grows")

    def __call__(self, history: History, options: Options) -> Verdict:
        """Always no."""
        return Verdict(False, f"the policy never grows (check {history[-1].check})")


@dataclass(frozen=True)
class FixedSchedule:
    """Grow when the run passes given points.

    `at`: increasing points in `unit`: 'checks' (numbers of checks, the first is 0), 'steps' (optimizer steps) or
    'fraction' (of the run's budget `max_steps`, the anneal included). Fires at the first check at or past a point;
    several points passed by one check make one growth. Raises ConfigError for an unknown unit, unordered or negative
    points, and for fractions outside (0, 1) or without a budget.
    """

    at: Sequence[float] = (5, 10, 15, 20)
    unit: str = "checks"
    by_the_clock: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", tuple(self.at))
        if self.unit not in UNITS:
            raise ConfigError(f"growth.when.unit {self.unit!r} is unknown; {nearest(self.unit, UNITS)}")
        if list(self.at) != sorted(set(self.at)) or any(point < 0 for point in self.at):
            raise ConfigError(f"growth.when.at must be increasing and not negative, got {list(self.at)}")
        if self.unit == "fraction" and any(not 0 < point < 1 for point in self.at):
            raise ConfigError(f"growth.when.at must be fractions between 0 and 1, got {list(self.at)}")

    def points(self, max_steps: int | None) -> tuple[float, ...]:
        """The points in checks or, for steps and fractions, in steps."""
        if self.unit != "fraction":
            return tuple(self.at)
        if max_steps is None:
            raise ConfigError(
                "growth.when.unit=fraction needs a budget (trainer.max_epochs); without one use checks or steps"
            )
        return tuple(point * max_steps for point in self.at)

    def over(self, row: Row, max_steps: int | None) -> bool:
        """Whether the last point lies behind this row."""
        return (row.check if self.unit == "checks" else row.step) > max(self.points(max_steps), default=0)

    def __call__(self, history: History, options: Options) -> Verdict:
        """Yes where a point lies behind the previous row and not behind this one."""
        now, before = (self._position(history, i) for i in (-1, -2))
        word = "check" if self.unit == "checks" else "step"
        for point in self.points(options.max_steps):
            if before < point <= now:
                return Verdict(True, f"{word} {now:g} has reached the scheduled {word} {point:g}")
        coming = [point for point in self.points(options.max_steps) if point > now]
        after = f"the next growth is scheduled for {word} {coming[0]:g}" if coming else "the schedule is over"
        return Verdict(False, f"{after} (now {word} {now:g})")

    def _position(self, history: History, i: int) -> int:
        if len(history) < -i:
            return -1
        return history[i].check if self.unit == "checks" else history[i].step


@dataclass(frozen=True)
class EarlyRamp:
    """Grow every `every` checks up to check `until`, then never again."""

    every: int = 2
    until: int = 8
    by_the_clock: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.every < 1 or self.until < self.every:
            raise ConfigError(
                f"growth.when.every must be at least 1 and until at least every, got every={self.every}, until={self.until}"
            )

    def ended(self, history: History) -> Verdict:
        """Growth is over once the ramp is behind."""
        check = history[-1].check
        return Verdict(check >= self.until, f"the ramp ends at check {self.until} (now check {check})")

    def __call__(self, history: History, options: Options) -> Verdict:
        """Yes at checks every, 2·every, … up to until."""
        check = history[-1].check
        if check > self.until:
            return Verdict(False, f"the ramp ended at check {self.until} (now check {check})")
        due = check > 0 and check % self.every == 0
        return Verdict(
            due, f"check {check} is {'' if due else 'not '}one of every {self.every} up to check {self.until}"
        )


@dataclass(frozen=True)
class DataArrival:
    """Grow when the training set has become larger by `factor` since the last growth decided here (or the start).

    Reads `measured['train_rows']`, as the options of each row recorded it.
    """

    factor: float = 1.5
    needs: ClassVar[frozenset[str]] = frozenset({"train_rows"})

    def __post_init__(self) -> None:
        if self.factor <= 1:
            raise ConfigError(f"growth.when.factor must be above 1 (a growth of the data), got {self.factor}")

    def __call__(self, history: History, options: Options) -> Verdict:
        """Yes where the rows now are at least factor × the rows then."""
        now = then = _train_rows(options.measured)
        for i, row in enumerate(history[:-1]):
            if i == 0 or isinstance(row.action, GROWTHS):
                then = _train_rows(row.options.get("measured", {}))
            if i == 0 and (start := continued(history)) is not None and start.rows_before:
                then = start.rows_before
        return Verdict(
            now >= self.factor * then,
            f"there are {now:g} training rows, {now / then:.3g} times the {then:g} at the last growth (grows at {self.factor:g})",
        )


def _train_rows(measured: Mapping[str, float]) -> float:
    if "train_rows" not in measured:
        raise ConfigError(
            f"growth.when=data_arrival watches 'train_rows', which is not recorded; {nearest('train_rows', measured)}"
        )
    return measured["train_rows"]
