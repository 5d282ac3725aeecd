"""`autogrow compare` from the command line, on a small table:
run, go on, fail, be interrupted, be reported on again.
"""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from command_line import call

from autogrow.deploy.export.c_source.compiled import compiler

pytestmark = pytest.mark.usefixtures("alone")

TINY = ["data=iris", "trainer.max_epochs=40", "trainer.check_every=5", "growth=fixed", "growth.when.at=[1,3]"]


@pytest.mark.slow
def test_arms_are_run_matched_and_compared_and_a_second_call_runs_what_is_new(tmp_path, capsys):
    command = ["compare", *TINY, "hydra.run.dir=out"]
    assert call(*command, "seeds=2", "arms=[grow,scratch_flops]") == 0
    printed = capsys.readouterr().out
    assert "grown − from scratch at equal FLOPs: " in printed
    assert "2 seeds: too few seeds to tell" in printed
    out = tmp_path / "out"
    plain = json.loads((out / "compare.json").read_text())
    grow, scratch = plain["arms"]["grow"], plain["arms"]["scratch_flops"]
    assert grow["seeds"] == scratch["seeds"] == [0, 1]
    assert grow["widths"] == scratch["widths"]
    assert max(grow["growth_events"]) > 0 == max(scratch["growth_events"])
    for arm in (grow, scratch):
        assert all((out / folder / "result.json").is_file() for folder in arm["folders"])
    check = 5 * 32 * 3 * scratch["mean"]["flops_per_sample"]["value"]  # steps, rows, forward and backward
    spent = [arm["mean"]["train_flops"]["value"] for arm in (grow, scratch)]
    assert 0 <= spent[0] - spent[1] <= check
    cards = [json.loads((out / f / "data_card.json").read_text()) for f in (*grow["folders"], *scratch["folders"])]
    assert len({(card["fingerprint"], card["split"]) for card in cards}) == 1

    before = {path: path.stat().st_mtime for path in out.rglob("result.json")}
    on_device = ["device=c"] if compiler() else ["device=onnx"]  # asked for later: nothing is trained again
    assert call(*command, "seeds=2", "arms=[grow,scratch_flops]", *on_device) == 0
    printed = capsys.readouterr().out
    assert printed.count("skipped") == 4
    assert "µs on device" in printed
    plain = json.loads((out / "compare.json").read_text())
    assert all(arm["device"]["bytes"] > 1000 and arm["device"]["p50_us"] > 0 for arm in plain["arms"].values())
    assert before == {path: path.stat().st_mtime for path in out.rglob("result.json")}

    (out / "compare.json").unlink()
    assert call("report", "out") == 0
    again = json.loads((out / "compare.json").read_text())
    assert {k: v for k, v in again.items() if k != "date"} == {k: v for k, v in plain.items() if k != "date"}


@pytest.mark.slow
def test_an_arm_that_fails_is_recorded_and_the_others_are_compared(tmp_path, capsys):
    arms = tmp_path / "mine" / "compare"
    arms.mkdir(parents=True)
    arms.joinpath("diverges.yaml").write_text(
        "{about: a rate too high, label: too fast, overrides: [optimizer.lr=1e30]}"
    )
    line = ["compare", "--config-dir", str(tmp_path / "mine"), *TINY, "hydra.run.dir=out", "seeds=[3]"]
    assert call(*line, "arms=[diverges,fixed_128]") == 1
    plain = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert list(plain["arms"]) == ["fixed_128"]
    assert [(f["arm"], f["seed"], f["log"]) for f in plain["failures"]] == [("diverges", 3, "diverges/seed_3/log.txt")]
    assert "no finite loss" in plain["failures"][0]["message"]
    captured = capsys.readouterr()
    assert "missing: diverges seed 3: autogrow: no finite loss" in captured.out
    assert captured.err.startswith("autogrow: 1 of 2 runs have no result, the others are compared; diverges seed 3: ")
    assert captured.err.count("\n") == 1


@pytest.mark.slow
def test_interrupted_it_keeps_what_is_finished_and_goes_on(tmp_path):
    long = ["data=iris", "trainer.max_epochs=100000", "stop=never", "growth=plateau"]
    command = [sys.executable, "-m", "autogrow", "compare", *long, "hydra.run.dir=out", "seeds=1", "arms=[grow]"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    run = tmp_path / "out" / "grow" / "seed_0"
    while not (run / "ledger.jsonl").is_file():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert error.startswith("autogrow: interrupted by SIGTERM; go on with: autogrow compare data=iris")
    assert error.count("\n") == 1
    assert (run / "checkpoints" / "last.ckpt").is_file()
    assert "go on with: autogrow fit resume=" in (run / "log.txt").read_text()
