"""Replay: what another policy would have decided on a recorded run, and the options as a row records them.

The controller shows a policy `recording(options)` and stores `options_to_plain` of it in the row: the sites, the
scores, and every cost that was asked for. `options_from_plain` is the inverse.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autogrow.errors import CheckpointError, UsageError
from autogrow.policy.history import (
    Action,
    Column,
    Cost,
    Decision,
    History,
    Keep,
    Options,
    Row,
    action_from_plain,
    action_name,
    action_to_plain,
)
from autogrow.policy.needs import requires


class NotRecordedError(UsageError):
    """A policy asked for something that the recorded run did not look at."""


@dataclass(frozen=True)
class CostRecord:
    """A `cost` that remembers what it was asked: each action is dry-run once."""

    cost: Callable[[Action], Cost]
    asked: dict[str, Cost] = field(default_factory=dict)

    def __call__(self, action: Action) -> Cost:
        """The cost of the net after `action`."""
        key = _key(action)
        if key not in self.asked:
            self.asked[key] = self.cost(action)
        return self.asked[key]


@dataclass(frozen=True)
class ColumnRecord:
    """A `columns` that remembers what it was asked: each resolution is looked at once."""

    columns: Callable[[int], dict[str, Column]]
    asked: dict[int, dict[str, Column]] = field(default_factory=dict)

    def __call__(self, knots: int) -> dict[str, Column]:
        """The columns, if each may have up to so many pieces."""
        if knots not in self.asked:
            self.asked[knots] = self.columns(knots)
        return self.asked[knots]

    def to_plain(self) -> list[dict[str, Any]]:
        """What was asked and found."""
        found = {knots: {n: dataclasses.asdict(c) for n, c in columns.items()} for knots, columns in self.asked.items()}
        return [{"knots": knots, "found": columns} for knots, columns in found.items()]


def recording(options: Options) -> Options:
    """The same options, with costs and looks at columns that are remembered for the record."""
    return dataclasses.replace(options, cost=CostRecord(options.cost), columns=ColumnRecord(options.columns))


def options_to_plain(options: Options) -> dict[str, Any]:
    """What a policy was shown, as plain values; costs are those it asked for, if the options were `recording`."""
    asked = options.cost.asked if isinstance(options.cost, CostRecord) else {}
    looks = options.columns.to_plain() if isinstance(options.columns, ColumnRecord) else []
    return {
        "widths": dict(options.widths),
        "depths": {place: list(kinds) for place, kinds in options.depths.items()},
        "scores": dict(options.scores),
        "steps_per_check": options.steps_per_check,
        "max_steps": options.max_steps,
        "measured": dict(options.measured),
        "costs": [{"action": json.loads(key), **cost.to_plain()} for key, cost in asked.items()],
        **({"columns": looks} if looks else {}),
    }


def options_from_plain(plain: Mapping[str, Any]) -> Options:
    """The inverse of `options_to_plain`; asking for a cost that was not recorded raises NotRecordedError."""
    if "widths" not in plain:
        raise CheckpointError(f"a row's options must hold 'widths', got {sorted(plain)}: the run recorded no options")
    known = {
        _key(action_from_plain(cost["action"])): Cost(**{k: v for k, v in cost.items() if k != "action"})
        for cost in plain.get("costs", ())
    }

    def cost(action: Action) -> Cost:
        if _key(action) not in known:
            raise NotRecordedError(f"the cost of {_key(action)} was not recorded ({len(known)} costs were)")
        return known[_key(action)]

    looks = {look["knots"]: {n: _column(c) for n, c in look["found"].items()} for look in plain.get("columns", ())}

    def columns(knots: int) -> dict[str, Column]:
        if knots not in looks:
            raise NotRecordedError(f"how fine the columns were, and what {knots} knots would bring, was not recorded")
        return looks[knots]

    return Options(
        widths=dict(plain["widths"]),
        depths={place: tuple(kinds) for place, kinds in plain.get("depths", {}).items()},
        cost=cost,
        scores=_numbers(plain.get("scores", {})),
        steps_per_check=plain.get("steps_per_check", 1),
        max_steps=plain.get("max_steps"),
        measured=_numbers(plain.get("measured", {})),
        columns=columns,
    )


def _column(plain: Mapping[str, Any]) -> Column:
    return Column(plain["knots"], plain["most"], math.nan if plain["score"] is None else plain["score"])


def _numbers(plain: Mapping[str, float | None]) -> dict[str, float]:
    """What was not finite is written as None."""
    return {name: math.nan if value is None else value for name, value in plain.items()}


@dataclass(frozen=True)
class Replayed:
    """One check: what was decided then, and what the other policy decides on the same rows (None:
    it cannot be known).
    """

    check: int
    recorded: Decision
    replayed: Decision | None
    note: str

    @property
    def same(self) -> bool:
        """Whether both do the same; the reasons may differ."""
        return self.replayed is not None and _key(self.replayed.action) == _key(self.recorded.action)


def replay(rows: Sequence[Row], policy: Callable[[History, Options], Decision]) -> list[Replayed]:
    """What `policy` would have decided after each row, up to and with the first decision that differs.

    From there on the record no longer applies: the net would have been another one. Raises UsageError if the policy
    needs scores and the run recorded none.
    """
    if "scores" in requires(policy) and not any(row.options.get("scores") for row in rows):
        raise UsageError(f"the policy needs 'scores', and none of the run's {len(rows)} rows recorded any")
    out: list[Replayed] = []
    for i, row in enumerate(rows):
        seen = (*rows[:i], dataclasses.replace(row, action=Keep(), reason=""))
        recorded = Decision(row.action, row.reason)
        try:
            decision = policy(seen, options_from_plain(row.options))
        except NotRecordedError as unknown:
            out.append(Replayed(row.check, recorded, None, f"differs from here on: {unknown}"))
            break
        out.append(Replayed(row.check, recorded, decision, ""))
        if not out[-1].same:
            words = f"{action_name(decision.action)} where the run decided {action_name(row.action)}"
            out[-1] = dataclasses.replace(out[-1], note=f"differs: {words}; the record no longer applies from here on")
            break
    return out


def _key(action: Action) -> str:
    return json.dumps(action_to_plain(action), sort_keys=True)
