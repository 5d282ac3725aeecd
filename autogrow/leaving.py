"""How the program ends: Python would take down what it has imported, module by module, for a quarter of a second."""

from __future__ import annotations

import atexit
import os
import sys
from typing import ClassVar


class _End:
    asked: ClassVar[bool] = False
    code: ClassVar[object] = 1  # where nothing ends it properly: an error of ours, whose trace Python prints


def leave_at_once() -> None:
    """Let this process end as soon as its threads have ended and all that was registered for the exit is done.

    The first to register is the last to be called: ask before anything else is imported. For programs alone, not where
    autogrow is imported into another's process.
    """
    if not _End.asked:
        _End.asked = True
        atexit.register(_leave)


def ends_with(code: object) -> None:
    """Say what the exit code will be, as SystemExit holds it."""
    _End.code = code


def _leave() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    code = _End.code
    os._exit(0 if code is None else code if isinstance(code, int) else 1)
