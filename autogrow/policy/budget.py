"""Budgets: what the net and the run may cost, checked on the dry-run cost of a growth before it is applied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from autogrow.errors import ConfigError, nearest
from autogrow.policy.growth import GrowthPolicy, kept
from autogrow.policy.history import GROWTHS, Action, Decision, History, Options


@dataclass(frozen=True)
class Budget:
    """Limits; None means none.

    Of the net: `parameters`, `flops_per_sample` (one forward pass), `checkpoint_bytes`, `latency_p95_ms` (both measured on the net as it
    is and scaled to the candidate: bytes with its parameters, latency with its FLOPs, which errs on the safe side).
    Of the run, the anneal included: `train_flops`, `seconds`.
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
                would = _spent(name, history) + _per_step(name, history) * work * steps
        if would > limit:
            return f"{name} would be {would:.6g}, over the budget of {limit:g}"
    return ""


def steps_left(budget: Budget, history: History, options: Options) -> tuple[float, str]:
    """How many more optimizer steps the run may take, and by which limit; infinite without one.

    FLOPs and seconds are turned into steps at the rate of the last check.
    """
    left: list[tuple[float, str]] = []
    if options.max_steps is not None:
        left.append((options.max_steps - history[-1].step, f"{options.max_steps} steps"))
    for name, limit in budget.limits():
        if name in ("train_flops", "seconds"):
            rest = limit - _spent(name, history)
            left.append((rest / max(_per_step(name, history), 1e-30), f"{limit:g} {name}"))
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


def _spent(name: str, history: History, i: int = -1) -> float:
    if len(history) < -i:
        return 0.0
    if name == "train_flops":
        return float(history[i].train_flops)
    if "seconds" not in history[i].timing:
        raise ConfigError(
            f"budget.seconds is set, but timing has no 'seconds'; {nearest('seconds', history[i].timing)}"
        )
    return history[i].timing["seconds"]


def _per_step(name: str, history: History) -> float:
    steps = history[-1].step - (history[-2].step if len(history) > 1 else 0)
    return (_spent(name, history) - _spent(name, history, -2)) / max(1, steps)
