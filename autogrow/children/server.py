"""The server of warm processes: it imports what a run needs, then forks off a process for each job it is asked for.

`python -m autogrow.children.server <socket>`. It ends when nobody is at the other end of the socket any more; its jobs
go on. What a run needs besides is imported here by name, for nothing here may import what runs it.
"""

from __future__ import annotations

import array
import json
import os
import pickle
import select
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any, NoReturn

from autogrow.children.warm import LONGEST, PYTHON, QUIET, end_all_of
from autogrow.imports import importing
from autogrow.leaving import leave_at_once

USED = (
    "autogrow.commands.tasks.fit",
    "autogrow.commands.tasks.search",
    "autogrow.commands.fit",
    "autogrow.commands.search",
    "hydra._internal.core_plugins.basic_launcher",
    "hydra._internal.core_plugins.basic_sweeper",
    "pandas",
    "sklearn.datasets",
)

MADE = (  # called once for all, in the server
    ("autogrow.registration", "register"),
    ("autogrow.composed_once", "read_words"),
    ("autogrow.report.run.page", "compiled"),
)
COMPOSED = "autogrow.composed_once"  # what the server knows its jobs need not compose
_EVERY = 0.02  # seconds between two looks at the jobs


class _Job:
    """What the process of a job is to do: the server's own process has none."""

    command: tuple[str, ...] = ()


def main(descriptor: int) -> None:
    """Serve; in the process of a job, do it."""
    leave_at_once()
    with importing():
        for name in USED:
            import_module(name)
        for name, made in MADE:
            getattr(import_module(name), made)()
    request = _serve(socket.socket(fileno=descriptor))
    _Job.command = (*PYTHON, *request["words"])
    for name in QUIET:
        del os.environ[name]
    os.chdir(request["folder"])
    entry = import_module("autogrow.__main__")
    sys.argv = [str(entry.__file__), *request["words"]]
    entry.program()


def own_process() -> None:
    """Go on as a process of its own that starts from nothing, where this one was forked off: for jobs that need
    several processes, or a device, whose drivers do not live through a fork.
    """
    if _Job.command:
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, _Job.command, os.environ)


def _serve(asked: socket.socket) -> dict[str, Any]:
    """Fork off a process for each job, end those that are to end, and tell how each has ended.

    Comes back in the process of a job alone: what it is to do.
    """
    numbers: dict[int, int] = {}  # of the jobs that run, by process
    composed = import_module(COMPOSED).Composed
    hears, tells = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # what a job has composed
    while True:
        ready, _, _ = select.select([asked, hears], [], [], _EVERY if numbers else None)
        if hears in ready:
            key, config = pickle.loads(hears.recv(LONGEST))
            composed.known[key] = config
        if asked in ready:
            request, files = _receive(asked)
            if "start" in request:
                process = os.fork()
                if process == 0:
                    asked.close()
                    hears.close()
                    composed.heard.append(partial(_pass_on, tells))
                    _begin(files)
                    return request
                os.close(files[0])
                numbers[process] = request["start"]
                _tell(asked, job=request["start"], process=process)
            else:
                _end(numbers, request["end"], request["signal"])
        for process in list(numbers):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                _tell(asked, job=numbers.pop(process), code=os.waitstatus_to_exitcode(status))


def _pass_on(tells: socket.socket, *composed: Any) -> None:
    """Give the server what a job has composed; one that is too large, or comes too fast, is composed again."""
    with suppress(OSError):
        tells.send(pickle.dumps(composed), socket.MSG_DONTWAIT)


def _receive(asked: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The next request, and the files that came with it."""
    text, given, _, _ = asked.recvmsg(LONGEST, socket.CMSG_SPACE(array.array("i").itemsize))
    if not text:
        _go()
    files = array.array("i")
    for _, _, data in given:
        files.frombytes(data)
    return json.loads(text), list(files)


def _begin(files: list[int]) -> None:
    """A session of its own, so that what ends it ends what it started; its log in the place of the output."""
    os.setsid()
    for stream in (1, 2):
        os.dup2(files[0], stream)
    os.close(files[0])


def _end(numbers: dict[int, int], job: int, number: int) -> None:
    for process in [p for p, n in numbers.items() if n == job]:
        if number == signal.SIGKILL:
            end_all_of(process)
        else:
            os.kill(process, number)


def _tell(asked: socket.socket, **message: int) -> None:
    try:
        asked.send(json.dumps(message).encode())
    except (BrokenPipeError, ConnectionResetError):
        _go()


def _go() -> NoReturn:
    """End the server at once: there is nothing in it to take down."""
    os._exit(0)


if __name__ == "__main__":
    # the module that others import by its name, which own_process asks
    import_module("autogrow.children.server").main(int(sys.argv[1]))
