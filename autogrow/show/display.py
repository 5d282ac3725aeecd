"""What a person sees while a run goes on: a calm line or two that stay in place, and every growth as it happens.

On a terminal the state of the run is redrawn in place and growths scroll by above it. Anywhere else (a log file, CI)
there are plain lines without control characters: growths at once, a check every few seconds. `Silent` shows nothing.
Knows rows and results only: no Lightning, no net.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from textwrap import wrap
from typing import Any, final

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from autogrow.data import lines
from autogrow.policy.history import Event, History, Row, Stop
from autogrow.show import words
from autogrow.show.check import in_trouble, measured
from autogrow.show.measures import consolation, details, table, verdict
from autogrow.show.panel import panel
from autogrow.show.story import decided_reason, headline
from autogrow.train.fit.view import View
from autogrow.train.record.folder import REPORT

_ASCII = str.maketrans(
    {
        "→": "->",
        "×": "x",
        "−": "-",
        "·": "|",
        "▲": "+",
        "■": "=",
        "↩": "<",
        "…": "...",
        "–": "-",
        "≥": ">=",
        "≤": "<=",
        "²": "2",
    }
)


@final
class Display(View):
    """Shows a run on a rich console: live where it is a terminal, plain lines where it is not.

    `start` once, `check` with each row as it is written, `finish` with the contents of `result.json` and the run
    folder. As a context manager it leaves the terminal as it found it, whatever happens inside. `every` is the least
    number of seconds between two plain lines about checks; `clock` returns seconds.
    """

    def __init__(
        self, console: Console | None = None, *, every: float = 5.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        # FORCE_COLOR makes rich take a log file for a terminal; a file gets no control characters from us
        self.console = console or Console(force_terminal=None if sys.stdout.isatty() else False)
        self._every, self._clock = every, clock
        self._metric = "error"
        self._rows: list[Row] = []
        self._live: Live | None = None
        self._started = self._last_line = clock()
        self._spinner = Spinner("dots", style="cyan")

    def start(self, title: str, card: Mapping[str, Any]) -> None:
        """Announce a run by its title and, from the data card, what it learns from."""
        self._metric = words.measure_name(card.get("task"))
        self._rows = []
        self._started = self._last_line = self._clock()
        self._print(Text(title, style="bold"))
        self._pairs(lines(card) if card else ())
        if self.console.is_interactive:
            self._live = Live(get_renderable=self._panel, console=self.console, refresh_per_second=5, transient=True)
            self._live.start()

    def check(self, row: Row) -> None:
        """Show one check: what was applied at its start, what was measured, and whether it ends training."""
        before = self._rows[-1] if self._rows else None
        self._rows.append(row)
        if row.event is not None:
            self._event(before, row.event)
        if isinstance(row.action, Stop):
            self._say(Text.assemble(("■ ", "bold"), f"{words.passes(row.passes)}  stop"), words.ending(row.reason))
        elif in_trouble(row):
            self._say(Text(f"! {words.passes(row.passes)}  the loss is not finite", style="bold red"), row.reason)
        elif self._live is None and (before is None or self._clock() - self._last_line >= self._every):
            self._last_line = self._clock()
            self._print(Text(f"  {self._line(row)}"))

    def finish(self, result: Mapping[str, Any], folder: str, rows: History | None = None) -> None:
        """Show what the run found, and where its report is."""
        self.close()
        self._print(Text(""))
        said = f"{headline(self._rows if rows is None else rows, result)}; {verdict(result)}"
        for text, style in ((said, "bold"), (consolation(result), "")):
            for part in filter(None, self._folded(text, 0)):
                self._print(Text(part, style=style))
        found = [(name, f"{val:<10}{test:<10}{base}".rstrip()) for name, val, test, base in table(result)]
        facts = [*words.facts(result).items(), ("report", f"{folder}/{REPORT}")]
        self._pairs([*found, *details(result), *facts], whole=("report",), room=19)

    def close(self) -> None:
        """Take the live lines away and give the cursor back."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _panel(self) -> RenderableType:
        return panel(self._rows, self._metric, self._clock() - self._started, self._spinner)

    def _event(self, before: Row | None, event: Event) -> None:
        """A line that stays: what was done to the net, the reason it was decided with, its cost and its proof."""
        sign = ("▲ ", "bold green") if event.grew else ("↩ ", "bold yellow")
        at = words.passes(before.passes if before else 0.0)
        bill = [words.cost_change(event), words.proof(event.receipt) if event.grew or event.receipt else ""]
        self._say(
            Text.assemble(sign, f"{at}  ", (words.deed(event), "bold")),
            decided_reason(before, event),
            " · ".join(filter(None, bill)),
        )

    def _line(self, row: Row) -> str:
        found = measured(row, self._metric)
        shown = [f"{name} {found[name]}" for name in ("train", "val", "gap", self._metric) if name in found]
        size = f"{words.widths(row.widths)} ({words.count(row.parameters)} parameters)"
        return "  ".join([words.passes(row.passes), row.phase, *shown, size])

    def _say(self, line: Text, *details: str) -> None:
        """A line and, indented under it, its details."""
        self._print(line)
        for detail in filter(None, details):
            for part in self._folded(detail, 4):
                self._print(Text(f"    {part}", style="dim"))

    def _pairs(self, pairs: Iterable[tuple[str, str]], whole: Sequence[str] = (), room: int = 12) -> None:
        """Names and values in two columns; a value named in `whole` is not folded, so that it can be copied."""
        for name, value in pairs:
            parts = [value] if name in whole else self._folded(value, room + 2)
            for i, part in enumerate(parts):
                self._print(Text.assemble((f"  {name if i == 0 else '':<{room - 1}} ", "dim"), part))

    def _folded(self, text: str, indent: int) -> list[str]:
        """`text` in lines that fit beside an indent; a file, unlike a screen, keeps it on one."""
        return wrap(text, max(30, self.console.width - indent - 1)) if self.console.is_terminal else [text]

    def _print(self, line: Text) -> None:
        encoding = self.console.encoding
        if not encoding.lower().startswith("utf"):
            line = Text(line.plain.translate(_ASCII).encode(encoding, "replace").decode(encoding), style=line.style)
        self.console.print(line, soft_wrap=True, highlight=False)
