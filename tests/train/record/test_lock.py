"""One process at a time for one run folder: the second is told who is there,
a killed one leaves nothing that blocks.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from autogrow.cli import main
from autogrow.commands.at_work import remove_if_empty
from autogrow.errors import ConfigError, UsageError
from autogrow.train.record.lock import lock, locked, remove_lock

HOLDS = """
import pathlib, sys
from autogrow.train.record.lock import lock
with lock(pathlib.Path(sys.argv[1]), "autogrow fit"):
    print("held", flush=True)
    sys.stdin.read()
"""
LEFT = ".0123456789abcdef.autogrow"


@contextmanager
def another(folder):
    """Another process that holds the lock of a folder."""
    command = [sys.executable, "-c", HOLDS, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.stdin.close()


def take(folder, who="autogrow fit"):
    with lock(folder, who):
        pass


def test_the_second_is_told_who_is_there_since_when(tmp_path):
    run = tmp_path / "run"
    with another(run) as first:
        with pytest.raises(ConfigError) as caught:
            take(run)
        said = rf"{run} is in use by another autogrow fit \(pid {first.pid} on \S+, since \d+-\d+-\d+ \d+:\d+:\d+\): end it, or wait"
        assert re.match(said, str(caught.value))
        assert "\n" not in str(caught.value)
        assert [p.name for p in run.iterdir()] == [".lock"]
    take(run)


def test_it_goes_at_the_end_and_a_folder_that_was_made_for_nothing_with_it(tmp_path):
    (tmp_path / "there").mkdir()
    for name, left in (("made", False), ("there", True)):
        with lock(tmp_path / name, "autogrow fit"):
            assert [p.name for p in (tmp_path / name).iterdir()] == [".lock"]
        assert (tmp_path / name).exists() == left
    assert not list((tmp_path / "there").iterdir())
    with lock(tmp_path / "made", "autogrow fit"):
        (tmp_path / "made" / "config.yaml").write_text("")
    assert [p.name for p in (tmp_path / "made").iterdir()] == ["config.yaml"]


def test_a_killed_process_blocks_nobody_and_what_it_left_half_written_goes(tmp_path):
    run = tmp_path / "run"
    with another(run) as first:
        first.kill()
        first.wait()
    assert [p.name for p in run.iterdir()] == [".lock"]
    (run / "checkpoints").mkdir()
    for place in (run, run / "checkpoints"):
        (place / LEFT).write_text("half")
        (place / "whole").write_text("kept")
    take(run)
    assert sorted(str(p.relative_to(run)) for p in run.rglob("*")) == ["checkpoints", "checkpoints/whole", "whole"]


def test_what_a_command_holds_the_run_within_it_need_not(tmp_path):
    with lock(tmp_path, "autogrow fit"):
        take(tmp_path)
        take(tmp_path / "trials" / "..")
        assert (tmp_path / ".lock").exists()
        take(tmp_path / "stage_0")  # has one of its own
        with another(tmp_path / "stage_1"), pytest.raises(ConfigError, match="stage_1 is in use"):
            take(tmp_path / "stage_1")


def test_another_thread_is_another(tmp_path):
    said = []

    def second():
        try:
            take(tmp_path)
        except ConfigError as error:
            said.append(str(error))

    with lock(tmp_path, "autogrow.fit"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert f"in use by another autogrow.fit (pid {os.getpid()} " in said[0]


@pytest.mark.parametrize("rank", ["RANK", "LOCAL_RANK", "SLURM_PROCID"])
def test_the_first_of_several_processes_of_a_run_locks_for_all(rank, tmp_path, monkeypatch):
    with another(tmp_path):
        monkeypatch.setenv(rank, "1")
        take(tmp_path)
        monkeypatch.setenv(rank, "0")
        with pytest.raises(ConfigError, match="in use"):
            take(tmp_path)
        assert (tmp_path / ".lock").exists()


def test_a_link_in_its_place_and_a_folder_that_cannot_be_are_said_in_one_line(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / ".lock").symlink_to(tmp_path / "victim")
    for folder, said in ((tmp_path, ".lock is a link"), (tmp_path / "victim" / "run", "victim/run cannot be written")):
        with pytest.raises(UsageError, match=re.escape(said)):
            take(folder)
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_file_system_that_knows_no_locks_goes_on(tmp_path, monkeypatch):
    def none(file, how):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("autogrow.train.record.lock.fcntl.flock", none)
    with (tmp_path / "log.txt").open("ab") as log:
        assert locked(log)
    take(tmp_path / "run")


def test_only_a_lock_that_nobody_holds_is_removed(tmp_path):
    run = tmp_path / "runs" / "fit" / "one"
    with another(run):
        assert not remove_lock(run)
        remove_if_empty(run)
        assert (run / ".lock").exists()
    (run / ".lock").parent.mkdir(parents=True, exist_ok=True)
    (run / ".lock").write_text("of one that was killed")
    remove_if_empty(run)
    assert not (tmp_path / "runs").exists()
    assert remove_lock(tmp_path)


def test_many_at_once_are_one_at_a_time(tmp_path):
    inside, most, refused = [], [], []

    def worker():
        for _ in range(200):
            try:
                with lock(tmp_path, "autogrow fit"):
                    inside.append(1)
                    most.append(len(inside))
                    time.sleep(0.0005)
                    inside.pop()
            except ConfigError:
                refused.append(1)

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused
    assert set(most) == {1}
    assert not list(tmp_path.iterdir())


# -- from the command line -------------------------------------------------------------------------------------------
LONG = ["fit", "data=digits", "net.widths=[8]", "stop=never", "growth=never", "trainer.max_epochs=2000"]
SHORT = ["fit", "data=digits", "net.widths=[8]", "stop=never", "growth=never", "trainer.max_epochs=4"]


def start(folder, *arguments):
    command = [sys.executable, "-m", "autogrow", *arguments, "hydra.run.dir=run"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_of_two_fits_into_one_folder_one_wins(tmp_path):
    two = [start(tmp_path, *SHORT) for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in two]
    assert sorted(process.returncode for process in two) == [0, 2], errors
    (error,) = [error for error, process in zip(errors, two, strict=True) if process.returncode == 2]
    assert re.search(r"run is in use by another autogrow fit \(pid \d+ on |already holds a run", error)
    assert error.startswith("autogrow: ")
    assert error.count("\n") == 1
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert {"result.json", "ledger.jsonl", "config.yaml"} <= names
    assert ".lock" not in names


@pytest.mark.slow
@pytest.mark.parametrize("command", [SHORT, ["fit", "resume=run"], ["search", "data=digits"], ["compare", "data=iris"]])
def test_a_run_under_way_is_left_alone_and_one_that_was_killed_goes_on(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["autogrow"])
    first = start(tmp_path, *LONG)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists():
        assert first.poll() is None, first.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(SystemExit) as caught:
        main([*command, "hydra.run.dir=run"] if "resume=run" not in command else command)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert f"run is in use by another autogrow fit (pid {first.pid} on " in error
    assert error.count("\n") == 1
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert (tmp_path / "run" / ".lock").exists()
    if "resume=run" in command:
        with pytest.raises(SystemExit) as caught:
            main([*command, "trainer.max_epochs=0.001"])
        assert caught.value.code == 0, capsys.readouterr().err
        assert (tmp_path / "run" / "result.json").exists()
        assert not (tmp_path / "run" / ".lock").exists()
