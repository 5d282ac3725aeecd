"""What a run says of its net beside loss and error, and how `metric=` chooses net and threshold."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

import autogrow
from autogrow.data import DataSpec, prepare
from autogrow.policy import NoFinish, deliverable
from autogrow.train.fit.run import fit
from autogrow.train.record.folder import BEST, CHECKPOINTS
from autogrow.train.record.ledger import read_ledger

sys.path.insert(0, str(Path(__file__).parent))
from run_specs import eager_policy


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """900 rows of which a tenth are positive, and not easily told."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(900, 4))
    chance = 1 / (1 + np.exp(3.0 - 1.2 * x[:, 0] - 0.8 * x[:, 1]))
    frame = pd.DataFrame(x, columns=list("abcd")).assign(y=np.where(draw.random(900) < chance, "yes", "no"))
    path = tmp_path_factory.mktemp("rare") / "table.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def rare(make_spec, table):
    def make(out=None, **changes):
        data = DataSpec(name="rare", source="csv", path=str(table), target="y")
        return make_spec(out, data=data, **changes)

    return make


def test_the_threshold_is_set_on_validation_stored_and_used(rare, table, tmp_path):
    spec = rare(tmp_path / "run", metric="balanced_accuracy")
    result = fit(spec)
    result.write()
    told = json.loads((tmp_path / "run" / "result.json").read_text())
    net = autogrow.load(tmp_path / "run" / CHECKPOINTS / BEST)
    assert net.threshold == told["metrics"]["test"]["threshold"] < 0.5
    frame, prepared = pd.read_csv(table), prepare(spec.data)
    rows = frame.iloc[prepared.test.rows.numpy()]  # val is told of the net before its refit
    answers, found = net.predict(rows), told["metrics"]["test"]
    assert told["test"]["error"] == found["error"] == pytest.approx((answers != rows.y).mean())
    assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(rows.y, answers))
    assert found["confusion"] == sk.confusion_matrix(rows.y, answers).tolist()
    by_half = fit(rare()).summary["metrics"]
    assert told["metrics"]["val"]["balanced_accuracy"] > by_half["val"]["balanced_accuracy"] + 0.05
    assert by_half["val"]["threshold"] == 0.5


def test_the_net_is_chosen_by_the_metric(rare):
    result = fit(rare(metric="auroc", policy=eager_policy(finish=NoFinish())))
    judged = {row.check: row.judged for row in result.rows}
    best = min(judged, key=judged.get)
    assert deliverable(result.rows) == best
    assert result.summary["best_epoch"] == round(result.rows[best].passes, 3)
    assert 1 - result.summary["metrics"]["val"]["auroc"] == pytest.approx(judged[best], abs=1e-6)
    assert result.net.threshold is None  # an area is of all thresholds


def unjudged(row):
    plain = replace(row, judged=None).comparable()
    if row.event is not None and row.event.full_val is not None:
        assert plain["event"].pop("full_val_judged") > 0
    return plain


@pytest.mark.parametrize("metric", ["log_loss", "f1"])
def test_judging_changes_no_step_of_the_training(rare, metric, tmp_path):
    """The loss leads growing and stopping whatever the net is chosen by; test rows are read once, at the end."""
    usual, judged = fit(rare()), fit(rare(tmp_path / "run", metric=metric))
    assert [unjudged(row) for row in judged.rows] == [row.comparable() for row in usual.rows]
    assert [row.judged for row in read_ledger(tmp_path / "run")] == [row.judged for row in judged.rows]
    assert all(row.judged is None for row in usual.rows)


@pytest.mark.parametrize("metric", ["mae", "r2", "rmse"])
def test_values_are_judged_in_units_of_the_target(make_spec, metric):
    data = DataSpec(name="diabetes", source="sklearn")
    result = fit(make_spec(data=data, metric=metric, policy=eager_policy(finish=NoFinish())))
    least = min(row.judged for row in result.rows)
    found = result.summary["metrics"]["val"][metric]
    assert (1 - found if metric == "r2" else found) == pytest.approx(least, rel=1e-5)


def test_every_metric_and_the_baseline_are_those_of_scikit_learn(make_spec):
    spec = make_spec(data=DataSpec(name="iris", source="sklearn"), metrics=("balanced_accuracy",))
    result, prepared = fit(spec), prepare(spec.data)
    found, base = (result.summary[key]["test"] for key in ("metrics", "baseline"))
    y = prepared.test.y.numpy()
    shares = np.bincount(prepared.train.y.numpy()) / len(prepared.train)
    assert base["log_loss"] == pytest.approx(-np.log(shares[y]).mean())
    assert result.summary["test"]["balanced_accuracy"] == pytest.approx(found["balanced_accuracy"], abs=1e-6)
    assert result.summary["test"]["loss"] == pytest.approx(found["log_loss"], abs=1e-5)


def test_the_temperature_is_told_and_the_page_can_show_what_was_before(rare):
    told = fit(rare())
    assert told.summary["temperature"] != 1
    assert set(told.curves["calibration"]) == {"before", "after"}
    assert told.curves["split"] == "test"
    spec = rare()
    untold = fit(replace(spec, trainer=replace(spec.trainer, temperature=False)))
    assert "temperature" not in untold.summary
    assert set(untold.curves["calibration"]) == {"after"}
