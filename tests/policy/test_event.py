"""An event says what was done, where, by whose decision and at what cost; older ledgers, which say less, still read."""

import json
import math

import pytest

from autogrow.errors import CheckpointError
from autogrow.policy.event import Continued, Event, FullVal, Size
from autogrow.policy.history import Anneal, Deepen, ExtendInputs, ExtendOutputs, Regularize, Undo, Widen

SMALL, LARGE = Size({"h0": 8}, 100, 160), Size({"h0": 8, "h1": 8}, 172, 288)
RECEIPT = {"promise": 1e-9, "max_abs_change": 0.0}
ARRIVED = Continued("runs/a/checkpoints/best.ckpt", {"train": 90, "val": 30, "test": 30}, 60, 1, 2)

EVENTS = [
    Event(Widen({"h0": 12}), SMALL, LARGE, RECEIPT, decided_at=3, flops=640),
    Event(Deepen("act.0", "residual"), SMALL, LARGE, RECEIPT, decided_at=3, flops=640),
    Event(ExtendInputs(2), decided_at=0),
    Event(ExtendOutputs(1), decided_at=0),
    Event(Undo(4), LARGE, SMALL, decided_at=9),
    Event(Regularize(4, 0.2), LARGE, SMALL, RECEIPT, decided_at=9, flops=90),
    Event(Anneal(4, 60), LARGE, SMALL, decided_at=9, flops=90, full_val=FullVal(0.5, 0.1, 0.4)),
    Event(ARRIVED, receipt=RECEIPT, flops=20),
    Event(Continued(**{**vars(ARRIVED), "shrink": 0.5, "perturb": 0.1}), receipt=RECEIPT),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.do)
def test_an_event_survives_the_disk(event):
    plain = json.loads(json.dumps(event.to_plain()))
    assert Event.from_plain(plain) == event
    assert plain["do"] == event.do
    assert isinstance(plain.get("after", {}), dict)


def test_what_kind_of_event_it_is():
    assert [event.do for event in EVENTS if event.grew] == ["widen", "deepen", "extend_inputs", "extend_outputs"]
    assert [event.back_to for event in EVENTS if event.back_to is not None] == [4, 4, 4]


OLDER = [
    # of `autogrow fit`: where the layer went was overwritten by the sizes after, and nobody wrote who had decided
    (
        {"do": "deepen", "after": LARGE.to_plain(), "kind": "residual", "before": SMALL.to_plain(), "receipt": RECEIPT, "flops": 640},
        Event(Deepen("", "residual"), SMALL, LARGE, RECEIPT, flops=640),
    ),
    # of a guest's module
    (
        {"do": "deepen", "kind": "identity", "behind": "body.0.act", "before": SMALL.to_plain(), "after": LARGE.to_plain(),
         "receipt": RECEIPT, "decided_at": 2, "flops": 640},
        Event(Deepen("body.0.act"), SMALL, LARGE, RECEIPT, decided_at=2, flops=640),
    ),
    # an anneal's look at all of val: the score stood there only where it is not the loss
    (
        {"do": "anneal", "back_to": 4, "steps": 60, "decided_at": 9, "full_val_loss": 0.5, "full_val_error": 0.1},
        Event(Anneal(4, 60), decided_at=9, full_val=FullVal(0.5, 0.1, 0.5)),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("plain", "event"), OLDER, ids=["fit", "guest", "anneal"])
def test_older_ledgers_still_read(plain, event):
    assert Event.from_plain(plain) == event


def test_a_loss_that_was_not_finite_comes_back_as_such():
    plain = {"do": "anneal", "back_to": 4, "steps": 60, "full_val_loss": None, "full_val_error": None}
    found = Event.from_plain(plain).full_val
    assert all(map(math.isnan, (found.loss, found.error, found.score)))


@pytest.mark.parametrize(
    "plain",
    [{}, {"do": "explode"}, {"do": "widen"}, {"do": "undo", "to_check": 3, "where": 1}, {"do": "data_arrived"},
     {"do": "undo", "to_check": 3, "before": {"widths": {}}}, {"do": "undo", "to_check": 3, "after": 12}],
    ids=str,
)  # fmt: skip
def test_what_is_no_event_is_named(plain):
    with pytest.raises(CheckpointError, match=r"explode|is not an event|not one a ledger may hold"):
        Event.from_plain(plain)
