"""A run that goes on sees the data it began with: split, weights and test rows belong to them."""

import json
from pathlib import Path

import pytest
from command_line import call

from autogrow.train.fit.controller import LifeCycleController

pytestmark = pytest.mark.usefixtures("alone")

FIT = ["data=csv", "data.path=t.csv", "data.target=y", "trainer.max_epochs=30", "trainer.check_every=5"]


def table(*, changed=None, rows=120):
    lines = [f"{(i * 37 % 101) / 7:.3f},{i % 5},{'abc'[i % 3]}" for i in range(rows)]
    if changed is not None:
        lines[changed] = "9.9,4,a"
    Path("t.csv").write_text("x,z,y\n" + "\n".join(lines) + "\n")


@pytest.fixture
def interrupted(monkeypatch):
    """A run that was left behind its third check, as Ctrl-C leaves it."""
    table()

    def leave(self, trainer, *_):
        self.interrupted = 2 if len(self.rows) == 3 else None
        if self.interrupted:
            self.leave(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(LifeCycleController, "on_train_batch_end", leave)
        assert call("fit", *FIT, "hydra.run.dir=run") == 130


def kept():
    return {p.relative_to("run"): p.read_bytes() for p in Path("run").rglob("*") if p.is_file()}


@pytest.mark.parametrize("change", [{"changed": 7}, {"rows": 119}, {"rows": 130}], ids=str)
def test_a_table_that_has_changed_is_refused_with_both_fingerprints_and_nothing_lost(interrupted, change, capsys):
    began_with = json.loads(Path("run/data_card.json").read_text())["fingerprint"]
    before = kept()
    table(**change)
    assert call("fit", "resume=run") == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"the data have changed since this run began (fingerprint {began_with[:12]} then, " in said
    assert kept() == before
    table()
    assert call("fit", "resume=run") == 0
    assert json.loads(Path("run/data_card.json").read_text())["fingerprint"] == began_with


def test_a_folder_of_before_has_no_card_and_goes_on(interrupted):
    Path("run/data_card.json").unlink()
    assert call("fit", "resume=run") == 0
