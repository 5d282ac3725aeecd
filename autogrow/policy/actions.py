"""What a policy may decide: the actions, and their plain form in ledgers and checkpoints. Pure Python."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autogrow.errors import CheckpointError, nearest
from autogrow.plain import Amount, Count, Positive, fault_of_fields


@dataclass(frozen=True)
class Keep:
    """Train on with the net as it is."""


@dataclass(frozen=True)
class Widen:
    """Grow the named hidden widths to the given sizes (new totals, not increments), all in one event."""

    widths: Mapping[str, Positive]


@dataclass(frozen=True)
class Deepen:
    """Insert a layer behind `after` (`kind` is 'identity' or 'residual') or a whole block ('block', 'copy'), or repeat
    all blocks of the list `after` ('stack').
    """

    after: str
    kind: str = "identity"


@dataclass(frozen=True)
class Refine:
    """Resolve columns of the input more finely, all in one event: each to so many pieces, by knots at quantiles of the
    training rows, or with its knots at the given positions.
    """

    knots: Mapping[str, Positive | Sequence[float]]


@dataclass(frozen=True)
class ExtendInputs:
    """Accept `count` more input columns."""

    count: Positive


@dataclass(frozen=True)
class ExtendOutputs:
    """Answer with `count` more outputs (classes, targets)."""

    count: Positive


@dataclass(frozen=True)
class Undo:
    """Go back to the net as it was measured at the end of check `to_check`, and train on from there."""

    to_check: Count

    @property
    def back_to(self) -> int:
        """The check whose net is put back, as of every action that returns."""
        return self.to_check


@dataclass(frozen=True)
class Regularize:
    """Go back to the net of check `back_to` and train on from there with dropout: of each hidden width the share
    `dropout` is left out at a step.
    """

    back_to: Count
    dropout: Amount


@dataclass(frozen=True)
class Anneal:
    """Go back to the net of check `back_to` and decay the learning rate to zero over `steps` optimizer steps."""

    back_to: Count
    steps: Count


@dataclass(frozen=True)
class Refit:
    """Repeat the anneal from the net of check `back_to` over `steps` steps, on training and validation rows."""

    back_to: Count
    steps: Count


@dataclass(frozen=True)
class Stop:
    """End training; the deliverable is chosen from the history."""


Action = Keep | Widen | Deepen | Refine | ExtendInputs | ExtendOutputs | Undo | Regularize | Anneal | Refit | Stop
GROWTHS = (Widen, Deepen, Refine, ExtendInputs, ExtendOutputs)
COARSE = (Widen, Deepen, ExtendInputs, ExtendOutputs)
"""Growths that change how the net is built, not how finely it reads."""
RETURNS = (Undo, Regularize, Anneal, Refit)
"""Actions that put the net of an earlier check back, `back_to`."""
_KINDS: dict[str, type[Any]] = {
    "keep": Keep,
    "widen": Widen,
    "deepen": Deepen,
    "refine": Refine,
    "extend_inputs": ExtendInputs,
    "extend_outputs": ExtendOutputs,
    "undo": Undo,
    "regularize": Regularize,
    "anneal": Anneal,
    "refit": Refit,
    "stop": Stop,
}
_NAMES = {cls: name for name, cls in _KINDS.items()}


def action_name(action: Action) -> str:
    """The word for an action in ledgers and reports: 'keep', 'widen', 'deepen', …"""
    return _NAMES[type(action)]


def action_to_plain(action: Action) -> dict[str, Any]:
    """An action as a plain dict.

    >>> action_to_plain(Widen({"hidden.0": 24}))
    {'do': 'widen', 'widths': {'hidden.0': 24}}
    """
    fields = {f.name: getattr(action, f.name) for f in dataclasses.fields(action)}
    return {"do": action_name(action)} | {k: dict(v) if isinstance(v, Mapping) else v for k, v in fields.items()}


def action_from_plain(plain: Mapping[str, Any]) -> Action:
    """The inverse of `action_to_plain`."""
    fields = dict(plain) if isinstance(plain, Mapping) else {}
    name = fields.pop("do", None)
    if not isinstance(name, str) or name not in _KINDS:
        raise CheckpointError(f"action {name!r} is not one a ledger may hold; {nearest(str(name), _KINDS)}")
    found = fault_of_fields(fields, _KINDS[name])
    if found:
        raise CheckpointError(f"action {name!r} is not as it was written: {found}")
    action: Action = _KINDS[name](**fields)
    return action
