"""Child processes: run commands, some at a time, each in a folder and with a log of its own.

A job is done when its folder holds a `result.json` and was begun by the same job: with its config where that is known,
else with its command. So the same jobs can be run again: what is done is skipped, what was interrupted goes on, what
failed is tried again. A failure is an outcome, never an exception.
"""

from __future__ import annotations

import shlex
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from autogrow.children.child import Child, Process, Start, environment
from autogrow.errors import CheckpointError, InterruptedRunError
from autogrow.interruption import heard_signals
from autogrow.train.record.files import open_to_append
from autogrow.train.record.folder import LOG, RESULT, is_begun, is_complete, read_config
from autogrow.train.record.lock import locked

SINGLE = "hydra.mode=RUN"
"""For the command of every job: it is one run, also where a config file that it reads asks for a sweep."""

GRACE = 30.0  # seconds that a child has to write its checkpoint when it is asked to end

WAITING, RUNNING, DONE, SKIPPED, FAILED, INTERRUPTED = "waiting", "running", "done", "skipped", "failed", "interrupted"
FINISHED = (DONE, SKIPPED)


@dataclass(frozen=True)
class Job:
    """One command and the folder that it leaves its result in;
    `resume`: the command that goes on where it was interrupted.

    `config`: what the run's config.yaml holds, where that is known before it runs.
    """

    command: tuple[str, ...]
    folder: Path
    name: str = ""
    resume: tuple[str, ...] | None = None
    environment: Mapping[str, str] | None = None  # None: this process's own
    config: str | None = None

    @property
    def line(self) -> str:
        """The command as a shell takes it: the first line of its log."""
        return shlex.join(self.command)

    @property
    def log(self) -> Path:
        """Everything that the command prints."""
        return self.folder / LOG

    def begun(self) -> bool:
        """Whether this very run has been started in its folder before."""
        if self.config is not None:
            return self._config() == self.config
        return self.log.is_file() and _same_command(self.log.read_text(encoding="utf-8", errors="replace"), self.line)

    def is_done(self) -> bool:
        """Whether this very run has come to its end."""
        return is_complete(self.folder) and self.begun()

    def in_the_way(self) -> str:
        """What is wrong with starting it: its folder holds another run, which is not overwritten. Else empty."""
        if not (is_complete(self.folder) or is_begun(self.folder)) or self.begun():
            return ""
        if self.config is None:
            return f"{self.folder} holds a run of another command, which is not overwritten"
        there, here = self._config().splitlines(), self.config.splitlines()
        old, new = (
            [line.strip() for line in ours if line not in theirs] for ours, theirs in ((there, here), (here, there))
        )
        differs = f" (there {'; '.join(old[:3]) or 'less'}, now {'; '.join(new[:3]) or 'less'})"
        return f"{self.folder} holds a run of another config{differs}, which is not overwritten"

    def _config(self) -> str:
        return read_config(self.folder) if is_begun(self.folder) else ""


@dataclass
class Outcome:
    """How a job stands: `state`, and when it has ended its exit `code`, `seconds`, and what went wrong in one line."""

    job: Job
    state: str = WAITING
    code: int | None = None
    seconds: float = 0.0
    message: str = ""
    _child: Child | None = field(default=None, repr=False)
    _log: IO[bytes] | None = field(default=None, repr=False)
    _began: float = 0.0


def run_jobs(
    jobs: Sequence[Job],
    at_a_time: int = 1,
    on_change: Callable[[Outcome], None] = lambda _: None,
    then: Callable[[Outcome], Sequence[Job]] = lambda _: (),
    start: Start = Process,
) -> list[Outcome]:
    """Run the jobs in their order, `at_a_time` of them side by side, and say how each ended.

    `on_change` hears of each change of a state, in this thread. `then` gives the jobs that follow from one that has
    ended; they are next. `start` starts a command here, or on another machine that sees the same folders. On Ctrl-C or
    SIGTERM the children are asked to end (a second time: ended) and, once they have, InterruptedRunError is raised; the
    states that `on_change` heard of are the outcomes.
    """
    queue = deque(Outcome(job) for job in jobs)
    running: list[Outcome] = []
    ended: list[Outcome] = []
    signals: list[int] = []
    with heard_signals(signals.append):
        try:
            while (queue or running) and not signals:
                while queue and len(running) < max(1, at_a_time):
                    running.append(queue.popleft())
                    _start(running[-1], start)
                    if running[-1].state == RUNNING:
                        on_change(running[-1])
                for outcome in [o for o in running if _has_ended(o)]:
                    running.remove(outcome)
                    ended.append(outcome)
                    on_change(outcome)
                    queue.extendleft(Outcome(job) for job in reversed(then(outcome)))
                if running:
                    time.sleep(0.02)
        finally:  # on a signal, and on an error of ours: no child is left behind
            for outcome in _end(running, signals):
                on_change(outcome)
        if signals:
            raise InterruptedRunError(signals[0])
    return ended


def _same_command(log: str, line: str) -> bool:
    """Whether a log begins with this command. One of an older autogrow does not say that it is a single run."""
    first = log.partition("\n")[0]
    return line in (first, f"{first} {SINGLE}")


def last_line(log: Path) -> str:
    """The last line of a log that is not empty: of a command of ours, its error."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.is_file() else []
    return lines[-1] if lines else ""


def _start(outcome: Outcome, start: Start) -> None:
    job = outcome.job
    outcome.message = job.in_the_way()
    if outcome.message:
        outcome.state, outcome.code = FAILED, 2
        return
    if job.is_done():
        outcome.state, outcome.code = SKIPPED, 0
        return
    job.folder.mkdir(parents=True, exist_ok=True)
    try:
        log = open_to_append(job.log)
    except CheckpointError as error:
        outcome.state, outcome.code, outcome.message = FAILED, 2, str(error)
        return
    if not locked(log):
        log.close()
        outcome.state, outcome.code = FAILED, 2
        outcome.message = f"another process is at work in {job.folder}: end it, or wait for it"
        return
    goes_on = job.resume is not None and job.begun() and is_begun(job.folder)
    command = job.resume if goes_on and job.resume is not None else job.command
    if not goes_on:
        log.truncate(0)
    log.write(f"{shlex.join(command)}\n".encode())
    log.flush()
    outcome._log, outcome._began = log, time.monotonic()
    outcome._child = start(command, log, job.environment)
    outcome.state = RUNNING


def _has_ended(outcome: Outcome) -> bool:
    if outcome.code is not None:
        return True  # known before, or it never had to start
    code = None if outcome._child is None else outcome._child.poll()
    if code is None:
        return False
    outcome.seconds = time.monotonic() - outcome._began
    outcome.code, outcome.state = code, DONE if code == 0 else FAILED
    if outcome._log is not None:
        outcome._log.close()
    if code != 0:
        outcome.message = f"exit code {code}: {last_line(outcome.job.log)}"
    elif not is_complete(outcome.job.folder):
        outcome.state, outcome.message = FAILED, f"it ended without a {RESULT}: {last_line(outcome.job.log)}"
    return True


def _end(running: list[Outcome], signals: list[int]) -> Iterator[Outcome]:
    """Ask the children to end, wait, and end those that do not."""
    for outcome in running:
        if outcome._child is not None:
            outcome._child.terminate()
    until = time.monotonic() + GRACE
    while any(not _has_ended(o) for o in running) and time.monotonic() < until and len(signals) < 2:
        time.sleep(0.02)
    for outcome in running:
        if outcome._child is not None and outcome._child.poll() is None:
            outcome._child.kill()
        _has_ended(outcome)
        if outcome.state == FAILED:
            done = outcome.job.is_done()  # it had just written its result
            outcome.state, outcome.message = (DONE, "") if done else (INTERRUPTED, "interrupted")
        yield outcome


__all__ = ["SINGLE", "Job", "Outcome", "environment", "last_line", "run_jobs"]
