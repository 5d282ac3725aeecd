"""What was applied to a net at a check's start: one record, made where it is applied and read by policies,
screen and page.

An action is what was decided; its event is what came of it: sizes before and after, the receipt, what it took. Pure
Python.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

from autogrow.errors import CheckpointError
from autogrow.plain import Count, Positive, fault, fault_of_fields
from autogrow.policy.actions import (
    GROWTHS,
    RETURNS,
    Action,
    Deepen,
    action_from_plain,
    action_name,
    action_to_plain,
)

CONTINUED = "data_arrived"
"""The word of a ledger for the event that a run begins with where it continues from a finished net."""


@dataclass(frozen=True)
class Size:
    """A net's size: `widths` by site from input to output, trainable parameters,
    FLOPs of one forward pass on one sample, and in how many pieces each refined column is resolved.
    """

    widths: Mapping[str, Positive]
    parameters: Count
    flops_per_sample: Count
    knots: Mapping[str, Positive] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """Plain values; knots only where there are any."""
        plain = {"widths": dict(self.widths), "parameters": self.parameters, "flops_per_sample": self.flops_per_sample}
        return plain | ({"knots": dict(self.knots)} if self.knots else {})


@dataclass(frozen=True)
class Continued:
    """The run went on from a finished net, on the data of now.

    source: its checkpoint. rows: how many there are in each split. rows_before: how many it had been trained on (0:
    nobody wrote that down). new_inputs, new_outputs: by how many columns and classes it was extended. shrink, perturb:
    what was done to its weights, None where they were kept.
    """

    source: str
    rows: Mapping[str, Count]
    rows_before: Count
    new_inputs: Count
    new_outputs: Count
    shrink: float | None = None
    perturb: float | None = None


@dataclass(frozen=True)
class FullVal:
    """Loss, error (or rmse), score and, where the run is judged by a metric of its own, the distance from that metric's
    best value, of the net that a run went back to, on all validation rows.
    """

    loss: float
    error: float
    score: float
    judged: float | None = None


@dataclass(frozen=True)
class Event:
    """Something that was applied to the net at the start of a check.

    done: the action, or that the run continues from a finished net. before, after: the net's size. receipt: a growth's
    proof, plain. decided_at: the check that decided it (None where nobody decided, and in ledgers of before this was
    written). flops: what applying it took (probes, a look at all validation rows), part of the row's `eval_flops`.
    full_val: of an anneal, what it went back to.
    """

    done: Action | Continued
    before: Size | None = None
    after: Size | None = None
    receipt: Mapping[str, Any] | None = None
    decided_at: int | None = None
    flops: int = 0
    full_val: FullVal | None = None

    @property
    def do(self) -> str:
        """The word for what was done, as in the ledger: 'widen', 'deepen', 'undo', 'anneal', …"""
        return CONTINUED if isinstance(self.done, Continued) else action_name(self.done)

    @property
    def grew(self) -> bool:
        """Whether a policy's growth was applied: the net got larger."""
        return isinstance(self.done, GROWTHS)

    @property
    def back_to(self) -> int | None:
        """The check whose net was put back; None for what is no return."""
        return self.done.back_to if isinstance(self.done, RETURNS) else None

    def to_plain(self) -> dict[str, Any]:
        """The event as a plain dict; what it has not is left out.

        >>> from autogrow.policy.history import Deepen
        >>> Event(Deepen("act.0"), decided_at=4, flops=120).to_plain()
        {'do': 'deepen', 'behind': 'act.0', 'kind': 'identity', 'decided_at': 4, 'flops': 120}
        """
        plain = _done_to_plain(self.done)
        plain |= {side: size.to_plain() for side, size in (("before", self.before), ("after", self.after)) if size}
        if self.receipt is not None:
            plain["receipt"] = dict(self.receipt)
        if self.decided_at is not None:
            plain["decided_at"] = self.decided_at
        if self.flops:
            plain["flops"] = self.flops
        if self.full_val is not None:
            found = dataclasses.asdict(self.full_val).items()
            plain |= {f"full_val_{name}": value for name, value in found if (name, value) != ("judged", None)}
        return plain

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> Event:
        """The inverse of `to_plain`, of older ledgers too. Raises CheckpointError for what is no event."""
        _check(plain, fault(plain, PlainEvent))
        return Event(
            done=_done_from_plain(plain),
            before=_size(plain.get("before")),
            after=_size(plain.get("after")),
            receipt=plain.get("receipt"),
            decided_at=plain.get("decided_at"),
            flops=plain.get("flops", 0),
            full_val=_full_val(plain),
        )


class PlainSize(TypedDict):
    """A size, plain."""

    widths: Mapping[str, Positive]
    parameters: Count
    flops_per_sample: Count
    knots: NotRequired[Mapping[str, Positive]]


class PlainReceipt(TypedDict):
    """A receipt, plain, as far as anybody reads it; what is not finite is None."""

    promise: float | None
    max_abs_change: float | None


class PlainEvent(TypedDict, total=False):
    """What every event has in a ledger, beside the fields of what was done."""

    before: PlainSize | None
    after: PlainSize | None
    receipt: PlainReceipt | None
    decided_at: Count | None
    flops: Count
    full_val_loss: float | None
    full_val_error: float | None
    full_val_score: float | None
    full_val_judged: float | None


_OF_AN_EVENT = ("before", "after", "receipt", "decided_at", "flops")


def _done_to_plain(done: Action | Continued) -> dict[str, Any]:
    if isinstance(done, Continued):
        fields = dataclasses.asdict(done)
        start = {key: fields.pop(key) for key in ("shrink", "perturb")}
        return {
            "do": CONTINUED,
            "from": fields.pop("source"),
            **fields,
            **{k: v for k, v in start.items() if v is not None},
        }
    plain = action_to_plain(done)
    if isinstance(done, Deepen):  # an event's "after" is a size
        return {"do": plain.pop("do"), "behind": plain.pop("after"), **plain}
    return plain


def _done_from_plain(plain: Mapping[str, Any]) -> Action | Continued:
    own = {k: v for k, v in plain.items() if k not in _OF_AN_EVENT and not k.startswith("full_val_")}
    if own.get("do") == CONTINUED:
        own["source"] = own.pop("from", None)
        del own["do"]
        _check(plain, fault_of_fields(own, Continued))
        return Continued(**own)
    if own.get("do") == "deepen":
        own["after"] = own.pop("behind", "")  # older ledgers lost where the layer went
    try:
        return action_from_plain(own)
    except CheckpointError as error:
        _check(plain, str(error))
        raise


def _check(plain: object, found: str) -> None:
    if found:
        raise CheckpointError(f"{plain!r:.80} is not an event of a ledger: {found}") from None


def _size(plain: Mapping[str, Any] | None) -> Size | None:
    if plain is None:
        return None
    knots = dict(plain.get("knots", {}))
    return Size(dict(plain["widths"]), plain["parameters"], plain["flops_per_sample"], knots)


def _full_val(plain: Mapping[str, Any]) -> FullVal | None:
    if "full_val_loss" not in plain:
        return None
    loss, error = (math.nan if plain.get(key) is None else plain[key] for key in ("full_val_loss", "full_val_error"))
    score = plain.get("full_val_score", loss)
    return FullVal(loss, error, math.nan if score is None else score, plain.get("full_val_judged"))
