"""The page of a run whose data arrived in stages: what each stage found and cost, with a link to the page of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from autogrow.report.drawing.scale import Scale
from autogrow.report.drawing.shapes import Axis, Curve, Dot, Panel
from autogrow.report.templates import templates
from autogrow.show import words
from autogrow.train.record.files import write_page
from autogrow.train.record.folder import REPORT

Plain = Mapping[str, Any]

TEXTS = ("stage", "at the hand-over")
"""Columns that are read and not compared: they stand at the left."""


def write_stages_report(folder: Path, *, result: Plain, config: str, command: str) -> Path:
    """Write `report.html` for a chain of stages (`result` is what its `result.json` holds) and return its path."""
    stages, metric = result["stages"], words.measure_name(result["task"])
    axis = _axis(stages)
    html = (
        templates()
        .get_template("stages/page.html.j2")
        .render(
            name=result["data"],
            headline=headline(result),
            result=result,
            metric=metric,
            tiles=_tiles(result, metric),
            axis=axis,
            panels=[_error_panel(stages, axis, metric), _cost_panel(stages, axis)],
            heads=[(head, head in TEXTS) for head in _heads(metric)],
            lines=[_line(number, stage, metric) for number, stage in enumerate(stages)],
            config=config,
            command=command,
            versions=result.get("versions", {}),
        )
    )
    path = Path(folder) / REPORT
    write_page(path, html)
    return path


def headline(result: Plain) -> str:
    """What the chain found, in a sentence.

    >>> headline({"stages": [{"start_widths": [64], "growths": [1]}, {"growths": [1, 2]}], "widths": [96, 96]})
    '2 stages of data: grew from 64 to 96-96 in 3 growths'
    """
    stages = result["stages"]
    grown = sum(len(stage["growths"]) for stage in stages)
    start, end = words.widths(stages[0]["start_widths"]), words.widths(result["widths"])
    how = f"grew from {start} to {end} in {words.times(grown, 'growth')}" if grown else f"{end} all the way"
    return f"{words.times(len(stages), 'stage')} of data: {how}"


def _tiles(result: Plain, metric: str) -> list[tuple[str, str, str]]:
    val, test, total = result["val"], result["test"], result["total"]
    size = f"{words.count(result['parameters'])} parameters"
    return [
        (f"test {metric}", words.measure(metric, test[metric]), f"val {words.measure(metric, val[metric])}, after the last stage"),
        ("hidden widths", words.widths(result["widths"]), size),
        ("training, all stages", words.flops(total["train_flops"]), f"{words.duration(total['seconds'])}"),
    ]  # fmt: skip


def _heads(metric: str) -> list[str]:
    found = [f"val {metric}", f"test {metric}"]
    return [
        "stage",
        "rows",
        "classes",
        "began as",
        "ended as",
        *found,
        "training",
        "so far",
        "time",
        "at the hand-over",
    ]


def _line(number: int, stage: Plain, metric: str) -> list[str]:
    """A stage in the words of the table's columns; the first is a link to its own page."""
    rows, continued = stage["rows"], stage.get("continued") or {}
    return [
        Markup('<a href="{}/{}">{}: {}</a>').format(stage["folder"], REPORT, number, stage["name"]),
        f"{rows['train']:,}",
        str(stage["classes"]) if stage["classes"] else "",
        words.widths(stage["start_widths"]),
        words.widths(stage["widths"]),
        words.measure(metric, stage["val"][metric]),
        words.measure(metric, stage["test"][metric]),
        words.flops(stage["train_flops"]),
        words.flops(stage["cumulated_train_flops"]),
        words.duration(stage["seconds"]),
        words.proof(continued["receipt"]) if continued.get("receipt") else "",
    ]


def _axis(stages: Sequence[Plain]) -> Axis:
    rows = [float(stage["rows"]["train"]) for stage in stages]
    scale = Scale(0.0, max(rows))
    ticks = scale.ticks(lambda v: f"{v:,.0f}", 5, down=False)
    return Axis("rows", "training rows", ticks, [scale.at(r) for r in rows])


def _error_panel(stages: Sequence[Plain], axis: Axis, metric: str) -> Panel:
    series = {part: [stage[part][metric] for stage in stages] for part in ("val", "test")}
    top = max(max(values) for values in series.values()) or 1.0
    scale = Scale(0.0, 1.08 * top)
    curve = Curve("val", "val", _path(axis.at, [scale.from_top(v) for v in series["val"]]))
    test = series["test"]
    dots = [Dot("test", "test", x, scale.from_top(v)) for x, v in zip(axis.at, test, strict=True)]
    summary = f"test {metric} from {words.measure(metric, test[0])} to {words.measure(metric, test[-1])}"
    return Panel(metric, summary, 190, scale.ticks(lambda v: words.measure(metric, v)), [curve], dots)


def _cost_panel(stages: Sequence[Plain], axis: Axis) -> Panel:
    sums = [float(stage["cumulated_train_flops"]) for stage in stages]
    scale = Scale(0.0, 1.05 * max(sums))
    curve = Curve("", "train", _path(axis.at, [scale.from_top(v) for v in sums]))
    ticks = scale.ticks(lambda v: words.flops(v) if v else "0", 4)
    return Panel("training FLOPs so far", f"{words.flops(sums[-1])} in all", 120, ticks, [curve])


def _path(xs: Sequence[float], ys: Sequence[float]) -> str:
    return "M" + "L".join(f"{10 * x:.1f} {10 * y:.1f}" for x, y in zip(xs, ys, strict=True))
