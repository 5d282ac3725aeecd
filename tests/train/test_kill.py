"""Pull the plug at any moment: a killed run that is resumed ends like one that never was."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

KILLS = 4  # each costs a start of Python and torch
FIT = [
    "fit", "data=digits", "net.widths=[8]", "stop.checks=3", "stop.after_growth=3", "trainer.max_epochs=60",
    "trainer.checkpoint_seconds=0.05",
]  # fmt: skip


def start(folder, *arguments):
    command = [sys.executable, "-m", "autogrow", *arguments]
    with (folder / "stderr.txt").open("w") as log:
        return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=log, env=dict(os.environ))


def outcome(run):
    rows = [json.loads(line) for line in (run / "ledger.jsonl").read_text().splitlines()]
    for row in rows:
        del row["timing"]
    best = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    return rows, best["state_dict"]


@pytest.mark.slow
def test_killed_and_resumed_equals_never_killed(tmp_path):
    whole = start(tmp_path, *FIT, "hydra.run.dir=whole")
    assert whole.wait(timeout=300) == 0, (tmp_path / "stderr.txt").read_text()
    rows, weights = outcome(tmp_path / "whole")
    draw = random.Random(0)
    kills, arguments = 0, [*FIT, "hydra.run.dir=run"]
    while True:
        process = start(tmp_path, *arguments)
        ledger = tmp_path / "run" / "ledger.jsonl"
        before = ledger.stat().st_mtime_ns if ledger.exists() else 0
        deadline = time.monotonic() + 120
        while process.poll() is None and not (ledger.exists() and ledger.stat().st_mtime_ns > before):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.4))
        if kills < KILLS and process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        code = process.wait(timeout=300)
        if (tmp_path / "run" / "result.json").exists():
            break
        assert code != 2, (tmp_path / "stderr.txt").read_text()
        if (tmp_path / "run" / "config.yaml").exists():
            arguments = ["fit", "resume=run"]
    got_rows, got_weights = outcome(tmp_path / "run")
    assert kills > 0
    assert got_rows == rows
    assert all(torch.equal(weights[name], got_weights[name]) for name in weights)
