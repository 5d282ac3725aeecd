"""A run that grows in the resolution of its inputs: what it does to columns, what it writes, what goes on from it."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import autogrow
from autogrow.cli import main
from autogrow.data import DataSpec, prepare
from autogrow.errors import ConfigError
from autogrow.growth.sites.find import growth_sites
from autogrow.nets import Knots
from autogrow.policy import AllHidden, Finer, Growth, Never, Trial
from autogrow.policy.history import Refine, Undo
from autogrow.train.fit.run import fit
from autogrow.train.fit.spec import NetSpec, TrainerSpec
from autogrow.train.record.ledger import read_ledger
from autogrow.train.rehearse.rehearsal import rehearse
from autogrow.train.rewire.columns import Columns

sys.path.insert(0, str(Path(__file__).parent))
from run_specs import eager_policy

FINER = Finer(Growth(Never(), AllHidden()), above=0.0, fall=1.0)


def table(n=400, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"income": rng.lognormal(size=n), "age": rng.integers(18, 80, n), "rooms": rng.integers(1, 5, n)}
    )
    frame["new"] = rng.random(n) < 0.5
    frame["same"] = 7.0
    frame["when"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), "D")
    frame["town"] = rng.choice(["a", "b", "c"], n)
    frame.loc[rng.random(n) < 0.1, "income"] = np.nan
    frame["y"] = np.sin(2 * frame["income"].fillna(0)) + (frame["age"] - 50) ** 2 / 500 + rng.normal(size=n) / 10
    return frame


@pytest.fixture
def run(tmp_path, make_spec):
    """A finished run on the table: its result and its folder."""
    table().to_csv(tmp_path / "t.csv", index=False)
    data = DataSpec(name="t", source="csv", path=str(tmp_path / "t.csv"), target="y")
    spec = make_spec(
        tmp_path / "run", data=data, policy=eager_policy(growth=FINER), net=NetSpec(widths=[16]),
        trainer=TrainerSpec(max_epochs=200, check_every=10, check_rows=300),
    )  # fmt: skip
    return fit(spec), tmp_path / "run", spec


def test_the_answer_along_a_finer_column_is_the_mean_of_what_the_net_answers(run):
    result, _, spec = run
    effects = result.curves["effects"]
    assert {effect["name"] for effect in effects} == {"income", "age", "rooms"} & set(result.summary["knots"])
    assert effects
    moves = [max(effect["lines"][0]["y"]) - min(effect["lines"][0]["y"]) for effect in effects]
    assert moves == sorted(moves, reverse=True)
    prepared = prepare(spec.data)
    rows = table().drop(columns="y")
    inputs = prepared.pipeline.inputs(rows)
    rows = rows.iloc[[int((inputs == row).all(1).nonzero()[0]) for row in prepared.train.x[:64]]]
    for effect in effects:
        (line,) = effect["lines"]
        assert line["label"] == "y"
        assert effect["x"] == sorted(effect["x"])
        assert len(effect["x"]) == result.summary["knots"][effect["name"]] + 1
        means = [np.mean(result.net.predict(rows.assign(**{effect["name"]: value}))) for value in effect["x"]]
        np.testing.assert_allclose(line["y"], means, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize(("classes", "drawn"), [(2, 1), (5, 3)])
def test_what_is_drawn_of_classes(tmp_path, make_spec, classes, drawn):
    rows = table()
    rows["y"] = np.digitize(rows["y"], np.quantile(rows["y"], np.linspace(0, 1, classes + 1)[1:-1]))
    rows.to_csv(tmp_path / "t.csv", index=False)
    data = DataSpec(name="t", source="csv", path=str(tmp_path / "t.csv"), target="y")
    spec = make_spec(
        tmp_path / "run", data=data, policy=eager_policy(growth=FINER), net=NetSpec(widths=[16]),
        trainer=TrainerSpec(max_epochs=100, check_every=10, check_rows=300),
    )  # fmt: skip
    effects = fit(spec).curves["effects"]
    assert {len(effect["lines"]) for effect in effects} == {drawn}
    assert all(0 <= y <= 1 for effect in effects for line in effect["lines"] for y in line["y"])
    if classes == 2:
        assert {line["label"] for effect in effects for line in effect["lines"]} == {1}


def test_a_net_without_knots_has_nothing_to_draw_of_columns(tmp_path, make_spec):
    assert "effects" not in fit(make_spec(tmp_path / "run")).curves


def test_a_run_refines_its_columns_and_says_so(run):
    result, folder, _ = run
    rows = read_ledger(folder)
    events = [row.event for row in rows if row.event is not None and isinstance(row.event.done, Refine)]
    assert events
    assert {name for event in events for name in event.done.knots} <= {"income", "age", "rooms", "when"}
    for event in events:
        assert event.receipt["max_abs_change"] <= event.receipt["promise"]
        for name in event.done.knots:
            assert event.before.knots.get(name, 1) < event.after.knots[name] <= 32
        assert event.after.widths == event.before.widths
        assert event.after.parameters > event.before.parameters
    assert rows[-1].knots.get("rooms", 3) == 3  # four values: three pieces
    looked = [row.options["columns"][0]["found"] for row in rows if "columns" in row.options]
    assert set(looked[0]) == {"income", "age", "rooms", "when"}  # not what has two values, one, or is no number
    kept = next(row for row in rows if row.passes == result.summary["best_epoch"] or row.check == len(rows) - 1)
    assert result.summary["widths"] == [16] == list(kept.widths.values())


def test_it_loads_and_predicts_as_it_was_measured(run):
    result, folder, _ = run
    net = autogrow.load(folder / "checkpoints" / "best.ckpt")
    assert any(isinstance(m, Knots) for m in net.modules())
    rows = table(50, seed=3).drop(columns="y")
    assert np.array_equal(net.predict(rows), result.net.predict(rows))


def test_resolution_is_fitted_on_training_rows_alone(run):
    result, folder, _ = run
    knots = next(m for m in result.net.modules() if isinstance(m, Knots))
    net = autogrow.load(folder / "checkpoints" / "best.ckpt")
    with np.load(folder / "checkpoints" / "best.split.npz") as file:
        assert set(file["parts"].tolist()) == {0, 1, 2}
    z = net.preprocess(net.encode(table().drop(columns="y")))
    for column in knots.column.unique().tolist():
        at = torch.cat([knots.low, knots.high])[torch.cat([knots.column, knots.column]) == column]
        assert float(at.min()) >= float(z[:, column].min())
        assert float(at.max()) <= float(z[:, column].max())


def test_a_refinement_that_is_undone_gives_back_the_plain_net(make_spec):
    policy = eager_policy(
        growth=Trial(Finer(FINER.growth, above=0.0, fall=1.0), checks=2, gain=0.99, rest=1, give_up=1)
    )
    result = fit(make_spec(policy=policy, max_epochs=40))
    undone = next(i for i, row in enumerate(result.rows) if isinstance(row.action, Undo))
    assert result.rows[undone].knots
    assert result.rows[undone + 1].knots == {}
    assert result.rows[undone + 1].parameters == result.rows[0].parameters
    assert not any(isinstance(m, Knots) for m in result.net.modules())


def test_the_dry_run_knows_it(make_spec):
    spec = make_spec(policy=eager_policy(growth=FINER), max_epochs=40)
    from autogrow.data import prepare

    found = rehearse(spec, prepare(spec.data))
    stages = [stage for stage in found.falling.stages if isinstance(stage.action, Refine)]
    assert stages
    assert stages[0].footprint.parameters > found.falling.stages[0].footprint.parameters
    assert not any(isinstance(stage.action, Refine) for stage in found.resting.stages)


def test_looks_are_charged(make_spec):
    plain = fit(make_spec(policy=eager_policy(growth=FINER.growth)))
    looked = fit(make_spec(policy=eager_policy(growth=Finer(FINER.growth, above=1e9, fall=1.0))))
    cost = [b.eval_flops - a.eval_flops for a, b in zip(plain.rows, looked.rows, strict=False)]
    assert cost[1] == 0 < cost[2] < cost[5]
    assert [r.val_loss for r in plain.rows[:6]] == [r.val_loss for r in looked.rows[:6]]  # looking changes nothing


def test_fine_from_the_start(make_spec):
    result = fit(make_spec(net=NetSpec(widths=[8], knots=4), policy=eager_policy(growth=Growth(Never(), AllHidden()))))
    assert result.rows[0].knots
    assert set(result.rows[0].knots.values()) <= {2, 3, 4}
    named = fit(make_spec(net=NetSpec(widths=[8], knots={"pixel_1_2": 3}), max_epochs=5))
    assert dict(named.rows[0].knots) == {"pixel_1_2": 3}
    with pytest.raises(ConfigError, match=r"net.knots: no numeric column is called 'pixel'; did you mean 'pixel_"):
        fit(make_spec(net=NetSpec(widths=[8], knots={"pixel": 3})))


@pytest.mark.parametrize(
    ("values", "count", "wanted"),
    [
        ([1.0, 1.0, 1.0], 8, [1.0]),  # constant
        ([0.0, 1.0, 1.0, 0.0], 8, [0.0, 1.0]),  # two values
        ([0.0, 1.0, 2.0, 2.0, 5.0], 8, [0.0, 1.0, 2.0, 5.0]),
        ([0.0, 1e-6, 1.0, 2.0], 4, [0.0, 1.0, 2.0]),
    ],
)
def test_knots_lie_at_quantiles_and_those_that_fall_together_are_one(values, count, wanted):
    columns = Columns.of(["x"], torch.tensor(values)[:, None])
    assert columns.knots("x", count) == pytest.approx(wanted)


def call(command, *arguments):
    with pytest.raises(SystemExit) as ended:
        main([command, *arguments])
    return ended.value.code


FAST = [
    "data=csv",
    "data.target=y",
    "trainer.max_epochs=150",
    "trainer.check_every=10",
    "growth=finer",
    "net.widths=[16]",
]


def test_on_the_command_line_and_on_with_more_data(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table().to_csv("t.csv", index=False)
    assert call("fit", *FAST, "data.path=t.csv", "growth.finer.above=0", "hydra.run.dir=r0") == 0
    assert "finer: " in capsys.readouterr().out
    page = Path("r0/report.html").read_text()
    assert "finer: " in page
    assert call("replay", "r0", "growth=finer", "growth.finer.above=0") == 0
    assert "differs" not in capsys.readouterr().out
    more = pd.concat([table(), table(300, seed=9)])
    more["extra"] = np.random.default_rng(1).normal(size=len(more)) * 3 + 8
    more.to_csv("more.csv", index=False)
    assert call("fit", *FAST, "data.path=more.csv", "continue_from=r0", "growth.finer.above=0", "hydra.run.dir=r1") == 0
    rows = [json.loads(line) for line in Path("r1/ledger.jsonl").read_text().splitlines()]
    receipt = rows[0]["event"]["receipt"]
    assert receipt["max_abs_change"] <= receipt["promise"]
    before = json.loads(Path("r0/result.json").read_text())["parameters"]
    assert rows[0]["parameters"] > before
    old, new = (autogrow.load(f"{r}/checkpoints/best.ckpt") for r in ("r0", "r1"))
    sites = [growth_sites(net.net).finer for net in (old, new)]
    for name, site in sites[0].items():  # old knots stay
        assert set(site.knots) <= set(sites[1][name].knots)
    assert sites[1]["inputs[6]"].pieces in (1, 32)  # what is new starts plain, and may have been refined since
    assert rows[0]["knots"] == {k: v for k, v in rows[0]["knots"].items() if k != "extra"}
    assert call("transfer", "checkpoint=r1", "widths=[24,24]", "out=larger.ckpt") == 0
    rows = table(20, seed=4).assign(extra=1.0).drop(columns="y")
    assert np.allclose(autogrow.load("larger.ckpt").predict(rows), new.predict(rows), atol=1e-5)
