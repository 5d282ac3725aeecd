"""Sweeps: what becomes of each job, what is done again and what is not, and how a sweep ends."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import call
from rich.console import Console

from autogrow.children.jobs import DONE, FAILED, INTERRUPTED, RUNNING, SINGLE, SKIPPED, WAITING, Job, Outcome
from autogrow.errors import InterruptedRunError
from autogrow.launcher import plugin
from autogrow.launcher.board import Board
from autogrow.launcher.naming import folder_name
from autogrow.train.record.progress import read_progress

pytestmark = pytest.mark.usefixtures("alone")

IRIS = ["data=iris", "trainer.max_epochs=30"]


@pytest.fixture
def started(monkeypatch):
    """The jobs that a sweep would run; none is."""
    jobs = []

    def run_jobs(given, at_a_time, on_change, start):
        jobs.extend(given)

    monkeypatch.setattr(plugin, "run_jobs", run_jobs)
    return jobs


def finish(folder, **result):
    known = {"task": "classification", "widths": [16], "val": {"error": 0.1, "loss": 0.3}, "test": {"error": 0.2}}
    spent = {"train_flops": 1e6, "seconds": 2.0}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps({**known, **spent, **result}))


# -- what a sweep consists of ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        (["seed=range(3)"], ["seed=0", "seed=1", "seed=2"]),
        (["seed=range(1,6,2)"], ["seed=1", "seed=3", "seed=5"]),
        (["growth=choice(gap,never)", "data=iris"], ["growth=gap", "growth=never"]),
        (["growth=gap,never", "seed=0,1"], [f"growth={g} seed={s}" for g in ("gap", "never") for s in (0, 1)]),
        (["net.widths=[8],[8,8]"], ["net.widths=[8]", "net.widths=[8,8]"]),
        (["budget=glob(*)"], ["budget=none", "budget=small"]),
        (["seed=7"], ["seed=7"]),
    ],
)
def test_hydras_grammar_says_which_jobs_there_are(overrides, names, started):
    assert call("fit", "-m", *overrides, "hydra.sweep.dir=sweep") == 0
    assert [job.name for job in started] == names
    assert len({job.folder for job in started}) == len(names)


def test_a_job_is_a_plain_run_that_can_be_typed_again(started, tmp_path):
    (tmp_path / "own" / "net").mkdir(parents=True)
    (tmp_path / "own" / "net" / "tiny.yaml").write_text("defaults: [dense, _self_]\nwidths: [3]\n")
    typed = ["data=iris", "net=tiny,dense", "hydra.sweep.dir='my, sweep'", "hydra.launcher.jobs=2"]
    assert call("fit", "-m", "--config-dir", "own", *typed) == 0
    job = started[0]
    assert job.folder == Path("my, sweep/net-tiny")
    own, run = ["--config-dir", str(tmp_path / "own")], f"hydra.run.dir='{tmp_path}/my, sweep/net-tiny'"
    assert list(job.command[2:]) == ["autogrow", "fit", *own, "data=iris", "net=tiny", run, SINGLE]
    resume = f"resume='{tmp_path}/my, sweep/net-tiny'"
    assert list(job.resume[2:]) == ["autogrow", "fit", *own, "data=iris", "net=tiny", resume, SINGLE]


def test_a_job_is_a_single_run_also_where_a_config_file_asks_for_a_sweep(started, tmp_path):
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    mine = "# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {seed: '0,1'}}}\n"
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text(mine)
    quick = ["data=iris", "net.widths=[4]", "trainer.max_epochs=2", "trainer.check_every=3"]
    assert call("fit", "--config-dir", "own", "experiment=mine", *quick, "hydra.sweep.dir=s") == 0
    assert [job.name.split()[0] for job in started] == ["seed=0", "seed=1"]
    jobs = list(started)
    for job in jobs:
        assert call(*job.command[3:]) == 0
        assert (job.folder / "result.json").is_file()
        (job.folder / "result.json").unlink()
        assert call(*job.resume[3:]) == 0
    assert started == jobs


@pytest.mark.parametrize("command", ["compare", "search", "watch", "plan", "transfer"])
@pytest.mark.parametrize("launcher", ["process", "basic"])
def test_only_fit_sweeps_whoever_asks_for_it(command, launcher, tmp_path, capsys):
    words = ["hydra.mode=MULTIRUN", f"hydra/launcher={launcher}"]
    words += (
        [] if command in ("plan", "transfer") else ["hydra.sweep.dir=s"]
    )  # which make no folder, and take no name of one
    assert call(command, *(["drops"] if command == "watch" else []), *words) == 2
    said = capsys.readouterr().err
    assert (
        said
        == f"autogrow: {command} is no sweep: -m, and hydra.mode: MULTIRUN in a config file, are for autogrow fit\n"
    )
    assert not list(tmp_path.glob("s/*/*"))


def test_folder_names_stay_the_same_in_a_larger_sweep_and_can_be_chosen(started):
    assert call("fit", "-m", "growth=gap,never", "seed=0,1", "hydra.sweep.dir=s") == 0
    assert call("fit", "-m", "growth=gap,never", "seed=range(4)", "hydra.sweep.dir=s") == 0
    assert {j.folder for j in started[:4]} < {j.folder for j in started[4:]}
    assert call("fit", "-m", "seed=5,6", "hydra.sweep.dir=s", "hydra.sweep.subdir=run_${hydra.job.num}") == 0
    assert [str(j.folder) for j in started[-2:]] == ["s/run_0", "s/run_1"]


def test_folder_names_are_short_and_differ():
    long = [folder_name([f"data.path=/a/very/long/path/{'x' * 200}/{i}.csv"]) for i in range(3)]
    assert len(set(long)) == 3
    assert max(map(len, long)) <= 100


@pytest.mark.parametrize(("jobs", "threads"), [(1, "4"), (3, "1"), (0, "1")])
def test_jobs_share_the_cores(jobs, threads, started, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for module in ("autogrow.children.child", "autogrow.launcher.plugin"):
        monkeypatch.setattr(f"{module}.cores", lambda: 4)
    assert call("fit", "-m", "seed=0,1", "hydra.sweep.dir=sweep", f"hydra.launcher.jobs={jobs}") == 0
    assert started[0].environment["OMP_NUM_THREADS"] == threads


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seed=range(0)"], "the sweep has no jobs"),
        (["seed=0,1", "growth=gap,nver"], "growth has no option 'nver'; did you mean 'never' or 'finer'"),
        (["seed=0,1", "tariner.max_epochs=3"], "unknown key 'tariner.max_epochs'"),
        (["optimizer.lr=interval(1e-4,1e-2)"], "hydra/sweeper=optuna"),
        (["seed=0,1", "hydra.launcher.jobs=-1"], "hydra.launcher.jobs must be at least 0"),
        (["seed=0,1", "hydra.launcher.jbs=2"], "unknown key 'hydra.launcher.jbs'; did you mean 'jobs'"),
        (["seed=0,1", "hydra.launcher.cpus=0"], "hydra.launcher.cpus of at least 1, got 0"),
        (["seed=0,1", "hydra.launcher.executor=slurm"], "did you mean 'submitit_slurm'?"),
        (["seed=0,1", "+hydra.launcher.options.nodes=2"], "executor=process takes none: {'nodes': 2}"),
        (["seed=0,1", "hydra.launcher.options.nodes=2"], "+hydra.launcher.options.nodes"),
        (["seed=0,1", "hydra.launcher.executor=submitit_local", "+hydra.launcher.options.nods=2"], "nods"),
        (["seed=0,1", "hydra/launcher=proces"], "hydra/launcher has no option 'proces'; did you mean 'process'?"),
    ],
)
def test_bad_input_is_one_line_and_starts_nothing(arguments, message, started, capsys):
    assert call("fit", "-m", *arguments, "hydra.sweep.dir=sweep") == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert error.startswith("autogrow: ")
    assert "\n" not in error
    assert not started


@pytest.mark.parametrize(("executor", "extra"), [("submitit_local", "slurm"), ("ray", "ray")])
def test_an_engine_that_is_not_installed_is_named_with_its_extra(executor, extra, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, executor.partition("_")[0], None)
    assert call("fit", "-m", "seed=0,1", "hydra.sweep.dir=sweep", f"hydra.launcher.executor={executor}") == 2
    assert f"pip install 'autogrow[{extra}]'" in capsys.readouterr().err


# -- how it ends -----------------------------------------------------------------------------------------------------
def test_failures_are_counted_in_one_line_and_what_is_done_is_shown(monkeypatch, capsys):
    def run_jobs(jobs, at_a_time, on_change, start):
        for i, job in enumerate(jobs):
            finish(job.folder)
            failed = i in (1, 3)
            on_change(
                Outcome(job, FAILED, 1, message="exit code 1: it broke") if failed else Outcome(job, DONE, 0, 3.0)
            )

    monkeypatch.setattr(plugin, "run_jobs", run_jobs)
    assert call("fit", "-m", "seed=range(4)", "hydra.sweep.dir=sweep", "hydra.sweeper.max_batch_size=2") == 1
    printed = capsys.readouterr()
    assert "2 of 4 jobs failed in sweep: job 1 (seed=1): exit code 1: it broke (and job 3)" in printed.err
    assert printed.err.count("\n") == 1
    row = next(line for line in printed.out.splitlines() if line.split()[:2] == ["2", "seed=2"])
    assert row.split()[2:] == ["16", "10.00", "%", "20.00", "%", "1.00", "MFLOP", "2.0", "s"]
    assert "2 of 4 jobs are done in sweep" in printed.out
    assert "autogrow report sweep" in printed.out


def test_an_interrupted_sweep_says_what_is_done_and_how_to_go_on(monkeypatch, capsys):
    def run_jobs(jobs, at_a_time, on_change, start):
        for job, state in zip(jobs, (DONE, INTERRUPTED), strict=False):
            finish(job.folder)
            on_change(Outcome(job, state))
        raise InterruptedRunError(signal.SIGTERM)

    monkeypatch.setattr(plugin, "run_jobs", run_jobs)
    assert call("fit", "-m", "seed=range(4)", "hydra.launcher.jobs=2") == 143
    error = capsys.readouterr().err
    assert "1 jobs are done, 1 can go on, 2 have not begun" in error
    assert "go on with: autogrow fit -m 'seed=range(4)' hydra.launcher.jobs=2 hydra.sweep.dir=runs/sweep/" in error


# -- what is seen of it ----------------------------------------------------------------------------------------------
def row(check, **values):
    known = {"check": check, "passes": 2.5, "val_loss": 0.25, "widths": {"a": 16, "b": 24}, "phase": "grow"}
    return json.dumps({**known, **values}) + "\n"


def test_progress_is_the_last_whole_row_of_a_ledger(tmp_path):
    assert read_progress(tmp_path) is None
    ledger = tmp_path / "ledger.jsonl"
    for text, checks in [("", None), ('{"chec', None), (row(0) + row(1), 2), (row(0) + row(4) + row(5)[:30], 5)]:
        ledger.write_text(text)
        found = read_progress(tmp_path)
        assert (found and found.checks) == checks
    ledger.write_text("x" * 100_000 + "\n" + row(8, val_loss=None))
    assert read_progress(tmp_path).checks == 9


@pytest.mark.parametrize("height", [12, 40])
def test_the_live_table_fits_the_screen_and_shows_what_runs(height, tmp_path):
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=height, color_system=None)
    jobs = [Job((), tmp_path / str(i), f"seed={i}") for i in range(60)]
    board = Board(jobs, console=console)
    for job, state in zip(jobs, [DONE] * 30 + [SKIPPED, FAILED, RUNNING], strict=False):
        (job.folder).mkdir()
        board.change(Outcome(job, state, seconds=3.0))
    (jobs[32].folder / "ledger.jsonl").write_text(row(11))
    console.print(board.table())
    lines = console.file.getvalue().splitlines()
    assert len(lines) < height
    running = next(line for line in lines if "running" in line and "seed=32" in line)
    assert running.split()[:7] == ["32", "seed=32", "running", "12", "2.5", "0.2500", "16-24"]
    assert any("seed=31" in line and "failed" in line for line in lines)
    assert any("31 of 60 done, 1 running, 1 failed, 27 waiting" in line for line in lines)
    assert board.outcomes[-1].state == WAITING


# -- real ones -------------------------------------------------------------------------------------------------------
def written(sweep):
    return {p: p.stat().st_mtime_ns for p in sorted(Path(sweep).glob("*/*")) if p.is_file()}


@pytest.mark.slow
def test_one_failure_does_not_end_a_sweep_and_a_rerun_does_only_what_is_missing(capfd):
    sweep = ["fit", "-m", *IRIS, "hydra.sweep.dir=sweep", "hydra.launcher.jobs=2"]
    assert call(*sweep, "seed=0,-1") == 1
    assert "1 of 2 jobs failed in sweep: job 1 (seed=-1): seed must be a whole number" in capfd.readouterr().err
    before = written("sweep/seed-0/..")
    assert {p.name for p in before} >= {"log.txt", "result.json", "config.yaml", "report.html"}
    page = Path("sweep/sweep.html").read_text(encoding="utf-8")
    assert "seed must be a whole number of at least 0, got -1" in page
    assert 'href="seed-0/report.html"' in page
    assert call(*sweep, "seed=0,1") == 0
    after = written("sweep")
    assert {p: t for p, t in after.items() if "seed-0" in str(p)} == {
        Path(os.path.normpath(p)): t for p, t in before.items() if "seed-0" in os.path.normpath(p)
    }
    assert [json.loads(Path(f"sweep/seed-{s}/result.json").read_text())["seed"] for s in (0, 1)] == [0, 1]
    assert "done before" in capfd.readouterr().out
    assert call(*sweep, "seed=0,1", "trainer.max_epochs=31") == 1  # another sweep: nothing is overwritten
    assert "holds a run of another config (there max_epochs: 30.0, now max_epochs: 31.0)" in capfd.readouterr().err
    assert written("sweep") == after
    told = Path("sweep/sweep.html").read_text(encoding="utf-8")
    assert "holds a run of another config" in told  # known to the sweep alone: it is in no log
    assert call("report", "sweep") == 0
    assert "2 runs of one setting on iris" in Path("sweep/sweep.html").read_text(encoding="utf-8")
    assert not Path("sweep/compare.html").exists()  # one setting: nothing to compare


LONG = ["data=digits", "stop=never", "growth=never", "trainer.checkpoint_seconds=0.1"]


def interrupted(folder, sweep, ready):
    """The exit code and the error of a sweep that got a Ctrl-C once `ready()` of what it has printed."""
    with (folder / "printed.txt").open("w") as out:
        process = subprocess.Popen([sys.executable, "-m", "autogrow", *sweep], stdout=out, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 240  # an engine starts a dozen processes of its own
    try:
        while not ready((folder / "printed.txt").read_text()):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
    except BaseException:
        process.kill()
        raise
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    return process.returncode, error.decode()


def checks(run):
    ledger = run / "ledger.jsonl"
    return [json.loads(line)["check"] for line in ledger.read_text().splitlines()] if ledger.is_file() else []


@pytest.mark.slow
def test_ctrl_c_in_the_middle_leaves_what_is_done_and_the_rest_can_go_on(tmp_path):
    sweep = ["fit", "-m", *LONG, "trainer.max_epochs=20,1000", "hydra.launcher.jobs=2", "hydra.sweep.dir='my, sweep'"]
    short, long = (tmp_path / "my, sweep" / f"trainer.max_epochs-{n}" for n in (20, 1000))
    code, error = interrupted(tmp_path, sweep, lambda out: "): done" in out and len(checks(long)) > 5)
    assert code == 130
    assert error.count("\n") == 1
    assert "1 jobs are done, 1 can go on, 0 have not begun" in error
    before = {p: p.stat().st_mtime_ns for p in short.iterdir()}
    assert "result.json" in {p.name for p in before}
    assert not (long / "result.json").exists()
    assert call(*sweep) == 0
    assert {p: p.stat().st_mtime_ns for p in short.iterdir()} == before
    assert "resume=" in (long / "log.txt").read_text()
    assert checks(long) == list(range(len(checks(long))))
    assert (long / "result.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["submitit_local", "ray"])
def test_an_engine_runs_the_jobs_and_ends_them_when_asked(executor, tmp_path, monkeypatch):
    pytest.importorskip(executor.partition("_")[0])
    monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 gets no turn where the cores are busy
    sweep = ["fit", "-m", *LONG, "trainer.max_epochs=800", "seed=0,-1", "hydra.sweep.dir=sweep"]
    sweep.append(f"hydra.launcher.executor={executor}")
    run = tmp_path / "sweep" / "seed-0"
    code, error = interrupted(tmp_path, sweep, lambda out: "): failed: seed must" in out and len(checks(run)) > 5)
    assert code == 130
    assert "1 can go on" in error
    assert "interrupted by SIGTERM; go on with" in (run / "log.txt").read_text()
