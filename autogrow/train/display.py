"""What a person sees while a run goes on: a calm line or two that stay in place, and every growth as it happens.

On a terminal the state of the run is redrawn in place and growths scroll by above it. Anywhere else (a log file, CI) there are
plain lines without control characters: growths at once, a check every few seconds. `Silent` shows nothing.
Knows rows and results only: no Lightning, no net.
"""

from __future__ import annotations

import math
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from textwrap import wrap
from types import TracebackType
from typing import Any, Self, final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from autogrow.policy.history import Row, Stop
from autogrow.train import words
from autogrow.train.story import GROWTH_NAMES, decided_reason, headline

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = str.maketrans(
    {"→": "->", "×": "x", "−": "-", "·": "|", "▲": "+", "■": "=", "↩": "<", "…": "...", "–": "-", "≥": ">=", "≤": "<="}
)


class View(ABC):
    """Something that shows a run: told once that it starts, then each check, then how it ended."""

    @abstractmethod
    def start(self, title: str, card: Mapping[str, Any]) -> None:
        """A run begins; `card` is the data card."""

    @abstractmethod
    def check(self, row: Row) -> None:
        """A check was measured and decided on."""

    @abstractmethod
    def finish(self, result: Mapping[str, Any], folder: str) -> None:
        """The run is over: `result` is what `result.json` holds, `folder` the run folder."""

    def close(self) -> None:  # noqa: B027  (nothing to put back is the usual case)
        """Leave the screen as it was found; called on the way out, whatever happened."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@final
class Silent(View):
    """The view that shows nothing."""

    def start(self, title: str, card: Mapping[str, Any]) -> None:
        """Show nothing."""

    def check(self, row: Row) -> None:
        """Show nothing."""

    def finish(self, result: Mapping[str, Any], folder: str) -> None:
        """Show nothing."""


@final
class Display(View):
    """Shows a run on a rich console: live where it is a terminal, plain lines where it is not.

    `start` once, `check` with each row as it is written, `finish` with the contents of `result.json` and the run folder.
    As a context manager it leaves the terminal as it found it, whatever happens inside. `every` is the least number of
    seconds between two plain lines about checks; `clock` returns seconds.
    """

    def __init__(
        self, console: Console | None = None, *, every: float = 5.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        # FORCE_COLOR makes rich take a log file for a terminal; a file gets no control characters from us
        self.console = console or Console(force_terminal=None if sys.stdout.isatty() else False)
        self._every, self._clock = every, clock
        self._title, self._metric = "", "error"
        self._rows: list[Row] = []
        self._live: Live | None = None
        self._started = self._last_line = clock()
        self._spinner = Spinner("dots", style="cyan")

    def start(self, title: str, card: Mapping[str, Any]) -> None:
        """Announce a run by its title and, from the data card, what it learns from."""
        self._title, self._metric = title, words.measure_name(card.get("task"))
        self._rows = []
        self._started = self._last_line = self._clock()
        self._say(Text.assemble(("autogrow ", "bold"), title))
        if self.console.is_interactive:
            self._live = Live(get_renderable=self._panel, console=self.console, refresh_per_second=5, transient=True)
            self._live.start()

    def check(self, row: Row) -> None:
        """Show one check: what was applied at its start, what was measured, and whether it ends training."""
        before = self._rows[-1] if self._rows else None
        self._rows.append(row)
        if row.event is not None:
            self._event(before, row)
        if isinstance(row.action, Stop):
            self._say(Text.assemble(("■ ", "bold"), f"{words.passes(row.passes)}  stop"), row.reason)
        elif not row.finite():
            self._say(Text(f"! {words.passes(row.passes)}  the loss is not finite", style="bold red"), row.reason)
        elif self._live is None and (before is None or self._clock() - self._last_line >= self._every):
            self._last_line = self._clock()
            self._say(Text(self._line(row)))

    def finish(self, result: Mapping[str, Any], folder: str) -> None:
        """Show what the run found, and where its report is."""
        self.close()
        self._say(Text(""))
        self._say(Text(headline(self._rows, result), style="bold"))
        for table in (_outcome(result), _facts(result)):
            self.console.print(Padding(table, (0, 0, 0, 2), expand=False))
        self._say(Text(f"report  {folder}/report.html"))

    def close(self) -> None:
        """Take the live lines away and give the cursor back."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _event(self, before: Row | None, row: Row) -> None:
        """A line that stays: what was done to the net, its proof, and the reason it was decided with."""
        event = row.event or {}
        grew = event["do"] in GROWTH_NAMES
        cost = words.cost_change(event)
        line = Text.assemble(
            ("▲ " if grew else "↩ ", "bold green" if grew else "bold yellow"),
            f"{words.passes(before.passes if before else 0.0)}  ",
            (words.deed(event), "bold"),
        )
        facts = [words.proof(event.get("receipt"))] if grew else []
        self._say(line, decided_reason(before, event["do"]), " · ".join([*([cost] if cost else []), *facts]))

    def _say(self, line: Text, *details: str) -> None:
        self._print(line)
        for detail in filter(None, details):
            for part in wrap(detail, max(30, self.console.width - 5)):
                self._print(Text(f"    {part}", style="dim"))

    def _print(self, line: Text) -> None:
        if not self.console.encoding.lower().startswith("utf"):
            plain = line.plain.translate(_ASCII).encode(self.console.encoding, "replace").decode(self.console.encoding)
            line = Text(plain, style=line.style)
        self.console.print(line, soft_wrap=True, highlight=False)

    def _line(self, row: Row) -> str:
        losses = f"train {words.number(row.train_loss)}  val {words.number(row.val_loss)}"
        size = f"{words.widths(row.widths)} ({words.count(row.parameters)} parameters)"
        error = f"{self._metric} {words.measure(self._metric, row.val_error)}"
        return f"  {words.passes(row.passes)}  {row.phase}  {losses}  {error}  {size}"

    def _panel(self) -> RenderableType:
        """The lines that stay in place: where the run is, what the net is, how well it does."""
        if not self._rows:
            return Text("  measuring the first check …", style="dim")
        row = self._rows[-1]
        best = min((r for r in self._rows if r.finite()), key=lambda r: r.score, default=row)
        head = Text.assemble(
            (f"{row.phase:<6}", "bold cyan"),
            f" {words.passes(row.passes)}   ",
            (words.widths(row.widths), "bold"),
            f"   {words.count(row.parameters)} parameters   {words.flops(row.train_flops)}   ",
            (words.duration(self._clock() - self._started), "dim"),
        )
        table = Table.grid(padding=(0, 3))
        gap = f"{words.number(row.gap, 3)} ({words.percent(row.relative_gap, 0)})"
        error = f"{words.measure(self._metric, row.val_error)}"
        table.add_row(
            *(
                Text.assemble((f"{name} ", "dim"), value)
                for name, value in (
                    ("train", words.number(row.train_loss)),
                    ("val", words.number(row.val_loss)),
                    ("gap", gap),
                    (self._metric, error),
                )
            )
        )
        curve = Text.assemble(
            ("val ", "dim"),
            (_spark([r.val_loss for r in self._rows], 40), "cyan"),
            (f"  best {words.number(best.val_loss)} at {words.passes(best.passes)}", "dim"),
        )
        grid = Table.grid(padding=(0, 1))
        grid.add_row(self._spinner, Group(head, table, curve))
        return grid


def _spark(values: Sequence[float], width: int) -> str:
    """The finite values as one row of blocks, at most `width`, on a log scale where all are positive.

    >>> _spark([8.0, 4.0, 2.0, 1.0], 4)
    '█▆▃▁'
    """
    kept = [v for v in values if math.isfinite(v)]
    kept = [kept[i * len(kept) // width] for i in range(width)] if len(kept) > width else kept
    if kept and min(kept) > 0:
        kept = [math.log(v) for v in kept]
    low, span = min(kept, default=0.0), max(kept, default=0.0) - min(kept, default=0.0)
    return "".join(_BLOCKS[round((v - low) / span * 7) if span else 0] for v in kept)


def _outcome(result: Mapping[str, Any]) -> Table:
    """Val and test side by side, then what the net is and what it took."""
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_row("", Text("val", style="dim"), Text("test", style="dim"))
    for name in (words.measure_name(result["task"]), "loss"):
        table.add_row(Text(name, style="dim"), *(words.measure(name, result[split][name]) for split in ("val", "test")))
    return table


def _facts(result: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 3, 0, 0))
    for name, value in words.facts(result).items():
        table.add_row(Text(name, style="dim"), Text(value))
    return table
