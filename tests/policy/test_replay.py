"""Replay: another policy on a recorded run, up to the first decision that differs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from autogrow.errors import CheckpointError, UsageError
from autogrow.policy import (
    AllHidden,
    Budget,
    Cycle,
    EarlyRamp,
    Factor,
    GapCloses,
    Growth,
    LifeCycle,
    LossPaced,
    Never,
    Patience,
    Plateau,
    WidestGain,
    options_from_plain,
    options_to_plain,
    recording,
)
from autogrow.policy.history import Cost, Deepen, Keep, Row, Widen
from autogrow.policy.replay import NotRecordedError, replay

SCORES = [1.0, 0.8, 0.6, 0.5, 0.45, 0.4, 0.38, 0.37, 0.37, 0.37]


def recorded(run, policy, **values):
    """A run as its ledger holds it, read back."""
    played = run(**values)
    for score in SCORES:
        played.measure(score)
        options = recording(played.options())
        decision = policy(tuple(played.rows), options)
        seen = {"action": decision.action, "reason": decision.reason, "options": options_to_plain(options)}
        played.rows[-1] = replace(played.rows[-1], **seen)
    return [Row.from_plain(json.loads(json.dumps(row.to_plain()))) for row in played.rows]


def test_a_run_replayed_by_its_own_policy_is_the_same_to_the_end(run):
    policy = LifeCycle(budget=Budget(parameters=10**5))
    out = replay(recorded(run, policy), policy)
    assert len(out) == len(SCORES)
    assert all(one.same and one.replayed == one.recorded and not one.note for one in out)


DEEPENS = LifeCycle(GapCloses(Growth(where=Cycle("DWWWDWWW", max_depth=3))))


@pytest.mark.parametrize(
    ("other", "length", "note"),
    [
        (LifeCycle(Growth(Never())), 3, "keep where the run decided deepen"),
        (LifeCycle(Growth(LossPaced(cooldown=2), Cycle("DW"))), 2, "deepen where the run decided keep"),
        (LifeCycle(Growth(LossPaced(), AllHidden())), 3, "widen where the run decided deepen"),
        (replace(DEEPENS, stop=Patience(1, after_growth=0)), 9, "anneal where the run decided keep"),
        # the guard stays closed, as the default's did: nothing differs
        (LifeCycle(GapCloses(DEEPENS.growth.growth, max_gap=0.5)), 10, ""),
    ],
)
def test_another_policy_is_followed_up_to_the_first_difference(run, other, length, note):
    out = replay(recorded(run, DEEPENS), other)
    assert len(out) == length
    assert all(one.same for one in out[:-1])
    assert out[-1].same is not bool(note)
    assert note in out[-1].note


def test_a_replayed_policy_does_not_see_what_was_decided(run):
    rows = recorded(run, LifeCycle(Growth(Never()), Patience(2)))
    seen = []
    replay(
        rows,
        lambda history, options: seen.append(history[-1]) or LifeCycle(Growth(Never()), Patience(2))(history, options),
    )
    assert [(row.check, row.action, row.reason) for row in seen] == [(row.check, Keep(), "") for row in rows]


def test_a_cost_that_was_not_looked_at_ends_the_replay(run):
    other = LifeCycle(Growth(EarlyRamp(every=1, until=9), AllHidden()), budget=Budget(parameters=10**5))
    out = replay(recorded(run, LifeCycle()), other)
    assert [one.same for one in out] == [True, False]
    assert out[-1].replayed is None
    assert '"h0": 24' in out[-1].note
    assert "was not recorded (0 costs were)" in out[-1].note


def test_scores_that_were_not_recorded_are_missed_at_once(run):
    with pytest.raises(UsageError, match=r"'scores'.*10 rows"):
        replay(recorded(run, LifeCycle()), LifeCycle(Growth(LossPaced(), WidestGain())))


def test_a_run_without_options_cannot_be_replayed(run):
    rows = [replace(row, options={}) for row in recorded(run, LifeCycle())]
    with pytest.raises(CheckpointError, match="recorded no options"):
        replay(rows, LifeCycle(Growth(Plateau())))


def test_options_survive_the_ledger(run):
    original = recording(
        run(widths={"h0": 16, "h1": 24}, max_steps=90, scores={"h0": 0.5}, measured={"x": 1.0}).options()
    )
    asked = [Widen({"h0": 24}), Deepen("h1", "residual"), Keep()]
    costs = [original.cost(action) for action in asked]
    back = options_from_plain(json.loads(json.dumps(options_to_plain(original))))
    for name in ("widths", "depths", "scores", "steps_per_check", "max_steps", "measured"):
        assert getattr(back, name) == getattr(original, name), name
    assert [back.cost(action) for action in asked] == costs
    with pytest.raises(NotRecordedError, match=r"h1.*3 costs were"):
        back.cost(Widen({"h1": 40}))


def test_each_candidate_is_dry_run_once(run):
    calls = []
    options = recording(replace(run().options(), cost=lambda action: calls.append(action) or Cost(1, 1)))
    for _ in range(3):
        options.cost(Widen({"h0": 24}))
    assert len(calls) == 1
    assert options_to_plain(run().options())["costs"] == []
    assert Factor()("h0", options) == 24
