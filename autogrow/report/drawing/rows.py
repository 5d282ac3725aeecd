"""A picture of rows: a name, and under it a dot for each value, their mean and its interval, all on one axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from autogrow.report.drawing.labels import shortened, text_width
from autogrow.report.drawing.plots import WIDTH
from autogrow.report.drawing.scale import Scale

ROW, TOP, BOTTOM, ASIDE = 38, 26, 22, 16
LETTERS = 40  # of a name, which is bold: its letters are wider than others


@dataclass(frozen=True)
class Row:
    """`dots`: values, each with what it is. `marked`: whether it is the one that was chosen."""

    name: str
    dots: Sequence[tuple[float, str]]
    mean: float
    low: float | None = None
    high: float | None = None
    marked: bool = False


@dataclass(frozen=True)
class Rows:
    """What to draw. `title` is read aloud; `left` and `right` stand above the axis; `zero`: where a line goes down."""

    title: str
    scale: Scale
    say: Callable[[float], str]
    rows: Sequence[Row]
    left: str = ""
    right: str = ""
    zero: float | None = None

    @property
    def height(self) -> int:
        """Of the picture."""
        return TOP + ROW * len(self.rows) + BOTTOM

    def at(self, value: float) -> float:
        """How far to the right a value stands."""
        return round(ASIDE + (WIDTH - 2 * ASIDE) * min(max(self.scale.at(value), 0), 100) / 100, 1)

    def svg(self) -> Markup:
        """The picture."""
        title, bottom = escape(self.title), self.height - BOTTOM + 4
        out = [f'<svg class="drawn" viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{title}">']
        if self.zero is not None:
            out.append(f'<path class="axis" d="M{self.at(self.zero)} {TOP - 4}V{bottom}"/>')
        out.append(f'<text x="2" y="12" class="label">{escape(self.left)}</text>')
        if self.right:
            out.append(f'<text x="{WIDTH - 2}" y="12" text-anchor="end" class="label">{escape(self.right)}</text>')
        for i, row in enumerate(self.rows):
            out += self._row(row, TOP + ROW * i + 27)
        return Markup("".join([*out, *self._ticks(), "</svg>"]))

    def _row(self, row: Row, y: int) -> Iterator[str]:
        name = escape(shortened(row.name, LETTERS))
        yield f'<text x="2" y="{y - 13}" class="row">{"★ " if row.marked else ""}{name}</text>'
        yield f'<path class="grid" d="M2 {y}H{WIDTH - 2}"/>'
        for value, what in row.dots:
            yield f'<circle class="seed" cx="{self.at(value)}" cy="{y}" r="3"><title>{escape(what)}</title></circle>'
        if row.low is not None and row.high is not None:
            yield f'<path class="interval" d="M{self.at(row.low)} {y}H{self.at(row.high)}"/>'
        yield f'<path class="mean" d="M{self.at(row.mean)} {y - 6}v12"/>'

    def _ticks(self) -> Iterator[str]:
        free = 0.0
        for value in self.scale.round_values(6):
            word, middle = self.say(value), self.at(value)
            half = text_width(word) / 2
            if middle - half >= free and middle + half <= WIDTH:
                yield f'<text x="{middle}" y="{self.height - 5}" text-anchor="middle">{escape(word)}</text>'
                free = middle + half + 4
