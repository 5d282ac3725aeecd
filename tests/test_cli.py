"""The command line: one readable line for what cannot be right, and nothing half-written."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import call

pytestmark = pytest.mark.usefixtures("alone")

SHORT = ["data=digits", "trainer.max_epochs=8", "trainer.check_every=20"]


def csv(path, text):
    Path(path).write_text(text)
    return f"data.path={path}"


ROWS = "\n".join(f"{i},{i % 7},{'ab'[i % 2]}" for i in range(40))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fitt"], "unknown command 'fitt'; did you mean 'fit'?"),
        (["fit", "data=digit"], "data has no option 'digit'; did you mean 'digits'?"),
        (["fit", "growth=plateu"], "growth has no option 'plateu'; did you mean 'plateau'?"),
        (["fit", "trainer.max_epoch=3"], "unknown key 'trainer.max_epoch'; did you mean 'max_epochs'?"),
        (["fit", "tariner.max_epochs=3"], "unknown key 'tariner.max_epochs'"),
        (["fit", "growth.amount.fctor=2"], "did you mean 'factor'?"),
        (["fit", "dat=digits"], "'dat'"),
        (["fit", "trainer.max_epochs=many"], "trainer.max_epochs"),
        (["fit", "seed=[1"], "seed=[1"),
        (["fit", "trainer.precision=64-true"], "trainer.precision '64-true' is unknown"),
        (["fit", "trainer.precision=bf16-true"], "trainer.precision 'bf16-true' is unknown"),
        (["fit", "trainer.precision=7"], "trainer.precision '7' is unknown"),
        (["fit", "trainer.label_smoothing=2"], "trainer.label_smoothing must be in [0, 1), got 2"),
        (["fit", "trainer.max_epochs=inf"], "trainer.max_epochs must be finite"),
        (["fit", "trainer.check_every=1000000000"], "trainer.check_every=1000000000 steps lie beyond the end"),
        (
            ["fit", "trainer.accelerator=quantum"],
            "(trainer.accelerator=quantum, trainer.devices=1, trainer.strategy=auto)",
        ),
        (["fit", "trainer.check_every=1000000000", "trainer.max_epochs=null"], "passes without a look"),
        (["fit", "trainer.devices=1000"], "a multiple of the 1000 processes (trainer.devices), got 128"),
        (["transfer", "checkpoint=x", "hydra.run.dir=b"], "transfer makes no run folder, so it takes no hydra.run.dir"),
        (["fit", "trainer.devices=0"], "trainer.devices=0"),
        (["fit", "trainer.strategy=nope"], "trainer.strategy=nope"),
        (["fit", "optimizer.betas=[1,0.9]"], "optimizer.betas must be two numbers in [0, 1)"),
        (["fit", "optimizer.betas=[a,b]"], "optimizer.betas must be two numbers in [0, 1)"),
        (["fit", "optimizer.betas=0.9"], "optimizer.betas must be two numbers in [0, 1)"),
        (["fit", "seed=4294967296"], "seed must be below 4294967296, got 4294967296"),
        (["fit", "net.norm=batch", "data.batch_size=1"], "net.norm=batch needs data.batch_size of at least 2"),
        (["fit", "net.widths=[0]"], "net.widths must hold whole numbers of at least 1, got 0"),
        (["fit", "net.widths=[-4]"], "net.widths must hold whole numbers of at least 1, got -4"),
        (["fit", "data.val_fraction=1.5"], "val_fraction"),
        (["fit", "data.val_fraction=0"], "val_fraction"),
        (["fit", "metric=rmse"], "metric=rmse is not for a classification task"),
        (["fit", "metric=auc"], "metric=auc is unknown for a classification task; did you mean 'auroc'"),
        (["fit", "metric=mae", "data.arrival=fraction"], "metric=mae is not for a classification task"),
        (["search", "metric=r2"], "metric=r2 is not for a classification task"),
        (["fit", "metrics=[r2]"], "metrics: 'r2' is not for a classification task"),
        (["fit", "data=csv", "data.path=nowhere.csv", "data.target=y"], "nowhere.csv"),
        (["fit", "resume=nowhere"], "resume=nowhere: there is no run to go on with"),
        (["report", "nowhere"], "it is not a run folder"),
        (["report"], "report takes one run folder"),
        (["report", "run", "picture=a.svg", "picture=b.svg"], "report takes one run folder"),
        (["report", "run", "picture=growth.png"], "picture=growth.png is no SVG"),
        (["report", "nowhere", "picture=growth.svg"], "nowhere is not the folder of one run"),
        (["fit", "hydra.run.dir=taken/run"], "taken"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(arguments, message, tmp_path, capsys):
    (tmp_path / "taken").write_text("a file, not a folder")
    assert call(*arguments) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert error.startswith("autogrow: ")
    assert "\n" not in error
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("a,b,y\n" + ROWS, "z", "'z'"),
        ("a,b,y\n", "y", "row"),
        ("a,b,y\n" + ROWS.replace("b", "a"), "y", "class"),
        ("a,a,y\n" + ROWS, "y", "'a'"),
        ("a,b,y\n" + ROWS.replace("3,3,b", "3,inf,b", 1), "y", "infinite"),
        ("a,b,y\n1,2,a\n3,4,b\n", "y", "row"),
        ("a,b,y\n" + ROWS + "\n9,9,c", "y", "'c'"),
    ],
)
def test_a_table_that_cannot_be_learned_from(text, target, message, tmp_path, capsys):
    where = csv(tmp_path / "t.csv", text)
    assert call("fit", "data=csv", where, f"data.target={target}") == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize("name", ["a=b.csv", "ä.csv", "~a(1).csv", "a b;c.csv", "it's.csv", "#1&2.csv"])
def test_a_path_needs_no_quotes(name, tmp_path, capsys):
    csv(tmp_path / name, "a;b;y\n" + "".join(f"0,{i % 17};{i % 5};{i % 2}\n" for i in range(60)))
    given = [f"data.path={name}", "data.target=y", "data.separator=;", "data.decimal=,", "hydra.run.dir=run=1"]
    assert call("fit", "data=csv", *given, "trainer.max_epochs=2", "growth=never") == 0
    assert (tmp_path / "run=1" / "result.json").is_file()
    assert "semicolons, decimal comma" in capsys.readouterr().out


def test_a_value_that_cannot_be_read_is_answered_with_its_quotes(capsys):
    assert call("fit", "data=csv", "data.max_rows=a;b") == 2
    assert "quote its value: 'data.max_rows=\"a;b\"'" in capsys.readouterr().err


def test_fit_writes_the_run_folder_and_report_builds_its_page_again(tmp_path, capsys):
    assert call("fit", *SHORT, "hydra.run.dir=run") == 0
    printed = capsys.readouterr().out
    assert "report.html" in printed
    run = tmp_path / "run"
    names = {p.name for p in run.iterdir()}
    assert {"config.yaml", "ledger.jsonl", "metrics.csv", "checkpoints", "result.json", "report.html"} <= names
    result = json.loads((run / "result.json").read_text())
    assert result["command"] == "autogrow fit data=digits trainer.max_epochs=8 trainer.check_every=20"
    (run / "report.html").unlink()
    assert call("report", "run") == 0
    assert (run / "report.html").is_file()
    assert call("fit", "resume=run") == 2
    assert "complete" in capsys.readouterr().err
    assert call("fit", *SHORT, "hydra.run.dir=run") == 2
    assert "already holds a run" in capsys.readouterr().err


def test_help_and_cfg_say_what_there_is(capsys):
    assert call() == 0
    assert "autogrow fit" in capsys.readouterr().out
    assert call("fit", "--help") == 0
    text = capsys.readouterr().out
    assert "fashion_mnist" in text
    assert "loss_paced" in text
    assert call("fit", "--cfg", "job", "net.widths=[7]") == 0
    assert "- 7" in capsys.readouterr().out


def test_an_own_config_folder_adds_choices(tmp_path):
    (tmp_path / "own" / "net").mkdir(parents=True)
    (tmp_path / "own" / "net" / "tiny.yaml").write_text("defaults: [dense, _self_]\nwidths: [3]\nactivation: tanh\n")
    assert call("fit", "--config-dir", "own", "net=tiny", "growth=never", *SHORT, "hydra.run.dir=run") == 0
    assert json.loads((tmp_path / "run" / "result.json").read_text())["widths"] == [3]


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["growth=fixed", "growth.when.att=2"], "did you mean 'at'"),
        (["growth.when.att=2", "growth/when=fixed"], "did you mean 'at'"),
        (["--config-dir", "own", "growth=tenth", "growth.evry=5"], "did you mean 'every'"),
        (["--config-dir=own", "growth=tenth", "growth.evry=5"], "did you mean 'every'"),
        (["-m", "seed=0,1", "growth=fixed", "growth.when.att=2"], "did you mean 'at'"),
        (["growth=fixed", "growth.when.att=2", "net.wdths=[2]"], "did you mean 'at'"),  # two that are wrong
    ],
)
def test_a_wrong_key_is_told_from_the_keys_of_what_was_chosen(tmp_path, capsys, words, near):
    (tmp_path / "own" / "growth").mkdir(parents=True)
    (tmp_path / "own" / "growth" / "tenth.yaml").write_text("_target_: my_policies.Tenth\nevery: 10\n")
    assert call("fit", *words) == 2
    assert near in capsys.readouterr().err


def test_the_stock_launcher_runs_a_sweep_too(tmp_path):
    assert (
        call(
            "fit",
            "-m",
            "hydra/launcher=basic",
            "seed=0,1",
            "data=iris",
            "trainer.max_epochs=30",
            "hydra.sweep.dir=sweep",
        )
        == 0
    )
    results = [json.loads(p.read_text()) for p in sorted((tmp_path / "sweep").glob("*/result.json"))]
    assert [r["seed"] for r in results] == [0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_leave_a_folder_that_can_be_resumed(tmp_path, number):
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [
        sys.executable,
        "-m",
        "autogrow",
        "fit",
        "data=digits",
        "stop=never",
        "trainer.max_epochs=400",
        "hydra.run.dir=run",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    ledger = tmp_path / "run" / "ledger.jsonl"
    while not (ledger.is_file() and ledger.read_text().count("\n") >= 5):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number, error
    assert b"Traceback" not in error
    assert b"resume=" in error
    assert not (tmp_path / "run" / "result.json").exists()
    assert call("fit", "resume=run", "trainer.max_epochs=400") == 0
    assert (tmp_path / "run" / "result.json").is_file()
    checks = [json.loads(line)["check"] for line in ledger.read_text().splitlines()]
    assert checks == list(range(len(checks)))
