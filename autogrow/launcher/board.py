"""What a person sees while a sweep goes on: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from autogrow.children.jobs import DONE, FAILED, INTERRUPTED, RUNNING, SKIPPED, WAITING, Job, Outcome
from autogrow.launcher.task import why
from autogrow.show import words
from autogrow.train.record.progress import read_progress, result_of

_STYLES = {
    WAITING: "dim",
    RUNNING: "bold cyan",
    DONE: "green",
    SKIPPED: "green dim",
    FAILED: "bold red",
    INTERRUPTED: "yellow",
}
SAID = {SKIPPED: "done before"}
_FIRST = (RUNNING, FAILED, INTERRUPTED, WAITING, DONE, SKIPPED)  # what is shown where not everything fits


class Board:
    """Shows the jobs of a sweep; told of each change of a state, it reads the rest from the jobs' folders."""

    def __init__(self, jobs: Sequence[Job], first: int = 0, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stdout)
        self._jobs, self._first = list(jobs), first
        self._outcomes = {job.folder: Outcome(job) for job in jobs}
        self._since: dict[Any, float] = {}
        self._started = time.monotonic()
        live = self.console.is_terminal
        self._live = Live(console=self.console, get_renderable=self.table, refresh_per_second=2) if live else None

    @property
    def outcomes(self) -> list[Outcome]:
        """How the jobs stand, in their order."""
        return [self._outcomes[job.folder] for job in self._jobs]

    def change(self, outcome: Outcome) -> None:
        """A job has started or ended."""
        self._outcomes[outcome.job.folder] = outcome
        if outcome.state == RUNNING:
            self._since[outcome.job.folder] = time.monotonic()
        if self._live is None:
            number = self._first + self._jobs.index(outcome.job)
            print(f"job {number} ({outcome.job.name}): {_sentence(outcome)}", file=self.console.file, flush=True)

    def table(self) -> RenderableType:
        """The jobs as they are now, as many as the screen takes, and a line that counts them."""
        room = max(3, self.console.height - 6)
        ranked = sorted(enumerate(self.outcomes), key=lambda pair: _FIRST.index(pair[1].state))
        shown = sorted(ranked[:room], key=lambda pair: pair[0])
        table = Table(box=None, pad_edge=False, caption=self._count(len(ranked) - len(shown)), caption_justify="left")
        for name, right in (("job", True), ("", False), ("state", False), ("checks", True), ("passes", True)):
            table.add_column(name, justify="right" if right else "left", overflow="fold")
        for name in ("val loss", "widths", "time"):
            table.add_column(name, justify="right", no_wrap=True)
        for number, outcome in shown:
            table.add_row(*self._cells(number, outcome))
        return table

    def _cells(self, number: int, outcome: Outcome) -> list[str]:
        state, folder = outcome.state, outcome.job.folder
        progress = read_progress(folder)
        seconds = outcome.seconds
        if state == RUNNING:
            seconds = time.monotonic() - self._since[folder]
        elif state == SKIPPED and (result := result_of(folder)) is not None:
            seconds = result["seconds"]
        style = _STYLES[state]
        cells = [str(self._first + number), escape(outcome.job.name), f"[{style}]{SAID.get(state, state)}[/]"]
        if progress is None:
            cells += ["", "", "", ""]
        else:
            passes = words.passes(progress.passes).split()[0]
            cells += [str(progress.checks), passes, words.number(progress.val_loss), words.widths(progress.widths)]
        return [*cells, words.duration(seconds) if seconds else ""]

    def _count(self, hidden: int) -> str:
        states = [outcome.state for outcome in self.outcomes]
        done = sum(state in (DONE, SKIPPED) for state in states)
        parts = [f"{done} of {len(states)} done"]
        parts += [f"{states.count(s)} {s}" for s in (RUNNING, FAILED, INTERRUPTED, WAITING) if s in states]
        parts += [f"{hidden} not shown"] if hidden else []
        return ", ".join([*parts, words.duration(time.monotonic() - self._started)])

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()


def _sentence(outcome: Outcome) -> str:
    if outcome.state == FAILED:
        return f"failed: {why(outcome)}"
    result = result_of(outcome.job.folder)
    if outcome.state not in (DONE, SKIPPED) or result is None:
        return SAID.get(outcome.state, outcome.state)
    name = words.measure_name(result["task"])
    found = f"widths {words.widths(result['widths'])}, val {name} {words.measure(name, result['val'][name])}"
    took = f" in {words.duration(outcome.seconds)}" if outcome.state == DONE else ""
    return f"{SAID.get(outcome.state, outcome.state)}{took}: {found}"
