"""A plot as a self-contained SVG: lines, bands, points, bars, one legend by colour and by dash or marker.

Its axes make room for what they say, whatever that is: the longest tick decides how far the plot stands from the left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from markupsafe import Markup, escape

from autogrow.report.drawing.labels import place, text_width
from autogrow.report.drawing.scale import Scale

WIDTH, HEIGHT = 360, 236
TOP, BOTTOM, AIR = 24, 38, 8
MANY = 60  # points of a series that are drawn as one cloud, none of which says what it is

# Okabe & Ito's palette, which the colour-blind can tell apart, in the two themes by CSS; dash and marker repeat it
COLOURS = 8
DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 2", "10 4", "4 2 1 2", "3 5")
MARKERS = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
    "M-4-4h8v8h-8z",
    "M0-5L5 4H-5z",
    "M0-5L5 0L0 5L-5 0z",
    "M-4-4L4 4M4-4L-4 4",
    "M0-5V5M-5 0H5",
    "M-5-4H5L0 5z",
    "M-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0",
)


@dataclass(frozen=True)
class Series:
    """`look`: which of the looks. `line`: points joined; `points`: markers; `band`: (x, low, high) around a line;
    `bars`: (x, low, high) of points. `large`: whether its markers are rings. `named`: whether what its points are
    stands beside them.
    """

    name: str
    look: int
    line: Sequence[tuple[float, float]] = ()
    points: Sequence[tuple[float, float, str]] = ()
    band: Sequence[tuple[float, float, float]] = ()
    bars: Sequence[tuple[float, float, float]] = ()
    faint: bool = False
    large: bool = False
    named: Sequence[str] = ()


@dataclass(frozen=True)
class Plot:
    """What to draw. `title` is read aloud; `say_x`, `say_y` write the ticks; `x_ticks` are in place of round values."""

    title: str
    x: Scale
    y: Scale
    x_label: str
    y_label: str
    say_x: Callable[[float], str]
    say_y: Callable[[float], str]
    series: Sequence[Series] = field(default_factory=tuple)
    height: int = HEIGHT
    x_ticks: Sequence[float] = ()

    @cached_property
    def y_marks(self) -> list[tuple[float, str]]:
        """The ticks of the y axis: values and words. Where zeros stand on the edge of a log scale, one says so."""
        marks = [(v, self.say_y(v)) for v in self.y.round_values(5)]
        zeros = self.y.log and any(y <= 0 for one in self.series for y in _heights(one))
        if not zeros:
            return marks
        return [(self.y.low, self.say_y(0.0)), *((v, word) for v, word in marks if self.y.at(v) > 7)]

    @cached_property
    def x_marks(self) -> list[tuple[float, str]]:
        """The ticks of the x axis, as many as can stand beside one another."""
        marks = [(v, self.say_x(v)) for v in self.x_ticks or self.x.round_values(5)]
        across, kept, free = WIDTH - self.left - AIR, [], 0.0
        for value, word in marks:
            middle, half = self.left + across * self.x.at(value) / 100, text_width(word) / 2
            if middle - half >= free and middle + half <= WIDTH:
                kept.append((value, word))
                free = middle + half + 4
        return kept

    @cached_property
    def left(self) -> float:
        """Where the y axis stands: behind its longest tick."""
        return max(text_width(word) for _, word in (*self.y_marks, (0.0, ""))) + 10

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A value's place in the picture."""
        across = WIDTH - self.left - AIR
        down = self.height - TOP - BOTTOM
        return (
            round(self.left + across * min(max(self.x.at(x), 0), 100) / 100, 1),
            round(TOP + down * min(max(self.y.from_top(y), 0), 100) / 100, 1),
        )

    def svg(self) -> Markup:
        """The picture."""
        parts = [
            f'<svg class="drawn" viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{escape(self.title)}">',
            *self._axes(),
        ]
        for one in self.series:
            parts += self._series(one)
        return Markup("".join([*parts, *self._names(), "</svg>"]))

    def _axes(self) -> Iterator[str]:
        bottom, left = self.height - BOTTOM, self.left
        for value, word in self.y_marks:
            y = self.at(self.x.low, value)[1]
            yield f'<path class="grid" d="M{left} {y}H{WIDTH - AIR}"/>'
            yield f'<text x="{left - 5}" y="{y + 3.5}" text-anchor="end">{escape(word)}</text>'
        yield f'<path class="axis" d="M{left} {TOP}V{bottom}H{WIDTH - AIR}"/>'
        for value, word in self.x_marks:
            x = self.at(value, self.y.low)[0]
            yield f'<text x="{x}" y="{bottom + 14}" text-anchor="middle">{escape(word)}</text>'
        middle = (left + WIDTH - AIR) / 2
        yield f'<text class="label" x="{middle}" y="{self.height - 6}" text-anchor="middle">{escape(self.x_label)}</text>'
        yield f'<text class="label" x="2" y="12">{escape(self.y_label)}</text>'

    def _series(self, one: Series) -> Iterator[str]:
        look = f"look-{one.look % COLOURS}" + (" faint" if one.faint else "")
        if len(one.band) > 1:
            there = [self.at(x, high) for x, _, high in one.band]
            back = [self.at(x, low) for x, low, _ in reversed(one.band)]
            yield f'<path class="range {look}" d="M{_joined([*there, *back])}z"/>'
        if len(one.line) > 1:
            dash = dash_of(one.look)
            dashed = f' stroke-dasharray="{dash}"' if dash else ""
            yield f'<path class="line {look}"{dashed} d="M{_joined([self.at(*p) for p in one.line])}"/>'
        for x, low, high in one.bars:
            (px, top), (_, bottom) = self.at(x, high), self.at(x, low)
            yield f'<path class="spread {look}" d="M{px} {top}V{bottom}"/>'
        if len(one.points) > MANY:
            dots = "".join(f"M{px} {py}h0" for px, py in (self.at(x, y) for x, y, _ in one.points))
            yield f'<path class="cloud {look}" d="{dots}"/>'
            return
        for x, y, what in one.points:
            px, py = self.at(x, y)
            size, ring = (" scale(2)", " ring") if one.large else ("", "")
            shape = marker_of(0 if one.large else one.look)
            yield (
                f'<path class="point {look}{ring}" transform="translate({px} {py}){size}" d="{shape}">'
                f"<title>{escape(what)}</title></path>"
            )

    def _names(self) -> Iterator[str]:
        """The names of the points that have one, those of the first series first."""
        spots = [
            (*self.at(x, y), name)
            for one in self.series
            for (x, y, _), name in zip(one.points, one.named, strict=False)
            if name
        ]
        others = [self.at(x, y) for one in self.series if len(one.points) <= MANY for x, y, _ in one.points]
        for it in place(spots, (self.left + 2, TOP, WIDTH, self.height - BOTTOM - 2), others):
            if it.far_from is not None:
                yield f'<path class="leader" d="M{it.far_from[0]} {it.far_from[1]}L{it.x} {it.y - 4}"/>'
            yield f'<text class="name" x="{it.x}" y="{it.y}" text-anchor="{it.anchor}">{escape(it.text)}</text>'


def dash_of(look: int) -> str:
    """The dashes of a look: past the colours, those of another one, so that no two of sixty-four are alike.

    >>> len({(look % COLOURS, dash_of(look)) for look in range(64)})
    64
    """
    return DASHES[(look + look // COLOURS) % len(DASHES)]


def marker_of(look: int) -> str:
    """The marker of a look, in the same way."""
    return MARKERS[(look + look // COLOURS) % len(MARKERS)]


def _heights(one: Series) -> Iterator[float]:
    yield from (y for _, y in one.line)
    yield from (y for _, y, _ in one.points)
    yield from (low for _, low, _ in (*one.band, *one.bars))


def _joined(points: Sequence[tuple[float, float]]) -> str:
    return "L".join(f"{x} {y}" for x, y in points)


def key(name: str, look: int, *, marker: bool = False) -> Markup:
    """One entry of a legend."""
    shape = (
        f'<path class="point look-{look % COLOURS}" transform="translate(12 6)" d="{marker_of(look)}"/>'
        if marker
        else f'<path class="line look-{look % COLOURS}" stroke-dasharray="{dash_of(look)}" d="M0 6H24"/>'
    )
    return Markup(
        '<span class="key"><svg viewBox="0 0 24 12" width="24" height="12" aria-hidden="true">{}</svg>{}</span>'
    ).format(Markup(shape), name)
