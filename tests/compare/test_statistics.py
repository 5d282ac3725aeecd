"""Intervals: what must hold of any, and how often they hold the truth."""

import math

import numpy as np
import pytest

from autogrow.compare.read.statistics import ENOUGH, geometric_ratio, interquartile_mean, mean

VALUES = [0.3, -0.1, 0.4, 0.15, 0.2]


def test_equal_values_have_an_interval_of_no_width():
    found = mean([0.0] * 5)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_one_value_has_no_interval():
    assert (mean([3.0]).low, mean([3.0]).high) == (None, None)


@pytest.mark.parametrize("values", [VALUES, VALUES[:2], VALUES * 5])
def test_an_interval_holds_its_mean_and_lies_within_the_values(values):
    found = mean(values)
    assert min(values) - 1e-12 <= found.low < found.value < found.high <= max(values) + 1e-12


def test_the_same_values_have_the_same_interval():
    many = [math.sin(i) for i in range(40)]  # of few values every interval ends at the same ones
    assert mean(many) == mean(many)


def test_negatives_have_the_mirrored_interval():
    one, other = mean(VALUES), mean([-x for x in VALUES])
    assert (other.value, other.low, other.high) == pytest.approx((-one.value, -one.high, -one.low), abs=1e-15)


def test_scaling_and_moving_carry_over():
    one, other = mean(VALUES), mean([100 * x + 7 for x in VALUES])
    expected = tuple(100 * x + 7 for x in (one.value, one.low, one.high))
    assert (other.value, other.low, other.high) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "at_least"), [(ENOUGH, 0.91), (10, 0.92), (30, 0.92)])
def test_about_nineteen_of_twenty_intervals_hold_the_truth(n, at_least):
    draws = np.random.default_rng(0).normal(1.0, 2.0, (300, n))
    found = [mean(list(values)) for values in draws]
    covered = np.mean([m.low <= 1.0 <= m.high for m in found])
    assert at_least <= covered <= 0.98


def test_the_interquartile_mean_by_hand():
    assert interquartile_mean([9, 1, 2, 3, 4, 5, 6, 100]) == pytest.approx((3 + 4 + 5 + 6) / 4)
    assert interquartile_mean([7.0]) == 7
    assert interquartile_mean([1, 3]) == 2


def test_geometric_ratios_turn_over_with_the_pair():
    a, b = [1.0, 4.0, 9.0], [2.0, 2.0, 5.0]
    assert geometric_ratio(a, b) * geometric_ratio(b, a) == pytest.approx(1)
    assert geometric_ratio(a, a) == 1
    assert geometric_ratio([0.0], [1.0]) is None
    assert geometric_ratio([], []) is None
