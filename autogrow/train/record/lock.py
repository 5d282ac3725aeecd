"""One process at a time for one run folder. The kernel frees the lock of a process that has died, however it died."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO

from autogrow.errors import ConfigError, InUseError
from autogrow.ranks import is_first_rank
from autogrow.train.record.files import open_no_link, remove_leftovers
from autogrow.train.record.folder import CHECKPOINTS, COPIES, LOCK

_held: ContextVar[frozenset[Path]] = ContextVar("_held", default=frozenset())
"""The folders that this thread is at work in: what a command has locked, the run within it need not."""


@contextmanager
def lock(folder: Path, who: str) -> Iterator[None]:
    """Be the only one at work in a folder, which is made where there is none;
    `who`, as in 'autogrow fit', is said to others.

    What killed processes left half-written goes first; the lock goes at the end, and a folder that was made and holds
    nothing with it. Of several processes of one run (DDP) the first locks for all. Raises ConfigError, in one line,
    where another process is at work.
    """
    home = folder.resolve()
    if home in _held.get() or not is_first_rank():
        yield
        return
    made = not folder.exists()
    try:
        file = _taken(folder, who)
    except ConfigError:
        if made:
            with suppress(OSError):
                folder.rmdir()
        raise
    token = _held.set(_held.get() | {home})
    try:
        for place in (folder, folder / CHECKPOINTS, folder / COPIES):
            if place.is_dir():
                remove_leftovers(place)
        yield
    finally:
        _held.reset(token)
        (folder / LOCK).unlink(missing_ok=True)  # while it is ours: who opens it from now on sees that it is gone
        file.close()
        if made:
            with suppress(OSError):
                folder.rmdir()


def locked(file: IO[bytes]) -> bool:
    """Take the lock on an open file; False where another process has it.

    A child inherits it with the file (a log, as its standard output): it is held while any of them lives, also one
    whose parent was killed.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system that knows no locks
    return True


def remove_lock(folder: Path) -> bool:
    """Remove a lock that nobody holds (any more); False where somebody does."""
    try:
        file = open_no_link(folder / LOCK, "r+b")
    except FileNotFoundError:
        return True
    with file:
        free = locked(file)
        if free:
            (folder / LOCK).unlink(missing_ok=True)
    return free


def _taken(folder: Path, who: str) -> IO[bytes]:
    path = folder / LOCK
    try:
        while True:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                file = open_no_link(path, "a+b")
            except FileNotFoundError:
                continue  # somebody has just removed the folder, who had begun nothing in it
            if not locked(file):
                raise InUseError(f"{folder} is in use by another {_holder(file)}: end it, or wait for it")
            if _is_still(file, path):
                break
            file.close()  # who had it has just gone, and the file with them
        said = f"{who} (pid {os.getpid()} on {socket.gethostname()}, since {time.strftime('%F %T')})\n"
        try:
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), said.encode())  # past the buffer, which a full disk would leave full
        except OSError:
            path.unlink()
            file.close()
            raise
    except OSError as error:
        raise ConfigError(f"the run folder {folder} cannot be written: {error.strerror}") from None
    return file


def _is_still(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def _holder(file: IO[bytes]) -> str:
    """Who says to hold it; nothing has been said in the moment between taking it and saying so."""
    with file:
        file.seek(0)
        said = file.read(300).decode(errors="replace").splitlines()
    return said[0] if said else "process"
