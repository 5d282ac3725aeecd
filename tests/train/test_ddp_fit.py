"""`autogrow fit trainer=ddp` from the command line:
one run by two processes, also in a sweep, also killed and resumed.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

FIT = [
    "data=digits",
    "net.widths=[8]",
    "stop.checks=3",
    "stop.after_growth=3",
    "trainer.max_epochs=60",
    "trainer.checkpoint_seconds=0.05",
]
DDP = ["trainer=ddp", "trainer.devices=2"]


def start(folder, *arguments):
    command = [sys.executable, "-m", "autogrow", "fit", *FIT, *arguments]
    with (folder / "output.txt").open("a") as log:
        return subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, env=dict(os.environ), start_new_session=True
        )


def rows_of(run):
    rows = [json.loads(line) for line in (run / "ledger.jsonl").read_text().splitlines()]
    for row in rows:
        del row["timing"]
    return rows


@pytest.mark.slow
def test_two_processes_train_the_run_of_one_and_resume_after_a_kill(tmp_path):
    for arguments in (["hydra.run.dir=one"], [*DDP, "hydra.run.dir=two"]):
        assert start(tmp_path, *arguments).wait(timeout=300) == 0, (tmp_path / "output.txt").read_text()
    one, two = rows_of(tmp_path / "one"), rows_of(tmp_path / "two")
    # gradients are summed in another order: equal up to rounding, until decisions hang on it
    for a, b in zip(one[:6], two[:6], strict=True):
        assert a["widths"] == b["widths"]
        assert a["val_loss"] == pytest.approx(b["val_loss"], rel=2e-2)
    assert json.loads((tmp_path / "two" / "result.json").read_text())["growth_events"] >= 2

    killed = start(tmp_path, *DDP, "hydra.run.dir=three")
    ledger, last = tmp_path / "three" / "ledger.jsonl", tmp_path / "three" / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 200
    while not (last.exists() and ledger.read_text().count("\n") >= 5):
        assert killed.poll() is None, (tmp_path / "output.txt").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait(timeout=60)
    assert not (tmp_path / "three" / "result.json").exists()
    command = [sys.executable, "-m", "autogrow", "fit", "resume=three"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    assert rows_of(tmp_path / "three") == two


def children_of(process):
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    return [int(line) for line in found.stdout.split()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "code", "line"),
    [
        (lambda process: os.killpg(process.pid, signal.SIGINT), 130, "interrupted by SIGINT"),  # as a terminal does
        (lambda process: os.killpg(process.pid, signal.SIGTERM), 143, "interrupted by SIGTERM"),
        (lambda process: os.kill(children_of(process)[0], signal.SIGKILL), 1, "process 0 of this run has lost the "),
    ],
)
def test_every_process_ends_in_one_line(end, code, line, tmp_path):
    process = start(tmp_path, *DDP, "stop.checks=100000", "trainer.max_epochs=100000", "hydra.run.dir=run")
    last, deadline = tmp_path / "run" / "checkpoints" / "last.ckpt", time.monotonic() + 200
    while not last.exists():
        assert process.poll() is None, (tmp_path / "output.txt").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    end(process)
    assert process.wait(timeout=120) == code
    said = (tmp_path / "output.txt").read_text()
    assert "Traceback" not in said
    assert [one[: len(line)] for one in re.findall("(?m)^autogrow: (.*)$", said)] == [line]


@pytest.mark.slow
def test_a_sweep_of_runs_by_two_processes(tmp_path):
    sweep = start(tmp_path, "-m", *DDP, "seed=0,1", "trainer.max_epochs=8", "hydra.sweep.dir=sweep")
    assert sweep.wait(timeout=400) == 0, (tmp_path / "output.txt").read_text()
    seeds = [json.loads(p.read_text())["seed"] for p in sorted((tmp_path / "sweep").glob("*/result.json"))]
    assert seeds == [0, 1]
