"""`autogrow fit data.arrival=…` from the command line: one run folder, its stages, its page;
interrupted, it goes on.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from command_line import call
from omegaconf import OmegaConf

pytestmark = pytest.mark.usefixtures("alone")

QUICK = ["data=digits", "net.widths=[8]", "trainer.max_epochs=30", "stop.checks=4", "stop.after_growth=4"]
STAGED = [*QUICK, "data.arrival=fraction", "data.stages=[0.4,1]"]


def test_a_chain_leaves_a_folder_with_everything(tmp_path, capsys):
    assert call("fit", *STAGED, "hydra.run.dir=run") == 0
    out = tmp_path / "run"
    assert sorted(p.name for p in out.iterdir()) == [
        "checkpoints", "config.yaml", "report.html", "result.json", "stage_0", "stage_1", "stages.csv", "stages.json",
    ]  # fmt: skip
    result = json.loads((out / "result.json").read_text())
    assert result["command"].startswith("autogrow fit data=digits")
    said = capsys.readouterr().out
    assert "0: 40 % of the rows" in said
    page = (out / "report.html").read_text()
    for wanted in ("stage_0/report.html", "stage_1/report.html", "40 % of the rows", "training FLOPs so far"):
        assert wanted in page
    # a stage's config says how that stage was trained
    first, last = (OmegaConf.load(out / f"stage_{k}" / "config.yaml") for k in range(2))
    assert (first.data.stage, last.data.stage) == (0, 1)
    assert (first.stop.checks, last.stop.checks) == (1, 4)
    assert last.continue_from.endswith("run/stage_0")
    assert [(own.warm_start.shrink, own.warm_start.perturb) for own in (first, last)] == [(1.0, 0.0), (0.4, 0.1)]
    (out / "report.html").unlink()
    assert call("report", "run") == 0
    assert (out / "report.html").read_text() == page
    assert call("fit", "resume=run") == 2
    assert "this run is complete" in capsys.readouterr().err
    assert call("fit", *STAGED, "hydra.run.dir=run") == 2
    assert "already holds a run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data.arrival=fractoin"], "data.arrival 'fractoin' is unknown; did you mean 'fraction'?"),
        (["data.arrival=fraction", "data.stages=[0.5,0.2]"], "must increase from stage to stage, got 0.2 after 0.5"),
        (["data.arrival=fraction", "data.stages=[0.005,1]"], "stage 0 of 2 (0.5 % of the rows)"),
        (["data.arrival=fraction", "data.stages=[0.5,1.5]"], "at most 1"),
        (["data.arrival=column"], "data.arrival=column needs data.arrival_column="),
        (["data.arrival=files", "data=csv"], "data.path must name the folder that csv files arrive in"),
        (["data.arrival=fraction", "stage.patience=0"], "stage.patience must be above 0 to 1"),
        (["data.stages=3"], "data.stages=3 needs data.arrival="),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(arguments, message, tmp_path, capsys):
    assert call("fit", *QUICK, *arguments) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert error.startswith("autogrow: ")
    assert "\n" not in error
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_asked_to_end_in_the_middle_and_resumed(tmp_path):
    command = [sys.executable, "-m", "autogrow", "fit", *STAGED, "trainer.checkpoint_seconds=0.05"]
    environment = dict(os.environ)
    assert subprocess.run(
        [*command, "hydra.run.dir=whole"], cwd=tmp_path, env=environment, capture_output=True, check=True
    )
    process = subprocess.Popen(
        [*command, "hydra.run.dir=run"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "stage_1" / "ledger.jsonl").exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    if process.returncode == 143:
        assert "go on with: autogrow fit resume=" in said
        assert "stage_1" not in said
        subprocess.run(
            [sys.executable, "-m", "autogrow", "fit", "resume=run"], cwd=tmp_path, env=environment, check=True
        )
    whole, again = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("whole", "run"))
    assert again["total"]["train_flops"] == whole["total"]["train_flops"]
    assert again["test"] == whole["test"]


def test_files_are_listed_once_for_the_whole_run(tmp_path):
    from sklearn.datasets import load_digits

    (tmp_path / "drops").mkdir()
    table = load_digits(as_frame=True).frame
    for k in range(2):
        table.iloc[k * 500 : (k + 1) * 500].to_csv(tmp_path / "drops" / f"{k}.csv", index=False)
    arguments = ["data=csv", "data.path=drops", "data.target=target", "data.arrival=files", *QUICK[1:]]
    assert call("fit", *arguments, "hydra.run.dir=run") == 0
    assert list(OmegaConf.load(tmp_path / "run" / "config.yaml").data.files) == ["0.csv", "1.csv"]
    shutil.rmtree(tmp_path / "drops")
    rows = [s["rows"]["train"] for s in json.loads((tmp_path / "run" / "stages.json").read_text())]
    assert rows == [300, 600]
