"""Child processes: each in its folder, done once, failures recorded, signals passed on."""

import os
import signal
import sys
import threading

import pytest

from autogrow.children import child
from autogrow.children.jobs import DONE, FAILED, INTERRUPTED, RUNNING, SINGLE, SKIPPED, Job, environment, run_jobs
from autogrow.errors import InterruptedRunError
from autogrow.train.record.lock import locked

WRITES = "import pathlib, sys; pathlib.Path(sys.argv[1], 'result.json').write_text('{}'); print('written')"


def job(folder, code=WRITES, **further):
    return Job((sys.executable, "-c", code, str(folder)), folder, folder.name, **further)


def test_a_job_leaves_its_log_and_is_done_once(tmp_path):
    one = job(tmp_path / "one")
    heard = []
    assert [o.state for o in run_jobs([one], on_change=lambda o: heard.append(o.state))] == [DONE]
    assert heard == [RUNNING, DONE]
    assert one.log.read_text() == f"{one.line}\nwritten\n"
    heard.clear()
    assert [o.state for o in run_jobs([one], on_change=lambda o: heard.append(o.state))] == heard == [SKIPPED]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; print('why it failed', file=sys.stderr); sys.exit(3)", "exit code 3: why it failed"),
        ("print('all is well')", "it ended without a result.json: all is well"),
    ],
)
def test_a_failure_is_an_outcome_and_the_others_go_on(code, message, tmp_path):
    bad, good = run_jobs([job(tmp_path / "bad", code), job(tmp_path / "good")])
    assert (bad.state, bad.message, good.state) == (FAILED, message, DONE)
    assert [o.state for o in run_jobs([bad.job, good.job])] == [FAILED, SKIPPED]  # tried again, and only it


def test_a_run_of_another_command_is_not_overwritten(tmp_path):
    run_jobs([job(tmp_path / "one")])
    other = job(tmp_path / "one", WRITES + "; print('other')")
    (outcome,) = run_jobs([other])
    assert outcome.state == FAILED
    assert "holds a run of another command" in outcome.message


def test_a_run_of_an_older_autogrow_is_known_by_its_command(tmp_path):
    """Which did not say that it is a single run."""
    old = job(tmp_path / "one", WRITES)
    run_jobs([old])
    now = Job((*old.command, SINGLE), old.folder)
    assert now.is_done()
    assert not Job((*old.command, "seed=1", SINGLE), old.folder).begun()
    assert not Job((*old.command, SINGLE, SINGLE), old.folder).begun()


def test_what_was_begun_goes_on_with_the_command_for_it(tmp_path):
    folder = tmp_path / "one"
    breaks = "import pathlib, sys; pathlib.Path(sys.argv[1], 'config.yaml').write_text(''); sys.exit(1)"
    goes_on = (sys.executable, "-c", WRITES.replace("written", "gone on"), str(folder))
    one = job(folder, breaks, resume=goes_on)
    assert [run_jobs([one])[0].state for _ in range(3)] == [FAILED, DONE, SKIPPED]
    assert one.log.read_text().endswith("gone on\n")


def test_what_follows_from_a_job_is_next(tmp_path):
    first, last, follower = (job(tmp_path / name) for name in ("first", "last", "follower"))
    outcomes = run_jobs([first, last], then=lambda o: [follower] if o.job is first else [])
    assert [o.job.name for o in outcomes] == ["first", "follower", "last"]


def test_at_most_so_many_run_at_a_time(tmp_path):
    now, most = set(), []

    def watch(outcome):
        (now.add if outcome.state == RUNNING else now.discard)(outcome.job.name)
        most.append(len(now))

    run_jobs([job(tmp_path / str(i), WRITES + "; import time; time.sleep(0.1)") for i in range(5)], 2, watch)
    assert max(most) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_children_and_what_is_done_stays(number, tmp_path):
    done = job(tmp_path / "done")
    long = job(tmp_path / "long", "import time; time.sleep(60)")
    never = job(tmp_path / "never")
    states = {}

    def on_change(outcome):
        states[outcome.job.name] = outcome.state
        if outcome.job is long and outcome.state == RUNNING:
            threading.Timer(0.2, os.kill, (os.getpid(), number)).start()

    with pytest.raises(InterruptedRunError) as caught:
        run_jobs([done, long, never], on_change=on_change)
    assert caught.value.exit_code == 128 + number
    assert states == {"done": DONE, "long": INTERRUPTED}
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_no_child_is_left_behind_by_an_error_of_ours(tmp_path):
    pids = []

    def on_change(outcome):
        pids.append(outcome._child._process.pid)
        raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        run_jobs([job(tmp_path / "long", "import time; time.sleep(60)")], on_change=on_change)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_threads_share_the_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(child, "cores", lambda: 8)
    env = environment(3)
    assert env["OMP_NUM_THREADS"] == "2"
    assert "HYDRA_FULL_ERROR" not in env
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert environment(3)["OMP_NUM_THREADS"] == "5"


def test_a_run_of_another_config_is_not_overwritten_and_the_difference_is_named(tmp_path):
    writes = WRITES + "; pathlib.Path(sys.argv[1], 'config.yaml').write_text('seed: 0\\nlr: 1\\n')"
    one = job(tmp_path / "one", writes, config="seed: 0\nlr: 1\n")
    assert [run_jobs([one])[0].state for _ in range(2)] == [DONE, SKIPPED]
    same = job(tmp_path / "one", "another command", config=one.config)
    assert run_jobs([same])[0].state == SKIPPED
    (outcome,) = run_jobs([job(tmp_path / "one", writes, config="seed: 0\nlr: 2\n")])
    assert outcome.state == FAILED
    assert "holds a run of another config (there lr: 1, now lr: 2)" in outcome.message


def test_a_folder_where_a_process_is_still_at_work_is_left_alone(tmp_path):
    """The parent was killed, the child lives on: the lock on its log is the child's too."""
    one = job(tmp_path / "one", "import time; time.sleep(60)")
    one.folder.mkdir()
    with one.log.open("ab") as log:
        assert locked(log)
        orphan = child.Process(one.command, log, None)
    try:
        (outcome,) = run_jobs([one])
    finally:
        orphan.kill()
    assert outcome.state == FAILED
    assert "another process is at work" in outcome.message
    assert one.log.read_text() == ""
