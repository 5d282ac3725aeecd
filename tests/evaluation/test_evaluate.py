"""Every metric against a count by hand on rows small enough to count, and against what a weight means."""

import json

import numpy as np
import pytest
from sklearn import metrics as sk

from autogrow.evaluation import baseline, evaluate, prior_of, scalars

# the second class is the positive one: 2 of 6 rows
Y = np.array([0, 0, 0, 0, 1, 1])
P = np.array([0.1, 0.2, 0.3, 0.6, 0.4, 0.9])
TWO = np.stack([1 - P, P], 1)


def two(**more):
    return evaluate("classification", ["no", "yes"], TWO, Y, **more)


def test_two_classes_counted_by_hand():
    found = two()
    assert found["confusion"] == [[3, 1], [1, 1]]
    assert found["error"] == pytest.approx(2 / 6)
    assert found["balanced_accuracy"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert found["f1"] == pytest.approx(0.5)
    assert found["auroc"] == pytest.approx(7 / 8)  # of 8 pairs, the one of 0.6 and 0.4 is the wrong way round
    assert found["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["brier"] == pytest.approx((0.01 + 0.04 + 0.09 + 0.36 + 0.36 + 0.01) / 6)
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.8, 0.7, 0.4, 0.4, 0.9]).mean())
    assert (found["positive"], found["threshold"], found["rows"]) == ("yes", 0.5, 6)
    assert found["classes"][0] == {"label": "no", "rows": 4, "precision": 0.75, "recall": 0.75}


def test_a_threshold_moves_answers_and_leaves_what_is_read_off_probabilities():
    half, low = two(), two(threshold=0.4)
    assert low["confusion"] == [[3, 1], [0, 2]]
    assert [half[m] for m in ("log_loss", "brier", "auroc")] == [low[m] for m in ("log_loss", "brier", "auroc")]


def test_more_classes_have_means_over_those_that_occur():
    y = np.array([0, 0, 1, 1])
    p = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.1, 0.3, 0.6]])
    found = evaluate("classification", ["a", "b", "c"], p, y)
    assert found["balanced_accuracy"] == 0.5
    assert found["confused"] == [
        {"truth": "a", "answer": "b", "rows": 1},
        {"truth": "b", "answer": "c", "rows": 1},
    ]
    assert found["classes"][2] == {"label": "c", "rows": 0, "precision": 0.0, "recall": None}
    assert found["auroc"] == pytest.approx(np.mean([sk.roc_auc_score(y == c, p[:, c]) for c in (0, 1)]))
    assert "brier" not in found


@pytest.mark.parametrize("threshold", [None, 0.4])
def test_a_weight_is_as_many_rows(threshold):
    weights = np.array([1, 2, 0, 3, 1, 2])
    weighted = two(weights=weights, threshold=threshold)
    again = np.repeat(np.arange(6), weights)
    repeated = evaluate("classification", ["no", "yes"], TWO[again], Y[again], threshold=threshold)
    assert scalars(weighted) == pytest.approx(scalars(repeated))
    assert weighted["confusion"] == repeated["confusion"]
    assert weighted["rows"] == 5  # the row that counts for nothing is not there


def test_values_by_target_and_a_weight_is_as_many_rows():
    y = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 60.0]])
    z = np.array([[1.0, 10.0], [2.0, 20.0], [5.0, 30.0]])
    found = evaluate("regression", [], z, y, names=("kg", "cm"))
    assert found["targets"][0] == pytest.approx({"name": "kg", "rmse": (4 / 3) ** 0.5, "mae": 2 / 3, "r2": 1 - 4 / 2})
    assert found["rmse"] == pytest.approx(((4 + 900) / 6) ** 0.5)
    assert found["mae"] == pytest.approx((2 + 30) / 6)
    twice = np.repeat(np.arange(3), [1, 2, 3])
    weighted = evaluate("regression", [], z, y, weights=np.array([1, 2, 3]), names=("kg", "cm"))
    assert scalars(weighted) == pytest.approx(scalars(evaluate("regression", [], z[twice], y[twice])))


def test_what_the_rows_do_not_define_is_none_and_all_of_it_is_json():
    one = evaluate("classification", ["no", "yes"], TWO[:3], Y[:3])
    assert (one["auroc"], one["average_precision"], one["f1"]) == (None, None, None)
    assert one["classes"][1] == {"label": "yes", "rows": 0, "precision": None, "recall": None}
    lone = evaluate("regression", [], np.ones((1, 1)), np.zeros((1, 1)), names=("kg",))
    assert lone["r2"] is None
    for found in (one, lone, two()):
        json.dumps(found, allow_nan=False)


def test_the_baseline_is_the_commonest_class_with_the_shares_of_training():
    prior = prior_of("classification", 2, np.array([0, 0, 0, 1]))
    assert prior == [0.75, 0.25]
    found = baseline("classification", ["no", "yes"], prior, Y)
    assert (found["answer"], found["auroc"], found["balanced_accuracy"]) == ("no", 0.5, 0.5)
    assert found["error"] == pytest.approx(2 / 6)
    assert found["log_loss"] == pytest.approx(-(4 * np.log(0.75) + 2 * np.log(0.25)) / 6)
    assert prior_of("classification", 2, np.array([0, 1]), np.array([3.0, 1.0])) == prior
    weighted = baseline("classification", ["no", "yes"], prior, Y, weights=np.array([1, 1, 1, 1, 2, 2]))
    assert weighted["error"] == pytest.approx(4 / 8)


def test_the_baseline_of_values_is_the_mean_of_training():
    prior = prior_of("regression", 1, np.array([[1.0], [3.0]]))
    found = baseline("regression", [], prior, np.array([[2.0], [4.0]]), names=("kg",))
    assert found == {"answer": {"kg": 2.0}, "rmse": pytest.approx(2**0.5), "mae": 1.0, "r2": -1.0}
