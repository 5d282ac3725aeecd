"""Budgets: what the net and the run may cost, checked on the dry-run cost of a growth before it is applied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from statistics import median

from autogrow.errors import ConfigError, nearest
from autogrow.policy.growth import GrowthPolicy, kept
from autogrow.policy.history import GROWTHS, Action, Decision, History, Options, Row

RUN_LIMITS = ("train_flops", "seconds")
"""The limits of a run; the others are limits of the net."""

_TIMED = 5  # checks; the median forgives two that a checkpoint or another program slowed down


@dataclass(frozen=True)
class Budget:
    """Limits; None means none.

    Of the net: `parameters`, `flops_per_sample` (one forward pass), `checkpoint_bytes`, `latency_p95_ms` (both measured
    on the net as it is and scaled to the candidate: bytes with its parameters, latency with its FLOPs, which errs on
    the safe side). Of the run, the anneal included: `train_flops`, `seconds`.
    """

    parameters: int | None = None
    flops_per_sample: int | None = None
    train_flops: float | None = None
    seconds: float | None = None
    checkpoint_bytes: int | None = None
    latency_p95_ms: float | None = None

    def __post_init__(self) -> None:
        for name, limit in self.limits():
            if not limit > 0:
                raise ConfigError(f"budget.{name} must be above 0 (null for none), got {limit}")

    def limits(self) -> Iterator[tuple[str, float]]:
        """The limits that are set."""
        for item in fields(self):
            if (limit := getattr(self, item.name)) is not None:
                yield item.name, limit

    @property
    def needs(self) -> frozenset[str]:
        """What must be measured for the limits that are set."""
        return frozenset(name for name, _ in self.limits()) & {"seconds", "checkpoint_bytes", "latency_p95_ms"}


def exceeded(budget: Budget, action: Action, history: History, options: Options, *, reserve: int = 0) -> str:
    """Which limit would be broken after `action`, with the numbers; empty if none.

    Of the run's limits there must be enough for one more check and `reserve` steps (the anneal) at the new cost.
    """
    now, limits = history[-1], dict(budget.limits())
    if not limits:
        return ""
    after = options.cost(action)
    size, work = after.parameters / max(1, now.parameters), after.flops_per_sample / max(1, now.flops_per_sample)
    for name, limit in limits.items():
        match name:
            case "parameters" | "flops_per_sample":
                would: float = getattr(after, name)
            case "checkpoint_bytes":
                would = _measured(name, options) * size
            case "latency_p95_ms":
                would = _measured(name, options) * work
            case _:
                steps = options.steps_per_check + reserve
                would = spent(name, history[-1]) + _per_step(name, history, len(history) - 1) * work * steps
        if would > limit:
            return f"{name} would be {would:.6g}, over the budget of {limit:g}"
    return ""


def steps_left(
    budget: Budget, history: History, options: Options, *, at: Row | None = None, after: int = 0
) -> tuple[float, str]:
    """How many more optimizer steps the run may take, and by which limit; infinite without one.

    FLOPs and seconds are turned into steps at the rate of the net of row `at` (default: the last one; the net that an
    anneal goes back to may be smaller, and its steps cheaper), once `after` more steps of the net as it is have been
    taken.
    """
    last = len(history) - 1
    i = last if at is None else at.check - history[0].check  # a history has every check
    left: list[tuple[float, str]] = []
    if options.max_steps is not None:
        left.append((options.max_steps - history[-1].step - after, f"{options.max_steps} steps"))
    for name, limit in budget.limits():
        if name in RUN_LIMITS:
            rest = limit - spent(name, history[-1]) - after * _per_step(name, history, last)
            # what rounding takes from a whole number of steps is given back
            left.append((rest / max(_per_step(name, history, i), 1e-30) + 1e-6, f"{limit:g} {name}"))
    return min(left, default=(float("inf"), "no limit"))


@dataclass(frozen=True)
class WithinBudget:
    """Refuse growths whose dry-run cost would break the budget; `reserve` steps are kept for the anneal."""

    growth: GrowthPolicy
    budget: Budget
    reserve: int = 0

    def __call__(self, history: History, options: Options) -> Decision:
        """What the guarded policy decides, unless it costs too much."""
        decision = self.growth(history, options)
        if not isinstance(decision.action, GROWTHS):
            return decision
        why = exceeded(self.budget, decision.action, history, options, reserve=self.reserve)
        return kept(f"because {why}") if why else decision


def _measured(name: str, options: Options) -> float:
    if name not in options.measured:
        raise ConfigError(f"budget.{name} is set, but {name!r} is not measured; {nearest(name, options.measured)}")
    return options.measured[name]


def spent(name: str, row: Row) -> float:
    """Training FLOPs, or seconds, of the run up to a row."""
    if name == "train_flops":
        return float(row.train_flops)
    if "seconds" not in row.timing:
        raise ConfigError(f"budget.seconds is set, but timing has no 'seconds'; {nearest('seconds', row.timing)}")
    return row.timing["seconds"]


def _per_step(name: str, history: History, at: int) -> float:
    """What a step of the net at position `at` takes. One check's seconds are noise:
    the median of its last few, at that size.
    """
    first = at
    # a run's first check holds the setting up: it counts only while there is no other
    while name == "seconds" and first > max(1, at - _TIMED + 1) and history[first - 1].lineage == history[at].lineage:
        first -= 1
    return median(_rate(name, history, i) for i in range(first, at + 1))


def _rate(name: str, history: History, i: int) -> float:
    steps = history[i].step - (history[i - 1].step if i else 0)
    before = spent(name, history[i - 1]) if i else 0.0
    return (spent(name, history[i]) - before) / max(1, steps)
