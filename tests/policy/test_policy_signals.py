"""Signals: recomputed from the rows, blind to branches that were abandoned."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from autogrow.policy import signals
from autogrow.policy.history import Anneal, ExtendInputs, Keep, Undo, Widen


def rows_of(run, scores, actions=None):
    """Rows with the given scores; `actions` says what was decided at which check."""
    played = run()
    for i, score in enumerate(scores):
        played.measure(score)
        played.rows[-1] = replace(played.rows[-1], action=(actions or {}).get(i, Keep()))
    return played.rows


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6]),
        ({1: Widen({"h0": 24})}, [0, 1, 2, 3, 4, 5, 6]),
        ({1: Widen({"h0": 24}), 3: Undo(1)}, [0, 1, 4, 5, 6]),
        ({3: Undo(1), 5: Undo(4)}, [0, 1, 4, 6]),
        ({2: Undo(0), 5: Undo(0)}, [0, 6]),
        ({3: Undo(1), 5: Anneal(2, 20)}, [0, 1, 2, 6]),  # back to the best check, which lies on an abandoned branch
    ],
)
def test_the_branch_is_what_led_to_the_net_as_it_is(run, actions, expected):
    rows = rows_of(run, [1.0] * 7, actions)
    assert [row.check for row in signals.branch(rows)] == expected


@pytest.mark.parametrize(
    ("actions", "at", "since"),
    [
        ({}, None, None),
        ({2: Widen({"h0": 24})}, 2, 2),
        ({0: Widen({"h0": 24}), 3: ExtendInputs(1)}, 3, 1),
        ({4: Widen({"h0": 24})}, None, None),  # decided, but not in force yet
        ({1: Widen({"h0": 24}), 3: Undo(1)}, None, None),  # decided at check 1 and undone: the branch never grew
        ({0: Widen({"h0": 24}), 1: Widen({"h0": 40}), 3: Undo(1)}, 0, 2),
    ],
)
def test_the_last_growth_is_the_one_still_in_force(run, actions, at, since):
    rows = signals.branch(rows_of(run, [1.0] * 5, actions))
    assert signals.last_growth(rows) == at
    assert signals.checks_since_growth(rows) == since


def test_what_has_been_tried_is_counted_even_if_undone(run):
    rows = rows_of(run, [1.0] * 5, {1: Widen({"h0": 24}), 3: Undo(1), 4: Widen({"h0": 24})})
    assert [row.check for row in signals.growths(rows)] == [1]  # the last one has not been applied yet


@pytest.mark.parametrize(
    ("scores", "relative", "absolute", "expected"),
    [
        ([1.0], 0.0, 0.0, 0),
        ([1.0, 0.9, 0.95, 0.91], 0.0, 0.0, 2),
        ([1.0, 0.999, 0.9985], 0.002, 0.0, 2),  # neither is below 0.998
        ([1.0, 0.999, 0.9979], 0.002, 0.0, 0),  # small steps add up
        ([1.0, 0.95, 0.89], 0.0, 0.1, 0),
        ([-1.0, -1.001, -1.003], 0.002, 0.0, 0),  # better than a negative score is below it
        ([-1.0, -0.999], 0.002, 0.0, 1),
        ([math.nan, 1.0, math.nan, 1.0], 0.0, 0.0, 2),
        ([math.nan, math.nan], 0.0, 0.0, 2),
        ([1.0, -math.inf], 0.0, 0.0, 1),
    ],
)
def test_checks_since_improvement(run, scores, relative, absolute, expected):
    assert signals.checks_since_improvement(rows_of(run, scores), relative=relative, absolute=absolute) == expected


@pytest.mark.parametrize(
    ("scores", "check"),
    [([2.0, 1.0, 1.0], 1), ([math.nan, 2.0, -math.inf], 1), ([math.nan], None), ([], None)],
)
def test_best_is_the_earliest_of_the_lowest_finite(run, scores, check):
    row = signals.best(rows_of(run, scores))
    assert (None if row is None else row.check) == check


def test_the_gap_is_smoothed_half_and_half_and_skips_what_is_not_finite(run):
    played = run()
    for train_loss in (1.0, 0.8, math.nan, 0.6):
        played.measure(1.0, train_loss=train_loss)
    found = [signals.smoothed_gap(played.rows[:many]) for many in range(1, 5)]
    assert found == pytest.approx([0.0, 0.1, 0.1, 0.25])
