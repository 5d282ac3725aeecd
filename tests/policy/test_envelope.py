"""Growth along the envelope: played on losses L(N, D) = E + A/N^a + B/D^b whose best size for each budget is known."""

from __future__ import annotations

import math

import pytest

from autogrow.errors import ConfigError
from autogrow.policy import AllHidden, Envelope, Factor, Growth, Never
from autogrow.policy.needs import first_depth, first_width
from autogrow.policy.when_envelope import rows_seen

STEPS = 10
"""Of a played check, each of a row: `rows_seen` finds as many in its FLOPs."""


def loss(parameters, rows, *, size=1.0, data=1.0, power=0.4):
    """With equal powers the best net has as much to gain from parameters as from rows."""
    return 0.2 + size / parameters**power + data / rows**power


def played(run, checks, when, *, max_steps=None, widths=None, **world):
    """A run whose loss is that of its size and the rows that it has seen."""
    growth = Growth(when, AllHidden(), Factor(2.0, multiple=1, cap=4096))
    made = run(widths=widths or {"h0": 4, "h1": 4}, max_steps=max_steps)
    for check in range(checks):
        parameters = made.measure(1.0).parameters
        made.rows.pop()
        made.measure(loss(parameters, STEPS * (check + 1), **world))
        made.decide(growth)
    return made


def test_it_grows_where_parameters_promise_as_much_as_rows(run):
    made = played(run, 1200, Envelope(first=1.0, least=0.5), size=30.0, data=30.0)
    grown = made.grew_at()
    assert len(grown) >= 3
    for check in grown[2:]:
        row = made.rows[check]
        by_size, by_rows = (30.0 / n**0.4 for n in (row.parameters, rows_seen(made.rows[: check + 1])))
        assert 0.4 < by_size / by_rows < 2.5
        assert "an e-fold of parameters promises" in row.reason


def test_it_stays_where_size_brings_nothing(run):
    made = played(run, 700, Envelope(first=1.0, least=0.5), size=0.0, data=30.0)
    assert len(made.grew_at()) == 1
    assert (
        "promises 0 % of the score" in made.rows[-1].reason or "not more than an e-fold of rows" in made.rows[-1].reason
    )


def test_a_world_that_asks_for_larger_nets_gets_them_sooner(run):
    small, large = (played(run, 700, Envelope(first=1.0, least=0.5), size=size, data=30.0) for size in (5.0, 80.0))
    assert small.rows[-1].parameters < large.rows[-1].parameters


def test_the_first_growth_and_the_later_ones_wait_for_their_rows(run):
    made = played(run, 400, Envelope(first=3.0, least=2.0), size=300.0, data=1.0)
    first, *later = made.grew_at()
    for check, needed in [(first, 3.0), *((check, 2.0) for check in later)]:
        assert rows_seen(made.rows[: check + 1]) / made.rows[check].parameters >= needed
    assert rows_seen(made.rows[:first]) / made.rows[first].parameters < 3.0
    assert "(at least 3)" in made.rows[0].reason


def test_it_does_not_ask_for_the_budget_and_leaves_new_units_time_where_there_is_one(run):
    free = played(run, 600, Envelope(first=1.0, least=0.5), size=80.0, data=30.0)
    bound = played(run, 600, Envelope(first=1.0, least=0.5), max_steps=2000, size=80.0, data=30.0)
    late = [row for row in free.rows if row.check in free.grew_at() and row.step > 1000]
    assert late
    assert bound.grew_at() == [check for check in free.grew_at() if free.rows[check].step <= 1000]
    assert bound.rows[-1].reason == "kept, because step 6000 is behind 0.5 of the run's 2000 steps"


def test_losses_that_are_not_finite_decide_nothing(run):
    made = run()
    made.measure(math.nan)
    assert "not finite" in made.decide(Growth(Envelope(first=0.001), AllHidden(), Factor())).reason


@pytest.mark.parametrize("wrong", [{"first": 0.0}, {"least": -1.0}, {"ratio": 0.0}, {"latest": 0.0}, {"latest": 1.5}])
def test_settings_that_make_no_sense_are_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=f"growth.when.{next(iter(wrong))}"):
        Envelope(**wrong)


def test_a_run_that_chooses_its_widths_starts_narrow_and_deep():
    growth = Growth(Envelope(), AllHidden(depth=3, share=0.5), Factor(2.0))
    assert (first_width(growth, 32, 40), first_depth(growth, 1)) == (16, 3)
    assert (first_width(Growth(Never(), AllHidden(depth=3, share=0.5)), 32, 40), first_depth(Growth(), 1)) == (32, 1)


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"share": 0.0}, {"share": 1.5}])
def test_a_start_that_makes_no_sense_is_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=f"growth.where.{next(iter(wrong))}"):
        AllHidden(**wrong)
