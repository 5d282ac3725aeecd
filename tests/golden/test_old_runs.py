"""What an earlier autogrow left behind, in `old_runs/`: today's code loads, reads, reports it and goes on with it.

Made once, at commit 7c71245, before modules moved, and not to be made again: `complete` (a regression on a table with
categories and missing values), `interrupted` (by a Ctrl-C behind check 8), `stages` (a chain of two), `guest` (a module
that is not ours, after six of nine epochs); `answers.json` holds inputs and what the nets answered. The golden runs
`resumed` and `from_old` see to it that they end as they would have ended then.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from command_line import call

import autogrow

sys.path.insert(0, str(Path(__file__).parent))
from guest import CHECKPOINT, Guest, net
from kept import OLD_RUNS, unmended

ANSWERS = json.loads((OLD_RUNS / "answers.json").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def old(tmp_path, monkeypatch):
    """A copy of the old runs in a folder of the test's own, which is the working directory."""
    shutil.copytree(OLD_RUNS, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["autogrow"])
    return tmp_path


def test_a_finished_runs_net_gives_the_answers_that_it_gave():
    loaded = autogrow.load("complete/checkpoints/best.ckpt")
    rows = pd.DataFrame(ANSWERS["complete"]["rows"])
    assert rows.isna().any().any()
    assert loaded.predict(rows) == pytest.approx(ANSWERS["complete"]["answers"], rel=1e-6)


@pytest.mark.parametrize(
    ("run", "file"), [("stages", "best.ckpt"), ("stages/stage_1", "best.ckpt"), ("interrupted", "last.ckpt")]
)
def test_the_net_of_any_checkpoint_gives_the_answers_that_it_gave(run, file):
    loaded = autogrow.load(Path(run, "checkpoints", file))
    stored = ANSWERS[run.partition("/")[0]]
    outputs = loaded(loaded.encode(pd.DataFrame(stored["rows"])))
    torch.testing.assert_close(outputs, torch.tensor(stored["answers"]), atol=1e-6, rtol=1e-6)


def test_a_guests_checkpoint_is_loaded_into_a_net_as_it_was_before_growth():
    loaded = autogrow.load(Path("guest", CHECKPOINT), net=net())
    outputs = loaded(torch.tensor(ANSWERS["guest"]["rows"]))
    torch.testing.assert_close(outputs, torch.tensor(ANSWERS["guest"]["answers"]), atol=1e-6, rtol=1e-6)


def test_a_guests_checkpoint_is_loaded_into_its_module():
    module = autogrow.load_grown(Guest(), Path("guest", CHECKPOINT)).eval()
    outputs = module.body(torch.tensor(ANSWERS["guest"]["rows"]))
    torch.testing.assert_close(outputs, torch.tensor(ANSWERS["guest"]["answers"]), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("run", ["complete", "stages", "stages/stage_0", "stages/stage_1"])
def test_the_page_is_built_again(run, capsys):
    page = Path(run, "report.html")
    assert not page.exists()
    assert call("report", run) == 0
    assert capsys.readouterr().out.strip() == str(page)
    result = json.loads(Path(run, "result.json").read_text(encoding="utf-8"))
    text = page.read_text(encoding="utf-8")
    assert f"{result['parameters']:,}" in text
    assert "24-24" in text or run == "stages/stage_0"


@pytest.mark.parametrize(("run", "checks"), [("complete", 16), ("interrupted", 9)])
def test_an_old_ledger_is_replayed(run, checks, capsys):
    recorded = ["stop.checks=3", "stop.after_growth=3", "growth.amount.cap=24", "growth.guards=null"]
    recorded += ["growth.finer=null", "finish.refit=false", "finish.share=0.3"]  # as it was then
    assert call("replay", run, *recorded) == 0
    assert f"the same decisions at all {checks} checks" in capsys.readouterr().out
    assert call("replay", run, *recorded[:2], "growth=never", *recorded[-2:]) == 0
    printed = capsys.readouterr().out
    assert "differs is at check 2: recorded widen hidden.0.linear to 16, this policy keep" in printed
    assert f"the {checks - 3} checks behind it are of another net" in printed


def test_an_interrupted_run_goes_on_from_its_last_check_to_the_end():
    before = Path("interrupted/ledger.jsonl").read_text(encoding="utf-8").splitlines()
    assert call("fit", "resume=interrupted") == 0
    after = Path("interrupted/ledger.jsonl").read_text(encoding="utf-8").splitlines()
    assert [told(line) for line in after[: len(before)]] == [told(line) for line in before]
    assert json.loads(after[-1])["action"] == {"do": "stop"}
    result = json.loads(Path("interrupted/result.json").read_text(encoding="utf-8"))
    assert result["growth_events"] >= 2
    assert math.isclose(result["epochs"], 60)
    assert autogrow.load("interrupted/checkpoints/best.ckpt").predict(pd.DataFrame(ANSWERS["interrupted"]["rows"])).size


def told(line):
    """A row as a ledger told it before and after its events were mended."""
    return unmended(json.loads(line))


def test_a_finished_run_is_not_gone_on_with(capsys):
    assert call("fit", "resume=complete") != 0
    assert "this run is complete" in capsys.readouterr().err
