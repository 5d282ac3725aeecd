"""The figure of a run as plain data: panels above one another on one x axis, with what happened marked through all of them.

The template turns it into SVG that stretches with the page and text that does not. Coordinates are percentages (see `scale`).
An event is applied at the start of a check, so it is drawn where the check before it ended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autogrow.policy.history import History, Row
from autogrow.report.scale import Scale, Tick, fit, path
from autogrow.train import words
from autogrow.train.story import Event, Story


@dataclass(frozen=True)
class Axis:
    """What runs from left to right: `at[i]` is where row i ends, `starts[i]` where it begins."""

    key: str
    label: str
    ticks: Sequence[Tick]
    at: Sequence[float]

    @property
    def starts(self) -> Sequence[float]:
        """Where each row begins: where the one before it ended."""
        return [0.0, *self.at][: len(self.at)]


@dataclass(frozen=True)
class Curve:
    """One line: its name in the legend, its look (a CSS class) and its path data."""

    name: str
    look: str
    d: str


@dataclass(frozen=True)
class Dot:
    """One marked value."""

    name: str
    look: str
    x: float
    y: float


@dataclass(frozen=True)
class Band:
    """One hidden layer for as long as its width stayed: a box, its layer (0 is next to the input), and its label or ''."""

    layer: int
    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True)
class Panel:
    """One plot: a title, what it shows in words for those who do not see it, and what is drawn. `height` in CSS pixels."""

    title: str
    summary: str
    height: int
    ticks: Sequence[Tick]
    curves: Sequence[Curve] = ()
    dots: Sequence[Dot] = ()
    bands: Sequence[Band] = ()


@dataclass(frozen=True)
class Mark:
    """Something that happened: 'growth', 'return' or 'trouble'; `badge` is its sign, `level` the row of badges it stands in."""

    look: str
    badge: str
    says: str
    target: str
    x: float
    level: int


@dataclass(frozen=True)
class Phase:
    """A stretch of the run in one phase."""

    name: str
    x: float
    width: float


@dataclass(frozen=True)
class Figure:
    """Everything that shares one x axis."""

    axis: Axis
    panels: Sequence[Panel]
    marks: Sequence[Mark]
    phases: Sequence[Phase]
    levels: int


def draw(rows: History, story: Story, axis: Axis, metric: str, test: float | None) -> Figure:
    """The figure of a run along one axis; `metric` is 'error' or 'rmse', `test` its value on the test set."""
    marks = _marks(rows, story, axis)
    panels = [
        _loss(rows, story, axis),
        _error(rows, story, axis, metric, test),
        _gap(rows, story, axis),
        _widths(rows, axis),
    ]
    return Figure(axis, panels, marks, _phases(rows, axis), 1 + max((m.level for m in marks), default=0))


def axes(rows: History) -> tuple[Axis, Axis]:
    """The two ways to look at a run: by passes over the data, and by the floating point operations spent on training."""
    return (
        _axis("passes", "passes over the training data", [row.passes for row in rows], lambda v: f"{v:g}"),
        _axis(
            "flops",
            "training FLOPs",
            [float(row.train_flops) for row in rows],
            lambda v: words.flops(v).replace(".00 ", " ").replace(".0 ", " ") if v else "0",
        ),
    )


def _axis(key: str, label: str, values: Sequence[float], say: Callable[[float], str]) -> Axis:
    scale = Scale(0.0, max(values, default=0.0) or 1.0)
    return Axis(key, label, scale.ticks(say, 5, down=False), [scale.at(v) for v in values])


def _loss(rows: History, story: Story, axis: Axis) -> Panel:
    scale = fit([v for row in rows for v in (row.train_loss, row.val_loss)])
    curves = [
        Curve("train", "train", _line(rows, axis, scale, lambda row: row.train_loss)),
        Curve("val", "val", _line(rows, axis, scale, lambda row: row.val_loss)),
        *_returns(rows, story, axis, scale, lambda row: row.val_loss),
    ]
    title = "Loss, log scale" if scale.log else "Loss"
    dots = _delivered(rows, story, axis, scale, lambda row: row.val_loss)
    return Panel(title, _from_to(rows, "loss", words.number), 200, scale.ticks(_short), curves, dots)


def _error(rows: History, story: Story, axis: Axis, metric: str, test: float | None) -> Panel:
    tested = test if test is not None and math.isfinite(test) else math.nan
    scale = fit([tested, *(v for row in rows for v in (row.train_error, row.val_error))], zero=False)
    curves = [
        Curve("train", "train", _line(rows, axis, scale, lambda row: row.train_error)),
        Curve("val", "val", _line(rows, axis, scale, lambda row: row.val_error)),
        *_returns(rows, story, axis, scale, lambda row: row.val_error),
    ]
    dots = _delivered(rows, story, axis, scale, lambda row: row.val_error)
    if story.delivered is not None and math.isfinite(tested):
        x = axis.at[rows.index(story.delivered)]
        dots = [*dots, Dot(f"test {words.measure(metric, tested)}", "test", x, scale.from_top(tested))]
    say = (lambda v: f"{100 * v:.4g} %") if metric == "error" else _short
    title = ("Error" if metric == "error" else "Error (rmse, in units of the target)") + (
        ", log scale" if scale.log else ""
    )
    return Panel(
        title, _from_to(rows, "error", lambda v: words.measure(metric, v)), 160, scale.ticks(say), curves, dots
    )


def _gap(rows: History, story: Story, axis: Axis) -> Panel:
    scale = fit([row.relative_gap for row in rows], zero=True, may_log=False)
    curves = [
        Curve("", "zero", f"M0 {10 * scale.from_top(0.0):.1f}H1000"),
        Curve("(val − train) / val", "gap", _line(rows, axis, scale, lambda row: row.relative_gap)),
        *_returns(rows, story, axis, scale, lambda row: row.relative_gap),
    ]
    said = [words.percent(row.relative_gap, 0) for row in rows[-1:]]
    summary = f"Relative gap between val and train loss, {said[0]} at the end" if said else "No check was made"
    return Panel("Relative gap", summary, 110, scale.ticks(lambda v: f"{100 * v:.4g} %", 3), curves)


def _widths(rows: History, axis: Axis) -> Panel:
    """The architecture through time: each hidden layer a band as high as it is wide, the input below, the output above."""
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


def _marks(rows: History, story: Story, axis: Axis) -> list[Mark]:
    marks: list[Mark] = []
    for event in story.events:
        x = axis.starts[rows.index(event.row)]
        look = ("growth" if event.kept else "growth lost") if event.is_growth else "return"
        badge = str(event.number) if event.is_growth else "↩"
        marks.append(Mark(look, badge, words.deed(event.plain), anchor(event), x, 0))
    for row in rows:
        if not row.finite():
            marks.append(Mark("trouble", "!", f"check {row.check}: not finite", "", axis.at[rows.index(row)], 0))
    return _apart(sorted(marks, key=lambda mark: mark.x))


def anchor(event: Event) -> str:
    """The name under which the page tells of an event."""
    return f"growth-{event.number}" if event.is_growth else f"return-{event.row.check}"


def _apart(marks: Sequence[Mark], room: float = 6.0) -> list[Mark]:
    """Stand badges that would touch on a phone in different rows, four at most."""
    last = [-room] * 4
    placed = []
    for mark in marks:
        level = next((i for i, x in enumerate(last) if mark.x - x >= room), min(range(4), key=lambda i: last[i]))
        last[level] = mark.x
        placed.append(Mark(mark.look, mark.badge, mark.says, mark.target, mark.x, level))
    return placed


def _phases(rows: History, axis: Axis) -> list[Phase]:
    phases: list[Phase] = []
    for row, x, end in zip(rows, axis.starts, axis.at, strict=True):
        if phases and phases[-1].name == row.phase:
            x = phases.pop().x
        phases.append(Phase(row.phase, x, round(end - x, 2)))
    return phases


def _line(rows: History, axis: Axis, scale: Scale, value: Callable[[Row], float]) -> str:
    """One curve, broken where a value is missing and where the run went back to an earlier net."""
    cut = frozenset(i for i, row in enumerate(rows) if row.event is not None and row.event["do"] in ("undo", "anneal"))
    return path(axis.at, [_place(scale, value(row)) for row in rows], cut)


def _returns(rows: History, story: Story, axis: Axis, scale: Scale, value: Callable[[Row], float]) -> list[Curve]:
    """Dotted lines from the net a return went back to, to the first check after it."""
    curves = []
    for event in story.events:
        if event.target is None:
            continue
        ends = [rows.index(event.target), rows.index(event.row)]
        ys = [_place(scale, value(rows[i])) for i in ends]
        if None not in ys:
            curves.append(Curve("", "back", path([axis.at[i] for i in ends], ys)))
    return curves


def _delivered(rows: History, story: Story, axis: Axis, scale: Scale, value: Callable[[Row], float]) -> list[Dot]:
    if story.delivered is None or (y := _place(scale, value(story.delivered))) is None:
        return []
    return [Dot("delivered", "delivered", axis.at[rows.index(story.delivered)], y)]


def _place(scale: Scale, value: float) -> float | None:
    return scale.from_top(value) if math.isfinite(value) else None


def _from_to(rows: History, what: str, say: Callable[[float], str]) -> str:
    if not rows:
        return "No check was made"
    one, last = rows[0], rows[-1]
    said = [say(getattr(row, f"{split}_{what}")) for split in ("train", "val") for row in (one, last)]
    return f"Train {what} from {said[0]} to {said[1]}, val {what} from {said[2]} to {said[3]}"


def _short(value: float) -> str:
    return f"{value:g}"
