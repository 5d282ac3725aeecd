"""Whether a text file holds blanks: where it holds none, its parser need not look for those in front of cells.

Looking takes pandas' parser a fifth of its time, and finding out that there are none a twentieth of that.
"""

from __future__ import annotations

import io
from typing import IO

from autogrow.data.sources.text_format import FileFormat

_BLOCK = 1 << 18  # bytes at a time
_ENCODINGS = ("utf-8", "utf-8-sig", "cp1252", "latin-1")  # of which a blank's byte is a blank, and nothing else


def may_hold_blanks(file: IO[bytes], form: FileFormat) -> bool:
    """Whether there may be a space or a tab in the file, which is read up to the first one. What is not looked into may
    hold them: a packed file, which would be unpacked twice, and other encodings.
    """
    if not isinstance(file, io.BufferedReader) or form.encoding not in _ENCODINGS:
        return True
    file.seek(0)
    return any(b" " in block or b"\t" in block for block in iter(lambda: file.read(_BLOCK), b""))
