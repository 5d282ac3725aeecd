"""The pictures of a comparison, from its plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from markupsafe import Markup, escape

from autogrow.report.drawing.plots import HEIGHT, Plot, Series
from autogrow.report.drawing.scale import Scale, fit
from autogrow.show import words

Plain = Mapping[str, Any]
GRID = 60  # points of a band


def say_error(metric: str) -> Any:
    """How a tick of the error axis reads."""
    return (lambda v: f"{100 * v:.3g} %") if metric == "error" else (lambda v: f"{v:.4g}")


def say_flops(value: float) -> str:
    """FLOPs, short."""
    return words.flops(value).replace("FLOP", "").replace(".00", "").replace(".0 ", " ").strip() if value else "0"


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
    reach = max(abs(v) for v in every) or 1.0
    scale = Scale(-1.08 * reach, 1.08 * reach)
    row, top, left, width = 26, 26, 170, 520
    height = top + row * len(pairs) + 26

    def at(value: float) -> float:
        return round(left + (width - left - 12) * scale.at(value) / 100, 1)

    label = comparison["arms"]
    title = "differences of the test error, seed by seed: grown minus each other arm"
    out = [
        f'<svg class="plot wide" viewBox="0 0 {width} {height}" role="img" aria-label="{title}"><title>{title}</title>'
    ]
    out.append(
        f'<text x="{at(0) - 8}" y="14" text-anchor="end" class="label">← {escape(pairs[0]["a"])} is better</text>'
    )
    out.append(f'<text x="{at(0) + 8}" y="14" class="label">{escape(pairs[0]["a"])} is worse →</text>')
    out.append(f'<path class="axis" d="M{at(0)} 20V{height - 24}"/>')
    for i, pair in enumerate(pairs):
        y = top + row * i + row / 2
        name = label.get(pair["b"], {}).get("label", pair["b"])
        out.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{escape(name[:28])}</text>')
        for value in pair["differences"]:
            out.append(
                f'<circle class="seed" cx="{at(value)}" cy="{y}" r="3"><title>{value:+.2f} {escape(unit)}</title></circle>'
            )
        if pair["low"] is not None and pair["high"] is not None:
            out.append(f'<path class="interval" d="M{at(pair["low"])} {y}H{at(pair["high"])}"/>')
        out.append(f'<path class="mean" d="M{at(pair["difference"])} {y - 7}v14"/>')
    for value in scale.round_values(6):
        out.append(f'<text x="{at(value)}" y="{height - 8}" text-anchor="middle">{value:+.3g}</text>')
    return Markup("".join([*out, "</svg>"]))


COSTS = {"parameters": "parameters", "flops_per_sample": "FLOPs per sample", "latency_ms": "milliseconds a row"}


def pareto(comparison: Plain) -> list[Plot]:
    """Error against each cost of a net; the front is a line."""
    metric = comparison["metric"]
    search = comparison.get("search")
    against = (
        search["pareto"]["against"]
        if search
        else {k: _of_arms(comparison, k) for k in ("parameters", "flops_per_sample")}
    )
    name = f"validation {'error' if metric == 'error' else 'rmse'}"
    plots = []
    for cost, label in COSTS.items():
        points = against.get(cost, {}).get("points", [])
        if len(points) < 2:
            continue
        series = [
            Series(
                kind,
                look,
                points=[
                    (p["x"], p["y"], f"{p['label']}: {say_error(metric)(p['y'])} at {p['x']:.4g}")
                    for p in points
                    if p["kind"] == kind
                ],
            )
            for kind, look in (("trial", 7), ("arm", 1), ("grow", 0))
        ]
        front = sorted((p["x"], p["y"]) for p in points if p["front"])
        series.insert(0, Series("front", 2, line=front, faint=True))
        x, y = fit([p["x"] for p in points]), fit([p["y"] for p in points])
        plots.append(Plot(f"{name} against {label}", x, y, label, name, _short, say_error(metric), series))
    return plots


def _of_arms(comparison: Plain, cost: str) -> Plain:
    spots = []
    for arm, facts in comparison["arms"].items():
        means = facts["mean"]
        error = means.get(f"val_{comparison['metric']}")
        if error and cost in means:
            spots.append(
                {
                    "label": facts.get("label", arm),
                    "kind": "grow" if arm == "grow" else "arm",
                    "x": means[cost]["value"],
                    "y": error["value"],
                }
            )
    for spot in spots:
        spot["front"] = not any(
            o["x"] <= spot["x"] and o["y"] <= spot["y"] and (o["x"], o["y"]) != (spot["x"], spot["y"]) for o in spots
        )
    return {"points": spots}


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


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
