"""`front.html`: error against what a net costs, drawn from `front.json` and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from autogrow.report.comparison.costs import falling
from autogrow.report.comparison.said import say_error, say_flops
from autogrow.report.drawing.plots import Plot, Series, key
from autogrow.report.drawing.scale import fit
from autogrow.report.templates import templates
from autogrow.show import words
from autogrow.train.record.files import write_atomically
from autogrow.train.record.folder import FRONT_PAGE

Point = Mapping[str, Any]

KINDS = {"delivered": "delivered", "narrowed": "units taken away", "passed": "passed through"}
"""What the legend calls a point's kind; the order gives the looks."""

TEXTS = 2  # the first columns are names and widths


def write_front(folder: Path, points: Sequence[Point], *, run: str, name: str, seconds: float, shares: str) -> Path:
    """Write `front.html` for what `front.json` holds and return its path.

    run: the run folder. name: its data. seconds: what the whole front took. shares: that cost in words.
    """
    metric = metric_of(points)
    html = (
        templates()
        .get_template("front/page.html.j2")
        .render(
            name=name,
            headline=headline(points),
            run=run,
            folder=str(folder),
            metric=metric,
            plots=[plot.svg() for plot in plots(points, metric)],
            keys=[key(say, look, marker=True) for look, (kind, say) in enumerate(KINDS.items()) if _of(points, kind)],
            heads=[(title, i < TEXTS) for i, title in enumerate(titles(points, metric))],
            lines=[table_line(point, metric) for point in reversed(points)],
            looks=["best" if point["chosen"] else "" for point in reversed(points)],
            chosen=chosen_of(points),
            cost=f"{words.duration(seconds)}; {shares}",
        )
    )
    path = Path(folder) / FRONT_PAGE
    write_atomically(path, html)
    return path


def metric_of(points: Sequence[Point]) -> str:
    """'error' or 'rmse'."""
    return "error" if "error" in points[0]["val"] else "rmse"


def chosen_of(points: Sequence[Point]) -> Point:
    """The smallest net within one standard error of the best."""
    return next(point for point in points if point["chosen"])


def headline(points: Sequence[Point]) -> str:
    """What the front says, in a sentence."""
    chosen, metric = chosen_of(points), metric_of(points)
    delivered = next(point for point in points if point["kind"] == "delivered")
    found = words.measure(metric, chosen["val"][metric])
    size = f"{words.widths(chosen['widths'])} with {words.count(chosen['parameters'])} parameters"
    if chosen is delivered:
        return f"No smaller net is within one standard error of the best: {size}, val {metric} {found}"
    share = words.percent(chosen["parameters"] / delivered["parameters"], 0)
    return (
        f"The smallest net within one standard error of the best is {size}, {share} of the delivered net's: "
        f"val {metric} {found}, the delivered net's {words.measure(metric, delivered['val'][metric])}"
    )


def sizes(points: Sequence[Point]) -> list[tuple[str, Callable[[Point], float], Callable[[float], str]]]:
    """What a net costs, as far as it was measured of these: a title, the number of a point, and how it is said."""
    of: list[tuple[str, Callable[[Point], Any], Callable[[float], str]]] = [
        ("parameters", lambda p: p["parameters"], words.count),
        ("FLOPs per sample", lambda p: p["flops_per_sample"], say_flops),
        ("flash of its C file, bytes", lambda p: p.get("flash_bytes"), words.count),
        ("RAM of its C file, bytes", lambda p: p.get("ram_bytes"), words.count),
        ("bytes of its weights", lambda p: p["bytes"], words.count),
        ("microseconds a row", lambda p: p.get("microseconds", {}).get("p50"), lambda v: f"{v:.3g}"),
    ]
    there = [one for one in of if all(one[1](point) is not None for point in points)]
    return [one for one in there if one[0] != "bytes of its weights" or len(there) < len(of)]


def plots(points: Sequence[Point], metric: str) -> list[Plot]:
    """Error against each cost, with its 95 % interval over validation rows; the chosen net has a ring."""
    drawn = []
    ys = [point["val"][side] for point in points for side in ("low", "high")]
    for title, cost, say in sizes(points):
        series = [
            Series(
                kind,
                look,
                points=[(cost(p), p["val"][metric], f"{p['name']}: {say_error(metric)(p['val'][metric])}") for p in of],
                bars=[(cost(p), p["val"]["low"], p["val"]["high"]) for p in of],
                named=[p["name"] if p["chosen"] or p["on_front"] or kind == "delivered" else "" for p in of],
            )
            for look, kind in enumerate(KINDS)
            if (of := _of(points, kind))
        ]
        chosen = chosen_of(points)
        series.append(Series("chosen", 0, points=[(cost(chosen), chosen["val"][metric], "chosen")], large=True))
        series.append(Series("front", 7, line=falling([(cost(p), p["val"][metric]) for p in points]), faint=True))
        name = "validation error" if metric == "error" else "validation rmse"
        scale = fit([float(cost(p)) for p in points])
        drawn.append(
            Plot(f"{name} against {title}", scale, fit(ys, may_log=False), title, name, say, say_error(metric), series)
        )
    return drawn


def titles(points: Sequence[Point], metric: str) -> list[str]:
    """The head of the table."""
    timed = [f"µs ({points[0]['microseconds']['runtime']})"] if points[0].get("microseconds") else []
    flash = ["flash (C)", "RAM (C)"] if all(p.get("flash_bytes") is not None for p in points) else []
    tested = [f"test {metric}"] if "test" in points[0] else []
    return [
        "net",
        "widths",
        "parameters",
        "per sample",
        "weights",
        *flash,
        *timed,
        f"val {metric}",
        "95 % interval",
        *tested,
        "front",
        "change",
        "made in",
    ]


def table_line(point: Point, metric: str) -> list[str]:
    """A net in the words of the table's columns."""
    sign = "chosen" if point["chosen"] else "yes" if point["on_front"] else ""
    timed = [f"{point['microseconds']['p50']:.3g}"] if point.get("microseconds") else []
    flash = [] if point.get("flash_bytes") is None else [_kb(point["flash_bytes"]), _kb(point["ram_bytes"])]
    interval = f"{words.measure(metric, point['val']['low'])} … {words.measure(metric, point['val']['high'])}"
    tested = [words.measure(metric, point["test"][metric])] if "test" in point else []
    change = (
        f"{point['function_change']:.2g}" if "function_change" in point else "0" if point["kind"] == "delivered" else ""
    )
    return [
        point["name"],
        words.widths(point["widths"]),
        words.count(point["parameters"]),
        words.flops(point["flops_per_sample"]),
        _kb(point["bytes"]),
        *flash,
        *timed,
        words.measure(metric, point["val"][metric]),
        interval,
        *tested,
        sign,
        change,
        words.duration(point["cost"]["seconds"]),
    ]


def _kb(size: float) -> str:
    return f"{size / 1000:.1f} kB"


def _of(points: Sequence[Point], kind: str) -> list[Point]:
    return [point for point in points if point["kind"] == kind]
