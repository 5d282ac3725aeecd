"""Dropout as a step that validation decides on: when it is tried, when it is kept, and what is left of it else."""

from __future__ import annotations

import itertools

import pytest
from drawn_examples import up_to
from hypothesis import given
from hypothesis import strategies as st

from autogrow.errors import ConfigError
from autogrow.policy import (
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
    Patience,
    requires,
)
from autogrow.policy.history import Anneal, Keep, Regularize
from autogrow.policy.signals import branch

STILL = Growth(Never())
SHY = Dropout((0.1,), gap=0.3, after=2, after_growth=0, gain=0.1, checks=3)
TWICE = Dropout((0.1, 0.2), gap=0.3, after=2, after_growth=0, gain=0.1, checks=3)
FALLS = [1.0, 0.8, 0.6, 0.61, 0.61]  # best at 2, and two checks without a better one at 4


def life(regularize, stop=None, growth=STILL):
    return LifeCycle(growth, stop or Patience(4), NoFinish(), regularize=regularize)


def played(run, policy, scores, train=0.1):
    """Scores that are the losses of validation; those of training are a share of them, so that the gap is known."""
    return run().play(policy, scores, train_loss=[score * train for score in scores])


@pytest.mark.parametrize(
    ("rule", "scores", "expected"),
    [
        (SHY, FALLS, [(4, "regularize")]),
        (SHY, [1.0, 0.9, 0.8, 0.7, 0.6], []),  # still falling
        # 0.54 is 10 % below 0.6: it has paid at 0.53, the stop rule has the word again
        (SHY, [*FALLS, 0.6, 0.6, 0.53, 0.54, 0.54, 0.54, 0.54], [(4, "regularize"), (11, "stop")]),
        (SHY, [*FALLS, 0.6, 0.6, 0.55], [(4, "regularize"), (7, "stop")]),  # it has not paid by its third check
        (SHY, [*FALLS, 0.5, 0.6, 0.6, 0.6, 0.6], [(4, "regularize"), (9, "stop")]),  # the only share was tried
        (TWICE, [*FALLS, 0.5, 0.6, 0.6], [(4, "regularize"), (7, "regularize")]),
        (TWICE, [*FALLS, 0.5, 0.6, 0.6, 0.5, 0.5, 0.5], [(4, "regularize"), (7, "regularize"), (10, "stop")]),
    ],
)
def test_it_is_tried_and_judged_at_exactly_these_checks(run, rule, scores, expected):
    assert played(run, life(rule), scores).acted() == expected


def test_it_goes_on_from_the_best_net_with_the_next_share(run):
    rows = played(run, life(TWICE), [*FALLS, 0.5, 0.6, 0.6]).rows
    assert [row.action for row in rows if row.action != Keep()] == [Regularize(2, 0.1), Regularize(5, 0.2)]


def test_with_a_closed_gap_the_run_is_the_one_without(run):
    """0.25 of a gap is below 0.3; what is decided and why are the plain policy's own."""
    scores = [*FALLS, 0.62, 0.62, 0.62]
    plain = played(run, LifeCycle(STILL, Patience(4), Finish()), scores, 0.75)
    regular = played(run, LifeCycle(STILL, Patience(4), Finish(), regularize=SHY), scores, 0.75)
    assert [(row.action, row.reason) for row in plain.rows] == [(row.action, row.reason) for row in regular.rows]
    assert plain.acted() == [(6, "anneal")]


def test_what_has_not_paid_is_left_behind(run):
    """The anneal starts from the best net there was, and what it knew of growths and gaps is the branch's of then."""
    rows = played(run, LifeCycle(STILL, Patience(4), Finish(), regularize=SHY), [*FALLS, 0.7, 0.7, 0.7, 0.6]).rows
    assert isinstance(rows[7].action, Anneal)
    assert rows[7].action.back_to == 2
    assert [row.check for row in branch(rows)] == [0, 1, 2, 8]


def test_after_a_growth_it_waits(run):
    grows = Growth(EarlyRamp(every=3, until=3), amount=Factor(1.5, multiple=1))
    waits = Dropout((0.1,), gap=0.3, after=2, after_growth=4, gain=0.1, checks=3)
    assert played(run, life(waits, Patience(9), grows), [1.0, 0.8, 0.6, *[0.61] * 6]).acted()[:2] == [
        (3, "widen"),
        (7, "regularize"),
    ]


def test_a_gap_that_dropout_has_closed_lets_growth_go_on(run):
    """The guard forgets the gap of before: until then the same rule of growth is over for good."""
    grows = GapCloses(Growth(EarlyRamp(every=4, until=100), amount=Factor(1.5, multiple=1, cap=999)), 0.6, 0)
    scores = [1.0, 0.8, 0.6, 0.61, 0.61, 0.5, 0.49, 0.48, 0.47]
    gaps = [0.9] * 5 + [0.1] * 4
    shares = [s * (1 - g) for s, g in zip(scores, gaps, strict=True)]
    grown = [run().play(life(rule, Patience(9), grows), scores, train_loss=shares).grew_at() for rule in (SHY, TWICE)]
    never = run().play(LifeCycle(grows, Patience(9), NoFinish()), scores, train_loss=shares).grew_at()
    assert grown == [[8], [8]]
    assert never == []


def test_where_nothing_stops_a_run_dropout_does_not(run):
    assert played(run, life(SHY, NeverStop()), [*FALLS, *[0.7] * 9]).acted() == [(4, "regularize")]


@given(st.lists(st.floats(0.1, 2.0), min_size=8, max_size=30), st.floats(0.0, 0.9))
@up_to(100)
def test_no_share_is_tried_twice_and_none_without_the_one_before_it_having_paid(run, scores, train):
    rows = played(run, life(TWICE), scores, train).rows
    tried = [row for row in rows if isinstance(row.action, Regularize)]
    assert [row.action.dropout for row in tried] == [0.1, 0.2][: len(tried)]
    for one, two in itertools.pairwise(tried):
        assert rows[two.action.back_to].score < 0.9 * rows[one.action.back_to].score


def test_its_settings(run):
    assert requires(life(SHY)) == {"dropout"}
    for wrong in (
        {"shares": ()},
        {"shares": (0.2, 0.1)},
        {"shares": (0.0,)},
        {"shares": (1.0,)},
        {"gap": 1.0},
        {"after": 0},
        {"after_growth": -1},
        {"gain": 1.0},
        {"checks": 0},
    ):
        with pytest.raises(ConfigError, match=f"regularize.{next(iter(wrong))}"):
            Dropout(**wrong)
