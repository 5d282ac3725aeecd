"""Dropout as a step that validation decides on: when it is tried, when it is kept, and what is left of it else."""

from __future__ import annotations

import itertools

import pytest
from drawn_examples import up_to
from hypothesis import given
from hypothesis import strategies as st

from autogrow.errors import ConfigError
from autogrow.policy import (
    Budget,
    BudgetStop,
    Dropout,
    EarlyRamp,
    Factor,
    Finish,
    GapCloses,
    Growth,
    LifeCycle,
    Never,
    NeverStop,
    NoFinish,
    NoRegularizer,
    Patience,
    requires,
)
from autogrow.policy.history import Anneal, Keep, Regularize, Stop
from autogrow.policy.signals import branch

STILL = Growth(Never())
ONCE = Dropout((0.1,), gap=0.3, gain=0.1, checks=3)
TWICE = Dropout((0.1, 0.2), gap=0.3, gain=0.1, checks=3)
FALLS = [1.0, 0.8, 0.6, 0.61, 0.61]  # best at 2; a patience of 2 is over at 4


def life(regularize, stop=None, growth=STILL, finish=None):
    stop = stop or Patience(2, after_growth=0)
    return LifeCycle(growth, stop, finish or NoFinish(), regularize=regularize)


def played(run, policy, scores, train=0.1):
    """Scores that are the losses of validation; those of training are a share of them, so that the gap is known."""
    return run().play(policy, scores, train_loss=[score * train for score in scores])


@pytest.mark.parametrize(
    ("rule", "scores", "expected"),
    [
        (ONCE, FALLS, [(4, "regularize")]),
        (ONCE, [1.0, 0.9, 0.8, 0.7, 0.6], []),  # still falling
        # 0.54 is 10 % below 0.6: at 0.53 it has paid, and the stop rule has the word again
        (ONCE, [*FALLS, 0.6, 0.6, 0.53, 0.52, 0.52, 0.52], [(4, "regularize"), (10, "stop")]),
        (ONCE, [*FALLS, 0.6, 0.6, 0.55], [(4, "regularize"), (7, "stop")]),  # not by its third check
        (ONCE, [*FALLS, 0.61, 0.61, 0.61], [(4, "regularize"), (7, "stop")]),  # on trial the stop rule waits
        (TWICE, [*FALLS, 0.5, 0.6, 0.6], [(4, "regularize"), (7, "regularize")]),
        (TWICE, [*FALLS, 0.5, 0.6, 0.6, 0.5, 0.5, 0.5], [(4, "regularize"), (7, "regularize"), (10, "stop")]),
    ],
)
def test_it_is_tried_and_judged_at_exactly_these_checks(run, rule, scores, expected):
    assert played(run, life(rule), scores).acted() == expected


def test_it_goes_on_from_the_best_net_with_the_next_share(run):
    rows = played(run, life(TWICE), [*FALLS, 0.5, 0.6, 0.6]).rows
    assert [row.action for row in rows if row.action != Keep()] == [Regularize(2, 0.1), Regularize(5, 0.2)]
    assert [row.check for row in branch(rows[:7])] == [0, 1, 2, 5, 6]


def test_with_a_closed_gap_the_run_is_the_one_without_and_says_so(run):
    """A gap of 0.25 is below 0.3: the same decisions, and why it was not tried."""
    plain, regular = (
        played(run, life(rule, finish=Finish()), [*FALLS, 0.62, 0.62], 0.75).rows for rule in (NoRegularizer(), ONCE)
    )
    assert [row.action for row in plain] == [row.action for row in regular]
    assert [row.reason for row in plain[:4]] == [row.reason for row in regular[:4]]
    assert isinstance(plain[4].action, Anneal)
    assert (
        regular[4].reason == f"{plain[4].reason}; no dropout, because the smoothed relative gap 0.25 is not above 0.3"
    )


def test_what_has_not_paid_is_left_behind(run):
    """The anneal starts from the best net there was, and what it knows of the past is what that net knew."""
    rows = played(run, life(ONCE, finish=Finish()), [*FALLS, 0.7, 0.7, 0.7, 0.6]).rows
    assert isinstance(rows[7].action, Anneal)
    assert rows[7].action.back_to == 2
    assert [row.check for row in branch(rows)] == [0, 1, 2, 8]


def test_an_anneal_with_dropout_is_not_broken_off(run):
    """At 2.0 the score is above 0.5 / 0.8; the anneal of a net without dropout ends there, and with it the refit."""
    finish = Finish(0.5, refit=True)
    paid = played(run, life(ONCE, finish=finish), [*FALLS, 0.5, 0.6, 0.6, 2.0, 2.0]).rows
    plain = played(run, life(NoRegularizer(), finish=finish), [*FALLS, 2.0, 2.0]).rows
    assert isinstance(paid[7].action, Anneal)
    assert [row.action for row in paid[8:]] == [Keep(), Keep()]
    assert isinstance(plain[4].action, Anneal)
    assert isinstance(plain[5].action, Stop)


@pytest.mark.parametrize("stop", [NeverStop(), BudgetStop(Budget(train_flops=3 * 10 * 352 * 5))])
def test_a_stop_that_is_not_about_overfitting_is_not_put_off(run, stop):
    scores = [*FALLS, 0.7, 0.7]
    plain, regular = (played(run, life(rule, stop), scores).acted() for rule in (NoRegularizer(), ONCE))
    assert regular == plain


def test_it_leaves_room_for_the_anneal(run):
    """Ten steps a check, eight checks in all, of which the anneal takes two: after check 5 nothing may begin."""
    scores, rule = [1.0, 0.9, 0.8, 0.6, 0.61, 0.61, 0.5, 0.5], life(ONCE, finish=Finish(0.25))
    shares = [score * 0.1 for score in scores]
    acted = [run(max_steps=n).play(rule, scores, train_loss=shares).acted()[0] for n in (80, 1000)]
    assert acted == [(5, "anneal"), (5, "regularize")]


def test_a_stage_that_is_not_the_last_never_comes_to_it_and_keeps_its_places(run):
    short = life(TWICE).shortened(patience=0.5, finish=0.5)
    assert requires(short) == requires(life(TWICE)) == {"dropout"}
    assert played(run, short, FALLS, 0.0).acted() == [(3, "stop")]


def test_a_gap_that_dropout_has_closed_lets_growth_go_on(run):
    """The guard forgets the gap of before: until then the same rule of growth is over for good."""
    grows = GapCloses(Growth(EarlyRamp(every=4, until=100), amount=Factor(1.5, multiple=1, cap=999)), 0.6, 0)
    scores = [1.0, 0.8, 0.6, 0.61, 0.61, 0.5, 0.49, 0.48, 0.47]
    gaps = [0.9] * 5 + [0.1] * 4
    shares = [s * (1 - g) for s, g in zip(scores, gaps, strict=True)]
    grown = [run().play(life(rule, growth=grows), scores, train_loss=shares).grew_at() for rule in (ONCE, TWICE)]
    never = run().play(LifeCycle(grows, Patience(99), NoFinish()), scores, train_loss=shares).grew_at()
    assert grown == [[8], [8]]
    assert never == []


@given(st.lists(st.floats(0.1, 2.0), min_size=8, max_size=30), st.floats(0.0, 0.9))
@up_to(100)
def test_no_share_is_tried_twice_and_none_without_the_one_before_it_having_paid(run, scores, train):
    rows = played(run, life(TWICE), scores, train).rows
    tried = [row for row in rows if isinstance(row.action, Regularize)]
    assert [row.action.dropout for row in tried] == [0.1, 0.2][: len(tried)]
    for one, two in itertools.pairwise(tried):
        assert rows[two.action.back_to].score < 0.9 * rows[one.action.back_to].score


def test_its_settings(run):
    assert requires(life(ONCE)) == {"dropout"}
    for wrong in (
        {"shares": ()},
        {"shares": (0.2, 0.1)},
        {"shares": (0.0,)},
        {"shares": (1.0,)},
        {"gap": 1.1},
        {"gain": 1.0},
        {"checks": 0},
    ):
        with pytest.raises(ConfigError, match=f"regularize.{next(iter(wrong))}"):
            Dropout(**wrong)
