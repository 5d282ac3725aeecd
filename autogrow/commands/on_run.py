"""The words of a command that asks about one run: `autogrow COMMAND RUN key=value …`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autogrow.overrides import quoted


def named_run(rest: Sequence[str]) -> list[str]:
    """The words with the run named: one that stands alone in front is short for run=…

    >>> named_run(["runs/fit/a b", "seed=1"])
    ["run='runs/fit/a b'", 'seed=1']
    """
    first = rest[0] if rest else "-"
    return list(rest) if "=" in first or first.startswith("-") else [f"run={quoted(Path(first))}", *rest[1:]]
