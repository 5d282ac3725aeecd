"""The figure of a run as plain data, and what panels are made of.

The template turns it into SVG that stretches with the page and text that does not. Coordinates are percentages (see
`scale`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autogrow.report.drawing.scale import Tick


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
    """One hidden layer for as long as its width stayed:
    a box, its layer (0 is next to the input), and its label or ''.
    """

    layer: int
    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True)
class Panel:
    """One plot: a title, what it shows in words for those who do not see it, and what is drawn.
    `height` in CSS pixels.
    """

    title: str
    summary: str
    height: int
    ticks: Sequence[Tick]
    curves: Sequence[Curve] = ()
    dots: Sequence[Dot] = ()
    bands: Sequence[Band] = ()


@dataclass(frozen=True)
class Chart:
    """One small square plot with axes of its own. `cloud`: path data of single rows as dots."""

    title: str
    summary: str
    across: str
    up: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    curves: Sequence[Curve]
    cloud: str = ""
    note: str = ""


@dataclass(frozen=True)
class Mark:
    """Something that happened: 'growth', 'return' or 'trouble';
    `badge` is its sign, `level` the row of badges it stands in.
    """

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
