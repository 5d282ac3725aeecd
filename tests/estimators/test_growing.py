"""What no other estimator does: its growth can be read, and it goes on from the function that it computes."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_regression

import autogrow
from autogrow import GrowingClassifier, GrowingRegressor
from autogrow.errors import CheckpointError, ConfigError
from autogrow.policy import Cycle, Factor, Finish, Growth, LifeCycle, LossPaced, Patience

EAGER = LifeCycle(
    growth=Growth(when=LossPaced(), where=Cycle(), amount=Factor(cap=40)),
    stop=Patience(checks=3, after_growth=3),
    finish=Finish(),
)


def digits_net(**more):
    return GrowingClassifier(max_epochs=60, batch_size=32, widths=[8], policy=EAGER, random_state=0, **more)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:900], y[:900]


@pytest.fixture(scope="module")
def fitted(digits):
    return digits_net().fit(*digits)


def test_its_growth_is_told_with_reasons(fitted):
    assert [row.check for row in fitted.growth_] == list(range(len(fitted.growth_)))
    assert all(row.reason for row in fitted.growth_)
    assert fitted.widths_ == list(fitted.growth_[-1].widths.values()) != [8]
    assert fitted.result_["growth_events"] > 0


def test_the_net_is_the_one_that_load_gives(fitted, digits, tmp_path):
    net = autogrow.load(fitted.save(tmp_path / "net.ckpt"))
    assert net.classes == fitted.classes_.tolist()
    assert np.array_equal(net.predict_proba(digits[0]), fitted.predict_proba(digits[0]))


def test_saved_and_loaded_it_answers_alike_and_goes_on(fitted, digits, tmp_path):
    again = GrowingClassifier.load(fitted.save(tmp_path / "net.ckpt"), policy=EAGER)
    assert np.array_equal(again.predict_proba(digits[0]), fitted.predict_proba(digits[0]))
    assert (again.widths_, again.classes_.dtype) == (fitted.widths_, fitted.classes_.dtype)
    assert again.growth_ == fitted.growth_
    assert again.get_params() == fitted.get_params()
    assert again.partial_fit(*digits).growth_[0].event.receipt["max_abs_change"] < 1e-4


def test_what_a_file_cannot_hold_is_asked_for(fitted, tmp_path):
    path = fitted.save(tmp_path / "net.ckpt")
    with pytest.raises(CheckpointError, match=r"give it: GrowingClassifier.load\(path, policy=…\)"):
        GrowingClassifier.load(path)
    with pytest.raises(CheckpointError, match="holds a GrowingClassifier, not a GrowingRegressor"):
        GrowingRegressor.load(path)


def test_partial_fit_goes_on_from_the_same_function_and_grows(digits):
    X, y = digits
    few = y < 5
    net = digits_net().partial_fit(X[few][:100], y[few][:100])
    assert net.classes_.tolist() == [0, 1, 2, 3, 4]
    start, before = list(net.widths_), net.growth_
    net.partial_fit(X, y)
    first = net.growth_[0].event
    assert first.do == "data_arrived"
    assert first.receipt["max_abs_change"] <= first.receipt["promise"]
    assert net.classes_.tolist() == list(range(10))
    assert sum(net.widths_) > sum(start)
    assert net.growth_ is not before
    assert net.score(X, y) > 0.9


def test_classes_that_are_said_to_come_have_their_outputs(digits):
    X, y = digits
    net = digits_net().partial_fit(X[y < 2], y[y < 2], classes=range(10))
    assert net.predict_proba(X).shape == (len(X), 10)
    assert set(net.predict(X[y < 2])) <= {0, 1}


def test_classes_that_come_later_stand_where_they_belong(digits):
    X, y = digits
    named = np.array(list("jihgfedcba"))[y]  # class 9 comes first in the alphabet
    net = digits_net().partial_fit(X[y < 5], named[y < 5]).partial_fit(X, named)
    assert net.classes_.tolist() == sorted("abcdefghij")
    assert net.score(X, named) > 0.9
    assert np.array_equal(net.classes_[net.predict_proba(X).argmax(1)], net.predict(X))


def test_a_failed_call_leaves_the_net_as_it_was(digits):
    net = digits_net().partial_fit(*digits)
    before = net.predict_proba(digits[0])
    with pytest.raises(ValueError, match="features"):
        net.partial_fit(digits[0][:, :5], digits[1])
    with pytest.raises(ValueError, match="sample_weight"):
        net.partial_fit(digits[0], digits[1] + 20, sample_weight=-np.ones(len(digits[1])))
    assert np.array_equal(net.predict_proba(digits[0]), before)


@pytest.mark.parametrize("warm", [False, True])
def test_fit_begins_anew_unless_it_is_warm(warm):
    X, y = make_regression(200, 4, random_state=0)
    net = GrowingRegressor(max_epochs=20, random_state=0, warm_start=warm).fit(X[:120], y[:120])
    net.fit(X, y)
    event = net.growth_[0].event
    assert (event is not None and event.do == "data_arrived") == warm


def test_rows_to_judge_by_may_be_given(digits):
    X, y = digits
    net = digits_net().fit(X[:600], y[:600], X_val=X[600:], y_val=y[600:])
    assert net._card["splits"] == {"train": 600, "val": 300, "test": 0}
    assert "as given" in net._card["split"]


def test_a_seed_gives_the_same_net_whatever_the_order(digits):
    X, y = digits
    order = np.random.default_rng(1).permutation(len(y))
    one, other = digits_net().fit(X, y), digits_net().fit(X[order], y[order])
    assert np.array_equal(one.predict_proba(X), other.predict_proba(X))


def test_weights_move_the_answers():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 2)), rng.integers(0, 2, 400)  # nothing to learn but the shares
    plain = GrowingClassifier(max_epochs=30, random_state=0).fit(X, y)
    heavy = GrowingClassifier(max_epochs=30, random_state=0).fit(X, y, sample_weight=np.where(y == 1, 9.0, 1.0))
    classed = GrowingClassifier(max_epochs=30, random_state=0, class_weight={0: 1, 1: 9}).fit(X, y)
    assert plain.predict_proba(X)[:, 1].mean() < 0.6
    assert heavy.predict_proba(X)[:, 1].mean() > 0.8
    assert np.array_equal(classed.predict_proba(X), heavy.predict_proba(X))


def test_the_time_limit_is_the_budget_of_seconds(digits):
    net = digits_net(time_limit=1e-3).set_params(policy=None, max_epochs=None).fit(*digits)
    assert "seconds" in net.result_["stop_reason"]
    assert len(net.growth_) < 10


def test_the_page_and_what_a_notebook_shows(fitted, tmp_path):
    page = fitted.report(tmp_path).read_text(encoding="utf-8")
    assert ">How it learned</h2>" in page
    bundle = fitted._repr_mimebundle_()
    assert bundle["text/html"].startswith("<iframe srcdoc=")
    assert "How it learned" in bundle["text/html"]
    assert "<iframe" not in digits_net()._repr_mimebundle_()["text/html"]


def test_a_run_folder_is_kept_where_one_is_named(digits, tmp_path):
    net = digits_net(run_folder=tmp_path / "run").fit(*digits)
    assert (tmp_path / "run" / "ledger.jsonl").is_file()
    assert np.array_equal(autogrow.load(tmp_path / "run").predict(digits[0]), net.predict(digits[0]))


def test_fit_of_arrays_says_where_a_notebook_begins(digits):
    with pytest.raises(
        ConfigError, match=r"takes one FitSpec, got ndarray, ndarray; .*GrowingClassifier\(\).fit\(X, y\)"
    ):
        autogrow.fit(*digits)


def test_what_needs_no_hydra_is_the_same_recipe():
    from hydra import compose, initialize_config_dir

    from autogrow.config import CONF_DIR, register_schema, spec_from
    from autogrow.launcher import register_launcher, register_sweeper

    for register in (register_schema, register_launcher, register_sweeper):
        register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        composed = spec_from(compose("fit", ["data=iris"]), out=None)
    plain = autogrow.FitSpec(autogrow.DataSpec(name="iris", source="sklearn"))
    for part in ("policy", "net", "optimizer", "schedule", "trainer", "optimizer_state", "seed", "metric"):
        assert _plain(getattr(plain, part)) == _plain(getattr(composed, part)), part
    ours = GrowingClassifier()._spec(0.0, 0, refit=True)
    for part in ("policy", "net", "optimizer", "schedule", "trainer", "metric"):
        assert _plain(getattr(ours, part)) == _plain(getattr(plain, part)), part


def _plain(value):
    from autogrow.train.fit.spec import as_plain

    return as_plain(value)


def test_a_spec_needs_a_table_and_nothing_else():
    spec = autogrow.FitSpec(autogrow.DataSpec(name="iris", source="sklearn"))
    spec.trainer.max_epochs = 20
    assert autogrow.fit(spec).summary["task"] == "classification"
