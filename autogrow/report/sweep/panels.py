"""The pictures of a sweep: what each setting found, key by key, and error against what it costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from markupsafe import Markup

from autogrow.report.comparison.costs import falling
from autogrow.report.comparison.said import say_error, say_flops, short
from autogrow.report.drawing.labels import shortened
from autogrow.report.drawing.plots import Plot, Series
from autogrow.report.drawing.rows import Row, Rows
from autogrow.report.drawing.scale import fit

Plain = Mapping[str, Any]
Cells = Sequence[Plain]

COSTS = {"train_flops": "training FLOPs", "parameters": "parameters"}
MOST_ROWS = 24  # of a picture of rows
LETTERS = 26  # of the name of a setting beside its point


def measures(metric: str) -> list[tuple[str, str, Callable[[float], str]]]:
    """What is drawn over each key: the measure, its name, how its ticks read."""
    return [
        (f"val_{metric}", f"validation {metric}", say_error(metric)),
        *((cost, label, say_flops if "flops" in cost else short) for cost, label in COSTS.items()),
    ]


def number_of(text: str) -> float | None:
    """What a typed value is as a number; None for any other.

    >>> number_of("1e-3"), number_of("gap"), number_of("nan")
    (0.001, None, None)
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def of_key(cells: Cells, key: str, metric: str) -> list[Markup]:
    """The pictures of one key: each measure over its values, which are numbers or names."""
    values = [number_of(cell["settings"][key]) for cell in cells]
    if all(value is not None for value in values) and len(set(values)) > 1:
        return [_over_numbers(cells, key, measure) for measure in measures(metric)]
    return [_over_names(cells, key, measure) for measure in measures(metric)]


def _over_numbers(cells: Cells, key: str, measure: tuple[str, str, Callable[[float], str]]) -> Markup:
    name, label, say = measure
    points = [
        (float(cell["settings"][key]), run[name], f"{run['name']}: {say(run[name])}")
        for cell in cells
        for run in cell["runs"]
    ]
    best = [(float(c["settings"][key]), c["mean"][name]["value"], "the best by validation") for c in cells if c["best"]]
    xs = sorted({x for x, _, _ in points})
    series = [Series("runs", 0, points=points, faint=True), Series("best", 0, points=best, large=True)]
    y = fit([y for _, y, _ in points], may_log=name not in ("val_error",))
    return Plot(
        f"{label} over {key}", fit(xs), y, key, label, short, say, series, x_ticks=xs if len(xs) <= 6 else ()
    ).svg()


def _over_names(cells: Cells, key: str, measure: tuple[str, str, Callable[[float], str]]) -> Markup:
    name, label, say = measure
    found: dict[str, list[Plain]] = {}
    for cell in cells:
        found.setdefault(cell["settings"][key], []).extend(cell["runs"])
    best = next(cell["settings"][key] for cell in cells if cell["best"])
    shown = list(found.items())[:MOST_ROWS]
    rows = [
        Row(
            value or "(as it is)",
            [(run[name], f"{run['name']}: {say(run[name])}") for run in runs],
            fmean(run[name] for run in runs),
            marked=value == best,
        )
        for value, runs in shown
    ]
    scale = fit([run[name] for _, runs in shown for run in runs], may_log=name not in ("val_error",))
    return Rows(f"{label} over {key}", scale, say, rows, label).svg()


def of_costs(cells: Cells, metric: str) -> list[Markup]:
    """Validation error with its interval against each cost, a point for each setting; the front is a line."""
    if len(cells) < 2:
        return []
    name, say = f"val_{metric}", say_error(metric)
    drawn = []
    for cost, label in COSTS.items():
        spots = [(c["mean"][cost]["value"], c["mean"][name]["value"]) for c in cells]
        front = falling(spots)
        series = [
            Series("front", 2, line=front, faint=True),
            *(
                Series(
                    "settings",
                    look,
                    points=[(x, y, f"{named(c)}: {say(y)}") for c, (x, y) in pairs],
                    bars=[
                        (x, c["mean"][name]["low"], c["mean"][name]["high"])
                        for c, (x, _) in pairs
                        if len(c["runs"]) > 1
                    ],
                    named=[shortened(named(c), LETTERS) if c["best"] or spot in front else "" for c, spot in pairs],
                )
                for look, pairs in _best_and_others(cells, spots)
            ),
        ]
        ys = [v for c in cells for v in c["mean"][name].values() if v is not None]
        x = fit([x for x, _ in spots])
        say_x = say_flops if "flops" in cost else short
        title = f"validation {metric} of each setting against {label}"
        drawn.append(Plot(title, x, fit(ys, may_log=False), label, f"validation {metric}", say_x, say, series).svg())
    return drawn


def _best_and_others(
    cells: Cells, spots: Sequence[tuple[float, float]]
) -> list[tuple[int, list[tuple[Plain, tuple[float, float]]]]]:
    pairs = list(zip(cells, spots, strict=True))
    return [(0, [p for p in pairs if p[0]["best"]]), (7, [p for p in pairs if not p[0]["best"]])]


def named(cell: Plain) -> str:
    """A setting by its values alone.

    >>> named({"settings": {"growth": "gap", "optimizer.lr": "0.0031622776"}})
    'gap 0.003162'
    """
    return " ".join(told(value) for value in cell["settings"].values()) or "the one setting"


def told(value: str) -> str:
    """A typed value as a person reads it: drawn numbers to four digits."""
    found = number_of(value)
    return value if found is None or len(value) < 8 else f"{found:.4g}"
