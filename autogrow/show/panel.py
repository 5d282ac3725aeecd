"""The lines of a live display that stay in place: where the run is, what the net is, how well it does."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from autogrow.policy.history import Row
from autogrow.show import words
from autogrow.show.check import measured

_BLOCKS = "▁▂▃▄▅▆▇█"


def panel(rows: Sequence[Row], metric: str, seconds: float, spinner: Spinner) -> RenderableType:
    """Three lines on 80 columns for the last of `rows`; `metric` is 'error' or 'rmse'."""
    grid = Table.grid(padding=(0, 1))
    if not rows:
        grid.add_row(spinner, Text(f"measuring the first check   {words.duration(seconds)}", style="dim"))
        return grid
    row = rows[-1]
    size = f"{words.count(row.parameters)} parameters"
    spent = f"{words.flops(row.train_flops)}  {words.duration(seconds)}"
    where = Text.assemble(
        (f"{row.phase:<6}", "bold cyan"),
        f"  {words.passes(row.passes):<13}",
        (f"{words.widths(row.widths):<11}", "bold"),
        f"  {size:<19}",
        (f"  {spent}", "dim"),
    )
    found, wide = measured(row, metric), {"train": 8, "val": 8, "gap": 6, metric: 9}
    losses = Text.assemble(
        *(part for name in wide if name in found for part in ((f"{name} ", "dim"), f"{found[name]:<{wide[name]}}  "))
    )
    grid.add_row(spinner, Group(where, losses, _curve(rows)))
    return grid


def _curve(rows: Sequence[Row]) -> Text:
    best = min((r for r in rows if r.finite()), key=lambda r: r.score, default=None)
    at = "" if best is None else f"  best {words.number(best.val_loss)} at {words.passes(best.passes)}"
    return Text.assemble(("val ", "dim"), (spark([r.val_loss for r in rows], 40), "cyan"), (at, "dim"))


def spark(values: Sequence[float], width: int) -> str:
    """The finite values as one row of blocks, at most `width`, on a log scale where all are positive.

    >>> spark([8.0, 4.0, 2.0, 1.0], 4)
    '█▆▃▁'
    """
    kept = [v for v in values if math.isfinite(v)]
    kept = [kept[(i + 1) * len(kept) // width - 1] for i in range(width)] if len(kept) > width else kept
    if kept and min(kept) > 0:
        kept = [math.log(v) for v in kept]
    low, span = min(kept, default=0.0), max(kept, default=0.0) - min(kept, default=0.0)
    return "".join(_BLOCKS[round((v - low) / span * 7) if span else 0] for v in kept)
