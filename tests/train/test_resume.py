"""A run that is resumed ends like one that was never interrupted: bit for bit, from every checkpoint."""

import shutil
import sys
from pathlib import Path

import pytest
import torch

from autogrow.errors import InterruptedRunError
from autogrow.policy import Dropout, EarlyRamp, Factor, Finer, Growth, Patience, Trial
from autogrow.train.fit import checkpoint_writer
from autogrow.train.fit import controller as controllers
from autogrow.train.fit.run import fit
from autogrow.train.fit.spec import NetSpec, OptimizerSpec, TrainerSpec
from autogrow.train.record.passed import read_passed, write_passed

sys.path.insert(0, str(Path(__file__).parent))
from run_specs import eager_policy


def weights(result):
    return {name: value.clone() for name, value in result.net.state_dict().items()}


def same(a, b):
    assert [r.comparable() for r in a.rows] == [r.comparable() for r in b.rows]
    left, right = weights(a), weights(b)
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert torch.equal(value, right[name]), name
    drop = {"seconds"}
    assert {k: v for k, v in a.summary.items() if k not in drop} == {
        k: v for k, v in b.summary.items() if k not in drop
    }


def passed(folder):
    """The nets that a run has kept from before its growths, by check."""
    return {check: content["snapshot"]["ema"] for check, _, content in read_passed(folder)}


def same_passed(a, b):
    assert a.keys() == b.keys()
    for check, weights in a.items():
        assert all(torch.equal(value, b[check][name]) for name, value in weights.items()), check


CASES = {
    "one net": {"net": NetSpec(widths=[36])},
    "members": {"net": NetSpec(widths=[36], members=2)},
    "refined columns": {
        "net": NetSpec(widths=[8], members=2),
        "policy": eager_policy(growth=Finer(Growth(when=EarlyRamp(4, 4), amount=Factor(cap=16)), above=0.0, every=2)),
    },
    "orthogonal steps": {
        "net": NetSpec(widths=[36], members=2),
        "optimizer": OptimizerSpec(name="muon"),
        "optimizer_state": "carry",
    },
    "judged by a metric": {"net": NetSpec(widths=[8]), "metric": "balanced_accuracy"},
    "dropout on trial": {
        "net": NetSpec(widths=[36]),
        "optimizer": OptimizerSpec(lr=0.02),
        "policy": eager_policy(
            growth=Growth(when=EarlyRamp(2, 4)),
            stop=Patience(checks=1, after_growth=1),
            regularize=Dropout((0.1, 0.3), gap=0.0, gain=0.0, checks=3),
        ),
    },
    "undone growths": {
        "policy": eager_policy(growth=Trial(Growth(when=EarlyRamp(2, 20)), checks=2, gain=0.9, rest=1, give_up=3)),
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_bit_exact_from_every_check(make_spec, tmp_path, monkeypatch, case):

    kept = tmp_path / "kept"
    kept.mkdir()
    original = checkpoint_writer.CheckpointWriter.write

    def write_and_keep(self, trainer):
        original(self, trainer)
        if self.folder is not None:
            shutil.copy(self.folder / "last.ckpt", kept / f"{trainer.global_step:06d}.ckpt")

    monkeypatch.setattr(checkpoint_writer.CheckpointWriter, "due", lambda self: True)
    monkeypatch.setattr(checkpoint_writer.CheckpointWriter, "write", write_and_keep)
    changes = {**CASES[case], "max_epochs": 40}
    whole = fit(make_spec(tmp_path / "whole", **changes))
    undone = [r for r in whole.rows if r.event and r.event.do == "undo"]
    assert bool(undone) == (case == "undone growths")
    for row in undone:
        assert row.widths == whole.rows[row.event.back_to].widths
    tried = [r.event.done.dropout for r in whole.rows if r.event and r.event.do == "regularize"]
    assert tried == ([0.1, 0.3][: len(tried)] if case == "dropout on trial" else [])
    assert bool(tried) == (case == "dropout on trial")
    assert whole.summary["growth_events"] >= 2
    paths = sorted(kept.iterdir())
    assert len(paths) == len(whole.rows)
    for path in paths:
        out = tmp_path / path.stem
        (out / "checkpoints").mkdir(parents=True)
        shutil.copy(path, out / "checkpoints" / "last.ckpt")
        shutil.copy(
            tmp_path / "whole" / "ledger.jsonl", out / "ledger.jsonl"
        )  # rows beyond the checkpoint are cut back
        torch.manual_seed(hash(path.stem) % 1000)
        torch.rand(7)
        same(whole, fit(make_spec(out, **changes), resume=True))
        shutil.rmtree(out)


@pytest.mark.parametrize("leave_at", [1, 7, 23, 44])
def test_bit_exact_after_an_interruption_within_a_check(make_spec, tmp_path, monkeypatch, leave_at, accelerator):
    """Ctrl-C between two bursts of any check; the trainer's own loop position is in the middle of an epoch."""
    trainer = TrainerSpec(max_epochs=40, check_every=20, check_rows=300, burst=6, accelerator=accelerator)
    net = NetSpec(widths=[8], dropout=0.1)  # drawn on the device
    whole = fit(make_spec(trainer=trainer, net=net))
    seen = {"batches": 0}
    original = controllers.LifeCycleController.on_train_batch_end

    def leave(self, *arguments):
        seen["batches"] += 1
        if seen["batches"] == leave_at:
            self.interrupted = 2
        original(self, *arguments)

    monkeypatch.setattr(controllers.LifeCycleController, "on_train_batch_end", leave)
    with pytest.raises(InterruptedRunError):
        fit(make_spec(tmp_path / "run", trainer=trainer, net=net))
    monkeypatch.undo()
    same(whole, fit(make_spec(tmp_path / "run", trainer=trainer, net=net), resume=True))


def test_the_nets_it_passed_through_are_the_same_after_an_interruption(make_spec, tmp_path, monkeypatch):
    """Those of checks that are taken again are written again, and one that this run does not take goes."""
    fit(make_spec(tmp_path / "whole"))
    whole = passed(tmp_path / "whole")
    assert len(whole) >= 2
    original = controllers.LifeCycleController.on_train_batch_end

    def leave(self, *arguments):
        if len(passed(tmp_path / "run")) == 2:
            self.interrupted = 2
        original(self, *arguments)

    monkeypatch.setattr(controllers.LifeCycleController, "on_train_batch_end", leave)
    with pytest.raises(InterruptedRunError):
        fit(make_spec(tmp_path / "run"))
    monkeypatch.undo()
    of_another = next(content["snapshot"] for _, _, content in read_passed(tmp_path / "whole"))
    write_passed(tmp_path / "run", 50, of_another)
    fit(make_spec(tmp_path / "run"), resume=True)
    same_passed(passed(tmp_path / "run"), whole)


def test_a_damaged_last_checkpoint_is_named_and_the_one_before_it_used(make_spec, tmp_path, monkeypatch):
    whole = fit(make_spec())
    monkeypatch.setattr(controllers.LifeCycleController, "on_train_end", interrupt_at_end, raising=False)
    with pytest.raises(InterruptedRunError):
        fit(make_spec(tmp_path / "run"))
    monkeypatch.undo()
    last: Path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:5000])
    with pytest.warns(UserWarning, match=r"last.ckpt is not a whole checkpoint.*; using the one before it"):
        resumed = fit(make_spec(tmp_path / "run"), resume=True)
    same(whole, resumed)


def interrupt_at_end(self, trainer, module):
    raise InterruptedRunError(2)
