"""The points that a page draws: few, with the ends of their curves, and saying what all the rows say."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from autogrow.evaluation.curves import BINS, CURVES, POINTS, ROWS, curves


def made(classes, rows=5000, seed=0):
    draw = np.random.default_rng(seed)
    z = draw.normal(size=(rows, classes))
    y = draw.integers(0, classes, rows)
    z[np.arange(rows), y] += 1.0
    p = np.exp(z)
    return p / p.sum(1, keepdims=True), y


def test_a_thinned_curve_has_its_ends_and_its_area():
    p, y = made(2)
    drawn = curves("classification", ["no", "yes"], p, y)
    (roc,) = drawn["roc"]
    assert roc["label"] == "yes"
    assert len(roc["x"]) <= POINTS
    assert (roc["x"][0], roc["y"][0], roc["x"][-1], roc["y"][-1]) == (0, 0, 1, 1)
    assert np.trapezoid(roc["y"], roc["x"]) == pytest.approx(roc_auc_score(y, p[:, 1]), abs=0.005)
    (pr,) = drawn["precision_recall"]
    assert (pr["x"][0], pr["x"][-1]) == (0, 1)
    json.dumps(drawn, allow_nan=False)


def test_of_many_classes_those_that_are_told_apart_worst_are_drawn():
    p, y = made(9)
    p[:, 3] = 1.0 / 9  # knows nothing of one, and all of another
    p[:, 5] = np.where(y == 5, 0.99, 0.001)
    labels = [curve["label"] for curve in curves("classification", list("abcdefghi"), p, y)["roc"]]
    assert len(labels) == CURVES
    assert "d" in labels
    assert "f" not in labels


def test_calibration_of_honest_probabilities_lies_on_the_diagonal():
    draw = np.random.default_rng(1)
    said = draw.random(50_000)
    y = (draw.random(50_000) < said).astype(int)
    p = np.stack([1 - said, said], 1)
    sure = np.stack([1 - said**3, said**3], 1)
    drawn = curves("classification", ["no", "yes"], p, y, before=sure)["calibration"]
    assert len(drawn["after"]["said"]) == BINS
    assert drawn["after"]["said"] == pytest.approx(drawn["after"]["right"], abs=0.03)
    assert max(abs(np.subtract(drawn["before"]["said"], drawn["before"]["right"]))) > 0.2


def test_a_weight_counts_in_a_calibration():
    p, y = np.array([[0.5, 0.5]] * 10), np.array([0, 1] * 5)
    weights = np.where(y == 1, 3.0, 1.0)
    drawn = curves("classification", ["no", "yes"], p, y, weights=weights)["calibration"]["after"]
    assert sum(drawn["right"]) == BINS / 2  # one row in each bin: no weight can move it
    weighted = curves("classification", ["no", "yes"], p[[0] * 40], y[[0, 1] * 20], weights=weights[[0, 1] * 20])
    assert set(weighted["calibration"]["after"]["right"]) == {0.75}


def test_a_split_of_one_class_draws_no_curve():
    p, _ = made(2, rows=30)
    drawn = curves("classification", ["no", "yes"], p, np.zeros(30, dtype=int))
    assert (drawn["roc"], drawn["precision_recall"]) == ([], [])


def test_single_rows_are_the_same_whenever_they_are_drawn():
    y = np.arange(3000.0).reshape(-1, 2)
    (first, second) = curves("regression", [], y + 1, y, names=("kg", "cm"))["cloud"]
    assert (first["name"], second["name"], len(first["true"])) == ("kg", "cm", ROWS)
    assert np.subtract(first["predicted"], first["true"]) == pytest.approx(1, abs=0.1)
    assert curves("regression", [], y + 1, y, names=("kg", "cm"))["cloud"][0] == first
