"""The tables of a comparison in words: a line for each arm, a line for each run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from autogrow.show import words
from autogrow.train.record.folder import REPORT

Plain = Mapping[str, Any]
Cell = str | tuple[str, str]
"""What a cell says; with something smaller under it, a pair."""

NOTHING = "–"


def heads(comparison: Plain) -> list[tuple[str, bool]]:
    """The columns of the arms' table: what each says, and whether it is text."""
    device = ["µs on device", "kB"] if comparison.get("device") else []
    numbers = ["runs", f"test {comparison['metric']}", "test loss", "training", "time", "parameters", "FLOPs a row"]
    return [("arm", True), *((n, False) for n in (*numbers, *device, "FLOPs to target")), ("widths", True)]


def line(comparison: Plain, arm: str) -> list[Cell]:
    """An arm in the words of the columns: means with their intervals, costs with multiples of the first arm's."""
    facts, metric = comparison["arms"][arm], comparison["metric"]
    failed = f"+{facts['failed']} failed" if facts.get("failed") else ""
    device = words.on_device(facts.get("device")) if comparison.get("device") else ()
    return [
        str(facts.get("label", arm)),
        (str(facts["runs"]), failed),
        _mean(facts, f"test_{metric}"),
        _mean(facts, "test_loss"),
        _cost(comparison, arm, "train_flops", words.flops),
        _cost(comparison, arm, "seconds", words.duration),
        _cost(comparison, arm, "parameters", lambda v: f"{v:,.0f}"),
        _cost(comparison, arm, "flops_per_sample", words.flops),
        *device,
        _target(facts),
        Markup(", ").join(Markup('<span class="whole">{}</span>').format(w) for w in _nets(facts)),
    ]


def _nets(facts: Plain) -> Sequence[str]:
    """The nets of an arm, each once."""
    return list(dict.fromkeys(words.widths(w) for w in facts.get("widths", ())))


def _mean(facts: Plain, name: str) -> Cell:
    """A mean and, under it, its interval."""
    part = facts["mean"].get(name)
    if not part or part["value"] is None:
        return NOTHING
    percent = name.endswith("error")
    scale = 100 if percent else 1
    low, high = part.get("low"), part.get("high")
    span = "" if low is None or high is None else f"{scale * low:.3g} … {scale * high:.3g}"
    return (f"{scale * part['value']:.3g}{' %' if percent else ''}", span)


def _cost(comparison: Plain, arm: str, name: str, say: Callable[[float], str]) -> Cell:
    """A cost and, under it, how many times the first arm's it is."""
    first = next(iter(comparison["arms"]))
    part, base = (comparison["arms"][one]["mean"].get(name) for one in (arm, first))
    if not part or part["value"] is None:
        return NOTHING
    times = "" if arm == first or not base or not base["value"] else f"{part['value'] / base['value']:.3g}×"
    return (say(part["value"]), times)


def _target(facts: Plain) -> Cell:
    """The median cost of the runs that reached the target, and how many did not."""
    asked = facts.get("flops_to_target", ())
    reached = sorted(v for v in asked if v is not None)
    if not reached:
        return "not reached" if asked else NOTHING
    missed = len(asked) - len(reached)
    return (words.flops(reached[len(reached) // 2]), f"{missed} of {len(asked)} not reached" if missed else "")


def run_heads(metric: str) -> list[tuple[str, bool]]:
    """The columns of the table of runs: what matters; `rows.csv` has every figure."""
    return [("run", True), *((name, False) for name, _, _ in _shown(metric))]


def run_line(row: Mapping[str, Any], metric: str, folder: Path | None) -> list[str]:
    """A run in the words of the columns; its name leads to its own page where `folder` holds one."""
    name = f"{row.get('arm', '')} seed {row.get('seed', '')}"
    page = f"{row['folder']}/{REPORT}" if row.get("folder") else ""
    if folder is not None and page and (folder / page).is_file():
        name = Markup('<a href="{}">{}</a>').format(quote(page), name)
    return [name, *(_figure(row.get(key), say) for _, key, say in _shown(metric))]


def _shown(metric: str) -> list[tuple[str, str, Callable[[Any], str]]]:
    """Of a run's figures, those that matter: their names, where a row has them, and how they are said."""
    return [
        (f"val {metric}", f"val_{metric}", lambda v: words.measure(metric, v)),
        (f"test {metric}", f"test_{metric}", lambda v: words.measure(metric, v)),
        ("test loss", "test_loss", words.number),
        ("widths", "widths", str),
        ("parameters", "parameters", words.count),
        ("training", "train_flops", words.flops),
        ("time", "seconds", words.duration),
    ]


def _figure(value: Any, say: Callable[[Any], str]) -> str:
    nothing = value is None or value == "" or (isinstance(value, float) and math.isnan(value))
    return NOTHING if nothing else say(value)


def columns_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every figure that some run has, in the order in which they come."""
    return list(dict.fromkeys(key for row in rows for key in row))
