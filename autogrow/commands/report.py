"""`autogrow report DIR`: build the page of a run or of a sweep again; of a folder of runs, their comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autogrow.errors import ConfigError
from autogrow.help import HELP_OF_REPORT
from autogrow.imports import importing

PICTURE = "picture="


def run(rest: Sequence[str]) -> int:
    """Run the command; the exit code. `picture=FILE.svg` draws a run instead of building its page."""
    if any(word in ("-h", "--help") for word in rest):
        print(HELP_OF_REPORT, end="")
        return 0
    pictures = [word.removeprefix(PICTURE) for word in rest if word.startswith(PICTURE)]
    folders = [word for word in rest if not word.startswith(PICTURE)]
    if len(folders) != 1 or "=" in folders[0] or len(pictures) > 1:
        raise ConfigError("report takes one run folder, a sweep's, or a folder of runs: autogrow report runs/fit/…")
    if pictures and not pictures[0].endswith(".svg"):
        raise ConfigError(f"picture={pictures[0]} is no SVG: autogrow report {folders[0]} picture=growth.svg")
    with importing():
        from autogrow.commands.tasks.report import draw, report
    if pictures:
        draw(Path(folders[0]), Path(pictures[0]))
    else:
        report(Path(folders[0]))
    return 0
