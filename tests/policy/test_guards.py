"""Guards: what they hold back, at exactly which checks; and budgets, on the dry-run cost of the candidate."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from autogrow.errors import ConfigError
from autogrow.policy import (
    AllHidden,
    Budget,
    Cooldown,
    Cycle,
    EarlyRamp,
    Factor,
    GapCloses,
    Growth,
    Hysteresis,
    LossPaced,
    Never,
    Trial,
    WarmUp,
    WithinBudget,
    build_growth,
)
from autogrow.policy.guards import growth_ended
from autogrow.policy.history import Deepen, Undo, Widen

ALWAYS = Growth(EarlyRamp(every=1, until=1000), AllHidden(), Factor(1.5, multiple=1, cap=10**9))


def trains(gaps):
    """Train losses that make these relative gaps at a val loss of 1."""
    return [1.0 - gap for gap in gaps]


@pytest.mark.parametrize(
    ("guard", "gaps", "expected"),
    [
        (lambda growth: growth, [0] * 6, [1, 2, 3, 4, 5]),
        (lambda growth: Cooldown(growth, 3), [0] * 9, [1, 4, 7]),
        (lambda growth: WarmUp(growth, 4), [0] * 6, [3, 4, 5]),
        # smoothed: 0 at first, then .11, … above .10 only at check 4; before check 3 it does not count
        (lambda growth: GapCloses(growth, 0.10, from_check=3), [0, 0, 0.22, 0.05, 0.2, 0, 0, 0], [1, 2, 3]),
        (lambda growth: GapCloses(growth, 0.10, from_check=0), [0, 0, 0.22, 0, 0, 0], [1]),  # for good
        (lambda growth: GapCloses(growth, 0.10, from_check=5), [0.5] * 5 + [-9] * 3, [1, 2, 3, 4, 5, 6, 7]),
        # held from above .10 until below .05: smoothed .11, .0775, .06, .03
        (lambda growth: Hysteresis(growth, 0.10, 0.05), [0, 0, 0.22, 0.045, 0.0425, 0.0, 0.0], [1, 5, 6]),
        (lambda growth: Hysteresis(Cooldown(growth, 3), 0.10, 0.05), [0, 0, 0.3, 0, 0.05, 0, 0], [1, 5]),
    ],
)
def test_guards_hold_growth_back(run, guard, gaps, expected):
    assert run().play(guard(ALWAYS), [1.0] * len(gaps), train_loss=trains(gaps)).grew_at() == expected


def test_a_gap_that_was_undone_with_its_growth_does_not_end_growth(run):
    played = run()
    guard = GapCloses(Trial(ALWAYS, checks=2, rest=0), 0.10, from_check=0)
    played.play(guard, [1.0] * 6, train_loss=trains([0, 0, 0.5, 0.5, 0, 0]))
    assert played.acted()[:3] == [(1, "widen"), (3, "undo"), (4, "widen")]


def test_a_growth_that_did_not_pay_is_undone(run):
    """Grown at 1, nothing gained by 3: undone, two checks of rest; grown at 6, paid at 7 and so on."""
    growth = Trial(ALWAYS, checks=2, gain=0.01, rest=2, give_up=2)
    played = run().play(growth, [1.0, 1.0, 1.1, 0.995, 1.0, 1.0, 1.0, 0.98, 0.975, 0.975, 0.975, 0.975, 0.975])
    assert played.acted() == [(1, "widen"), (3, "undo"), (6, "widen"), (7, "widen"), (9, "undo")]
    assert played.rows[3].action == Undo(1)
    assert list(played.rows[3].widths.values()) == [24]
    assert list(played.rows[4].widths.values()) == [16]
    assert "not below 0.99" in played.rows[3].reason
    assert "on trial, 1 of 2 checks" in played.rows[2].reason
    assert "since a growth was undone (rest 2)" in played.rows[5].reason
    assert "2 growths have been undone (at most 2)" in played.rows[12].reason
    assert growth_ended(growth, played.rows).fires


def test_a_growth_that_was_not_on_trial_is_not_judged_late(run):
    """Rows recorded under another policy: the growth at check 1 never paid, but its trial is long over."""
    played = run().play(Growth(EarlyRamp(every=1, until=1), AllHidden()), [1.0] * 6)
    decision = Trial(Growth(Never()), checks=2)(played.rows, played.options())
    assert decision.reason.startswith("kept, because the policy never grows")


def test_an_undone_growth_moves_the_cycle_on(run):
    """D was undone, so the next growth is a W, not the same D again."""
    growth = Trial(Growth(EarlyRamp(every=1, until=1000), Cycle("DW"), Factor()), checks=2, rest=0, give_up=9)
    played = run().play(growth, [1.0] * 6)
    assert [row.action for row in played.rows if not played.rows[row.check].reason.startswith("kept")] == [
        Deepen("h0", "identity"),
        Undo(1),
        Widen({"h0": 24}),
    ]


def test_guards_are_built_in_their_order(run):
    built = build_growth(
        Never(), AllHidden(), Factor(), {"a": partial(Cooldown, checks=2), "b": partial(GapCloses, max_gap=0.2)}
    )
    assert built == GapCloses(Cooldown(Growth(Never(), AllHidden(), Factor()), checks=2), max_gap=0.2)
    played = run().play(built, [1.0])
    assert growth_ended(built, played.rows).reason == "the policy never grows"


@pytest.mark.parametrize(
    ("widths", "where", "fires"),
    [
        ({"h0": 256}, AllHidden(), True),
        ({"h0": 248}, AllHidden(), False),
        ({"h0": 256, "h1": 300}, Cycle("W"), True),
        ({"h0": 256, "h1": 256}, Cycle("WD", max_depth=3), False),
        ({"h0": 256, "h1": 256}, Cycle("WD", max_depth=2), True),
    ],
)
def test_growth_is_over_at_the_cap(run, widths, where, fires):
    played = run(widths=widths)
    played.measure(1.0)
    assert growth_ended(GapCloses(Growth(LossPaced(), where, Factor(cap=256))), played.rows).fires is fires


# the first growth widens h0 from 16 to 24: parameters 195 to 291, FLOPs 352 to 528, training FLOPs so far 2 × 10,560
@pytest.mark.parametrize(
    ("limits", "grows", "says"),
    [
        ({}, True, ""),
        ({"parameters": 291}, True, ""),
        ({"parameters": 290}, False, "parameters would be 291, over the budget of 290"),
        ({"flops_per_sample": 528}, True, ""),
        ({"flops_per_sample": 527}, False, "flops_per_sample would be 528, over the budget of 527"),
        # one more check at the new cost: 21,120 + 10,560 × 528 / 352
        ({"train_flops": 36960}, True, ""),
        ({"train_flops": 36959}, False, "train_flops would be 36960, over the budget of 36959"),
        ({"seconds": 9.5}, True, ""),
        ({"seconds": 9.4}, False, "seconds would be 9.5, over the budget of 9.4"),
        ({"checkpoint_bytes": 2984}, False, "checkpoint_bytes would be 2984.62, over the budget of 2984"),
        ({"checkpoint_bytes": 2985}, True, ""),
        ({"latency_p95_ms": 0.31}, True, ""),
        ({"latency_p95_ms": 0.29}, False, "latency_p95_ms would be 0.3, over the budget of 0.29"),
        ({"flops": 527}, False, "flops_per_sample would be 528, over the budget of 527"),
        ({"train_seconds": 9.4}, False, "seconds would be 9.5, over the budget of 9.4"),
    ],
)
def test_budgets_are_checked_on_the_candidate(run, limits, grows, says):
    played = run(measured={"checkpoint_bytes": 2000.0, "latency_p95_ms": 0.2})
    for seconds in (5.0, 6.8):
        played.measure(1.0, timing={"seconds": seconds})
        decision = played.decide(WithinBudget(ALWAYS, Budget(**limits)))
    assert isinstance(decision.action, Widen) is grows
    assert says in decision.reason


def test_on_a_device_the_candidate_itself_is_measured(run):
    """Not the net as it is, scaled: flash, RAM and latency of the net after the growth."""
    found = {"flash_bytes": 5000, "ram_bytes": 300, "latency_p95_ms": 0.25}
    for name, would in found.items():
        for limit, grows in ((would, True), (would * 0.99, False)):
            played = run(measured={"latency_p95_ms": 0.2})
            played.play(ALWAYS, [1.0]).measure(1.0)
            shown = played.options()
            options = replace(shown, cost=lambda action, cost=shown.cost: replace(cost(action), **found))
            decision = WithinBudget(ALWAYS, Budget(**{name: limit}))(tuple(played.rows), options)
            assert isinstance(decision.action, Widen) is grows
            assert grows or f"{name} would be {would:g}, over the budget of {limit:g}" in decision.reason


def test_what_does_not_fit_gives_way_to_what_does(run):
    """Where a second layer is too much, the first may still become wider; the refusal is in the reason."""
    growth = Growth(EarlyRamp(every=1, until=9), Cycle(pattern="DW"))
    played = run().play(growth, [1.0])
    played.measure(1.0)
    free = played.decide(growth)
    assert isinstance(free.action, Deepen)
    limit = played.options().cost(free.action).parameters - 1
    decision = played.decide(WithinBudget(growth, Budget(parameters=limit)))
    assert isinstance(decision.action, Widen)
    assert f"refused before: parameters would be {limit + 1}, over the budget of {limit}" in decision.reason


def test_what_the_anneal_will_take_is_kept_back(run):
    played = run()
    for _ in range(2):
        played.measure(1.0)
        budget = Budget(train_flops=36960)
        assert played.decide(WithinBudget(ALWAYS, budget, reserve=1)).reason.startswith("kept")


@pytest.mark.parametrize("name", ["checkpoint_bytes", "latency_p95_ms", "seconds"])
def test_a_budget_on_what_nobody_measures_is_refused(run, name):
    with pytest.raises(ConfigError, match=name):
        run().play(WithinBudget(ALWAYS, Budget(**{name: 1})), [1.0, 1.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GapCloses(ALWAYS, 1.5), r"max_gap.*1\.5"),
        (lambda: GapCloses(ALWAYS, 0.1, -1), r"from_check.*-1"),
        (lambda: Cooldown(ALWAYS, 0), r"cooldown.*0"),
        (lambda: WarmUp(ALWAYS, 0), r"warm_up.*0"),
        (lambda: Hysteresis(ALWAYS, 0.1, 0.1), r"reopen=0\.1, close=0\.1"),
        (lambda: Trial(ALWAYS, checks=0), r"trial\.checks.*0"),
        (lambda: Trial(ALWAYS, rest=-1), r"trial\.rest.*-1"),
        (lambda: Trial(ALWAYS, gain=1.0), r"trial\.gain.*1\.0"),
        (lambda: Budget(parameters=0), r"budget\.parameters.*0"),
        (lambda: Budget(seconds=float("nan")), r"budget\.seconds.*nan"),
        (lambda: Budget(flash_bytes=-5), r"budget\.flash_bytes.*-5"),
        (lambda: Budget(runtime="cc"), r"budget\.runtime 'cc'.*'c'"),
        (lambda: Budget(flops=5, flops_per_sample=5), r"budget\.flops and budget\.flops_per_sample"),
        (lambda: Budget(latency_p95_ms=1, int8=True), r"budget\.int8.*runtime"),
    ],
)
def test_nonsense_is_refused_with_its_name_and_value(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
