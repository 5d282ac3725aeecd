"""A plot as a self-contained SVG: lines, bands, points, bars, one legend by colour and by dash or marker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from autogrow.report.drawing.scale import Scale

WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 10, 40

# Okabe & Ito's palette, which the colour-blind can tell apart, in the two themes by CSS; dash and marker repeat it
LOOKS = 8
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
    `bars`: (x, low, high) of points. `large`: whether its markers are.
    """

    name: str
    look: int
    line: Sequence[tuple[float, float]] = ()
    points: Sequence[tuple[float, float, str]] = ()
    band: Sequence[tuple[float, float, float]] = ()
    bars: Sequence[tuple[float, float, float]] = ()
    faint: bool = False
    large: bool = False


@dataclass(frozen=True)
class Plot:
    """What to draw. `title` is read aloud; `say_x`, `say_y` write the ticks."""

    title: str
    x: Scale
    y: Scale
    x_label: str
    y_label: str
    say_x: Callable[[float], str]
    say_y: Callable[[float], str]
    series: Sequence[Series] = field(default_factory=tuple)
    height: int = HEIGHT

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A value's place in the picture."""
        across = WIDTH - LEFT - RIGHT
        down = self.height - TOP - BOTTOM
        return (
            round(LEFT + across * min(max(self.x.at(x), 0), 100) / 100, 1),
            round(TOP + down * min(max(self.y.from_top(y), 0), 100) / 100, 1),
        )

    def svg(self) -> Markup:
        """The picture."""
        parts = [
            f'<svg class="plot" viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{escape(self.title)}">',
            f"<title>{escape(self.title)}</title>",
            *self._axes(),
        ]
        for one in self.series:
            parts += self._series(one)
        return Markup("".join([*parts, "</svg>"]))

    def _axes(self) -> list[str]:
        bottom = self.height - BOTTOM
        out = [f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}"/>']
        for value in self.y.round_values(5):
            y = self.at(self.x.low, value)[1]
            out.append(f'<path class="grid" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>')
            out.append(f'<text x="{LEFT - 5}" y="{y + 3.5}" text-anchor="end">{escape(self.say_y(value))}</text>')
        for value in self.x.round_values(5):
            x = self.at(value, self.y.low)[0]
            out.append(f'<text x="{x}" y="{bottom + 14}" text-anchor="middle">{escape(self.say_x(value))}</text>')
        out.append(
            f'<text class="label" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{self.height - 6}" text-anchor="middle">{escape(self.x_label)}</text>'
        )
        out.append(
            f'<text class="label" transform="translate(11 {(TOP + bottom) / 2}) rotate(-90)" text-anchor="middle">{escape(self.y_label)}</text>'
        )
        return out

    def _series(self, one: Series) -> list[str]:
        look = f"look-{one.look % LOOKS}" + (" faint" if one.faint else "")
        out = []
        if len(one.band) > 1:
            there = [self.at(x, high) for x, _, high in one.band]
            back = [self.at(x, low) for x, low, _ in reversed(one.band)]
            out.append(f'<path class="band {look}" d="M{_joined([*there, *back])}z"/>')
        if len(one.line) > 1:
            dash = DASHES[one.look % LOOKS]
            dashed = f' stroke-dasharray="{dash}"' if dash else ""
            out.append(f'<path class="line {look}"{dashed} d="M{_joined([self.at(*p) for p in one.line])}"/>')
        for x, low, high in one.bars:
            (px, top), (_, bottom) = self.at(x, high), self.at(x, low)
            out.append(f'<path class="bar-of {look}" d="M{px} {top}V{bottom}"/>')
        for x, y, what in one.points:
            px, py = self.at(x, y)
            size = " scale(2)" if one.large else ""
            out.append(
                f'<path class="point {look}{" ring" if one.large else ""}" transform="translate({px} {py}){size}" d="{MARKERS[one.look % LOOKS]}"><title>{escape(what)}</title></path>'
            )
        return out


def _joined(points: Sequence[tuple[float, float]]) -> str:
    return "L".join(f"{x} {y}" for x, y in points)


def key(name: str, look: int, *, marker: bool = False) -> Markup:
    """One entry of a legend."""
    shape = (
        f'<path class="point look-{look % LOOKS}" transform="translate(12 6)" d="{MARKERS[look % LOOKS]}"/>'
        if marker
        else f'<path class="line look-{look % LOOKS}" stroke-dasharray="{DASHES[look % LOOKS]}" d="M0 6H24"/>'
    )
    return Markup(
        '<span class="key"><svg viewBox="0 0 24 12" width="24" height="12" aria-hidden="true">{}</svg>{}</span>'
    ).format(Markup(shape), name)
