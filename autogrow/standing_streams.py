"""Standard output and error that outlive their reader: `| head -1`, a pager that was closed, an ssh that broke.

What nobody can read any more is dropped, and a run goes on. A name that the terminal's encoding does not have is
written with escapes.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

_GONE = (errno.EPIPE, errno.EIO)  # the other end of a pipe, or of a terminal


class _Outliving(io.FileIO):
    """A descriptor to write to; once its reader is gone everything goes to nowhere.
    What else is wrong with it (a full disk) is said once.
    """

    failed = False

    def write(self, data: Any) -> int:
        """How much of the data was taken."""
        if self.failed:
            return len(data)
        try:
            return super().write(data)
        except OSError as error:
            self.failed = True
            if error.errno not in _GONE:
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())  # for whoever else writes to it, too: libraries, children
            os.close(nowhere)
            return len(data)


@contextmanager
def standing_streams() -> Iterator[None]:
    """Make sys.stdout and sys.stderr such streams while the block runs. What is not a file of the system's (a test's
    buffer, a notebook) stays as it is.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_standing(stream) for stream in before)
    try:
        yield
    finally:
        for stream, there in zip((sys.stdout, sys.stderr), before, strict=True):
            stream.flush()
            if there is None:
                stream.close()
        sys.stdout, sys.stderr = before


def is_read(stream: TextIO) -> bool:
    """Whether what has been written to a stream so far has found its reader, as far as can be known."""
    stream.flush()
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)
    return not (isinstance(raw, _Outliving) and raw.failed)


def _standing(stream: TextIO | Any) -> TextIO:
    if stream is None:  # closed by who started this process
        return open(os.devnull, "w", encoding="utf-8")
    if not isinstance(stream, io.TextIOWrapper) or not _has_descriptor(stream):
        return stream
    stream.flush()
    raw = _Outliving(stream.fileno(), "w", closefd=False)
    unbuffered = isinstance(stream.buffer, io.RawIOBase)
    return io.TextIOWrapper(
        raw if unbuffered else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace" if stream.errors == "strict" else stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _has_descriptor(stream: io.TextIOWrapper) -> bool:
    try:
        stream.fileno()
    except OSError:
        return False
    return True
