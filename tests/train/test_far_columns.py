"""Runs on columns and targets that 32-bit floats cannot hold: what is trained is what predicts, resumes and goes on."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import call
from far_columns import WITHIN, column

import autogrow
from autogrow.train.fit.controller import LifeCycleController
from autogrow.train.record.ledger import read_ledger

pytestmark = pytest.mark.usefixtures("alone")

FIT = ["data=csv", "data.target=y", "trainer.max_epochs=40", "trainer.check_every=20", "data.batch_size=32"]
STEPS = np.random.default_rng(0).permutation(300)


def table(names=tuple(WITHIN), rows=300, steps=STEPS):
    """A column of each kind, of which any one alone says the class."""
    return pd.DataFrame({f"c{i}": column(name, steps[:rows]) for i, name in enumerate(names)}).assign(
        y=np.where(steps[:rows] > 120, "late", "early")
    )


def fitted(frame, folder, *more):
    frame.to_csv("t.csv", index=False)
    assert call("fit", *FIT, "data.path=t.csv", f"hydra.run.dir={folder}", *more) == 0
    return autogrow.load(Path(folder) / "checkpoints" / "best.ckpt"), json.loads(
        Path(folder, "result.json").read_text()
    )


@pytest.mark.parametrize("name", WITHIN)
def test_one_column_says_it_all_to_a_run_and_to_the_net_that_it_leaves(name):
    frame = table([name])
    net, result = fitted(frame, "run")
    assert max(result["val"]["error"], result["test"]["error"]) < 0.1
    assert (net.predict(frame) == frame["y"]).mean() > 0.9
    assert (net.predict(frame) == net.predict(frame[["c0"]].to_numpy())).all()


@pytest.mark.parametrize("name", ["numbers near a billion", "a thousandth on a billion", "ones on 1e15", "ordinary"])
def test_a_target_far_from_zero_is_predicted_in_its_own_units(name):
    frame = pd.DataFrame({"x": STEPS, "y": column(name, STEPS)})
    net, result = fitted(frame, "run", "data.task=regression")
    spread = frame["y"].std()
    assert result["test"]["rmse"] < 0.2 * spread
    off = np.abs(net.predict(frame) - frame["y"])
    assert off.mean() < 0.2 * spread


def test_a_run_on_all_of_them_resumes_bit_for_bit(monkeypatch):
    frame = table()
    whole, _ = fitted(frame, "whole")

    def leave(self, trainer, *_):
        self.interrupted = 2 if len(self.rows) == 2 else None
        if self.interrupted:
            self.leave(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(LifeCycleController, "on_train_batch_end", leave)
        assert call("fit", *FIT, "data.path=t.csv", "hydra.run.dir=again") == 130
    assert call("fit", "resume=again") == 0
    assert [r.comparable() for r in read_ledger(Path("again"))] == [r.comparable() for r in read_ledger(Path("whole"))]
    again = autogrow.load("again/checkpoints/best.ckpt")
    encoded = whole.encode(frame)
    assert (again(again.encode(frame)) == whole(encoded)).all()


@pytest.mark.parametrize(
    "name", ["Unix seconds, a minute apart", "a thousandth on a billion", "of size 1e-200", "ordinary"]
)
def test_a_net_that_goes_on_answers_as_before_and_as_well(name):
    first, more = table([name], rows=160), table([name])
    fitted(first, "first")
    net, result = fitted(more, "then", "continue_from=first")
    assert result["continued"]["receipt"]["max_abs_change"] < 1e-4
    assert result["test"]["error"] < 0.1
    assert (net.predict(more) == more["y"]).mean() > 0.9
