"""A file of a watched folder: its name in text, its stamp, and a copy of it, which nobody writes to any more."""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from autogrow.data.found import SUFFIXES
from autogrow.errors import DataError
from autogrow.train.record.files import Draft, open_at_once

Stamp = tuple[int, int]
"""Size and time of writing, in nanoseconds: a file that has both as before has not changed."""

FULL = (errno.ENOSPC, errno.EDQUOT)
_BLOCK = 1 << 20
_LONGEST = 160  # bytes of a copy's name before its suffix: file systems take 255 in all


class ChangedError(Exception):
    """The file was written to while it was copied, or has gone."""


@dataclass(frozen=True)
class Dropped:
    """A file in a watched folder. `name`: its own in text, whatever bytes it is made of, without control characters."""

    path: Path

    @property
    def name(self) -> str:
        """The name as it is kept and shown."""
        return printable(self.path.name)

    def stamp(self) -> Stamp | None:
        """Its stamp; None where it has gone, or may not be looked at."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns

    def copy(self, copy: Draft, stamp: Stamp) -> str:
        """Copy it as it was when it had this stamp; the sha256 of what was copied.

        Raises DataError where it cannot be read or is larger than the room there is, ChangedError where it is being
        written to or has gone, OSError where the copy cannot be written.
        """
        free = shutil.disk_usage(copy.path.parent).free
        if stamp[0] > free:
            raise DataError(f"it has {stamp[0]:,} bytes, and there is room for {free:,} in {copy.path.parent}")
        digest, copied = hashlib.sha256(), 0
        try:
            source = open_at_once(self.path)
        except FileNotFoundError:
            raise ChangedError from None
        except OSError as error:
            raise DataError(f"it cannot be read: {error.strerror}") from None
        with source:
            while copied <= stamp[0]:  # one that grows as fast as it is read has no end
                try:
                    block = source.read(_BLOCK)
                except OSError as error:
                    raise DataError(f"it cannot be read: {error.strerror}") from None
                if not block:
                    break
                digest.update(block)
                copied += copy.file.write(block)
        if self.stamp() != stamp or copied != stamp[0]:
            raise ChangedError
        return digest.hexdigest()


def printable(name: str) -> str:
    r"""A name, or any other text, on one line: bytes that are no text and control characters as escapes.

    >>> printable("new\nline\udcff.csv"), printable("ünï.csv")
    ('new\\nline\\xff.csv', 'ünï.csv')
    """
    escaped = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in escaped)


def copy_name(name: str, used: Collection[str]) -> str:
    """A name for a copy, which no copy has yet: like the file's, of letters, digits and signs that stand for
    themselves anywhere, and not too long.

    >>> copy_name("a,b]=${x}.csv.gz", ()), copy_name("a.csv", ("a.csv",))
    ('a_b_x_.csv.gz', 'a~2.csv')
    """
    suffix = next((s for s in (".csv.gz", *sum(SUFFIXES.values(), ())) if name.lower().endswith(s)), "")
    stem = re.sub(r"[^\w.+~-]+", "_", name[: len(name) - len(suffix)]).lstrip(".-") or "file"
    stem = stem.encode()[:_LONGEST].decode(errors="ignore")
    suffix = suffix.lower()
    names = (f"{stem}{suffix}", *(f"{stem}~{n}{suffix}" for n in range(2, len(used) + 3)))
    return next(free for free in names if free not in used)


def full_disk(error: BaseException | None) -> OSError | None:
    """The error behind an error that says that the disk is full; None where there is none."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return error
        error = error.__cause__ or error.__context__
    return None
