"""Budgets: what the net and the run may cost, checked on the dry-run cost of a growth before it is applied."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, replace
from statistics import median
from typing import Any

from autogrow.errors import ConfigError, nearest
from autogrow.policy.growth import GrowthPolicy, kept
from autogrow.policy.history import (
    GROWTHS,
    Action,
    Cost,
    Decision,
    Deepen,
    History,
    Options,
    Row,
    Widen,
    no_columns,
)  # fmt: skip

RUN_LIMITS = ("train_flops", "seconds")
"""The limits of a run; the others are limits of the net."""

OF_DEVICE = ("flash_bytes", "ram_bytes", "latency_p95_ms")
"""The limits that are of the net as something that runs elsewhere."""

RUNTIMES = ("torch", "onnx", "c")
"""What a latency can be measured through: the net itself in PyTorch, or a file that it is exported to."""

_ALSO = {"flops": "flops_per_sample", "train_seconds": "seconds"}
"""Two names of one limit: that of the net beside `parameters`, and that of the run beside `train_flops`."""

_TIMED = 5  # checks; the median forgives two that a checkpoint or another program slowed down


@dataclass(frozen=True)
class Budget:
    """Limits; None means none.

    Of the net: `parameters`, `flops_per_sample` (one forward pass; also `flops`), `checkpoint_bytes` (scaled with the
    parameters to a larger net), `flash_bytes` and `ram_bytes` of its C file (constants and code; buffers), in 8 bits
    with `int8`, `latency_p95_ms` of one row, measured through `runtime` on this host with one thread. Of the run, the
    anneal included: `train_flops`, `seconds` (also `train_seconds`).
    """

    parameters: int | None = None
    flops_per_sample: int | None = None
    train_flops: float | None = None
    seconds: float | None = None
    checkpoint_bytes: int | None = None
    latency_p95_ms: float | None = None
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    flops: int | None = None
    train_seconds: float | None = None
    runtime: str = "torch"
    int8: bool = False

    def __post_init__(self) -> None:
        for name, limit in self.limits():
            if not limit > 0:
                raise ConfigError(f"budget.{name} must be above 0 (null for none), got {limit}")
        for name, same in _ALSO.items():
            if getattr(self, name) is not None and getattr(self, same) is not None:
                raise ConfigError(f"budget.{name} and budget.{same} are two names of one limit: give one of them")
        if self.int8 and self.runtime == "torch" and self.latency_p95_ms is not None:
            raise ConfigError(
                "budget.int8 with budget.latency_p95_ms needs budget.runtime=c or onnx: in torch there are no 8 bits"
            )
        if self.runtime not in RUNTIMES:
            raise ConfigError(f"budget.runtime {self.runtime!r} is unknown; {nearest(self.runtime, RUNTIMES)}")

    def limits(self) -> Iterator[tuple[str, float]]:
        """The limits that are set.

        >>> list(Budget(parameters=900, flops=2000, runtime="c").limits())
        [('parameters', 900), ('flops_per_sample', 2000)]
        """
        names = [item.name for item in fields(self) if item.name not in (*_ALSO, "runtime", "int8")]
        also = {same: name for name, same in _ALSO.items()}
        for name in names:
            limit = getattr(self, name)
            if limit is None and name in also:
                limit = getattr(self, also[name])
            if limit is not None:
                yield name, limit

    def only(self, name: str) -> Budget:
        """This budget with one of its limits alone."""
        limit: Any = dict(self.limits())[name]
        return replace(Budget(runtime=self.runtime, int8=self.int8), **{name: limit})

    @property
    def needs(self) -> frozenset[str]:
        """What must be measured for the limits that are set."""
        return frozenset(name for name, _ in self.limits()) & {"seconds", "checkpoint_bytes", *OF_DEVICE}


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
            case "flash_bytes" | "ram_bytes" | "latency_p95_ms":
                would = _on_device(name, after, options, work)
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
    """Refuse growths whose dry-run cost would break the budget; `reserve` steps are kept for the anneal.

    Where one kind of growth is refused, the guarded policy is asked again without it: a net whose inputs cannot become
    finer may still become wider.
    """

    growth: GrowthPolicy
    budget: Budget
    reserve: int = 0

    def __call__(self, history: History, options: Options) -> Decision:
        """What the guarded policy decides, unless it costs too much."""
        refused: list[str] = []
        shown = options
        while len(refused) < len(GROWTHS):
            decision = self.growth(history, shown)
            why = ""
            if isinstance(decision.action, GROWTHS):
                why = exceeded(self.budget, decision.action, history, options, reserve=self.reserve)
            if not why:
                break
            refused.append(why)
            shown = _without(decision.action, shown)
        if not refused:
            return decision
        if not isinstance(decision.action, GROWTHS) or why:
            return kept(f"because {refused[0]}")
        return Decision(decision.action, f"{decision.reason}; refused before: {'; '.join(refused)}")


def _without(action: Action, options: Options) -> Options:
    """The options without the kind of growth that an action is of."""
    match action:
        case Widen():
            return replace(options, widths={}, scores=_of(options.depths, options))
        case Deepen():
            return replace(options, depths={}, scores=_of(options.widths, options))
    return replace(options, columns=no_columns)


def _of(names: Collection[str], options: Options) -> dict[str, float]:
    return {name: score for name, score in options.scores.items() if name in names}


def _measured(name: str, options: Options) -> float:
    if name not in options.measured:
        raise ConfigError(f"budget.{name} is set, but {name!r} is not measured; {nearest(name, options.measured)}")
    return options.measured[name]


def _on_device(name: str, after: Cost, options: Options, work: float) -> float:
    """What was found of the net after the growth; of a run that measured the net as it is alone (an older record),
    that, scaled with its FLOPs.
    """
    found: float | None = getattr(after, name)
    return _measured(name, options) * work if found is None else found


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
