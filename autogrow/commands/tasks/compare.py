"""`autogrow compare`: the grown net beside honest baselines, over seeds, each run a child process; verdicts first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from autogrow.children.jobs import run_jobs
from autogrow.children.warm import WarmProcesses
from autogrow.commands.tasks.compare_device import device_from, measure_on
from autogrow.commands.tasks.compare_typed import checked_plan
from autogrow.compare.read.comparison import Comparison, compare_folder, write
from autogrow.compare.run.device import measure_runs
from autogrow.compare.run.plan import Plan
from autogrow.compare.run.progress import RunsShown, summary_lines
from autogrow.errors import InterruptedRunError, TrainingError
from autogrow.report.comparison.page import write_comparison
from autogrow.train.record.folder import COMPARED, COMPARED_PAGE, RESULT

RESULTS = f"*/*/{RESULT}"
"""Where a comparison's finished runs are, by their last file."""


def compare_arms(cfg: DictConfig, rest: Sequence[str], folder: Path) -> None:
    """Run what is missing of the comparison that was typed, and show what it says."""
    plan, device = checked_plan(cfg, rest, folder), device_from(cfg)
    measure = None if device is None else partial(measure_runs, folder, device, partial(measure_on, device))
    run_plan(plan, folder, measure)


def run_plan(plan: Plan, folder: Path, measure: Callable[[], None] | None = None) -> None:
    """Run a plan into its folder, and show what it says. measure: what is done when all runs have ended."""
    plan.write()
    try:
        with RunsShown(plan) as progress, WarmProcesses() as warm:
            run_jobs(plan.first_jobs(), plan.jobs, progress, plan.then, warm.start)
    except InterruptedRunError:
        if any(folder.glob(RESULTS)):
            show(folder, build(folder))
        raise
    if not any(folder.glob(RESULTS)):
        first = next(iter(o for o in progress.states.values() if o.message))
        raise TrainingError(f"no run was finished; {first.job.name}: {first.message}; see {first.job.log}")
    if measure is not None:
        measure()
    comparison = build(folder)
    show(folder, comparison)
    if failures := comparison.plain["failures"]:
        first = failures[0]
        raise TrainingError(
            f"{len(failures)} of {len(plan.names())} runs have no result, the others are compared; {first['arm']} seed {first['seed']}: {first['message']}; see {folder / first['log']}"
        )


def build(folder: Path, *, command: str = "") -> Comparison:
    """Compare what is finished below a folder, and write compare.json, rows.csv and compare.html into it."""
    comparison = compare_folder(folder, command=command)
    write(folder, comparison)
    write_page(folder, comparison)
    return comparison


def write_page(folder: Path, comparison: Comparison) -> None:
    """Write compare.html."""
    write_comparison(folder, comparison.plain, comparison.rows)


def show(folder: Path, comparison: Comparison) -> None:
    """Print the verdicts, the table, what to mind, and where the page is."""
    console, plain = Console(highlight=False, markup=False, soft_wrap=True), comparison.plain
    console.print()
    for verdict in plain["verdicts"]:
        console.print(verdict["text"])
    console.print()
    print("\n".join(summary_lines(plain)))
    console.print()
    for failure in plain["failures"]:
        console.print(f"missing: {failure['arm']} seed {failure['seed']}: {failure['message']}")
    for warning in plain["warnings"]:
        console.print(f"note: {warning}")
    page = folder / COMPARED_PAGE
    console.print(f"{page if page.is_file() else folder / COMPARED}")
