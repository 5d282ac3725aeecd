"""What `autogrow report` does: it builds the page of a run folder again, of a sweep, or of runs that are compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autogrow.commands.tasks.compare import build, show
from autogrow.compare.read.sweep import can_be_compared, is_sweep, read_sweep
from autogrow.errors import CheckpointError
from autogrow.report import write_report
from autogrow.report.run.picture import write_picture
from autogrow.report.stages.page import write_stages_report
from autogrow.report.sweep.page import write_sweep
from autogrow.train.record.folder import (
    LEDGER,
    RESULT,
    RESULT_KEYS,
    STAGES,
    Plain,
    is_complete,
    read_card,
    read_config,
    read_curves,
    read_result,
)
from autogrow.train.record.ledger import read_ledger


def report(folder: Path) -> None:
    """Build the pages of a folder again, and say where they are."""
    if (folder / STAGES).is_file():
        print(_stages_report(folder))
    elif (folder / LEDGER).is_file() or is_complete(folder):
        print(_report(folder))
    elif is_sweep(folder):
        _sweep_report(folder)
    else:
        show(folder, build(folder))


def _sweep_report(folder: Path) -> None:
    """The page of a sweep; where it repeats its settings over seeds, also what a comparison says of them."""
    sweep = read_sweep(folder)
    if can_be_compared(sweep):
        show(folder, build(folder))
    print(write_sweep(folder, sweep))


def draw(folder: Path, path: Path) -> None:
    """Write the picture of a run, and say where it is. Raises CheckpointError where the folder is not of one run."""
    if (folder / STAGES).is_file() or not (folder / LEDGER).is_file():
        raise CheckpointError(f"{folder} is not the folder of one run, which a picture shows")
    print(write_picture(path, rows=read_ledger(folder), result=_result(folder)))


def _report(folder: Path) -> Path:
    rows = read_ledger(folder)
    result = _result(folder)
    return write_report(
        folder,
        rows=rows,
        result=result,
        card=read_card(folder),
        config=read_config(folder),
        command=result.get("command", ""),
        curves=read_curves(folder, result),
    )


def _stages_report(folder: Path) -> Path:
    result = _result(folder, (*RESULT_KEYS, "data", "total", "stages"))
    return write_stages_report(folder, result=result, config=read_config(folder), command=result.get("command", ""))


def _result(folder: Path, needs: Sequence[str] = RESULT_KEYS) -> Plain:
    if not is_complete(folder):
        raise CheckpointError(
            f"{folder} holds no {RESULT}: the run is not complete; go on with autogrow fit resume={folder}"
        )
    return read_result(folder, needs)
