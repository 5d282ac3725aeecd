"""One child process: started with its log, asked to end, ended.
Engines that start it elsewhere give back the same three methods.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

from autogrow.train.record.files import open_to_append


class Child(Protocol):
    """A command under way, here or on another machine."""

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""

    def terminate(self) -> None:
        """Ask it to end: a run writes its checkpoint first."""

    def kill(self) -> None:
        """End it."""


Start = Callable[[Sequence[str], IO[bytes], Mapping[str, str] | None], Child]
"""Starts a command that writes to the open log, in an environment (None: this process's own)."""


class Process:
    """A child of this process, in a session of its own:
    a Ctrl-C on the terminal reaches us alone, and we pass it on once.
    """

    def __init__(self, command: Sequence[str], log: IO[bytes], environment: Mapping[str, str] | None) -> None:
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=None if environment is None else dict(environment),
            start_new_session=True,
        )

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        return self._process.poll()

    def terminate(self) -> None:
        """SIGTERM to the process itself."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL to it and to what it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def run_to_end(command: Sequence[str], log: str, environment: Mapping[str, str], folder: str) -> int:
    """Run a command from within a worker of a cluster; its exit code. What asks the worker to end asks the command.

    `environment` comes on top of the worker's. SIGUSR2 is how SLURM's job, as submitit sets it up, says that its time
    is over.
    """
    # a plain run: Lightning would take the one task that SLURM gives us for all of its processes
    kept = {k: v for k, v in os.environ.items() if k not in ("HYDRA_FULL_ERROR", "SLURM_NTASKS")}
    with open_to_append(Path(log)) as out:
        process = subprocess.Popen(
            list(command), cwd=folder, env={**kept, **environment}, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )

    def ask_to_end(_number: int, _frame: Any) -> None:
        process.terminate()

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            signal.signal(number, ask_to_end)
    try:
        while process.poll() is None:  # Ray's way to interrupt is seen between two instructions, not in a system call
            time.sleep(0.1)
        return process.returncode
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment(at_a_time: int) -> dict[str, str]:
    """This process's environment, with threads that share the cores among the jobs that run at a time."""
    threads = str(max(1, cores() // max(1, at_a_time)))
    kept = {k: v for k, v in os.environ.items() if k != "HYDRA_FULL_ERROR"}  # set for this process's own errors
    return {**kept, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads)}
