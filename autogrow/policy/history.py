"""The record of a run: one `Row` per check, and what a policy is shown and answers with.

The row the controller writes to the ledger is the row a policy reads, the checkpoint stores and the report tabulates. A
policy is `policy(history, options) -> Decision`: a pure function of the rows so far (the last one is the check that has
just been measured; its `action` is still `Keep`) and of the options it is shown. It keeps no counters: patience and
cooldown are recomputed from the rows, so that resume, replay and "what would policy B have done on run A" come for
free.

Plain Python: nothing here or elsewhere in `policy` imports torch.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

from autogrow.errors import CheckpointError
from autogrow.plain import Amount, Count, Positive, fault_of_fields
from autogrow.policy.actions import (
    COARSE,
    GROWTHS,
    RETURNS,
    Action,
    Anneal,
    Deepen,
    ExtendInputs,
    ExtendOutputs,
    Keep,
    Refine,
    Refit,
    Regularize,
    Stop,
    Undo,
    Widen,
    action_from_plain,
    action_name,
    action_to_plain,
)
from autogrow.policy.event import Event
from autogrow.policy.newborns import Newborns, PlainNewborns


@dataclass(frozen=True)
class Decision:
    """What to do after this check, and why, in words that hold the numbers the policy saw."""

    action: Action
    reason: str


@dataclass(frozen=True)
class Cost:
    """What a net costs: trainable parameters, and FLOPs of one forward pass on one sample (2 per multiply-add).

    Where a budget asks for it, what it takes on a device: bytes of flash and RAM as a C file, and the 95th percentile
    of the milliseconds that a row takes in the budget's runtime.
    """

    parameters: int
    flops_per_sample: int
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    latency_p95_ms: float | None = None

    def to_plain(self) -> dict[str, Any]:
        """Plain values; what was not asked for is left out."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Column:
    """A column of the input: in how many pieces it is resolved now, in how many its values would let it be, and what
    that promises: signal of the new knots over noise (1: nothing).
    """

    knots: int
    most: int
    score: float


def no_columns(_knots: int) -> dict[str, Column]:
    """The columns of a net that reads none, or of a run that cannot show them."""
    return {}


@dataclass(frozen=True)
class Options:
    """What a policy is shown besides the history.

    `widths`: growable hidden widths by site name, from input to output, with their sizes now. `depths`: places where a
    layer can be inserted, from input to output, each with the kinds that are exact there. `cost(action)`: what the net
    would cost after the action (a dry run: nothing changes). `scores`: first-order gain of growing each site (a
    decrease of the loss, not yet divided by its FLOPs), where the policy asked for scores; else empty.
    `steps_per_check`: optimizer steps between two checks.  `max_steps`: the run's budget of optimizer steps, the final
    anneal included, or None. `measured`: numbers about the net as it is now that some policies ask for
    (`policy.requires` says which): 'checkpoint_bytes', 'latency_p95_ms', 'train_rows'. `columns(knots)`: the columns of
    the input that can be resolved in more pieces, by name, if each may have up to so many (a look at the training rows:
    ask when it is needed).
    """

    widths: Mapping[str, int]
    depths: Mapping[str, tuple[str, ...]]
    cost: Callable[[Action], Cost]
    scores: Mapping[str, float] = field(default_factory=dict)
    steps_per_check: int = 1
    max_steps: int | None = None
    measured: Mapping[str, float] = field(default_factory=dict)
    columns: Callable[[int], dict[str, Column]] = no_columns


@dataclass(frozen=True)
class Row:
    """One check: what was measured, what had been applied at its start, what was decided at its end.

    Losses are means per sample, by one eval-mode function on the weight average; `*_error` is the fraction of wrong
    classes, or the rmse in target units for regression. `judged`, where the run is judged by a metric of its own
    (`metric=`), is the distance from that metric's best value: less is better. `passes` counts passes over the
    training data. FLOPs are cumulated over the run. `lineage` names a state of the net in time: it changes with each
    growth and each return to an earlier net.

    `action` was decided at this check's end and is applied at the next one's start; `event` is what was applied at this
    check's start, `refused` (site → reason) what could not be and is not tried again. `knots`: in how many pieces each
    refined column is resolved. `newborns`: how the units stand beside the old ones that each growth of the net added.
    `timing['seconds']` is the wall time of the run so far.
    """

    check: Count
    step: Count
    passes: Amount
    phase: str
    lineage: Count
    train_loss: float
    val_loss: float
    train_error: float
    val_error: float
    score: float
    gap: float
    lr: float
    widths: Mapping[str, Positive]
    parameters: Count
    flops_per_sample: Count
    train_flops: Count
    eval_flops: Count
    options: Mapping[str, Any] = field(default_factory=dict)
    action: Action = field(default_factory=Keep)
    reason: str = ""
    event: Event | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    knots: Mapping[str, Positive] = field(default_factory=dict)
    timing: Mapping[str, float] = field(default_factory=dict)
    judged: float | None = None
    newborns: Sequence[Newborns] = ()

    @property
    def relative_gap(self) -> float:
        """(val loss − train loss) / val loss; 0 where the val loss is 0."""
        return self.gap / self.val_loss if self.val_loss else 0.0

    @property
    def depth(self) -> int:
        """Number of growable hidden widths."""
        return len(self.widths)

    def finite(self) -> bool:
        """Whether both losses and the score are finite: a row that is not never grows."""
        # spelled out: a policy asks this of every row after every check
        return math.isfinite(self.score) and math.isfinite(self.val_loss) and math.isfinite(self.train_loss)

    def to_plain(self) -> dict[str, Any]:
        """The row as JSON-ready values: non-finite numbers become None; `judged` only where the run is judged so."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        if self.judged is None:
            del plain["judged"]
        plain["action"] = action_to_plain(self.action)
        plain["event"] = None if self.event is None else self.event.to_plain()
        if not self.refused:  # it is rare, and records of before it was written stay what they are
            del plain["refused"]
        if self.newborns:
            plain["newborns"] = [newborns.to_plain() for newborns in self.newborns]
        else:  # of a net that has not grown there are none
            del plain["newborns"]
        if not self.knots:  # most nets read their columns as they are
            del plain["knots"]
        cleaned: dict[str, Any] = _without_nonfinite(plain)
        return cleaned

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> Row:
        """The inverse of `to_plain`; a None number comes back as NaN. Raises CheckpointError for what is no row."""
        found = fault_of_fields(plain, Row, _PLAIN)
        if found:
            raise CheckpointError(f"a row of a ledger is not as it was written: {found}")
        values = dict(plain)
        for name in _MEASURED:
            if values[name] is None:
                values[name] = math.nan
        values["action"] = action_from_plain(values.get("action") or {"do": "keep"})
        if values.get("event") is not None:
            values["event"] = Event.from_plain(values["event"])
        values["newborns"] = tuple(Newborns.from_plain(newborns) for newborns in values.get("newborns", ()))
        return Row(**values)

    def comparable(self) -> dict[str, Any]:
        """What two runs of the same seed must agree on: everything but `timing`."""
        plain = self.to_plain()
        del plain["timing"]
        return plain


class PlainCost(TypedDict):
    """What an action would have cost, plain."""

    action: Mapping[str, Any]
    parameters: Count
    flops_per_sample: Count
    flash_bytes: NotRequired[Count]
    ram_bytes: NotRequired[Count]
    latency_p95_ms: NotRequired[Amount]


class PlainColumn(TypedDict):
    """How fine a column is, plain."""

    knots: Positive
    most: Positive
    score: float | None


class PlainColumns(TypedDict):
    """How fine the columns may be, plain."""

    knots: Positive
    found: Mapping[str, PlainColumn]


class PlainOptions(TypedDict, total=False):
    """What a policy was shown, plain; what is not finite is None."""

    widths: Mapping[str, Positive]
    depths: Mapping[str, Sequence[str]]
    scores: Mapping[str, float | None]
    steps_per_check: Positive
    max_steps: Count | None
    measured: Mapping[str, float | None]
    costs: Sequence[PlainCost]
    columns: Sequence[PlainColumns]


_MEASURED = ("train_loss", "val_loss", "train_error", "val_error", "score", "gap", "lr")
"""What may have been measured and found not to be finite."""

_PLAIN = {
    **dict.fromkeys(_MEASURED, float | None),
    "options": PlainOptions,
    "action": Mapping[str, Any] | None,
    "event": Mapping[str, Any] | None,
    "newborns": Sequence[PlainNewborns],
    "timing": Mapping[str, float | None],
}

History = Sequence[Row]

# whoever writes a policy imports actions and records from here
__all__ = [
    "COARSE", "GROWTHS", "RETURNS", "Action", "Anneal", "Column", "Cost", "Decision", "Deepen", "Event", "ExtendInputs", "ExtendOutputs", "History", "Keep",
    "Newborns", "Options", "Refine", "Refit", "Regularize", "Row", "Stop", "Undo", "Widen", "action_from_plain", "action_name", "action_to_plain",
]  # fmt: skip


def _without_nonfinite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {k: _without_nonfinite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nonfinite(v) for v in value]
    return value
