"""One run from a spec to a grown net: what it learns, records and leaves behind."""

import dataclasses
import itertools
import json

import pytest
import torch

import autogrow
from autogrow.data import DataSpec, prepare
from autogrow.errors import ConfigError
from autogrow.growth.cost import cost
from autogrow.policy.history import GROWTHS, Anneal, Stop
from autogrow.train.fit.run import fit
from autogrow.train.fit.spec import NetSpec, OptimizerSpec, TrainerSpec, WarmStart
from autogrow.train.record.ledger import read_ledger


def test_grows_learns_and_hands_back_the_best(make_spec, tmp_path):
    result = fit(make_spec(tmp_path / "run", max_epochs=150))
    result.write()
    rows, summary = result.rows, result.summary
    grown_rows = [r for r in rows if r.event and r.event.grew]
    assert summary["growth_events"] == len(grown_rows) >= 3
    assert sum(summary["widths"]) > 8
    assert summary["test"]["error"] < 0.08  # a linear model is at about 5 %, chance at 90 %
    for row in grown_rows:  # each growth is proved, and was decided in the row before it
        assert row.event.receipt["max_abs_change"] <= row.event.receipt["promise"] <= 1e-6
        assert isinstance(rows[row.check - 1].action, GROWTHS)
        assert row.event.after.parameters == row.parameters > row.event.before.parameters
    assert [type(r.action) for r in rows].count(Anneal) == 1
    assert isinstance(rows[-1].action, Stop)
    assert all(r.reason for r in rows)
    assert [r.check for r in rows] == list(range(len(rows)))
    assert {r.phase for r in rows} >= {"grow", "anneal"}
    best = min((r for r in rows if r.phase == "anneal"), key=lambda r: (r.val_error, r.score))
    assert summary["val"]["error"] <= best.val_error + 1e-12


def test_the_folder_is_the_contract(make_spec, tmp_path):
    out = tmp_path / "run"
    result = fit(dataclasses.replace(make_spec(out), config="a: 1\n"))
    result.write()
    assert sorted(p.name for p in out.iterdir()) == [
        "checkpoints",
        "config.yaml",
        "data_card.json",
        "ledger.jsonl",
        "metrics.csv",
        "result.json",
        "splits.npz",
    ]
    assert json.loads((out / "data_card.json").read_text()) == json.loads(json.dumps(result.card))
    assert {"best.ckpt", "last.ckpt"} <= {p.name for p in (out / "checkpoints").iterdir()}
    summary = json.loads((out / "result.json").read_text())
    assert {
        "task", "seed", "stop_reason", "best_epoch", "epochs", "widths", "depth", "parameters", "flops_per_sample",
        "train_flops", "eval_flops", "seconds", "growth_events", "val", "test", "versions",
    } <= set(summary)  # fmt: skip
    assert [r.comparable() for r in read_ledger(out)] == [r.comparable() for r in result.rows]
    for name in ("best.ckpt", "last.ckpt"):
        torch.load(out / "checkpoints" / name, weights_only=True)


def test_load_gives_back_the_grown_net_and_its_test_error(make_spec, tmp_path):
    spec = make_spec(tmp_path / "run")
    summary = fit(spec).summary
    net = autogrow.load(tmp_path / "run" / "checkpoints" / "best.ckpt")
    prepared = prepare(spec.data)
    from sklearn.datasets import load_digits

    raw = load_digits()
    rows = prepared.test.rows.numpy()
    wrong = (net.predict(raw.data[rows]) != raw.target[rows]).mean()
    assert float(wrong) == pytest.approx(summary["test"]["error"], abs=1e-7)
    encoded = torch.tensor(raw.data[rows], dtype=torch.float32)  # all numeric: the raw columns in order
    with torch.no_grad():
        z = net(encoded)
    assert float((z.argmax(1) != prepared.test.y).float().mean()) == summary["test"]["error"]
    assert sum(p.numel() for p in net.parameters()) == summary["parameters"]
    assert net.training is False


def test_same_seed_same_run_other_seed_other_run(make_spec):
    first, second = fit(make_spec()), fit(make_spec())
    assert [r.comparable() for r in first.rows] == [r.comparable() for r in second.rows]
    for a, b in zip(first.net.state_dict().values(), second.net.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    other = fit(make_spec(seed=1))
    assert [r.val_loss for r in other.rows] != [r.val_loss for r in first.rows]


def test_flops_are_those_of_the_steps_that_were_made(make_spec):
    result = fit(make_spec())
    spent = 0
    last_step = 0
    for row in result.rows:
        widths = [64, *row.widths.values(), 10]
        per_sample = sum(2 * a * b for a, b in itertools.pairwise(widths))
        train = 3 * per_sample - 2 * widths[0] * widths[1]
        spent += (row.step - last_step) * 128 * train
        last_step = row.step
        assert row.flops_per_sample == per_sample
        assert row.train_flops == spent


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_task_with_and_without_members(make_spec, task, members):
    data = {
        "classification": DataSpec(name="breast_cancer", source="sklearn"),
        "regression": DataSpec(name="diabetes", source="sklearn"),
    }[task]
    result = fit(make_spec(data=data, net=NetSpec(widths=[8], members=members), max_epochs=80))
    assert result.summary["growth_events"] >= 1
    if task == "classification":
        assert result.summary["test"]["error"] < 0.1
    else:
        assert 40 < result.summary["test"]["rmse"] < 70  # predicting the mean is at about 77


def test_dropout_follows_the_width(make_spec):
    result = fit(make_spec(net=NetSpec(widths=[32], dropout="auto")))
    widths = result.summary["widths"]
    ps = [m.p for m in result.net.modules() if isinstance(m, torch.nn.Dropout)]
    assert len(ps) == len(widths)
    from autogrow.train.fit.net.dropout import dropout_for

    assert ps == [dropout_for(w) for w in widths]


def test_a_rate_that_explodes_ends_with_the_best_net_kept(make_spec):
    spec = make_spec(optimizer=OptimizerSpec(name="sgd", lr=1e4))
    with pytest.raises(autogrow.errors.TrainingError, match=r"no finite loss|optimizer\.lr"):
        fit(spec)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"net": NetSpec(widths=[0])}, "net.widths must hold whole numbers of at least 1, got 0"),
        ({"net": NetSpec(widths="64")}, "net.widths must be 'auto', 'tiny' or a list"),
        ({"net": NetSpec(dropout=1.5)}, "net.dropout must be 'auto', null or a number"),
        ({"optimizer": OptimizerSpec(lr=0)}, "optimizer.lr must be above 0, got 0"),
        ({"optimizer": OptimizerSpec(name="adamm")}, "did you mean 'adamw' or 'adam'|did you mean 'adam' or 'adamw'"),
        ({"trainer": TrainerSpec(max_epochs=-1)}, "trainer.max_epochs must be above 0, got -1"),
        ({"warm_start": WarmStart(shrink=2.0)}, "warm_start.shrink must be 0 to 1, got 2.0"),
        ({"warm_start": WarmStart(0.0, 0.0)}, "warm_start.shrink and warm_start.perturb must not both be 0"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"metrics": ("r2",)}, "'r2' is not for a classification task"),
        ({"metrics": ("acuracy",)}, "did you mean 'accuracy'"),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_written(make_spec, tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        fit(make_spec(tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()


def test_a_folder_with_a_run_is_never_overwritten(make_spec, tmp_path):
    (tmp_path / "ledger.jsonl").write_text("precious\n")
    with pytest.raises(ConfigError, match="already holds a run"):
        fit(make_spec(tmp_path))
    assert (tmp_path / "ledger.jsonl").read_text() == "precious\n"
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        fit(make_spec(tmp_path / "file" / "run"))


def test_the_recorded_cost_is_the_nets(make_spec):
    result = fit(make_spec())
    x = torch.zeros(2, 64)
    assert cost(result.net.net, x).flops_per_sample == result.summary["flops_per_sample"]


def test_a_loss_that_blows_up_midway_stops_with_the_best_net_kept(make_spec, monkeypatch):
    from autogrow.train.fit.net.rate import Rate

    plain = Rate.__call__
    monkeypatch.setattr(
        Rate, "__call__", lambda self, step: 1e30 if self.anneal_from is None and step >= 205 else plain(self, step)
    )
    result = fit(make_spec())
    broken = next(r for r in result.rows if not r.finite())
    assert broken.check == 10
    assert not isinstance(broken.action, GROWTHS)
    assert "not finite" in result.summary["stop_reason"]
    assert result.summary["test"]["error"] < 0.15
    assert all(torch.isfinite(v).all() for v in result.net.state_dict().values())
