"""What a policy says of itself, so that a run knows what to record, a rehearsal how to play it,
a stage how to shorten it.

Nothing here knows any policy by its class: a policy of a user's own says the same by the same attributes, and what it
does not say is taken for no. `needs`: names of what it must be shown (see `requires`). `by_the_clock`, `never_grows`,
`never_stops`: true or false, and `anneals` of a finish rule, `may_wait` of a stop rule (what does not say may).
`over(row, max_steps)`: of a schedule, whether growth is over. `shortened(factor)`: of a stop, finish or regularizing
rule, itself for a stage that is not the last; `refit`: of a finish rule, whether it learns from validation rows in the
end. `first_width(width, checks)`, `first_depth(depth)`: of a growth policy, the width and the number of layers that a
run starts with. `room(step)`: of its `when`, the steps that a growth must leave the larger net in a run's budget.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, TypeVar

from autogrow.policy.history import Row

Rule = TypeVar("Rule")


def parts(policy: object) -> Iterator[Any]:
    """A policy and all the values it is made of, the outermost first."""
    yield policy
    if dataclasses.is_dataclass(policy):
        for item in dataclasses.fields(policy):
            yield from parts(getattr(policy, item.name))


def guarded(policy: object) -> Iterator[Any]:
    """A growth policy, the one that it guards, …, and the `when` of the innermost."""
    while policy is not None:
        yield policy
        policy = getattr(policy, "growth", None) or getattr(policy, "when", None)


def requires(policy: object) -> frozenset[str]:
    """The names of what a policy must be shown, beyond rows and costs.

    'scores': `options.scores`. 'error': `val_error` and `train_error`. 'seconds': `row.timing`. 'undo': the net as it
    was before each growth must be kept. 'dropout': the net has places where units can be left out. All others
    ('checkpoint_bytes', 'latency_p95_ms', 'train_rows') are keys of `options.measured`.
    """
    return frozenset().union(*(getattr(part, "needs", ()) for part in parts(policy)))


def replayable(policy: object) -> bool:
    """Whether a second run with the same seed decides the same: not if a policy looks at a clock."""
    return not requires(policy) & {"seconds", "latency_p95_ms"}


def by_the_clock(growth: object) -> bool:
    """Whether a growth policy goes by nothing but the number of checks or steps, as far as it says."""
    return bool(getattr(growth, "by_the_clock", False)) and "scores" not in requires(growth)


def never_grows(policy: object) -> bool:
    """Whether the policy trains at a fixed size, as far as it says: the outermost part that says so or not."""
    said = (part.never_grows for part in guarded(policy) if hasattr(part, "never_grows"))
    return bool(next(said, False))


def never_stops(stop: object) -> bool:
    """Whether nothing but the budget ends the run, as far as the stop rule says."""
    return bool(getattr(stop, "never_stops", False))


def may_wait(stop: object) -> bool:
    """Whether what a stop rule ends may go on for a while with something that may still help, as far as it says."""
    return bool(getattr(stop, "may_wait", True))


def anneals(policy: object) -> bool:
    """Whether a policy may return to an earlier net and anneal:
    it has a finish rule that does not say it never does.
    """
    finish = getattr(policy, "finish", None)
    return finish is not None and bool(getattr(finish, "anneals", True))


def schedule_over(policy: object, row: Row, max_steps: int | None) -> bool | None:
    """Whether the schedule of a policy that has one is over after a row; None for a policy without."""
    for part in parts(policy):
        over = getattr(part, "over", None)
        if over is not None:
            return bool(over(row, max_steps))
    return None


def first_width(policy: object, width: int, checks: float) -> int:
    """The width that a run of so many checks starts with, where inputs call for `width`; a policy may say another."""
    if never_grows(policy):
        return width
    said = (part.first_width(width, checks) for part in guarded(policy) if hasattr(part, "first_width"))
    return int(next(said, width))


def first_depth(policy: object, depth: int) -> int:
    """The hidden layers that a run starts with, where nothing is said; a policy may say another number."""
    if never_grows(policy):
        return depth
    said = (part.first_depth(depth) for part in guarded(policy) if hasattr(part, "first_depth"))
    return int(next(said, depth))


def room(policy: object, step: int) -> int:
    """The steps that a growth after `step` of them must leave the larger net, as far as a growth policy says."""
    said = (part.room(step) for part in guarded(policy) if hasattr(part, "room"))
    return int(next(said, 0))


def refitted(short: Rule, whole: Rule) -> Rule:
    """A finish rule that was shortened, with the refit of the whole one; one that knows of no refit stays as it is."""
    if not all(dataclasses.is_dataclass(rule) and hasattr(rule, "refit") for rule in (short, whole)):
        return short
    out: Rule = dataclasses.replace(short, refit=whole.refit)  # type: ignore[attr-defined,type-var]
    return out


def shortened(rule: Rule, factor: float) -> Rule:
    """A stop, finish or regularizing rule for a stage that is not the last;
    one that does not say how it is shortened stays as it is.
    """
    shorten = getattr(rule, "shortened", None)
    out: Rule = rule if shorten is None else shorten(factor)
    return out
