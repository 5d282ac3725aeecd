"""How well the delivered net answers: the pictures of `curves.json`, and the table of confusion of `result.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autogrow.report.drawing.scale import Scale, Tick, fit, path
from autogrow.report.drawing.shapes import Chart, Curve
from autogrow.show import words
from autogrow.show.measures import say

Plain = Mapping[str, Any]

SHARE = Scale(0.0, 1.0)
SHARE_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
DIAGONAL = Curve("", "zero", "M0 1000L1000 0")
MOST_CLASSES = 20  # of a table that a page has room for
MOST_TARGETS = 3
COLOURS = 6  # of classes, in page.css


def charts(curves: Plain, found: Plain, base: Plain) -> list[Chart]:
    """The pictures of a net's answers, by what `curves.json` holds, the split's metrics and the baseline's."""
    drawn: list[Chart] = []
    if curves.get("roc"):
        drawn += [_roc(curves["roc"], found), _precision_recall(curves["precision_recall"], found, base)]
    if "calibration" in curves:
        drawn.append(_calibration(curves["calibration"], found))
    for cloud in curves.get("cloud", ())[:MOST_TARGETS]:
        drawn += [_predicted(cloud, of_several=len(curves["cloud"]) > 1), _residuals(cloud)]
    return drawn


def _roc(curves: Sequence[Plain], found: Plain) -> Chart:
    area = f"ROC AUC {say('auroc', found['auroc'])}"
    drawn = [DIAGONAL, *_classes(curves)]
    return _of_shares("ROC curve", f"ROC curve, {area}", "false positives", "true positives", drawn, note=area)


def _precision_recall(curves: Sequence[Plain], found: Plain, base: Plain) -> Chart:
    area = f"average precision {say('average_precision', found['average_precision'])}"
    drawn = _classes(curves)
    if "positive" in found and base.get("average_precision") is not None:  # the share of the positive rows
        level = 10 * SHARE.from_top(base["average_precision"])
        drawn = [Curve("baseline", "baseline", f"M0 {level:.1f}H1000"), *drawn]
    return _of_shares("Precision and recall", f"Precision against recall, {area}", "recall", "precision", drawn, area)


def class_look(i: int) -> str:
    """The look of the class that is drawn as number i: there are six colours, and then these again, dashed."""
    return f"class-{i % COLOURS}" + " further" * (i >= COLOURS)


def _classes(curves: Sequence[Plain]) -> list[Curve]:
    return [Curve(str(curve["label"]), class_look(i), _line(curve["x"], curve["y"])) for i, curve in enumerate(curves)]


def _calibration(when: Plain, found: Plain) -> Chart:
    drawn = [DIAGONAL]
    for key, name, look in (("before", "before the temperature", "before"), ("after", "as delivered", "val")):
        if key in when:
            said, right = when[key]["said"], when[key]["right"]
            drawn.append(Curve(name, look, _line(said, right)))
            drawn.append(Curve("", f"{look} points", _dots(SHARE, SHARE, said, right)))
    if "positive" in found:
        title, up = f"Calibration of {found['positive']}", f"share that is {found['positive']}"
    else:
        title, up = "Calibration of the answers", "share that is right"
    told = "Probability against share, in tenths of the rows"
    return _of_shares(title, told, "mean probability", up, drawn, note="each point is a tenth of the rows")


def _of_shares(title: str, summary: str, across: str, up: str, drawn: Sequence[Curve], note: str) -> Chart:
    x_ticks = [Tick(SHARE.at(v), f"{v:g}") for v in SHARE_TICKS]
    y_ticks = [Tick(SHARE.from_top(v), f"{v:g}") for v in SHARE_TICKS]
    return Chart(title, summary, across, up, x_ticks, y_ticks, drawn, note=note)


def _line(xs: Sequence[float], ys: Sequence[float]) -> str:
    return path([SHARE.at(x) for x in xs], [SHARE.from_top(y) for y in ys])


def _predicted(cloud: Plain, *, of_several: bool) -> Chart:
    true, predicted = cloud["true"], cloud["predicted"]
    scale = fit([*true, *predicted], may_log=False)
    title = f"Predicted and true {cloud['name']}" if of_several else "Predicted and true"
    dots = _dots(scale, scale, true, predicted)
    return _of_rows(title, f"true {cloud['name']}", "predicted", scale, scale, dots, DIAGONAL, len(true))


def _residuals(cloud: Plain) -> Chart:
    predicted = cloud["predicted"]
    left = [t - p for t, p in zip(cloud["true"], predicted, strict=True)]
    across, up = fit(predicted, may_log=False), fit(left, zero=True, may_log=False)
    level = Curve("", "zero", f"M0 {10 * up.from_top(0.0):.1f}H1000")
    name = cloud["name"]
    dots = _dots(across, up, predicted, left)
    return _of_rows(f"Residuals of {name}", f"predicted {name}", "true − predicted", across, up, dots, level, len(left))


def _of_rows(title: str, across: str, up: str, x: Scale, y: Scale, dots: str, line: Curve, rows: int) -> Chart:
    summary, note = f"{up} against {across}", f"{words.times(rows, 'row')} drawn"
    return Chart(title, summary, across, up, x.ticks(_short, 5, down=False), y.ticks(_short), [line], dots, note)


def _dots(x: Scale, y: Scale, xs: Sequence[float], ys: Sequence[float]) -> str:
    points = zip(xs, ys, strict=True)
    return "".join(f"M{10 * x.at(a):.0f} {10 * y.from_top(b):.0f}h0" for a, b in points)


def _short(value: float) -> str:
    return f"{value:g}"


@dataclass(frozen=True)
class Cell:
    """One count of a table of confusion; `share` of its row's rows, in percent."""

    says: str
    share: float
    right: bool


@dataclass(frozen=True)
class TruthRow:
    """The rows of one class: how they were answered, and the class's recall, precision and number of rows."""

    label: str
    cells: Sequence[Cell]
    sides: Sequence[str]


@dataclass(frozen=True)
class Confusion:
    """Truth down, answer across; `confused` tells the commonest mistakes where there are too many classes to draw."""

    labels: Sequence[str]
    rows: Sequence[TruthRow]
    confused: str


def confusion(found: Plain) -> Confusion | None:
    """The table of confusion of a split's metrics; None for values."""
    if "confusion" not in found:
        return None
    pairs = [f"{p['truth']} as {p['answer']} {words.count(p['rows'])}×" for p in found.get("confused", ())]
    classes = found["classes"]
    if len(classes) > MOST_CLASSES:
        return Confusion((), (), ", ".join(pairs))
    rows = []
    for i, (of, counts) in enumerate(zip(classes, found["confusion"], strict=True)):
        total = sum(counts) or 1
        cells = [Cell(words.count(n), round(100 * n / total, 1), i == j) for j, n in enumerate(counts)]
        sides = (say("error", of["recall"]), say("error", of["precision"]), words.count(of["rows"]))
        rows.append(TruthRow(str(of["label"]), cells, sides))
    return Confusion([str(of["label"]) for of in classes], rows, ", ".join(pairs))
