"""Runs on rows that go by: one pass, batches of one's own, and a run that goes on as if nothing had happened."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import autogrow
from autogrow.errors import ConfigError, DataError, InterruptedRunError
from autogrow.policy import EarlyRamp, Factor, Finish, Growth, NeverStop
from autogrow.train.fit import controller as controllers
from autogrow.train.fit.run import fit
from autogrow.train.fit.setup import steps_per_check, stream_of
from autogrow.train.fit.spec import FitSpec, NetSpec, TrainerSpec

sys.path.insert(0, str(Path(__file__).parent))
from run_specs import eager_policy


def table(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    y = np.where(x[:, 0] + 0.3 * x[:, 2] > 0, "yes", "no")
    return pd.DataFrame({"u": x[:, 0], "v": x[:, 1], "w": x[:, 2], "y": y})


@pytest.fixture
def parts(tmp_path):
    pytest.importorskip("pyarrow")
    folder = tmp_path / "parts"
    folder.mkdir()
    for k in range(3):
        table(900, k).to_parquet(folder / f"part_{k}.parquet", row_group_size=250, index=False)
    return folder


def spec_on(folder, out=None, **fields):
    data = autogrow.DataSpec(
        name="stream", source="stream", path=str(folder), target="y", first_rows=600, window_rows=400, batch_size=32
    )
    trainer = TrainerSpec(passes=2, checkpoint_seconds=0.0)
    given = {"net": NetSpec(widths=[8]), "policy": eager_policy(), "trainer": trainer, "seed": 1}
    return FitSpec(data, out=out, **(given | fields))


def same(a, b):
    assert [r.comparable() for r in a.rows] == [r.comparable() for r in b.rows]
    right = b.net.state_dict()
    for name, value in a.net.state_dict().items():
        assert torch.equal(value, right[name]), name


@pytest.mark.parametrize("members", [1, 2])
def test_a_run_on_files_that_is_resumed_ends_like_one_that_was_not(parts, tmp_path, monkeypatch, members):
    changed = {
        "net": NetSpec(widths=[8], members=members),
        "policy": eager_policy(growth=Growth(when=EarlyRamp(4, 8), amount=Factor(cap=24)), stop=NeverStop()),
    }
    whole = fit(spec_on(parts, tmp_path / "whole", **changed))
    kinds = {type(row.event.done).__name__ for row in whole.rows if row.event is not None}
    assert {"Widen", "Anneal", "Refit"} <= kinds
    checks = len(whole.rows)
    for at in {2, checks // 2, checks - 2}:  # early, in the middle, in the refit
        out = tmp_path / f"cut_{at}"
        before = controllers.LifeCycleController.on_train_batch_end

        def leave(self, trainer, module, *rest, at=at, before=before):
            if len(self.rows) == at:
                self.interrupted = 15
            before(self, trainer, module, *rest)

        with monkeypatch.context() as patched:
            patched.setattr(controllers.LifeCycleController, "on_train_batch_end", leave)
            with pytest.raises(InterruptedRunError):
                fit(spec_on(parts, out, **changed))
        same(whole, fit(spec_on(parts, out, **changed), resume=True))
        shutil.rmtree(out)


def test_a_run_does_not_go_on_with_other_files(parts, tmp_path, monkeypatch):
    out = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(controllers.LifeCycleController, "asked_to_leave", lambda self, _: len(self.rows) > 2)
        with pytest.raises(InterruptedRunError):
            fit(spec_on(parts, out))
    table(900, 7).to_parquet(parts / "part_1.parquet", row_group_size=250, index=False)
    with pytest.raises(DataError):
        fit(spec_on(parts, out), resume=True)


def test_rows_and_flops_are_counted_as_they_go_by(parts):
    result = fit(spec_on(parts, trainer=TrainerSpec(passes=1)))
    rows = result.card["splits"]["train"]
    assert rows == 2700 - result.card["splits"]["val"] - result.card["splits"]["test"]
    last = result.rows[-1]
    assert last.passes == last.step / (rows // 32) <= 1
    assert last.train_flops > 3 * last.step * 32 * result.rows[0].parameters


class Mappings:
    """Batches of 100 rows, as often as they are asked for."""

    def __iter__(self):
        whole = table(1500)
        for begin in range(0, len(whole), 100):
            yield {name: whole[name].to_numpy()[begin : begin + 100] for name in whole}


def own_spec(**fields):
    data = autogrow.DataSpec(source="stream", target="y", first_rows=500, window_rows=300, batch_size=32)
    trainer = TrainerSpec(passes=1)
    return FitSpec(data, **({"net": NetSpec(widths=[8]), "policy": eager_policy(), "trainer": trainer} | fields))


def test_batches_of_ones_own_train_a_net():
    spec = own_spec(trainer=TrainerSpec(passes=4), policy=eager_policy(stop=NeverStop()))
    result = autogrow.fit(spec, stream=Mappings())
    assert result.card["rows"] == 1500
    assert result.summary["test"]["error"] < 0.3
    assert any("a stream: " in note for note in result.card["notes"])


def test_an_iterator_trains_for_one_pass_as_what_can_be_iterated_again_does():
    spec = own_spec(policy=eager_policy(finish=Finish()))
    once = own_spec(policy=eager_policy(finish=Finish()))
    once.data.stream_rows = 1500
    same(autogrow.fit(spec, stream=Mappings()), autogrow.fit(once, stream=iter(Mappings())))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (
            {"trainer": TrainerSpec(passes=2), "policy": eager_policy(finish=Finish())},
            "trainer.passes must be at most 1",
        ),
        ({"policy": eager_policy(finish=Finish(refit=True))}, "finish.refit=false"),
    ],
)
def test_what_would_go_back_in_an_iterator_is_refused_before_anything_is_trained(fields, says):
    spec = own_spec(**fields)
    spec.data.stream_rows = 1500
    with pytest.raises(ConfigError, match=says):
        autogrow.fit(spec, stream=iter(Mappings()))


def test_a_planned_run_has_as_many_checks_as_a_usual_one(parts):
    from autogrow.data import prepare

    spec = spec_on(parts, trainer=TrainerSpec(passes=1))
    prepared = prepare(spec.data)
    steps = stream_of(spec, prepared).steps_per_pass
    assert 5 == steps_per_check(spec, prepared) < steps / 2
    assert steps_per_check(spec_on(parts, trainer=TrainerSpec()), prepared) == 20
    assert steps_per_check(spec_on(parts, trainer=TrainerSpec(passes=100)), prepared) == 20
