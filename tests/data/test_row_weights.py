"""Weights of rows and of classes: a weight of two is a row that is there twice, in the loss and in what is measured."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from command_line import call

from autogrow.data import DataSpec, prepare, validate
from autogrow.errors import DataError
from autogrow.train.fit.net.measure import measure_outputs

pytestmark = pytest.mark.usefixtures("alone")

N = 150
RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {"x": RNG.normal(size=N), "z": RNG.normal(size=N), "y": np.where(RNG.random(N) < 0.2, "rare", "often")}
)
WEIGHTS = RNG.integers(1, 4, N)


def prepared(table=TABLE, **settings):
    table.to_csv("t.csv", index=False)
    return prepare(DataSpec(path="t.csv", **{"target": "y", **settings}))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_weight_of_two_is_a_row_that_is_there_twice(task):
    table = TABLE.assign(w=WEIGHTS, y=TABLE["y"] if task == "classification" else TABLE["x"] * 3 + RNG.normal(size=N))
    data = prepared(table, weight="w")
    assert data.encoder.columns == ("x", "z")
    net = torch.nn.Linear(2, data.outputs)
    for part in (data.train, data.val, data.test):
        assert float(part.weight.mean()) == pytest.approx(1)
        times = torch.from_numpy(WEIGHTS[part.rows.numpy()])
        z, how = net(part.x), {"task": task, "temperature": task == "classification"}
        weighted = measure_outputs(z, part.y, weight=part.weight, **how)
        counted = measure_outputs(z.repeat_interleave(times, 0), part.y.repeat_interleave(times, 0), **how)
        for name in ("loss", "error", "score"):
            assert getattr(weighted, name) == pytest.approx(getattr(counted, name), rel=1e-4)


def test_balanced_classes_count_alike_and_weights_of_classes_multiply_those_of_rows():
    balanced = prepared(class_weight="balanced").train
    sums = [float(balanced.weight[balanced.y == code].sum()) for code in (0, 1)]
    assert sums[0] == pytest.approx(sums[1], rel=1e-5)
    table = TABLE.assign(w=WEIGHTS)
    both = prepared(table, weight="w", class_weight={"rare": 5}).val
    own = WEIGHTS[both.rows.numpy()] * np.where(TABLE["y"][both.rows.numpy()] == "rare", 5, 1)
    np.testing.assert_allclose(both.weight, own / own.mean(), rtol=1e-5)
    balanced = prepared(table, weight="w", class_weight="balanced").train
    sums = [float(balanced.weight[balanced.y == code].sum()) for code in (0, 1)]
    assert sums[0] == pytest.approx(sums[1], rel=1e-5)


def test_classes_are_named_as_they_are_written():
    table = TABLE.assign(y=np.arange(N) % 2)
    data = prepared(table, class_weight={"1": 3, 0: 1})
    ratio = data.train.weight[data.train.y == 1].mean() / data.train.weight[data.train.y == 0].mean()
    assert float(ratio) == pytest.approx(3)


def test_without_weights_there_are_none():
    data = prepared()
    assert data.train.weight is data.val.weight is data.test.weight is None


@pytest.mark.parametrize("arrival", ["fraction", "column"])
def test_weights_follow_their_rows_through_samples_and_stages(arrival):
    table = TABLE.assign(w=np.arange(N) + 1.0, when=RNG.permutation(N))
    own = {"arrival_column": "when", "stages": [70]} if arrival == "column" else {"stages": [0.5, 1.0], "max_rows": 130}
    data = prepared(table, weight="w", arrival=arrival, stage=0, **own)
    for part in (data.train, data.val, data.test):
        wanted = part.rows.numpy() + 1.0
        np.testing.assert_allclose(part.weight, wanted / wanted.mean(), rtol=1e-5)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([-1.0] + [1.0] * (N - 1), "1 rows do not, the first is row 0 with -1"),
        ([1.0] * (N - 1) + [None], f"the first is row {N - 1} with no value"),
        ([0.0] * N, "every row of train has the weight 0"),
        (["much"] * N, "'w' must hold numbers of 0 or more, got 'much' in row 0"),
        ([float("inf")] + [1.0] * (N - 1), "with inf"),
    ],
    ids=["negative", "missing", "zero", "text", "infinite"],
)
def test_weights_that_are_none_are_one_line(column, message):
    with pytest.raises(DataError, match=message):
        prepared(TABLE.assign(w=column), weight="w")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight": "u"}, "no input column 'u'"),
        ({"class_weight": {"raer": 2}}, "names the class 'raer'.*did you mean 'rare'"),
        ({"class_weight": {"rare": 0, "often": 0}}, "every row of train has the weight 0"),
        ({"class_weight": "balanced", "target": "x", "task": "regression"}, "is for classes"),
    ],
    ids=str,
)
def test_weights_that_do_not_go_with_the_table(settings, message):
    with pytest.raises(DataError, match=message):
        prepared(**settings)


@pytest.mark.parametrize("value", ["balancd", 3, {"rare": -1}, {"rare": "much"}, {"rare": float("nan")}], ids=str)
def test_class_weights_that_cannot_be(value):
    with pytest.raises(DataError, match=r"data\.class_weight"):
        validate(DataSpec(path="t.csv", target="y", class_weight=value))


def test_a_run_with_balanced_classes_finds_the_rare_one():
    rng = np.random.default_rng(1)
    rare = rng.random(600) < 0.08
    table = pd.DataFrame({"x": rng.normal(size=600) + 1.2 * rare, "w": 1.0, "y": np.where(rare, "rare", "often")})
    table.to_csv("t.csv", index=False)
    fit = ["fit", "data=csv", "data.path=t.csv", "data.target=y", "data.weight=w", "trainer.max_epochs=15"]
    recalls = {}
    for name, more in {
        "plain": [],
        "balanced": ["data.class_weight=balanced"],
        "mapped": ["data.class_weight={rare:12,often:1}"],
    }.items():
        assert call(*fit, f"hydra.run.dir={name}", *more) == 0
        import autogrow

        said = autogrow.load(f"{name}/checkpoints/best.ckpt").predict(table)
        recalls[name] = float((said[rare] == "rare").mean())
        notes = json.loads(Path(name, "data_card.json").read_text())["notes"]
        assert any("rows count by the column 'w'" in note for note in notes)
    assert recalls["plain"] < 0.2
    assert min(recalls["balanced"], recalls["mapped"]) > 0.5
