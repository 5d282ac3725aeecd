"""The panels of a run's figure: loss, error, gap, and the architecture through time."""

from __future__ import annotations

import math
from collections.abc import Callable

from autogrow.policy.history import History, Row
from autogrow.report.drawing.scale import Scale, fit, fit_late, path
from autogrow.report.drawing.shapes import Axis, Band, Curve, Dot, Panel
from autogrow.show import words
from autogrow.show.check import judges
from autogrow.show.story import Story


def loss_panel(rows: History, story: Story, axis: Axis) -> Panel:
    """Train and val loss; dotted lines lead from the net a return went back to, to where it went on."""
    scale = fit([v for row in rows for v in (row.train_loss, row.val_loss)])
    curves = [
        Curve("train", "train", _line(rows, axis, scale, lambda row: row.train_loss)),
        Curve("val", "val", _line(rows, axis, scale, lambda row: row.val_loss)),
        *_returns(rows, story, axis, scale, lambda row: row.val_loss),
    ]
    title = "Loss" + _spacing(scale, rows, lambda row: min(row.train_loss, row.val_loss))
    dots = _delivered(rows, story, axis, scale, lambda row: row.val_loss if judges(row) else row.train_loss)
    return Panel(title, _from_to(rows, "loss", words.number), 200, scale.ticks(_short), curves, dots)


def error_panel(
    rows: History, story: Story, axis: Axis, metric: str, test: float | None, base: float | None = None
) -> Panel:
    """Train and val error (a percentage) or rmse, the one reading of the test set, and the baseline where it is near.

    The scale is linear and made for what came after the start: a late rise is seen, a high start is told.
    """
    tested = test if test is not None and math.isfinite(test) else math.nan
    scale = fit_late([v for row in rows for v in (row.train_error, row.val_error)], [tested])
    say = (lambda v: f"{100 * v:.4g} %") if metric == "error" else _short
    near = [] if base is None or not base <= scale.high else [base]
    curves = [
        *(
            Curve(f"baseline {words.measure(metric, b)}", "baseline", f"M0 {10 * scale.from_top(b):.1f}H1000")
            for b in near
        ),
        Curve("train", "train", _line(rows, axis, scale, lambda row: row.train_error)),
        Curve("val", "val", _line(rows, axis, scale, lambda row: row.val_error)),
        *_returns(rows, story, axis, scale, lambda row: row.val_error),
    ]
    dots = _delivered(rows, story, axis, scale, lambda row: row.val_error if judges(row) else row.train_error)
    if story.delivered is not None and math.isfinite(tested):
        x = axis.at[rows.index(story.delivered)]
        dots = [*dots, Dot(f"test {words.measure(metric, tested)}", "test", x, scale.from_top(tested))]
    title = "Error" if metric == "error" else "Error (rmse, in units of the target)"
    if rows and max(rows[0].train_error, rows[0].val_error) > scale.high:
        title += f", from {words.measure(metric, rows[0].val_error)} at the start"
    return Panel(
        title, _from_to(rows, "error", lambda v: words.measure(metric, v)), 160, scale.ticks(say), curves, dots
    )


def gap_panel(rows: History, story: Story, axis: Axis) -> Panel:
    """The relative gap between val and train loss: what ends growth."""
    scale = fit([row.relative_gap for row in rows], zero=True, may_log=False)
    curves = [
        Curve("", "zero", f"M0 {10 * scale.from_top(0.0):.1f}H1000"),
        Curve("(val − train) / val", "gap", _line(rows, axis, scale, lambda row: row.relative_gap)),
        *_returns(rows, story, axis, scale, lambda row: row.relative_gap),
    ]
    said = [words.percent(row.relative_gap, 0) for row in rows if judges(row)][-1:]
    summary = f"Relative gap between val and train loss, {said[0]} at the end" if said else "No check was made"
    return Panel("Relative gap", summary, 110, scale.ticks(lambda v: f"{100 * v:.4g} %", 3), curves)


def newborns_panel(rows: History, axis: Axis) -> Panel | None:
    """How the units that each growth added stand beside the old ones, 1: alike; None where no growth added any."""
    grown = sorted({newborns.grown_at for row in rows for newborns in row.newborns})
    if not grown:
        return None
    scale = fit(
        [1.0, *(v for row in rows for n in row.newborns for v in (n.gradient, n.update, n.weights) if v > 0.02)]
    )
    curves = [Curve("", "zero", f"M0 {10 * scale.from_top(1.0):.1f}H1000")]
    for look, name in (("gradient", "gradient"), ("update", "way gone lately"), ("weights", "weight product")):
        for at in grown:
            line = _line(rows, axis, scale, lambda row, at=at, look=look: _newborn(row, at, look))  # type: ignore[misc]
            curves.append(Curve(name if at == grown[0] else "", f"newborn-{look}", line))
    last = [n for row in rows for n in row.newborns if n.grown_at == grown[-1]][-1]
    summary = f"Weight product of the last growth's units over the old ones', {words.number(last.weights)} at the end"
    title = "New units over old ones, each growth (1: alike)" + (", log scale" if scale.log else "")
    return Panel(title, summary, 110, scale.ticks(_short, 3), curves)


def _newborn(row: Row, grown_at: int, ratio: str) -> float:
    return next((getattr(n, ratio) for n in row.newborns if n.grown_at == grown_at), math.nan)


def widths_panel(rows: History, axis: Axis) -> Panel:
    """The architecture through time: each hidden layer a band as high as it is wide, the input below,
    the output above.
    """
    sizes = [words.width_list(row.widths) for row in rows]
    top = max((sum(s) for s in sizes), default=0) or 1
    height, bands = 180, []
    first = 0
    for i in range(1, len(rows) + 1):
        if i < len(rows) and sizes[i] == sizes[first]:
            continue
        x, end, below = axis.starts[first], axis.at[i - 1], 0
        for layer, size in enumerate(sizes[first]):
            tall = 100 * size / top
            fits = end - x >= 3 + 2 * len(str(size)) and tall * height / 100 >= 13
            y = round(100 - 100 * (below + size) / top, 2)
            bands.append(Band(layer, x, y, round(end - x, 2), round(tall, 2), str(size) if fits else ""))
            below += size
        first = i
    path_of_nets = [words.widths(s) for i, s in enumerate(sizes) if i == 0 or s != sizes[i - 1]]
    summary = "Hidden widths, in order: " + ", ".join(path_of_nets)
    scale = Scale(0.0, float(top))
    return Panel(
        "Hidden units, from the input (below) to the output",
        summary,
        height,
        scale.ticks(lambda v: f"{v:g}", 4),
        bands=bands,
    )


def pieces_panel(rows: History, axis: Axis) -> Panel | None:
    """The resolution of the input through time: pieces that the columns with knots are read in, all of them together;
    None where no column has any.
    """
    pieces = [sum(row.knots.values()) for row in rows]
    if not any(pieces):
        return None
    scale = Scale(0.0, float(max(pieces)))
    line = "".join(
        f"{'V' if i else f'M{10 * start:.0f} '}{10 * scale.from_top(here):.1f}H{10 * end:.0f}"
        for i, (start, end, here) in enumerate(zip(axis.starts, axis.at, pieces, strict=True))
    )
    last = rows[-1].knots
    summary = f"{words.times(len(last), 'column')} finer at the end, read in {pieces[-1]} pieces"
    ticks = scale.ticks(_short, 3)
    return Panel("Pieces of the columns made finer, together", summary, 80, ticks, [Curve("", "pieces", line)])


def _spacing(scale: Scale, rows: History, value: Callable[[Row], float]) -> str:
    """What a title adds about a scale that is not the usual one."""
    if not scale.log:
        return ""
    return ", log scale (0 at the edge)" if any(value(row) == 0 for row in rows) else ", log scale"


def _line(rows: History, axis: Axis, scale: Scale, value: Callable[[Row], float]) -> str:
    """One curve, broken where a value is missing and where the run went back to an earlier net."""
    cut = frozenset(i for i, row in enumerate(rows) if row.event is not None and row.event.back_to is not None)
    return path(axis.at, [_place(scale, value(row)) for row in rows], cut)


def _returns(rows: History, story: Story, axis: Axis, scale: Scale, value: Callable[[Row], float]) -> list[Curve]:
    """Dotted lines from the net a return went back to, to the first check after it."""
    curves = []
    for episode in story.episodes:
        if episode.target is None:
            continue
        ends = [rows.index(episode.target), rows.index(episode.row)]
        ys = [_place(scale, value(rows[i])) for i in ends]
        if None not in ys:
            curves.append(Curve("", "back", path([axis.at[i] for i in ends], ys)))
    return curves


def _delivered(rows: History, story: Story, axis: Axis, scale: Scale, value: Callable[[Row], float]) -> list[Dot]:
    if story.delivered is None or (y := _place(scale, value(story.delivered))) is None:
        return []
    return [Dot("delivered", "delivered", axis.at[rows.index(story.delivered)], y)]


def _place(scale: Scale, value: float) -> float | None:
    if not math.isfinite(value) or (value > scale.high and not scale.log):
        return None
    return scale.from_top(value)


def _from_to(rows: History, what: str, say: Callable[[float], str]) -> str:
    if not rows:
        return "No check was made"
    ends = {"train": (rows[0], rows[-1]), "val": (rows[0], [row for row in rows if judges(row)][-1])}
    said = [say(getattr(row, f"{split}_{what}")) for split, both in ends.items() for row in both]
    return f"Train {what} from {said[0]} to {said[1]}, val {what} from {said[2]} to {said[3]}"


def _short(value: float) -> str:
    return f"{value:g}"
