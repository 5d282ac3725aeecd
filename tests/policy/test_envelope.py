"""Growth along the envelope: played on losses L(N, D) = E + A/N^a + B/D^b whose best size for each budget is known."""

from __future__ import annotations

import math

import pytest

from autogrow.errors import ConfigError
from autogrow.policy import AllHidden, Budget, Envelope, Factor, Finish, Growth, LifeCycle, Never, NeverStop
from autogrow.policy.history import Widen
from autogrow.policy.needs import first_depth, first_width

STEPS = 10
"""Of a played check, each of a row."""
FIRST = 2e5
"""FLOPs for a width of 16: a net of 4-4 spends a sixteenth of them in four checks."""


def played(run, checks, when, *, max_steps=None, widths=None, size=1.0, data=1.0, power=0.4, floor=0.2):
    """A run whose loss is floor + size/N^power + data/D^power, of the rows D that it has seen and its parameters N.

    What a growth brings comes in proportion to the share of the steps that it has had. With equal powers the best net
    has as much to gain from parameters as from rows.
    """
    growth = Growth(when, AllHidden(), Factor(2.0, multiple=1, cap=4096))
    made = run(widths=widths or {"h0": 4, "h1": 4}, max_steps=max_steps)
    parameters, grown, by_size, before = 0, 0, 0.0, 0.0
    for check in range(checks):
        step = STEPS * (check + 1)
        now = made.measure(1.0).parameters
        made.rows.pop()
        if now != parameters:
            grown, before = (step - STEPS, by_size) if parameters else (0, size / now**power)
            parameters = now
        by_size = before + (size / now**power - before) * (1 - grown / step)
        made.measure(floor + by_size + data / step**power)
        made.decide(growth)
    return made


def test_it_grows_where_parameters_promise_as_much_as_rows(run):
    made = played(run, 1200, Envelope(first=FIRST), size=30.0, data=30.0)
    grown = made.grew_at()
    assert len(grown) >= 3
    for check in grown[2:]:
        row = made.rows[check]
        by_size, by_rows = (30.0 / n**0.4 for n in (row.parameters, row.step))
        assert 0.4 < by_size / by_rows < 2.5
        assert "an e-fold of parameters promises" in row.reason


def test_it_stays_where_size_brings_nothing(run):
    made = played(run, 700, Envelope(first=FIRST), size=0.0, data=30.0)
    assert len(made.grew_at()) == 1
    assert (
        "promises 0 % of the score" in made.rows[-1].reason or "not more than an e-fold of rows" in made.rows[-1].reason
    )


def test_a_growth_that_seems_to_have_brought_nothing_is_tried_once_more_and_two_are_believed(run):
    """What rows bring halves four times on the way."""
    made = played(run, 700, Envelope(first=FIRST), size=0.0, data=30.0, power=0.8, floor=2.0)
    _, again = made.grew_at()
    assert "promises -" in made.rows[again].reason
    assert "half of what rows brought this size at first: once more" in made.rows[again].reason


def test_a_world_that_asks_for_larger_nets_gets_them_sooner(run):
    small, large = (played(run, 700, Envelope(first=FIRST), size=size, data=30.0) for size in (5.0, 80.0))
    assert small.rows[-1].parameters < large.rows[-1].parameters


def test_no_width_is_left_before_four_times_the_flops_of_half_of_it(run):
    made = played(run, 900, Envelope(first=50 * FIRST), size=300.0, data=1.0)
    grown = made.grew_at()
    assert len(grown) >= 2
    for check in grown:
        width = made.rows[check].widths["h0"]
        assert made.rows[check].train_flops >= 50 * FIRST * (width / 16) ** 2
    before = made.rows[grown[0] - 1]
    assert before.train_flops < 50 * FIRST * (4 / 16) ** 2
    assert "before 6.25e+05" in before.reason


def test_the_first_size_is_not_left_before_a_line_can_be_put_through_its_checks(run):
    made = played(run, 900, Envelope(first=1.0), size=300.0, data=1.0)
    assert made.grew_at()[0] == 7  # of steps 10 to 80, four are at least 80/1.6
    assert "3 checks of this size are too few" in made.rows[6].reason
    assert len(made.grew_at()) >= 3


def test_what_a_growth_brings_is_over_the_share_of_the_steps_that_it_has_had(run):
    """New units that come into their own in proportion to that share promise as much early as late."""

    def promised(checks):
        made = run(widths={"h0": 8, "h1": 8})
        for check in range(checks):
            step = STEPS * (check + 1)
            had = max(0.0, 1 - 200 / step)
            made.measure(step**-0.1 * (1 - 0.05) ** had)
            made.decide(Growth(Envelope(first=FIRST if check == 19 else 1e9), AllHidden(), Factor(2.0, multiple=1)))
        assert made.grew_at() == [19]
        return Envelope(first=1.0)(made.rows, made.options()).reason

    early, late = (float(promised(checks).split("promises ")[1].split(" %")[0]) for checks in (36, 60))
    assert 0.9 < early / late < 1.1


def test_it_does_not_ask_for_the_budget_and_leaves_new_units_time_where_there_is_one(run):
    free = played(run, 600, Envelope(first=FIRST), size=80.0, data=30.0)
    bound = played(run, 600, Envelope(first=FIRST), max_steps=2000, size=80.0, data=30.0)
    late = [row for row in free.rows if row.check in free.grew_at() and row.step > 1000]
    assert late, free.grew_at()
    assert bound.grew_at() == [check for check in free.grew_at() if free.rows[check].step <= 1000]
    assert bound.rows[-1].reason == "kept, because step 6000 is behind 0.5 of the run's 2000 steps"


@pytest.mark.parametrize(("limit", "grows"), [(2.5e5, True), (1.5e5, False)])
def test_a_budget_of_flops_leaves_the_larger_net_as_many_steps_as_the_run_has_had(run, limit, grows):
    """14 checks of 4-4 take 50,400 FLOPs; as many steps of 8-8 take 128,000: the anneal alone would fit in both."""
    growth = Growth(Envelope(first=8e5), AllHidden(), Factor(2.0, multiple=1))
    life = LifeCycle(growth, NeverStop(), Finish(0.05, least_checks=1), Budget(train_flops=limit))
    made = run(widths={"h0": 4, "h1": 4})
    for check in range(14):
        made.measure(1.0 - 0.01 * check)
        decision = made.decide(life)
    assert made.rows[-1].train_flops == 14 * 3600
    assert isinstance(decision.action, Widen) is grows
    assert grows or "train_flops would be" in decision.reason


def test_losses_that_are_not_finite_decide_nothing(run):
    made = run()
    made.measure(math.nan)
    assert "not finite" in made.decide(Growth(Envelope(first=0.001), AllHidden(), Factor())).reason


@pytest.mark.parametrize("wrong", [{"first": 0.0}, {"ratio": 0.0}, {"latest": 0.0}, {"latest": 1.5}])
def test_settings_that_make_no_sense_are_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=f"growth.when.{next(iter(wrong))}"):
        Envelope(**wrong)


def test_a_run_that_chooses_its_widths_starts_narrow_and_deep():
    growth = Growth(Envelope(), AllHidden(depth=3, width=16), Factor(2.0))
    assert (first_width(growth, 128, 40), first_depth(growth, 1)) == (16, 3)
    assert (first_width(Growth(Never(), AllHidden(depth=3, width=16)), 32, 40), first_depth(Growth(), 1)) == (32, 1)
    assert first_width(Growth(Envelope(), AllHidden()), 128, 40) == 128


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"width": 0}])
def test_a_start_that_makes_no_sense_is_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=f"growth.where.{next(iter(wrong))}"):
        AllHidden(**wrong)
