"""The pictures of a comparison, from its plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from markupsafe import Markup

from autogrow.report.comparison.said import say_error, say_flops
from autogrow.report.drawing.labels import shortened
from autogrow.report.drawing.plots import HEIGHT, Plot, Series
from autogrow.report.drawing.rows import Row, Rows
from autogrow.report.drawing.scale import Scale, fit
from autogrow.show import words

Plain = Mapping[str, Any]
GRID = 60  # points of a band


def looks(comparison: Plain) -> dict[str, int]:
    """The look of each arm, the same in all pictures."""
    return {arm: i for i, arm in enumerate(comparison["arms"])}


def curves(comparison: Plain, along: str) -> Plot | None:
    """Validation error against 'train_flops' or 'seconds':
    the median over seeds, and the band from the least to the greatest.
    """
    measure = f"val_{comparison['metric']}"
    series, xs, ys = [], [], []
    for arm, look in looks(comparison).items():
        runs = [_best_so_far(run[along], run[measure]) for run in comparison["curves"].get(arm, ()) if run.get(measure)]
        runs = [run for run in runs if len(run) > 1]
        if not runs:
            continue
        line, band = _together(runs)
        xs += [x for x, _ in line]
        ys += [y for _, low, high in band for y in (low, high)]
        series.append(Series(arm, look, line=line, band=band if len(runs) > 1 else ()))
    if not series:
        return None
    label = "training FLOPs" if along == "train_flops" else "seconds"
    say_x = say_flops if along == "train_flops" else (lambda v: f"{v:g} s")
    name = "validation error" if comparison["metric"] == "error" else "validation rmse"
    title = f"{name}, best so far, against {label}"
    return Plot(title, fit(xs), fit(ys), label, f"{name}, best so far", say_x, say_error(comparison["metric"]), series)


def _best_so_far(xs: Sequence[float], ys: Sequence[float | None]) -> list[tuple[float, float]]:
    out: list[tuple[float, float]] = []
    for x, y in zip(xs, ys, strict=False):
        if y is None or not math.isfinite(y):
            continue
        out.append((x, min(y, out[-1][1]) if out else y))
    return out


def _together(
    runs: Sequence[Sequence[tuple[float, float]]],
) -> tuple[list[tuple[float, float]], list[tuple[float, float, float]]]:
    """Median and range of step curves on one grid, from where all have begun to where the last has ended."""
    low = max(run[0][0] for run in runs)
    high = max(run[-1][0] for run in runs)
    low = max(low, high * 1e-4)
    grid = [low * (high / low) ** (i / (GRID - 1)) for i in range(GRID)] if high > low > 0 else [high]
    line, band = [], []
    for x in grid:
        values = [next((y for at, y in reversed(run) if at <= x), run[0][1]) for run in runs]
        line.append((x, median(values)))
        band.append((x, min(values), max(values)))
    return line, band


def differences(comparison: Plain) -> Markup | None:
    """A row for each pair: a dot per seed, the mean with its interval, the line of no difference."""
    wanted = f"test_{comparison['metric']}"
    pairs = [p for p in comparison["pairs"] if p["measure"] == wanted and p["differences"]]
    if not pairs:
        return None
    unit = pairs[0]["unit"]
    every = [v for p in pairs for v in (*p["differences"], p["low"], p["high"], 0.0) if v is not None]
    reach = 0.08 * (max(every) - min(every)) or 1.0
    label = {arm: str(facts.get("label", arm)) for arm, facts in comparison["arms"].items()}
    first = label.get(pairs[0]["a"], pairs[0]["a"])
    rows = [
        Row(
            label.get(pair["b"], pair["b"]),
            [(value, f"{value:+.2f} {unit}") for value in pair["differences"]],
            pair["difference"],
            pair["low"],
            pair["high"],
        )
        for pair in pairs
    ]
    title = f"Differences of the test {comparison['metric']}, seed by seed: {first} minus each other arm"
    scale = Scale(min(every) - reach, max(every) + reach)
    return Rows(title, scale, _signed, rows, f"← {shortened(first, 26)} is better", "worse →", zero=0.0).svg()


def _signed(value: float) -> str:
    return "0" if value == 0 else f"{value:+.3g}".replace("-", "−")


def dependences(comparison: Plain) -> list[Plot]:
    """The search's loss as each hyper-parameter varies."""
    surrogate = (comparison.get("search") or {}).get("surrogate")
    if not surrogate:
        return []
    every = [y for part in surrogate["dependence"] for y in part["y"]]
    plots = []
    for part in surrogate["dependence"]:
        x = Scale(
            min(part["x"]),
            max(part["x"]) if max(part["x"]) > min(part["x"]) else min(part["x"]) + 1,
            log=part["scale"] == "log",
        )
        line = [Series(part["name"], 0, line=list(zip(part["x"], part["y"], strict=True)))]
        plots.append(
            Plot(
                f"predicted validation loss against {part['name']}",
                x,
                fit(every),
                part["name"],
                "predicted loss",
                lambda v: f"{v:.3g}",
                lambda v: f"{v:.3g}",
                line,
                HEIGHT - 50,
            )
        )
    return plots


def timelines(comparison: Plain) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """For each arm that changed its net: per seed the widths through time."""
    out = []
    for arm, runs in comparison["curves"].items():
        if not any(comparison["arms"][arm].get("growth_events", ())):
            continue  # the curve of a search is of its best trial so far
        lines = []
        for run in runs:
            steps: list[str] = []
            for widths in run.get("widths", ()):
                text = words.widths(widths)
                if not steps or steps[-1] != text:
                    steps.append(text)
            if len(steps) > 1:
                lines.append((f"seed {run['seed']}", steps))
        if lines:
            out.append((arm, lines))
    return out
