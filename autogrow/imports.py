"""Importing what takes seconds: torch, Lightning, scikit-learn."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from autogrow.compiler import import_lightning


@contextmanager
def importing() -> Iterator[None]:
    """While modules are imported nothing is garbage: looking for some again and again takes a fifth of their time.

    What has been imported stays, so the collector does not look at it later either. Lightning, which all that takes
    seconds is built on, is imported first.
    """
    before = gc.isenabled()
    gc.disable()
    try:
        import_lightning()
        yield
    finally:
        gc.freeze()
        if before:
            gc.enable()
