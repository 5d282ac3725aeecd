"""Memory that was let go: kept for what is asked for next, or given back to the system at once."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Arrays of some megabytes that were let go stay with the C library, resident, while larger ones are asked for of
    the system: behind the preparation of a large table as much again as the table. glibc gives them back when asked,
    and pyarrow, in which pandas keeps text, what text was let go.
    """
    if (pyarrow := sys.modules.get("pyarrow")) is not None:
        pyarrow.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
        if trim is not None:
            trim(0)


def keep_for_the_next() -> None:
    """Have blocks of up to 16 MB that are let go used again: fresh memory takes as long to be cleared as a CSV to be
    parsed into it. glibc asks the system for each block that is larger than any it has seen let go, so it is shown one.
    """
    bytearray(1 << 24)
