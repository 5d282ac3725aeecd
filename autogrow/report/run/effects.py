"""How the delivered net's answer goes along the columns that were made finer: the pictures of `effects`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autogrow.report.drawing.scale import Scale, fit, path
from autogrow.report.drawing.shapes import Chart, Curve
from autogrow.report.run.answers import class_look
from autogrow.show import words

Plain = Mapping[str, Any]

FAR = 3.0  # times the range of the other knots: outer pieces longer than that would leave them no room


def effect_charts(effects: Sequence[Plain], task: str) -> list[Chart]:
    """One for each column, all with the same scale upward where they show the same."""
    values = [v for effect in effects for line in effect["lines"] for v in line["y"]]
    labels = sorted({str(line["label"]) for effect in effects for line in effect["lines"]})
    # a class has one look in all of them
    looks = {label: class_look(i) for i, label in enumerate(labels)}
    alike = task == "classification" or len(labels) == 1
    return [_chart(effect, task, looks, fit(values, may_log=False) if alike else None) for effect in effects]


def _chart(effect: Plain, task: str, looks: Mapping[str, str], up: Scale | None) -> Chart:
    name, x, lines = effect["name"], effect["x"], effect["lines"]
    low, high = _shown(x)
    across = Scale(low, high if high > low else low + 1.0)
    up = up or fit([v for line in lines for v in line["y"]], may_log=False)
    several = len(lines) > 1
    drawn = [Curve("", "knots", "".join(f"M{10 * across.at(v):.0f} 1000v-30" for v in x if low <= v <= high))]
    for line in lines:
        inside = [(across.at(a), up.from_top(b)) for a, b in zip(x, line["y"], strict=True) if low <= a <= high]
        label = str(line["label"])
        drawn.append(
            Curve(label if several else "", looks[label], path([a for a, _ in inside], [b for _, b in inside]))
        )
    of = "its class" if several else str(lines[0]["label"])
    what = f"probability of {of}" if task == "classification" else of
    ticks = across.ticks(lambda v: f"{v:g}", 4, down=False)
    summary = f"{what} along {name}, {words.times(len(x) - 1, 'piece')}"
    note = words.times(len(x) - 1, "piece") + ("" if (low, high) == (x[0], x[-1]) else ", the outer ones not drawn")
    return Chart(str(name), summary, note, what, ticks, up.ticks(lambda v: f"{v:g}"), drawn)


def _shown(x: Sequence[float]) -> tuple[float, float]:
    """What is drawn of a column: all of it, or what lies between its second and its last knot but one."""
    if len(x) > 4 and x[-1] - x[0] > FAR * (x[-2] - x[1]) > 0:
        return x[1], x[-2]
    return x[0], x[-1]
