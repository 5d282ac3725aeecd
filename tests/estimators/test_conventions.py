"""scikit-learn's own checks, and the places of its house that an estimator is put in."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris, make_regression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from autogrow import GrowingClassifier, GrowingRegressor

QUICK = {"max_epochs": 100, "batch_size": 16}


@parametrize_with_checks([GrowingClassifier(**QUICK), GrowingRegressor(**QUICK)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def short(**more):
    return GrowingClassifier(max_epochs=60, batch_size=16, random_state=0, **more)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def test_a_pipeline_a_grid_and_folds(iris):
    grid = GridSearchCV(make_pipeline(StandardScaler(), short()), {"growingclassifier__widths": ["tiny", [8]]}, cv=2)
    assert grid.fit(*iris).best_score_ > 0.8
    p = cross_val_predict(short(), *iris, cv=2, method="predict_proba")
    assert p.shape == (150, 3)
    assert np.allclose(p.sum(1), 1)


def test_calibration_and_chosen_columns(iris):
    assert CalibratedClassifierCV(short(), cv=2).fit(*iris).predict_proba(iris[0]).shape == (150, 3)
    chosen = make_pipeline(make_column_transformer((StandardScaler(), [0, 2])), short()).fit(*iris)
    assert chosen[-1].n_features_in_ == 2


def test_a_clone_has_learned_nothing_and_a_pickle_everything(iris):
    net = short().fit(*iris)
    assert not hasattr(clone(net), "net_")
    assert np.array_equal(pickle.loads(pickle.dumps(net)).predict_proba(iris[0]), net.predict_proba(iris[0]))


def mixed(n=120):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "size": rng.normal(size=n),
            "colour": rng.choice(["red", "green", None], n),
            "shape": pd.Categorical(rng.choice(["round", "flat"], n)),
            "new": rng.random(n) > 0.5,
        }
    )
    table.loc[::7, "size"] = np.nan
    return table, np.where(table["colour"].isna(), "none", np.where(table["shape"] == "round", "ball", "disc"))


def test_a_frame_of_mixed_types_needs_nothing_in_front():
    table, y = mixed()
    net = short().fit(table, y)
    assert list(net.feature_names_in_) == list(table)
    assert net.classes_.tolist() == ["ball", "disc", "none"]
    assert net.score(table, y) > 0.9
    with pytest.raises(ValueError, match="feature names"):
        net.predict(table[list(table)[::-1]])


def test_input_that_is_no_table_is_refused_in_scikit_learns_words(iris):
    from scipy.sparse import csr_array

    with pytest.raises(TypeError, match=r"[Ss]parse"):
        short().fit(csr_array(iris[0]), iris[1])
    with pytest.raises(ValueError, match="dim 3"):
        short().fit(np.zeros((10, 2, 2)), np.arange(10) % 2)
    with pytest.raises(ValueError, match="at least 2 classes, got one class: 1"):
        short().fit(iris[0], np.ones(150, dtype=int))


@pytest.mark.parametrize("bad", [np.full(150, -1.0), np.zeros(150), np.full(150, np.nan), np.ones(149)])
def test_weights_that_cannot_be(iris, bad):
    with pytest.raises(ValueError, match="sample_weight"):
        short().fit(*iris, sample_weight=bad)


def test_several_targets_and_a_column_of_one():
    X, y = make_regression(100, 3, n_targets=2, random_state=0)
    net = GrowingRegressor(max_epochs=20, random_state=0)
    assert net.fit(X, y).predict(X).shape == (100, 2)
    with pytest.warns(Warning, match="column-vector"):
        assert net.fit(X, y[:, :1]).predict(X).shape == (100,)


def test_the_process_is_left_as_it_was(iris, monkeypatch, capsys):
    import os
    import random

    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    threads, files = torch.get_num_threads(), sorted(os.listdir())
    torch.set_num_threads(3)
    short(n_threads=1).fit(*iris)
    after = torch.get_num_threads()
    torch.set_num_threads(threads)
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before
    assert (after, sorted(os.listdir())) == (3, files)
    assert "PL_GLOBAL_SEED" not in os.environ
    assert capsys.readouterr() == ("", "")


def test_ctrl_c_is_not_taken_for_a_setting_that_failed(iris, monkeypatch):
    import signal

    from autogrow.errors import InterruptedRunError

    def interrupted(*_, **__):
        raise InterruptedRunError(signal.SIGINT)

    monkeypatch.setattr("autogrow.estimators.base.fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        GridSearchCV(short(), {"widths": ["tiny"]}, cv=2).fit(*iris)
