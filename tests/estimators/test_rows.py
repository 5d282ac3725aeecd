"""Copies and weights are one thing, order is none, and no row is on both sides unless its cases are."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autogrow.estimators.rows import different_rows, hold_out

tables = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2), st.integers(0, 4)), min_size=3, max_size=40).filter(
    lambda rows: any(w for _, _, w in rows)
)


def split(rows, share=0.3, seed=0):
    x, y, w = (np.array(v) for v in zip(*rows, strict=True))
    table = pd.DataFrame({"x": x})
    found = different_rows(table, y, w.astype(float))
    parts = hold_out(found, y[found.first], share, seed)
    return [[(x[i], y[i], float(c)) for i, c in zip(p.rows, p.weight, strict=True)] for p in parts]


@given(tables, st.randoms(use_true_random=False))
def test_a_weight_of_three_is_three_copies_in_any_order(rows, random):
    copies = [(x, y, 1) for x, y, w in rows for _ in range(w)]
    random.shuffle(copies)
    assert split(copies) == split(rows)


@given(tables)
def test_no_weight_is_lost_and_a_row_is_on_one_side(rows):
    train, val = split(rows)
    total = {}
    for x, y, w in rows:
        total[x, y] = total.get((x, y), 0) + w
    seen = {}
    for x, y, w in train + val:
        seen[x, y] = seen.get((x, y), 0) + w
    assert seen == {k: w for k, w in total.items() if w}
    both = {(x, y) for x, y, _ in train} & {(x, y) for x, y, _ in val}
    for x, y in both:  # the same inputs came with another target: its copies are cases of their own
        assert any(other != y and w for (a, other), w in total.items() if a == x)


def test_a_share_of_each_class_is_held_out():
    rows = [(i, int(i % 10 == 0), 1) for i in range(1000)]
    _, val = split(rows, share=0.2)
    assert [sum(y == c for _, y, _ in val) for c in (0, 1)] == [180, 20]


def test_cases_of_the_same_inputs_are_drawn_one_by_one():
    rows = [(0, 0, 400), (0, 1, 600), (1, 0, 500), (1, 1, 500)]
    train, val = split(rows, share=0.2)
    assert {(x, y) for x, y, _ in train} == {(x, y) for x, y, _ in val} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert sum(w for *_, w in val) == pytest.approx(400, abs=60)


def test_classes_too_small_to_spare_a_row_are_held_out_together():
    _, val = split([(i, i // 2, 1) for i in range(10)], share=0.2)
    assert len(val) == 2
