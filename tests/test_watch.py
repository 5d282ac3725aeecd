"""`autogrow watch DIR` from the command line: files dropped into a folder, kills in between,
one readable line for each event.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from command_line import call
from sklearn.datasets import load_digits

import autogrow
from autogrow.data import DataSpec, prepare

QUICK = [
    "data.target=target", "watch.settle_seconds=0.3", "watch.poll_seconds=0.1", "net.widths=[8]", "trainer.max_epochs=30",
    "stop.checks=3", "stop.after_growth=3", "trainer.checkpoint_seconds=0.05",
]  # fmt: skip


@pytest.fixture(autouse=True)
def in_a_folder_with_drops(alone):
    (alone / "drops").mkdir()
    return alone


@pytest.fixture
def parts(tmp_path):
    """Three nights of digits."""
    table = load_digits(as_frame=True).frame
    folder = tmp_path / "parts"
    folder.mkdir()
    files = [folder / f"{name}.csv" for name in ("1-mon", "2-tue", "3-wed")]
    for k, path in enumerate(files):
        table.iloc[600 * k : 600 * (k + 1)].to_csv(path, index=False)
    return files


def state(tmp_path):
    path = tmp_path / "runs" / "watch" / "drops" / "watch.json"
    return {d["name"]: d["state"] for d in json.loads(path.read_text())["drops"]} if path.exists() else {}


def test_what_is_there_is_taken_in_and_what_does_not_fit_is_set_aside(tmp_path, parts, capsys):
    drops = tmp_path / "drops"
    for path in parts[:2]:
        shutil.copy(path, drops)
    shutil.copy(parts[0], drops / "3-again.csv")
    pd.read_csv(parts[2]).drop(columns="pixel_3_3").to_csv(drops / "4-short.csv", index=False)
    changed = pd.read_csv(parts[2])
    changed["pixel_2_2"] = "dark"
    changed.to_csv(drops / "5-dtype.csv", index=False)
    assert call("watch", "drops", *QUICK, "watch.once=true", "watch.attempts=1") == 0
    assert state(tmp_path) == {
        "1-mon.csv": "taken",
        "2-tue.csv": "taken",
        "3-again.csv": "skipped",
        "4-short.csv": "set aside",
        "5-dtype.csv": "set aside",
    }
    said = capsys.readouterr().out.splitlines()
    assert any("4-short.csv: set aside: 4-short.csv has no column 'pixel_3_3'" in line for line in said)
    assert any("5-dtype.csv: set aside: 5-dtype.csv: column 'pixel_2_2' holds text" in line for line in said)
    out = tmp_path / "runs" / "watch" / "drops"
    latest = json.loads((out / "latest.json").read_text())
    assert (latest["run"], latest["files"]) == ("run_1", ["1-mon.csv", "2-tue.csv"])
    net = autogrow.load(out / latest["checkpoint"])
    assert (net.predict(pd.read_csv(parts[1])) == pd.read_csv(parts[1])["target"]).mean() > 0.7
    assert {p.name for p in drops.iterdir()} == {"1-mon.csv", "2-tue.csv", "3-again.csv", "4-short.csv", "5-dtype.csv"}
    for run in ("run_0", "run_1"):
        assert (out / run / "report.html").is_file()
    # the second run began as the net that the first one handed back
    rows = [json.loads(line) for line in (out / "run_1" / "ledger.jsonl").read_text().splitlines()]
    result = json.loads((out / "run_0" / "result.json").read_text())
    assert list(rows[0]["widths"].values()) == result["widths"]


def test_what_is_new_in_a_file_is_named_once(tmp_path, capsys):
    rows = range(120)
    table = pd.DataFrame({"a": [i % 7 for i in rows], "k": [["x", "z"][i % 2] for i in rows]})
    table["target"] = table["a"] > 3
    table.to_csv(tmp_path / "drops" / "1.csv", index=False)
    more = table.assign(a=table["a"] + 0.5, b=[i % 5 + 0.25 for i in rows], c=[i % 3 - 0.5 for i in rows])
    more.to_csv(tmp_path / "drops" / "2.csv", index=False)
    more.assign(a=more["a"] + 0.25, k=[["x", "z", "w", None][i % 4] for i in rows]).to_csv(
        tmp_path / "drops" / "3.csv", index=False
    )
    assert call("watch", "drops", *QUICK, "watch.once=true") == 0
    said = [line[10:] for line in capsys.readouterr().out.splitlines()]
    assert said.count("  new columns: b, c") == 1
    assert said[said.index("  new columns: b, c") - 1].startswith("2.csv: run_1 continues from run_0")
    (line,) = [line for line in said if line.startswith("  new in column 'k': ")]
    assert "w" in line.rpartition(": ")[2].split(", ")
    assert not any(line.startswith("  stage") for line in said)


def test_names_and_tables_of_any_kind_are_taken_in_or_set_aside(tmp_path, monkeypatch, capsys):
    """A name is data: nothing is looked up in it, and the disk's bytes need not be text. What a reader of tables raises
    is the file's own.
    """
    monkeypatch.setenv("AUTOGROW_SECRET", "s3cr3t")

    def table(line):
        return "t,a,target\n" + "".join(line(i) for i in range(60))

    drops = {
        "0.csv": table(lambda i: f"2020-01-{i % 28 + 1:02d},{i % 7},c{i % 3}\n"),
        "1${oc.env:AUTOGROW_SECRET}, [a=b].csv": table(lambda i: f"2020-02-{i % 28 + 1:02d},{i % 5},c{i % 3}\n"),
        "2\udcff\x1b[31m.csv": table(lambda i: f"2020-03-{i % 28 + 1:02d},{i % 4},c{i % 3}\n"),
        "3.csv": "\0\1",
        "4.csv": table(lambda i: f"2020-04-{i % 28 + 1:02d},{'x' * i},c{i % 3}\n"),
        "5.csv": table(lambda i: f"2020-05-{i % 28 + 1:02d},{i % 3},c{i % 3}\n"),
    }
    for name, text in drops.items():
        (tmp_path / "drops" / name).write_text(text)
    quick = [*QUICK, "watch.settle_seconds=0", "watch.attempts=1", "watch.once=true"]
    assert call("watch", "drops", *quick) == 0
    assert state(tmp_path) == {
        "0.csv": "taken",
        "1${oc.env:AUTOGROW_SECRET}, [a=b].csv": "taken",
        "2\\xff\\x1b[31m.csv": "taken",
        "3.csv": "set aside",
        "4.csv": "set aside",
        "5.csv": "taken",
    }
    said = capsys.readouterr()
    assert said.err == ""
    assert "\x1b" not in said.out
    written = b"".join(path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file())
    assert b"s3cr3t" not in written + said.out.encode()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "watch takes the folder that files appear in"),
        (["nowhere"], "watch nowhere: the folder does not exist"),
        (["drops", "other"], "watch takes one folder, got drops, other"),
        (["drops", "watch.file=3"], "unknown key 'watch.file'; did you mean 'files'"),
        (["drops", "watch.files=0"], "watch.files must be at least 1, got 0"),
        (["drops", "watch.poll_seconds=0"], "watch.poll_seconds must be above 0"),
        (["drops", "data.path=x.csv"], "watch sets data.path itself"),
        (["drops", "data.arrival=class"], "watch sets data.arrival itself"),
        (["drops", "data=digits"], "watch goes with data=csv or data=parquet, got data=digits"),
        (["drops", "net.widths=[0]"], "net.widths"),
        (["drops", "resume=x"], "without resume="),
        (["drops", "trainer.devices=2", "trainer=ddp"], "watch goes with trainer.devices=1, got 2"),
        (["drops", "-m", "seed=0,1"], "watch takes no -m"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(arguments, message, tmp_path, capsys):
    assert call("watch", *arguments) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert error.startswith("autogrow: ")
    assert "\n" not in error
    assert [p.name for p in tmp_path.iterdir()] == ["drops"]


def test_two_watches_do_not_share_a_folder_of_runs(tmp_path, parts, capsys):
    shutil.copy(parts[0], tmp_path / "drops")
    out = tmp_path / "runs" / "watch" / "drops"
    holds = "import pathlib, sys; from autogrow.train.record.lock import lock\n"
    holds += "with lock(pathlib.Path(sys.argv[1]), 'autogrow watch'): print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holds, str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as another:
        assert another.stdout.readline()
        assert call("watch", "drops", *QUICK, "watch.once=true") == 2
        assert [p.name for p in out.iterdir()] == [".lock"]
        another.stdin.close()
    error = capsys.readouterr().err
    assert f"{out} is in use by another autogrow watch (pid {another.pid} on " in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_three_drops_with_kills_in_the_middle(tmp_path, parts):
    """A watch over three files that come one by one, killed twice at random: it ends as if nothing had happened."""
    command = [sys.executable, "-m", "autogrow", "watch", "drops", *QUICK, "watch.files=3", "data.split_seed=1"]
    log, draw, kills, dropped = tmp_path / "log.txt", random.Random(0), 0, 0
    deadline = time.monotonic() + 150

    def start():
        with log.open("a") as out:
            return subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=out, env=dict(os.environ))

    process = start()
    while process.poll() is None or process.returncode < 0:
        assert time.monotonic() < deadline, log.read_text()
        if process.poll() is not None:
            process = start()
        taken = [name for name, what in state(tmp_path).items() if what == "taken"]
        if dropped < 3 and len(taken) == dropped:
            shutil.copy(parts[dropped], tmp_path / "drops")
            dropped += 1
        pending = "pending" in state(tmp_path).values()
        if kills < 2 and dropped > kills + 1 and pending and process.poll() is None:
            time.sleep(draw.uniform(0, 0.4))
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            with log.open("a") as out:
                out.write("--- killed\n")
        time.sleep(0.01)
    assert process.returncode == 0, log.read_text()
    assert kills == 2
    print(log.read_text())
    assert state(tmp_path) == {"1-mon.csv": "taken", "2-tue.csv": "taken", "3-wed.csv": "taken"}
    out = tmp_path / "runs" / "watch" / "drops"
    latest = json.loads((out / "latest.json").read_text())
    assert latest["run"] == "run_2"
    spec = DataSpec(source="csv", path=str(tmp_path / "parts"), target="target", arrival="files", split_seed=1)
    whole = prepare(spec).card["splits"]
    assert json.loads((out / "run_2" / "data_card.json").read_text())["splits"] == whole
    assert sorted(p.name for p in out.iterdir()) == [
        "files", "latest.json", "run_0", "run_1", "run_2", "watch.json",
    ]  # fmt: skip


def test_names_of_files_are_names_whatever_they_look_like(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SECRET", "the secret itself")
    names = [
        "a,b.csv",
        "${oc.env:SECRET}.csv",
        "x=1.csv",
        "~x.csv",
        "[a].csv",
        "it's \\\\' \"so\".csv",
        "two\nlines.csv",
    ]
    for k, name in enumerate(sorted(names)):
        rows = "".join(f"{i % 7},{i % 5 + k},{'ab'[i % 7 > 3]}\n" for i in range(60 * k, 60 * k + 60))
        (tmp_path / "drops" / name).write_text(f"u,v,target\n{rows}")
    quick = [*QUICK, "trainer.max_epochs=2", "trainer.check_every=5", "growth=never"]
    assert call("watch", "drops", *quick, "watch.once=true") == 0
    assert list(state(tmp_path).values()) == ["taken"] * len(names)
    out = tmp_path / "runs" / "watch" / "drops"
    assert not [path for path in out.rglob("*") if path.is_file() and b"the secret itself" in path.read_bytes()]
    last = json.loads((out / "latest.json").read_text())["run"]
    (out / last / "result.json").unlink()  # it goes on with the config that it kept
    watched = json.loads((out / "watch.json").read_text())
    watched["drops"][-1]["state"] = "pending"
    (out / "watch.json").write_text(json.dumps(watched))
    assert call("watch", "drops", *quick, "watch.once=true") == 0
    assert json.loads((out / last / "result.json").read_text())["task"] == "classification"
