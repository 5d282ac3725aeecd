"""What a person sees while a comparison runs: arms by seeds on a terminal, a line per finished run anywhere else;
and at its end.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from autogrow.children.jobs import DONE, FAILED, INTERRUPTED, RUNNING, SKIPPED, Outcome
from autogrow.compare.read.comparison import run_folder
from autogrow.compare.read.verdicts import times
from autogrow.compare.run.plan import Plan
from autogrow.show.words import columns, count, duration, flops, on_device

_STYLE = {DONE: "green", SKIPPED: "green", RUNNING: "yellow", FAILED: "bold red", INTERRUPTED: "red"}


class RunsShown:
    """The state of every run. Told of each change by `run_jobs`."""

    def __init__(self, plan: Plan, console: Console | None = None) -> None:
        self.plan = plan
        self.console = console or Console(file=sys.stdout)
        self.states: dict[tuple[str, int], Outcome] = {}
        self._names = {plan.folder / run_folder(arm, seed): (arm, seed) for arm, seed in plan.names()}
        self._started: dict[tuple[str, int], float] = {}
        self._live = Live(get_renderable=self.table, console=self.console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def __call__(self, outcome: Outcome) -> None:
        """A run has started or ended."""
        key = self._names[outcome.job.folder]
        self.states[key] = outcome
        if outcome.state == RUNNING:
            self._started[key] = time.monotonic()
        elif not self.console.is_terminal or outcome.state == FAILED:
            count = sum(o.state != RUNNING for o in self.states.values())
            line = f"{count} of {len(self._names)}  {outcome.job.name}: {self._words(key)}"
            if outcome.state == FAILED:
                line += f" ({outcome.message})"
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def table(self) -> Table:
        """Arms by seeds."""
        table = Table(box=None, pad_edge=False, title=self.plan.title, title_justify="left")
        table.add_column("arm")
        for seed in self.plan.seeds:
            table.add_column(f"seed {seed}", justify="right")
        for arm in self.plan.arms:
            cells = [(arm.name, seed) for seed in self.plan.seeds]
            table.add_row(arm.name, *(Text(self._words(c), style=self._style(c)) for c in cells))
        return table

    def _style(self, key: tuple[str, int]) -> str:
        return _STYLE.get(self.states[key].state, "") if key in self.states else "dim"

    def _words(self, key: tuple[str, int]) -> str:
        outcome = self.states.get(key)
        if outcome is None:
            return "·"
        if outcome.state == RUNNING:
            return f"{time.monotonic() - self._started[key]:.0f} s …"
        return f"done in {outcome.seconds:.0f} s" if outcome.state == DONE else outcome.state


def summary_lines(plain: Mapping[str, Any]) -> list[str]:
    """The arms of a compare.json, a line each: means over seeds with intervals;
    the costs of the first in numbers, of the others as multiples of its.
    """
    metric, device = plain["metric"], plain["device"]
    reference = next(iter(plain["arms"].values()))["mean"]
    titles = ["µs on device", "kB"] if device else []
    cells = [["arm", f"test {metric}", "FLOPs", "time", "parameters", *titles, "widths"]]
    for i, (name, arm) in enumerate(plain["arms"].items()):
        m = {key: found["value"] for key, found in arm["mean"].items()}
        if i == 0:
            costs = [flops(m["train_flops"]), duration(m["seconds"]), count(m["parameters"])]
        else:
            costs = [_times(m[key], reference[key]["value"]) for key in ("train_flops", "seconds", "parameters")]
        costs += on_device(arm["device"]) if device else []
        cells.append([name, _score(arm["mean"][f"test_{metric}"], metric), *costs, _sizes(arm["widths"])])
    return [*columns(cells), *([f"  {device['about']}"] if device else [])]


def _score(mean: Mapping[str, Any], metric: str) -> str:
    text = [
        f"{100 * mean[key]:.2f}" if metric == "error" else f"{mean[key]:.4g}"
        for key in ("value", "low", "high")
        if mean[key] is not None
    ]
    sign = " %" if metric == "error" else ""
    return f"{text[0]}{sign}" + (f" [{text[1]}, {text[2]}]" if len(text) == 3 else "")


def _times(value: float, reference: float) -> str:
    return times(value / reference) if reference else "–"


def _sizes(widths: Sequence[Sequence[int]]) -> str:
    """The architectures of an arm: the most frequent, and how many others there are."""
    words = ["-".join(map(str, w)) for w in widths]
    names = sorted(set(words), key=lambda w: (-words.count(w), w))
    return names[0] + (f" +{len(names) - 1}" if len(names) > 1 else "")
