"""Jobs in warm processes: as alone, as loggable and as easily ended as processes of their own."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from autogrow.children.child import Process
from autogrow.children.jobs import DONE, FAILED, INTERRUPTED, SINGLE, Job, environment, run_jobs
from autogrow.children.warm import PYTHON, WarmProcesses
from autogrow.train.record.folder import read_config, read_result

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a fork is not safe, and nothing is warm")

SHORT = ("data=iris", "net.widths=[4]", "trainer.max_epochs=2")
OURS = environment(2)  # one for all: pytest says in it which test is under way
ENDLESS = ("data=iris", "net.widths=[4]", "trainer.max_epochs=1000000", "stop=never", "growth=never")


@pytest.fixture(scope="module")
def warm():
    with WarmProcesses() as processes:
        yield processes


def fit(folder, *words):
    command = (*PYTHON, "fit", *words, f"hydra.run.dir={folder}", SINGLE)
    return Job(command, folder, environment=OURS)


def test_a_warm_process_leaves_what_a_process_of_its_own_leaves(warm, tmp_path):
    folders = [tmp_path / "warm", tmp_path / "own"]
    outcomes = [run_jobs([fit(folders[0], *SHORT)], start=warm.start), run_jobs([fit(folders[1], *SHORT)])]
    assert [o.state for (o,) in outcomes] == [DONE, DONE]
    assert names_in(folders[0]) == names_in(folders[1])
    assert read_config(folders[0]) == read_config(folders[1])
    found = [read_result(folder) for folder in folders]
    told = [(folder / "log.txt").read_text().replace(str(folder), "").splitlines() for folder in folders]
    assert told[0][:2] == told[1][:2]  # the command and the title; then come seconds
    assert len(told[0]) == len(told[1])
    for result in found:
        for key in ("seconds", "command"):
            del result[key]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("data=iriss",), 2, "autogrow: data has no option 'iriss'"),
        (("data=csv", "data.path=nowhere.csv", "data.target=y"), 2, "autogrow: data.path nowhere.csv does not exist"),
        (("--help",), 0, "it ended without a result.json"),
    ],
)
def test_exit_codes_and_last_words_are_the_commands(words, code, message, warm, tmp_path):
    (outcome,) = run_jobs([fit(tmp_path / "run", *words)], start=warm.start)
    assert (outcome.state, outcome.code) == (FAILED, code)
    assert message in outcome.message


def test_jobs_end_when_they_are_asked_and_go_on(warm, tmp_path):
    """Ctrl-C reaches who runs the jobs; they write their checkpoints, and the next job is not touched."""
    job = fit(tmp_path / "run", *ENDLESS)
    states = []

    def once_begun(outcome):
        states.append(outcome.state)
        if len(states) == 1:
            wait_until((tmp_path / "run" / "ledger.jsonl").is_file)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Exception, match="interrupted by SIGINT"):
        run_jobs([job], on_change=once_begun, start=warm.start)
    assert states[-1] == INTERRUPTED
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
    assert "interrupted by SIGTERM" in job.log.read_text()
    (after,) = run_jobs([fit(tmp_path / "next", *SHORT)], start=warm.start)
    assert after.state == DONE


def test_each_job_has_a_session_one_thread_before_it_and_dies_alone(warm, tmp_path):
    child = started(warm, tmp_path / "run", *ENDLESS)
    process = wait_until(lambda: warm.said(child._number).get("process"))
    server = parent_of(process)
    wait_until((tmp_path / "run" / "ledger.jsonl").is_file)
    assert os.getsid(process) == process
    assert len(os.listdir(f"/proc/{server}/task")) == 1
    child.kill()
    assert child.poll() == -signal.SIGKILL
    assert run_jobs([fit(tmp_path / "next", *SHORT)], start=warm.start)[0].state == DONE


def test_another_device_or_several_have_a_process_of_their_own(warm, tmp_path):
    child = started(warm, tmp_path / "run", *SHORT, "trainer.accelerator=auto")
    process = wait_until(lambda: warm.said(child._number).get("process"))
    wait_until(lambda: b"-m\0autogrow\0fit" in Path(f"/proc/{process}/cmdline").read_bytes())
    assert wait_until(lambda: child.poll() is not None)
    assert (child.poll(), read_result(tmp_path / "run")["widths"]) == (0, [4])


def test_other_commands_and_environments_have_a_process_of_their_own(warm, tmp_path):
    with (tmp_path / "log").open("wb") as log:
        for command, given in (
            ((sys.executable, "-c", "pass"), OURS),
            ((*PYTHON, "--version"), {**OURS, "X": "1"}),
        ):
            child = warm.start(command, log, given)
            assert isinstance(child, Process)
            wait_until(lambda child=child: child.poll() is not None)


def test_a_server_that_dies_leaves_no_job_behind(tmp_path):
    with WarmProcesses() as own:
        child = started(own, tmp_path / "run", *ENDLESS)
        process = wait_until(lambda: own.said(child._number).get("process"))
        os.kill(parent_of(process), signal.SIGKILL)
        wait_until(lambda: child.poll() is not None)
        assert child.poll() == -signal.SIGKILL
        wait_until(lambda: not Path(f"/proc/{process}").exists())


def started(processes, folder, *words):
    job = fit(folder, *words)
    folder.mkdir()
    with job.log.open("wb") as log:
        return processes.start(job.command, log, job.environment)


def parent_of(process):
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def names_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def wait_until(found, seconds=120.0):
    until = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return value
