"""Everything that is read off one sorting of the rows is what scikit-learn makes of them, to the bit."""

import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from autogrow.evaluation import evaluate
from autogrow.evaluation.curves import curves
from autogrow.evaluation.ranking import Ranking, rankings

RNG = np.random.default_rng(0)
SIZES = (2, 3, 10, 101, 5000)
WEIGHTS = ("none", "ones", "fractions", "some nothing")


def drawn(rows, classes, kind, weights):
    """Codes (N,) of which two occur at least, probabilities (N, K), and weights (N,) or None."""
    y = np.concatenate([[0, 1], RNG.integers(0, classes, rows - 2)])
    p = RNG.random((rows, classes)) + 0.01
    p = {"all": p, "ties": p.round(1) + 0.1, "one": np.ones_like(p), "sure": np.eye(classes)[RNG.permutation(y)]}[kind]
    p = p / p.sum(1, keepdims=True)
    if weights == "none":
        return y, p, None
    w = np.ones(rows) if weights == "ones" else RNG.random(rows) * 3 + 0.01
    if weights == "some nothing":
        w[2:][RNG.random(rows - 2) < 0.3] = 0
    return y, p, w


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("kind", ["all", "ties", "one", "sure"])
@pytest.mark.parametrize("rows", SIZES)
def test_a_ranking_s_curves_and_areas_are_those_of_scikit_learn(rows, kind, weights):
    y, p, w = drawn(rows, 2, kind, weights)
    ranking = Ranking.of(y == 1, p[:, 1], w)
    for corners in (True, False):
        wanted = sk.roc_curve(y, p[:, 1], sample_weight=w, drop_intermediate=corners)
        for mine, theirs in zip(ranking.roc(corners=corners), wanted, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    precision, recall, _ = sk.precision_recall_curve(y, p[:, 1], sample_weight=w)
    np.testing.assert_array_equal(ranking.precision_recall(), (precision, recall))
    assert ranking.area_under_roc() == sk.roc_auc_score(y, p[:, 1], sample_weight=w)
    assert ranking.average_precision() == sk.average_precision_score(y, p[:, 1], sample_weight=w)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("kind", ["all", "ties", "one", "sure"])
@pytest.mark.parametrize("rows", SIZES)
def test_the_metrics_of_classes_are_those_of_scikit_learn(rows, kind, classes, weights):
    y, p, w = drawn(rows, classes, kind, weights)
    found = evaluate("classification", list(range(classes)), p, y, weights=w)
    if w is not None:
        y, p, w = y[w > 0], p[w > 0], w[w > 0]
    codes, normed = p.argmax(1), p / p.sum(1, keepdims=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, f1, _ = sk.precision_recall_fscore_support(
            y, codes, labels=range(classes), sample_weight=w, zero_division=np.nan
        )
    there = np.unique(y)
    ranked = [1] if classes == 2 else there
    assert found["confusion"] == sk.confusion_matrix(y, codes, labels=range(classes), sample_weight=w).tolist()
    np.testing.assert_array_equal(
        [c["precision"] for c in found["classes"]], [None if np.isnan(v) else v for v in precision]
    )
    np.testing.assert_array_equal([c["recall"] for c in found["classes"]], [None if np.isnan(v) else v for v in recall])
    wanted = f1[1] if classes == 2 else f1[there].mean()
    assert found["f1"] == (None if np.isnan(wanted) else wanted)
    assert found["error"] == 1 - sk.accuracy_score(y, codes, sample_weight=w)
    assert found["log_loss"] == sk.log_loss(y, normed, labels=range(classes), sample_weight=w)
    for name, metric in (("auroc", sk.roc_auc_score), ("average_precision", sk.average_precision_score)):
        assert found[name] == np.mean([metric(y == c, p[:, c], sample_weight=w) for c in ranked])
    if classes == 2:
        assert found["brier"] == sk.mean_squared_error(y, p[:, 1], sample_weight=w)


@pytest.mark.parametrize("weights", [*WEIGHTS, "a class of nothing"])
@pytest.mark.parametrize("classes", [2, 5])
def test_rankings_that_are_handed_over_are_those_of_the_rows_that_count(classes, weights):
    y, p, w = drawn(300, classes, "ties", weights)
    if weights == "a class of nothing":
        w[y == classes - 1] = 0
    ranked = rankings(p, y, w)
    for say in (evaluate, curves):
        given = ("classification", list(range(classes)), p, y)
        assert repr(say(*given, weights=w, ranked=ranked)) == repr(say(*given, weights=w))
    assert bool(ranked) == (classes > 2 or weights != "a class of nothing")
    wrong = {c: Ranking(one.true, one.false, one.cuts) for c, one in ranked.items()}
    assert not ranked or evaluate(*given, weights=w, ranked=wrong) != evaluate(*given, weights=w)
