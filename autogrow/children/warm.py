"""Jobs in warm processes: forked off a server that has imported what a run needs, has done nothing else and started
no thread. Each is as alone as a process of its own: a session, a log and a memory of its own.

Who asks, here, and the server (`autogrow.children.server`) are joined by a socket: requests, with the open log, go one
way, how each job ended comes back. The server starts with the first job and ends with its user.
"""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, Any, Self

from autogrow.children.child import Child, Process

PYTHON = (sys.executable, "-m", "autogrow")
"""How a command begins that a warm process can run; any other gets a process of its own."""

QUIET = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""What keeps NumPy and Arrow from starting threads when they are imported: a fork would lose them."""

LONGEST = 2**20  # bytes of a request
PATIENCE = 10.0  # seconds that a server has to end


class WarmProcesses:
    """Starts commands of ours in warm processes; as a context manager it ends its server, not the jobs."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._environment: dict[str, str] = {}
        self._said: dict[int, dict[str, int]] = {}  # by the number of a job

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self, command: Sequence[str], log: IO[bytes], environment: Mapping[str, str] | None) -> Child:
        """Start a command that writes to the open log."""
        wanted = dict(os.environ if environment is None else environment)
        if tuple(command[: len(PYTHON)]) != PYTHON or sys.platform != "linux":  # elsewhere a fork is not safe
            return Process(command, log, environment)
        if self._server is None:
            self._serve(wanted, log)
        if wanted != self._environment:  # the server's threads were counted out when it started
            return Process(command, log, environment)
        number = len(self._said)
        self._said[number] = {}
        words = list(command[len(PYTHON) :])
        self.send({"start": number, "words": words, "folder": os.getcwd()}, log.fileno())
        return _WarmProcess(self, number)

    def close(self) -> None:
        """End the server. Jobs that still run go on."""
        if self._server is None or self._socket is None:
            return
        self._socket.close()
        try:
            self._server.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._server = self._socket = None

    def send(self, request: Mapping[str, Any], *files: int) -> None:
        """Ask the server for something, and give it open files."""
        assert self._socket is not None
        given = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        with suppress(BrokenPipeError, ConnectionResetError):  # it has gone: `said` tells
            self._socket.sendmsg([json.dumps(request).encode()], given)

    def said(self, number: int) -> Mapping[str, int]:
        """What is known of a job: its `process`, and its exit `code` once it has ended."""
        if self._socket is None:
            return self._said[number]
        with suppress(BlockingIOError):
            while text := self._socket.recv(LONGEST, socket.MSG_DONTWAIT):
                message = json.loads(text)
                self._said[message.pop("job")].update(message)
            self._end_the_left()  # nothing more will come
        return self._said[number]

    def give_up(self) -> None:
        """End the server, and with it all that it was asked for."""
        assert self._server is not None
        self._server.kill()

    def _serve(self, environment: dict[str, str], log: IO[bytes]) -> None:
        """Start the server; what it has to say against it stands in the log of the first job."""
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._environment, self._socket = environment, ours
        with its:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "autogrow.children.server", str(its.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**environment, **QUIET},
                pass_fds=[its.fileno()],
                start_new_session=True,
            )

    def _end_the_left(self) -> None:
        """The server is gone, and with it the word of how its jobs end: those that still run are ended."""
        assert self._server is not None
        code = self._server.wait()
        for job in self._said.values():
            if "code" not in job:
                if "process" in job:
                    end_all_of(job["process"])
                job["code"] = code or 1


class _WarmProcess:
    """A job that a server has forked off, by its number there."""

    def __init__(self, server: WarmProcesses, number: int) -> None:
        self._server, self._number = server, number

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        return self._server.said(self._number).get("code")

    def terminate(self) -> None:
        """SIGTERM to the process itself."""
        self._server.send({"end": self._number, "signal": signal.SIGTERM})

    def kill(self) -> None:
        """SIGKILL to it and to what it started."""
        if "process" in self._server.said(self._number):
            self._server.send({"end": self._number, "signal": signal.SIGKILL})
        else:
            self._server.give_up()  # it is still importing
        while self.poll() is None:
            time.sleep(0.01)


def end_all_of(process: int) -> None:
    """SIGKILL to a process and to all of its session; one that has just been forked has none yet."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
