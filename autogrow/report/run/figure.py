"""The figure of a run: panels above one another on one x axis, with what happened marked through all of them.

An event is applied at the start of a check, so it is drawn where the check before it ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autogrow.policy.history import History
from autogrow.report.drawing.scale import Scale, Tick
from autogrow.report.drawing.shapes import Axis, Figure, Mark, Phase
from autogrow.report.run.panels import error_panel, gap_panel, loss_panel, newborns_panel, pieces_panel, widths_panel
from autogrow.show import words
from autogrow.show.check import in_trouble
from autogrow.show.story import Episode, Story


def draw(rows: History, story: Story, axis: Axis, metric: str, test: float | None, base: float | None = None) -> Figure:
    """The figure of a run along one axis; `metric` is 'error' or 'rmse', `test` its value on the test set, `base` the
    baseline's.
    """
    marks = _marks(rows, story, axis)
    pieces, newborns = pieces_panel(rows, axis), newborns_panel(rows, axis)
    panels = [
        loss_panel(rows, story, axis),
        error_panel(rows, story, axis, metric, test, base),
        gap_panel(rows, story, axis),
        widths_panel(rows, axis),
        *(panel for panel in (pieces, newborns) if panel is not None),
    ]
    return Figure(axis, panels, marks, _phases(rows, axis), 1 + max((m.level for m in marks), default=0))


def axes(rows: History) -> tuple[Axis, Axis]:
    """The two ways to look at a run: by checks, in which the reasons count,
    and by the floating point operations spent on training.
    """
    return (
        _checks(rows),
        _axis(
            "flops",
            "training FLOPs",
            [float(row.train_flops) for row in rows],
            lambda v: words.flops(v).replace(".00 ", " ").replace(".0 ", " ") if v else "0",
        ),
    )


def _checks(rows: History) -> Axis:
    """Each check as far from left to right as the others; its tick stands where it ends."""
    scale = Scale(0.0, float(len(rows) or 1))
    numbered = Scale(0.0, float(max(1, len(rows) - 1))).round_values()
    ticks = [Tick(scale.at(n + 1), f"{n:g}") for n in numbered if n == round(n) and n < len(rows)]
    return Axis("checks", _label(rows), ticks, [scale.at(i + 1.0) for i in range(len(rows))])


def _label(rows: History) -> str:
    if not rows:
        return "check"
    step, passes = rows[0].step, rows[0].passes
    even = all(row.step == step * (row.check + 1) for row in rows)
    each = f"{words.times(step, 'step')}, {words.passes(passes)} over the training data, each"
    return f"check ({each})" if even else "check"


def _axis(key: str, label: str, values: Sequence[float], say: Callable[[float], str]) -> Axis:
    scale = Scale(0.0, max(values, default=0.0) or 1.0)
    return Axis(key, label, scale.ticks(say, 5, down=False), [scale.at(v) for v in values])


def _marks(rows: History, story: Story, axis: Axis) -> list[Mark]:
    marks: list[Mark] = []
    for told in story.episodes:
        x = axis.starts[rows.index(told.row)]
        look = ("growth" if told.kept else "growth lost") if told.is_growth else "return"
        badge = str(told.number) if told.is_growth else "↩"
        marks.append(Mark(look, badge, words.deed(told.event), anchor(told), x, 0))
    for row in rows:
        if in_trouble(row):
            marks.append(Mark("trouble", "!", f"check {row.check}: not finite", "", axis.at[rows.index(row)], 0))
    return _apart(sorted(marks, key=lambda mark: mark.x))


def anchor(told: Episode) -> str:
    """The name under which the page tells of an event."""
    return f"growth-{told.number}" if told.is_growth else f"return-{told.row.check}"


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
