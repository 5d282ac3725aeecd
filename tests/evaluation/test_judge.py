"""What a run may be judged by: the threshold against every place there is, and names that do not fit."""

import numpy as np
import pytest

from autogrow.errors import ConfigError
from autogrow.evaluation import evaluate
from autogrow.evaluation.judge import BY_ANSWERS, best_threshold, check_metric, distance, distance_of

TWO_CLASSES = np.array([0, 1])


def at(threshold, metric, p, y, weights):
    """The distance at a threshold, counted."""
    w = np.ones(len(y)) if weights is None else weights
    hit, miss, wrong, passed = (
        w[(y == truth) & ((p >= threshold) == answer)].sum() for truth, answer in ((1, 1), (1, 0), (0, 1), (0, 0))
    )
    return {
        "error": (miss + wrong) / w.sum(),
        "balanced_accuracy": 1 - (hit / (hit + miss) + passed / (passed + wrong)) / 2,
        "f1": 1 - 2 * hit / (2 * hit + miss + wrong),
    }[metric]


@pytest.mark.parametrize("metric", BY_ANSWERS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_no_place_is_better_than_the_threshold_that_is_chosen(metric, weighted, seed):
    draw = np.random.default_rng(seed)
    y = np.concatenate([[0, 1], draw.integers(0, 2, 38)])
    p = (0.6 * draw.random(40) + 0.2 * y).round(1 if seed % 2 else 4)  # ties, and none; most below one half
    weights = draw.integers(1, 4, 40).astype(float) if weighted else None
    threshold, found = best_threshold(metric, p, y, weights)
    tried = [at(t, metric, p, y, weights) for t in (*p, 0.9999)]  # a row's own answer turns where it is the threshold
    assert found == pytest.approx(at(threshold, metric, p, y, weights))
    assert found <= min(tried) + 1e-9
    outputs, labels = np.stack([1 - p, p], 1), ["no", "yes"]
    assert distance(metric, "classification", labels, outputs, y, weights) == found
    told = evaluate("classification", labels, outputs, y, weights=weights, threshold=threshold)
    assert distance_of(metric, told) == pytest.approx(found)


@pytest.mark.parametrize("metric", BY_ANSWERS)
def test_one_half_stays_where_it_is_as_good_as_any(metric):
    assert best_threshold(metric, np.array([0.1, 0.2, 0.6, 0.9]), np.array([0, 0, 1, 1]))[0] == 0.5


def test_a_place_between_two_rows_is_in_the_middle_and_never_above_one():
    assert best_threshold("f1", np.array([0.01, 0.03, 0.05]), np.array([0, 0, 1]))[0] == pytest.approx(0.04)
    wrongly_sure, y = np.array([1.0, 1.0, 0.2, 0.1]), np.array([0, 0, 0, 1])  # would best answer "no" to all
    threshold, found = best_threshold("error", wrongly_sure, y)
    assert 0 < threshold <= 1
    assert found == at(threshold, "error", wrongly_sure, y, None) == 0.75


@pytest.mark.parametrize(
    ("metric", "task", "y", "message"),
    [
        ("rmse", "classification", TWO_CLASSES, "metric=rmse is not for a classification task"),
        ("auroc", "regression", np.ones((3, 1)), "metric=auroc is not for a regression task"),
        ("accuracy", "classification", TWO_CLASSES, "metric=accuracy is unknown for a classification task"),
        ("f1", "classification", np.array([1, 1]), "metric=f1 needs rows of at least two classes in validation"),
        ("r2", "regression", np.ones((1, 1)), "metric=r2 needs at least two rows in validation"),
    ],
)
def test_a_metric_that_does_not_fit_is_one_line(metric, task, y, message):
    with pytest.raises(ConfigError, match=message):
        check_metric(metric, task, y)


def test_metrics_that_fit_are_let_through():
    for metric in ("auto", "log_loss", "auroc"):
        check_metric(metric, "classification", TWO_CLASSES)
    check_metric("mae", "regression", np.ones((1, 1)))


def test_the_distance_is_nought_at_the_best_and_less_is_better():
    y, right = np.array([0, 1, 2]), np.eye(3) * 0.97 + 0.01
    labels = ["a", "b", "c"]
    for metric in ("error", "balanced_accuracy", "f1", "auroc", "average_precision"):
        assert distance(metric, "classification", labels, right, y) == pytest.approx(0)
        assert distance(metric, "classification", labels, right[::-1], y) > 0.3
    values = np.array([[1.0], [2.0], [4.0]])
    for metric in ("rmse", "mae", "r2"):
        assert distance(metric, "regression", [], values, values) == 0
        assert distance(metric, "regression", [], values[::-1], values) > 0.5
