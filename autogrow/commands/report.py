"""`autogrow report DIR`: build the page of a run or of a sweep again; of a folder of runs, their comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autogrow.errors import ConfigError
from autogrow.imports import importing


def run(rest: Sequence[str]) -> int:
    """Run the command; the exit code."""
    if len(rest) != 1 or "=" in rest[0]:
        raise ConfigError("report takes one run folder, a sweep's, or a folder of runs: autogrow report runs/fit/…")
    with importing():
        from autogrow.commands.tasks.report import report
    report(Path(rest[0]))
    return 0
