"""A run as one SVG that stands alone, for a document or a slide: its error above the growth of its layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autogrow.policy.history import History
from autogrow.report.drawing.shapes import Figure, Panel
from autogrow.report.run.figure import axes, draw
from autogrow.report.templates import templates
from autogrow.show import words
from autogrow.show.measures import split_of
from autogrow.show.story import headline, tell
from autogrow.train.record.files import write_page

WIDTH, LEFT, RIGHT, ABOVE, RAIL, HEAD, KEYS, FOOT = 860, 62, 16, 44, 20, 28, 18, 62
"""Pixels: the picture's width and margins, the title above, a row of badges, a panel's head, its keys below that where
the picture is narrow, and phases and axis at the bottom.
"""
NARROW = 600

SHOWN = ("Error", "Hidden units")
"""The panels of the page's figure that a picture takes, by how their titles begin."""


def write_picture(path: Path, *, rows: History, result: Mapping[str, Any], title: str = "", width: int = WIDTH) -> Path:
    """Write the picture of a run; `title` instead of what the run found, in a sentence. Whole or not at all.

    The file follows the light or dark scheme of what shows it, and holds no script and no font.
    """
    write_page(path, picture(rows=rows, result=result, title=title, width=width))
    return path


def picture(*, rows: History, result: Mapping[str, Any], title: str = "", width: int = WIDTH) -> str:
    """The picture as SVG: the panels of the page's own figure below one another, `width` pixels wide."""
    metric, split = words.measure_name(result["task"]), split_of(result)
    tested = result[split].get(metric)
    axis, _ = axes(rows)
    figure = draw(rows, tell(rows, result.get("best_epoch")), axis, metric, tested)
    places = _places(figure, width)
    bottom = places[-1][0] + places[-1][2].height
    said = f"{headline(rows, result)}; {split} {metric} {words.measure(metric, tested)}"
    given = {"title": title or said, "said": said, "figure": figure, "places": places, "width": width}
    margins = {"left": LEFT, "right": RIGHT, "above": ABOVE, "rail": RAIL, "bottom": bottom, "height": bottom + FOOT}
    return templates().get_template("run/picture.svg.j2").render(given, **margins)


def _heads(figure: Figure, width: int) -> list[tuple[Panel, int]]:
    """Each shown panel, and how high its head is: in a narrow picture its keys stand in a line of their own."""
    shown = [panel for panel in figure.panels if panel.title.startswith(SHOWN)]
    return [(panel, HEAD + (KEYS if width < NARROW and (panel.curves or panel.dots) else 0)) for panel in shown]


def _places(figure: Figure, width: int) -> list[tuple[int, int, Panel]]:
    """Each shown panel with the pixel at which its plot begins, and how far above it its title stands."""
    y, places = ABOVE + RAIL * figure.levels, []
    for panel, head in _heads(figure, width):
        places.append((y + head, head - 20, panel))
        y += head + panel.height
    return places
