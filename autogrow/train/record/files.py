"""The one way to write a file: whole or not at all, under a name that nobody can guess until it is whole.

A file is written beside its place, flushed to disk and moved there, so a reader sees the old file or the new one. What
lies in its place, a link too, is replaced and never written through. Files that grow (ledgers, logs) are opened to
append, links refused.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from autogrow.errors import CheckpointError

_OURS = re.compile(r"\.[0-9a-f]{16}\.autogrow")
"""Names of files that are not whole yet: no two alike, and as short for every file."""


def write_json(path: Path, value: Any) -> None:
    """Write plain values as indented JSON, atomically."""
    write_atomically(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """Write a text, in UTF-8, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_page(path: Path, html: str) -> None:
    """Write a page, whole or not at all. What is no text in the name of a file is seen as such."""
    write_bytes(path, html.encode("utf-8", "surrogateescape").decode("utf-8", "replace").encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """`write_atomically`, for what is not text."""
    with writing(path) as file:
        file.write(content)


def copy_file(source: Path, path: Path) -> None:
    """Copy a file's content, whole or not at all."""
    with source.open("rb") as there, writing(path) as file:
        shutil.copyfileobj(there, file)


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """An open file that becomes `path` when the block ends; where it raises, nothing has happened."""
    with drafting(path.parent) as draft:
        yield draft.file
        draft.put(path)


@contextmanager
def drafting(folder: Path) -> Iterator[Draft]:
    """A draft in `folder`: put in its place within the block, or gone at its end."""
    draft = Draft(folder)
    try:
        yield draft
    finally:
        draft.discard()


class Draft:
    """A file that is not whole yet. Write to `file`, or let somebody write to `path` by its name;
    then `put` it in its place.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / f".{secrets.token_hex(8)}.autogrow"
        self.file: IO[bytes] = open(self.path, "xb", opener=_no_link)  # noqa: SIM115  (`drafting` closes it)
        self._mode = stat.S_IMODE(os.fstat(self.file.fileno()).st_mode)  # an ordinary file's, as the umask has it
        with suppress(OSError):  # a file system that knows no locks
            fcntl.flock(self.file, fcntl.LOCK_EX)  # says to `remove_leftovers` that somebody is at work on it

    def put(self, path: Path) -> None:
        """Flush it to disk and make it `path`."""
        self.file.flush()
        # by its name: who wrote to it may have moved another there
        with open(self.path, "rb", opener=_no_link) as whole:
            if stat.S_IMODE(os.fstat(whole.fileno()).st_mode) != self._mode:
                os.fchmod(whole.fileno(), self._mode)
            os.fsync(whole.fileno())
        os.replace(self.path, path)
        _flush_folder(path.parent)

    def discard(self) -> None:
        """Leave nothing of it behind; what has been put in its place stays."""
        self.path.unlink(missing_ok=True)
        self.file.close()


def open_to_append(path: Path) -> IO[bytes]:
    """A file open for writing at its end, made where there is none. Raises CheckpointError, in one line, for a link."""
    return open_no_link(path, "ab")


def read_bytes(path: Path) -> bytes:
    """What a file holds.

    Raises CheckpointError, in one line, for a link (a folder that came from elsewhere would name any file of ours with
    it) and for what is no file; FileNotFoundError where there is nothing.
    """
    try:
        with open(path, "rb", opener=lambda name, flags: _no_link(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise CheckpointError(f"{path} is not a file")
            return file.read()
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise CheckpointError(f"{path} is a link, which is not read: put the file itself in its place") from None


def open_at_once(path: Path) -> IO[bytes]:
    """A file of somebody else's open for reading, links followed; a pipe, which has no end to wait for, is empty."""
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))


def open_no_link(path: Path, mode: str) -> IO[bytes]:
    """A file as `open` opens it in a binary mode. Raises CheckpointError, in one line, for a link."""
    try:
        return open(path, mode, opener=_no_link)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise CheckpointError(f"{path} is a link, which is not written through: remove it") from None


def remove_leftovers(folder: Path) -> None:
    """Remove drafts of processes that were killed. Those that somebody is at work on, and files of any other name,
    stay.
    """
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name):
            # one that is in its place meanwhile, that somebody is at work on, or that we may not remove stays
            with suppress(OSError), open(path, "r+b", opener=_no_link) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def _flush_folder(folder: Path) -> None:
    """The name on disk too, where the file system can: some that are mounted over a network cannot."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
