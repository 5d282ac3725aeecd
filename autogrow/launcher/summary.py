"""What a sweep found, in one small table: a line a job."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from autogrow.children.jobs import FAILED, FINISHED, Outcome
from autogrow.launcher.task import Task, why
from autogrow.show import words
from autogrow.train.record.folder import SWEEP_PAGE
from autogrow.train.record.progress import result_of

_MOST = 60  # lines


def print_summary(task: Task, console: Console | None = None) -> None:
    """Print the table of a sweep's jobs, and how to compare them.
    The test set was read once a job; nothing was chosen on it.
    """
    if not task.outcomes or task.folder is None:
        return
    console = console or Console(file=sys.stdout)
    wide = console if console.is_terminal else Console(file=console.file, width=200)  # a file has no right edge
    wide.print()
    wide.print(summary_table(task.outcomes[:_MOST], splits=("val",) if task.chooses else ("val", "test")))
    if len(task.outcomes) > _MOST:
        wide.print(f"and {len(task.outcomes) - _MOST} jobs more", highlight=False)
    done = sum(o.state in FINISHED for o in task.outcomes)
    wide.print(f"\n{done} of {len(task.outcomes)} jobs are done in {task.folder}", soft_wrap=True, highlight=False)
    if any(o.state in (*FINISHED, FAILED) for o in task.outcomes):
        wide.print(_write_page(task, task.folder), soft_wrap=True, highlight=False, markup=False)
    if done > 1 and not task.chooses:
        wide.print(f"compare them: autogrow report {task.folder}", soft_wrap=True, highlight=False)


def _write_page(task: Task, folder: Path) -> str:
    """Write the page of the sweep, with what is known here of the jobs that failed; its path, or why there is none."""
    from autogrow.compare.read.sweep import read_sweep
    from autogrow.report.sweep.page import write_sweep

    at = folder.resolve()
    failed = {o.job.folder.resolve().relative_to(at).as_posix(): why(o) for o in task.outcomes if o.state == FAILED}
    try:
        return str(write_sweep(folder, read_sweep(folder, failed)))
    except OSError as error:  # a full disk: what the jobs found is told all the same
        return f"{SWEEP_PAGE} could not be written: {error.strerror}"


def summary_table(outcomes: Sequence[Outcome], splits: Sequence[str] = ("val", "test")) -> Table:
    """One row a job: widths, errors on `splits`, training FLOPs and seconds; for one without a result how it stands."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("job", justify="right")
    table.add_column("")
    results = [result_of(o.job.folder) if o.state in FINISHED else None for o in outcomes]
    measure = words.measure_name(next((r["task"] for r in results if r is not None), ""))
    for name in ("widths", *(f"{split} {measure}" for split in splits), "training", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    for number, (outcome, result) in enumerate(zip(outcomes, results, strict=True)):
        cells = [outcome.state]
        if result is not None:
            errors = [words.measure(measure, result[split].get(measure)) for split in splits]
            spent = [words.flops(result["train_flops"]), words.duration(result["seconds"])]
            cells = [words.widths(result["widths"]), *errors, *spent]
        table.add_row(str(number), escape(outcome.job.name), *cells)
    return table


def shown(path: Path) -> Path:
    """A path as a person would type it: relative to the working directory where it is below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
