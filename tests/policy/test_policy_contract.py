"""What every policy keeps: pure, frozen, plain, with a reason that holds numbers,
and deaf to losses that are not finite.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from dataclasses import replace

import pytest

from autogrow import policy
from autogrow.policy import (
    AllHidden,
    Budget,
    BudgetStop,
    Cooldown,
    Cycle,
    DataArrival,
    Dropout,
    EarlyRamp,
    Envelope,
    Factor,
    Finer,
    Finish,
    FittingRisk,
    Fixed,
    FixedSchedule,
    GapCloses,
    GapPaced,
    GapStop,
    Growth,
    Hysteresis,
    LifeCycle,
    LossPaced,
    Never,
    NeverStop,
    NoFinish,
    Patience,
    Plateau,
    ProportionalToGain,
    RandomSite,
    RoundRobin,
    Score,
    Trial,
    WarmUp,
    WidestGain,
    WithinBudget,
    options_from_plain,
    options_to_plain,
    recording,
    replayable,
    requires,
)
from autogrow.policy.history import GROWTHS, Decision, Keep, Row, Stop, Widen
from autogrow.policy.needs import parts

WHENS = [
    Never(),
    FixedSchedule((2, 5)),
    FixedSchedule((25, 60), "steps"),
    FixedSchedule((0.1, 0.4), "fraction"),
    EarlyRamp(),
    LossPaced(),
    Plateau(patience=2),
    GapPaced(),
    FittingRisk(),
    FittingRisk(risk="loss"),
    Score(),
    DataArrival(),
    Envelope(first=1.0),
]
WHERES = [AllHidden(), AllHidden(depth=2, width=8), RoundRobin(), Cycle(), WidestGain(), RandomSite()]
AMOUNTS = [Factor(), Fixed(), ProportionalToGain()]
DEFAULT = Growth(LossPaced(cooldown=1))
GUARDED = [
    Finer(DEFAULT),
    GapCloses(DEFAULT),
    Cooldown(DEFAULT, 4),
    WarmUp(DEFAULT, 4),
    Hysteresis(DEFAULT),
    Trial(DEFAULT, checks=2, gain=0.5),
    WithinBudget(DEFAULT, Budget(parameters=400, latency_p95_ms=1.0, checkpoint_bytes=10**5, seconds=1e3)),
]
GROWTHS_UNDER_TEST = [
    *(Growth(when) for when in WHENS),
    *(Growth(LossPaced(), where) for where in WHERES),
    *(Growth(LossPaced(), AllHidden(), amount) for amount in AMOUNTS),
    *GUARDED,
]
STOPS = [NeverStop(), Patience(3, after_growth=0), GapStop(from_check=1), BudgetStop(Budget(train_flops=10**5))]
LIVES = [
    *(LifeCycle(growth, NeverStop()) for growth in GROWTHS_UNDER_TEST),
    *(LifeCycle(stop=stop) for stop in STOPS),
    LifeCycle(finish=NoFinish()),
    LifeCycle(stop=Patience(2, after_growth=0), regularize=Dropout((0.1, 0.3), gap=0.01, checks=2)),
    LifeCycle(finish=Finish(share=0.1, least_checks=1)),
    LifeCycle(budget=Budget(train_flops=3 * 10**5)),
]
POLICIES = GROWTHS_UNDER_TEST + LIVES
# falls, rests, falls again, rises; the gap opens; the error is a step function
SCORES = [1.6, 1.1, 0.8, 0.6, 0.55, 0.548, 0.547, 0.547, 0.547, 0.4, 0.3, 0.25, 0.24, 0.26, 0.27, 0.28, 0.29, 0.3]


def named(value: object) -> str:
    return repr(value)[:90]


def arm(run, **values):
    """A run that records everything any policy may ask for."""
    measured = {"train_rows": 1000, "latency_p95_ms": 0.1, "checkpoint_bytes": 4000}
    return run(max_steps=400, scores={"h0": 1.0, "h1": 2.0}, measured=measured, **values)


def play(run, growth, scores=SCORES):
    played = arm(run)
    for i, score in enumerate(scores):
        played.measured = {**played.measured, "train_rows": 1000 * (1 + i // 4)}
        errors = {"train_error": 0.1, "val_error": round(score, 1) / 2}
        played.measure(score, train_loss=score - 0.004 * i, timing={"seconds": float(i)}, **errors)
        options = recording(played.options())
        decision = growth(tuple(played.rows), options)
        recorded = {"action": decision.action, "reason": decision.reason, "options": options_to_plain(options)}
        played.rows[-1] = replace(played.rows[-1], **recorded)
        if decision.action == Stop():
            break
    return played


def test_every_policy_that_is_public_is_under_test():
    policies = {value for name in policy.__all__ if isinstance(value := getattr(policy, name), type)}
    under_test = {type(part) for one in POLICIES for part in parts(one)}
    assert policies - under_test == set()


@pytest.mark.parametrize("growth", POLICIES, ids=named)
def test_frozen_hashable_and_plain(growth):
    assert hash(growth) == hash(copy.deepcopy(growth))
    assert pickle.loads(pickle.dumps(growth)) == growth
    for part in parts(growth):
        if dataclasses.is_dataclass(part):
            with pytest.raises(dataclasses.FrozenInstanceError):
                part.anything = 1


@pytest.mark.parametrize("growth", POLICIES, ids=named)
def test_the_same_history_gives_the_same_decision(run, growth):
    """Asked again in any order, by a copy, over rows and options that went through the ledger: the same."""
    played = play(run, growth)
    again = copy.deepcopy(growth)
    rows = [Row.from_plain(row.to_plain()) for row in played.rows]
    for i in reversed(range(len(rows))):
        seen = (*rows[:i], replace(rows[i], action=Keep(), reason=""))
        assert again(seen, options_from_plain(rows[i].options)) == Decision(rows[i].action, rows[i].reason)


@pytest.mark.parametrize("growth", POLICIES, ids=named)
def test_every_reason_holds_a_number(run, growth):
    for row in play(run, growth).rows:
        assert any(c.isdigit() for c in row.reason), row.reason
        assert row.reason.split()[0].strip(",:") in (
            "kept",
            "widened",
            "deepened",
            "undone",
            "regularized",
            "annealing",
            "stopped",
        ), row.reason


@pytest.mark.parametrize("growth", POLICIES, ids=named)
def test_losses_that_are_not_finite_never_grow(run, growth):
    played = play(run, growth)
    for i, row in enumerate(played.rows):
        bad, field = (math.nan, math.inf, -math.inf)[i % 3], ("score", "val_loss", "train_loss")[i // 3 % 3]
        seen = (*played.rows[:i], replace(row, action=Keep(), reason="", **{field: bad}))
        decision = growth(seen, options_from_plain(row.options))
        assert not isinstance(decision.action, GROWTHS)
        assert any(c.isdigit() for c in decision.reason)


@pytest.mark.parametrize("growth", POLICIES, ids=named)
def test_a_history_of_one_row_is_enough(run, growth):
    for score in (1.0, 0.0, -1.0, math.nan):
        played = arm(run)
        played.measure(score, timing={"seconds": 1.0})
        assert isinstance(growth(tuple(played.rows), played.options()), Decision)


@pytest.mark.parametrize("growth", POLICIES, ids=named)
def test_growths_grow(run, growth):
    """No size at or below the one there is, no unknown site, nothing beyond the cap."""
    for row in play(run, growth).rows:
        if isinstance(row.action, Widen):
            assert row.action.widths
            for site, size in row.action.widths.items():
                assert row.widths[site] < size <= 256


def test_the_default_is_the_recipe():
    assert LifeCycle() == LifeCycle(
        growth=GapCloses(
            Finer(
                Growth(
                    LossPaced(cooldown=3, fall=0.08, margin=0.01, fresh=1, improvement=0.002),
                    Cycle("WDWW", max_depth=2, worth=0.05),
                    Factor(1.5, multiple=8, cap=168),
                ),
                knots=32,
                share=0.25,
                above=3.0,
                every=3,
                turn=True,
            ),
            max_gap=0.60,
            from_check=5,
        ),
        stop=Patience(8, after_growth=11, improvement=0.002, passes=2.0),
        finish=Finish(0.3, least_checks=2, tolerance=0.8),
        budget=Budget(),
    )


@pytest.mark.parametrize(
    ("growth", "needs", "again"),
    [
        (LifeCycle(), set(), True),
        (LifeCycle(Growth(Score(), WidestGain())), {"scores"}, True),
        (LifeCycle(Growth(LossPaced(), AllHidden(), ProportionalToGain())), {"scores"}, True),
        (LifeCycle(Trial(Growth(Plateau()))), {"undo", "error"}, True),
        (LifeCycle(Growth(Plateau(watch="loss"))), set(), True),
        (LifeCycle(Growth(FittingRisk())), {"error"}, True),
        (LifeCycle(Growth(DataArrival())), {"train_rows"}, True),
        (LifeCycle(budget=Budget(parameters=9, checkpoint_bytes=9)), {"checkpoint_bytes"}, True),
        (LifeCycle(budget=Budget(seconds=9)), {"seconds"}, False),
        (WithinBudget(DEFAULT, Budget(latency_p95_ms=9)), {"latency_p95_ms"}, False),
        (LifeCycle(stop=BudgetStop(Budget(seconds=9))), {"seconds"}, False),
    ],
    ids=lambda value: "+".join(sorted(value)) or "nothing" if isinstance(value, set) else named(value),
)
def test_policies_say_what_they_need(growth, needs, again):
    assert requires(growth) == needs
    assert replayable(growth) is again
