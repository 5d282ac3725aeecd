"""Memory that was let go, given back to the system at once."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Arrays of some megabytes that were let go stay with the C library, resident, while larger ones are asked for of
    the system: behind the preparation of a large table as much again as the table. glibc gives them back when asked.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
        if trim is not None:
            trim(0)
