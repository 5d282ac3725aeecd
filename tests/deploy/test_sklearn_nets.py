"""scikit-learn's MLPs taken over: the same labels, the same probabilities, the same values."""

import warnings

import joblib
import numpy as np
import pytest
import skops.io as sio
import torch
from far_columns import WITHIN, column
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import autogrow
from autogrow.cli import main
from autogrow.deploy.sklearn_nets import content_of
from autogrow.errors import CheckpointError
from autogrow.train.record.checkpoint import save_atomically

X, Y = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
BINARY = (Y > 0).astype(int)
R, T = make_regression(120, 6, n_targets=2, random_state=0)


def taken_over(model, folder):
    """The net of an estimator, by way of the disk."""
    save_atomically(content_of(model), folder / "net.ckpt")
    return autogrow.load(folder / "net.ckpt")


def fitted(model, x, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x, y)


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("y", "labels"), [(Y, [0, 1, 2]), (np.array(["no", "yes"])[BINARY], ["no", "yes"])])
def test_a_classifier(activation, scaled, y, labels, tmp_path):
    mlp = MLPClassifier((12, 7), activation=activation, max_iter=15, random_state=0)
    model = fitted(make_pipeline(StandardScaler(), mlp) if scaled else mlp, X, y)
    net = taken_over(model, tmp_path)
    assert list(net.predict(X)) == list(model.predict(X))
    assert net.pipeline.labels == labels
    probabilities = torch.softmax(net(net.encode(X)), 1).detach().numpy()
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("targets", [1, 2])
def test_a_regressor(targets, tmp_path):
    y = T[:, 0] if targets == 1 else T
    model = fitted(
        make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(9,), max_iter=15, random_state=0)), R, y
    )
    np.testing.assert_allclose(taken_over(model, tmp_path).predict(R), model.predict(R), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("suffix", ["skops", "joblib"])
def test_from_a_file_to_a_larger_net(suffix, tmp_path, capsys):
    model = fitted(make_pipeline(StandardScaler(), MLPClassifier((8, 8), max_iter=15, random_state=0)), X, Y)
    path, out = tmp_path / f"mlp.{suffix}", tmp_path / "out.ckpt"
    (sio if suffix == "skops" else joblib).dump(model, path)
    arguments = [f"from_sklearn={path}", "widths=[16,16]", f"out={out}"]
    if suffix == "joblib":
        with pytest.raises(SystemExit) as ended:
            main(["transfer", *arguments])
        assert ended.value.code == 2
        assert "allow_pickle=true" in capsys.readouterr().err
        assert not out.exists()
        arguments.append("allow_pickle=true")
        with pytest.warns(UserWarning, match="runs whatever code"), pytest.raises(SystemExit) as ended:
            main(["transfer", *arguments])
    else:
        with pytest.raises(SystemExit) as ended:
            main(["transfer", *arguments])
    assert ended.value.code == 0
    assert list(autogrow.load(out).predict(X)) == list(model.predict(X))
    assert "differ from the estimator's own by at most" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MLPClassifier, "has not been fitted"),
        (LogisticRegression, "what can be taken over"),
        (lambda: make_pipeline(MinMaxScaler(), MLPClassifier()), "MinMaxScaler → MLPClassifier"),
        (lambda: fitted(MLPClassifier((4,), max_iter=3), X, np.eye(3, dtype=int)[Y] | [[1, 0, 0]]), "several labels"),
    ],
)
def test_what_cannot_be_taken_over_exactly(model, message):
    with pytest.raises(CheckpointError, match=message):
        content_of(model())


@pytest.mark.parametrize("name", WITHIN)
@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_a_scaler_that_moves_a_column_far_is_taken_over_in_64_bits(name, kind, tmp_path):
    steps = np.random.default_rng(0).permutation(200)
    x = np.stack([column(name, steps), steps[::-1] / 7], axis=1)
    if kind == "classifier":
        model = fitted(make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=60, random_state=0)), x, steps > 99)
        net = taken_over(model, tmp_path)
        ours = torch.softmax(net(net.encode(x)), 1).detach().numpy()
        np.testing.assert_allclose(ours, model.predict_proba(x), atol=1e-4)
    else:
        model = fitted(
            make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(8,), max_iter=60, random_state=0)),
            x,
            steps / 9.0,
        )
        np.testing.assert_allclose(taken_over(model, tmp_path).predict(x), model.predict(x), rtol=0, atol=1e-3)


def test_a_target_far_from_zero_comes_out_as_the_estimator_says(tmp_path):
    model = fitted(MLPRegressor(hidden_layer_sizes=(8,), max_iter=15, random_state=0), R, T[:, 0])
    model.intercepts_[-1] = model.intercepts_[-1] + 1e9
    np.testing.assert_allclose(taken_over(model, tmp_path).predict(R), model.predict(R), rtol=0, atol=1e-4)


class Doubling(MLPRegressor):
    """Answers otherwise than its weights say."""

    def predict(self, X):
        return 2 * super().predict(X)


class Cooler(MLPClassifier):
    """Likewise, with the same labels."""

    def predict_proba(self, X):
        return 0.9 * super().predict_proba(X) + 0.1 / len(self.classes_)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda: fitted(MLPRegressor(hidden_layer_sizes=(8,), loss="poisson", max_iter=15), R, np.exp(R[:, 0])),
            "exp of its last layer",
        ),
        (
            lambda: fitted(Doubling(hidden_layer_sizes=(8,), max_iter=15), R, T[:, 0]),
            "it would answer otherwise: on 256 probe rows",
        ),
        (lambda: fitted(make_pipeline(StandardScaler(), Cooler((8,), max_iter=15)), X, Y), "in a probability"),
    ],
)
def test_what_would_answer_otherwise_is_refused(model, message):
    with pytest.raises(CheckpointError, match=message):
        content_of(model())


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("scale", [True, False])
def test_each_setting_of_a_scaler_is_honoured_with_its_receipt(centre, scale):
    scaler = StandardScaler(with_mean=centre, with_std=scale)
    receipt = content_of(fitted(make_pipeline(scaler, MLPClassifier((8,), max_iter=15)), X + 3, Y))["receipt"]
    assert 0 < receipt["max_abs_change"] < 1e-5 < receipt["promise"]


def test_a_skops_file_with_code_in_it_is_refused(tmp_path):
    path = tmp_path / "mlp.skops"
    sio.dump({"a": np.random.default_rng(0), "b": Evil()}, path)
    with pytest.raises(CheckpointError, match="not trusted"):
        autogrow.deploy.read_sklearn(path)


class Evil:
    """Somebody's own class."""

    def __init__(self):
        self.x = 1
