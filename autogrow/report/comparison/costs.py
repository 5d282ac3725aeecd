"""Error against what it costs: the arms on the test set as the table has them, a search's trials on validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autogrow.report.comparison.said import say_error, say_flops, short
from autogrow.report.drawing.plots import Plot, Series
from autogrow.report.drawing.scale import fit

Plain = Mapping[str, Any]
Spot = Mapping[str, Any]

COSTS = {"train_flops": "training FLOPs", "parameters": "parameters", "flops_per_sample": "FLOPs a row"}
OF_TRIALS = {"parameters": "parameters", "flops_per_sample": "FLOPs a row", "latency_ms": "milliseconds a row"}
TALL = 300


def of_arms(comparison: Plain) -> list[Plot]:
    """The test error of each arm with its interval against each cost, every arm named; the front is a line."""
    metric = comparison["metric"]
    plots = []
    for cost, label in COSTS.items():
        spots = [
            {"label": facts.get("label", arm), "x": facts["mean"][cost]["value"], **facts["mean"][f"test_{metric}"]}
            for arm, facts in comparison["arms"].items()
            if cost in facts["mean"] and facts["mean"].get(f"test_{metric}", {}).get("value") is not None
        ]
        if len(spots) > 1:
            plots.append(_plot(spots, metric, cost, label))
    return plots


def _plot(spots: Sequence[Spot], metric: str, cost: str, label: str) -> Plot:
    first, others = spots[:1], spots[1:]
    front = falling([(s["x"], s["value"]) for s in spots])
    ys = [s[side] for s in spots for side in ("value", "low", "high") if s[side] is not None]
    series = [Series("front", 2, line=front, faint=True), _named(first, 0, metric), _named(others, 1, metric)]
    name = f"test {metric}"
    x = fit([s["x"] for s in spots])
    say = say_flops if "flops" in cost else short
    return Plot(
        f"{name} of each arm against {label}",
        x,
        fit(ys, may_log=False),
        label,
        name,
        say,
        say_error(metric),
        series,
        TALL,
    )


def _named(spots: Sequence[Spot], look: int, metric: str) -> Series:
    say = say_error(metric)
    return Series(
        "arm",
        look,
        points=[(s["x"], s["value"], f"{s['label']}: {say(s['value'])} at {short(s['x'])}") for s in spots],
        bars=[(s["x"], s["low"], s["high"]) for s in spots if s["low"] is not None],
        named=[str(s["label"]) for s in spots],
    )


def falling(found: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those of (cost, error) that nothing of less or equal cost is as good as.

    >>> falling([(3, 0.1), (1, 0.3), (2, 0.3), (2, 0.2)])
    [(1, 0.3), (2, 0.2), (3, 0.1)]
    """
    kept: list[tuple[float, float]] = []
    for cost, error in sorted(found):
        if not kept or error < kept[-1][1]:
            kept.append((cost, error))
    return kept


def of_trials(comparison: Plain) -> list[Plot]:
    """The validation error of each trial of a search, and of the arms, against what a net costs."""
    search, metric = comparison.get("search"), comparison["metric"]
    against = search["pareto"]["against"] if search else {}
    name, say, plots = f"validation {metric}", say_error(metric), []
    for cost, label in OF_TRIALS.items():
        points = against.get(cost, {}).get("points", [])
        if len(points) < 2:
            continue
        front = sorted((p["x"], p["y"]) for p in points if p["front"])
        series = [Series("front", 2, line=front, faint=True)]
        for kind, look in TRIAL_LOOKS:
            found = [
                (p["x"], p["y"], f"{p['label']}: {say(p['y'])} at {p['x']:.4g}") for p in points if p["kind"] == kind
            ]
            series.append(Series(kind, look, points=found))
        x, y = fit([p["x"] for p in points]), fit([p["y"] for p in points])
        say_x = say_flops if "flops" in cost else short
        plots.append(Plot(f"{name} of each trial against {label}", x, y, label, name, say_x, say, series))
    return plots


TRIAL_LOOKS = (("trial", 7), ("arm", 1), ("grow", 0))
