"""A run that goes on sees the data it began with: split, weights and test rows belong to them."""

import json
from pathlib import Path

import pytest
from command_line import call

from autogrow.errors import InterruptedRunError
from autogrow.train.fit import setup
from autogrow.train.fit.controller import LifeCycleController
from autogrow.train.record import checkpoint

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


def test_a_checkpoint_is_read_and_checked_once(interrupted, monkeypatch):
    seen, check = [], setup.check_to_go_on
    monkeypatch.setattr(setup, "check_to_go_on", lambda *found: seen.append("checked") or check(*found))
    read = checkpoint.read_checkpoint
    monkeypatch.setattr(checkpoint, "read_checkpoint", lambda path: seen.append("read") or read(path))
    assert call("fit", "resume=run") == 0
    assert seen == ["read", "checked"]


def test_a_folder_of_before_has_no_card_and_goes_on(interrupted):
    Path("run/data_card.json").unlink()
    assert call("fit", "resume=run") == 0


@pytest.fixture
def finished():
    table()
    assert call("fit", *FIT, "hydra.run.dir=first") == 0


def goes_on(*more):
    return call("fit", *FIT, "continue_from=first", "hydra.run.dir=then", *more)


def test_a_file_with_more_rows_is_gone_on_with(finished):
    table(rows=170)
    assert goes_on() == 0


@pytest.mark.parametrize(
    ("change", "gone"), [({"changed": 7}, 1), ({"changed": 7, "rows": 150}, 1), ({"rows": 100}, 20)], ids=str
)
def test_a_file_that_lost_rows_is_not_gone_on_with(finished, change, gone, capsys):
    """A row that was edited is a new one: it was in train, and would come back in test."""
    table(**change)
    assert goes_on() == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    began_with = json.loads(Path("first/data_card.json").read_text())["fingerprint"]
    assert (
        f"{gone} of the 120 rows that the net knows of t.csv are gone or changed (fingerprint {began_with[:12]}" in said
    )
    assert not Path("then").exists()
    Path("t.csv").rename("later.csv")
    assert goes_on("data.path=later.csv") == 0


def test_a_sample_of_a_file_may_hold_others_of_its_rows(finished):
    table(rows=400)
    assert goes_on("data.max_rows=150") == 0


@pytest.mark.parametrize("bad", [{"rows": "120"}, {"fingerprint": None}])
def test_a_card_that_is_not_one_of_ours_is_named(finished, bad, capsys):
    card = Path("first/data_card.json")
    card.write_text(json.dumps({**json.loads(card.read_text()), **bad}))
    assert goes_on() == 2
    assert "data_card.json is not as it was written" in capsys.readouterr().err


def test_a_search_is_gone_on_with_on_the_same_data_alone(capsys):
    table()
    search = ["search", *FIT, "trainer.max_epochs=4", "hydra.run.dir=searched"]
    assert call(*search, "search.trials=1") == 0
    Path("searched/result.json").unlink()
    table(changed=7)
    assert call(*search, "search.trials=2") == 2
    assert "searched: the data have changed since this run began (fingerprint " in capsys.readouterr().err


def test_a_comparison_is_gone_on_with_on_the_same_data_alone(capsys, monkeypatch):
    def interrupted(*_):
        raise InterruptedRunError(2)

    monkeypatch.setattr("autogrow.commands.tasks.compare.run_jobs", interrupted)
    table()
    compare = ["compare", *FIT, "arms=[grow]", "hydra.run.dir=compared"]
    assert call(*compare, "seeds=1") == 130
    began_with = json.loads(Path("compared/plan.json").read_text())["fingerprint"]
    assert call(*compare, "seeds=2") == 130
    table(changed=7)
    assert call(*compare, "seeds=2") == 2
    said = capsys.readouterr().err
    assert f"compared: the data have changed since this comparison began (fingerprint {began_with[:12]} then" in said


SWEEP = ["fit", "-m", *FIT, "trainer.max_epochs=4", "hydra.sweep.dir=s"]


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["data.arrival=fraction", "data.stages=[0.5,1.0]"]], ids=["plain", "stages"])
def test_a_sweep_is_gone_on_with_on_the_same_data_alone(more, capsys):
    """Also where only new jobs would see the new data: their results would stand beside the old ones."""
    table()
    assert call(*SWEEP, *more, "seed=range(1)") == 0
    run = Path("s/seed-0", "stage_1" if more else "")
    began_with = json.loads((run / "data_card.json").read_text())["fingerprint"]
    assert call(*SWEEP, *more, "seed=range(1)") == 0
    table(changed=7)
    capsys.readouterr()
    for seeds in ("seed=range(2)", "seed=range(1)", *([] if more else ["seed=range(1,2)"])):
        assert call(*SWEEP, *more, seeds) == 2
        said = capsys.readouterr().err
        assert said.startswith("autogrow: hydra.sweep.dir=s: ")
        changed = f"the data have changed since {run} began (fingerprint {began_with[:12]} then, "
        gone = f"{run} learned from data that have changed since: continue_from: 1 of the 60 rows"
        assert (gone if more else changed) in said
        assert said.count("\n") == 1
    assert not Path("s/seed-1").exists()
    Path("t.csv").unlink()
    assert call(*SWEEP, *more, "seed=range(1)") == 0  # what is done needs no data
