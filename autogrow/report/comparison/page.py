"""`compare.html`: the page of a comparison, drawn from its plain data and nothing else. Verdict first."""

from __future__ import annotations

import csv
import io
import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autogrow.report.comparison.figures import curves, dependences, differences, looks, pareto, timelines
from autogrow.report.drawing.plots import key
from autogrow.report.templates import templates
from autogrow.show import words
from autogrow.train.record.files import write_page
from autogrow.train.record.folder import COMPARED_PAGE

Plain = Mapping[str, Any]


def write_comparison(folder: Path, comparison: Plain, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write `compare.html` for what `compare.json` holds and return its path.
    rows: what `rows.csv` holds, one mapping per run.
    """
    path = Path(folder) / COMPARED_PAGE
    write_page(path, render(comparison, rows))
    return path


def render(comparison: Plain, rows: Sequence[Mapping[str, Any]]) -> str:
    """The page as one self-contained text."""
    look = looks(comparison)
    label = {arm: facts.get("label", arm) for arm, facts in comparison["arms"].items()}
    drawn = [curves(comparison, along) for along in ("train_flops", "seconds")]
    text = _csv(rows)
    return (
        templates()
        .get_template("comparison/page.html.j2")
        .render(
            c=comparison,
            label=label,
            table=[_line(comparison, arm) for arm in comparison["arms"]],
            keys=[key(label[arm], look[arm]) for arm in comparison["arms"] if comparison["curves"].get(arm)],
            curves=[plot.svg() for plot in drawn if plot is not None],
            differences=differences(comparison),
            pareto=[plot.svg() for plot in pareto(comparison)],
            pareto_keys=[
                key(name, at, marker=True) for name, at in (("grown", 0), ("other arm", 1), ("trial of the search", 7))
            ],
            dependences=[plot.svg() for plot in dependences(comparison)],
            timelines=[(label.get(arm, arm), lines) for arm, lines in timelines(comparison)],
            search=comparison.get("search"),
            cost=_cost(comparison),
            device=comparison.get("device"),
            optimum=_optimum(comparison),
            columns=list(rows[0]) if rows else [],
            rows=[[_cell(v) for v in row.values()] for row in rows],
            csv="data:text/csv;base64," + b64encode(text.encode()).decode(),
        )
    )


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    file = io.StringIO()
    if rows:
        columns = list(dict.fromkeys(k for row in rows for k in row))
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return file.getvalue()


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _line(comparison: Plain, arm: str) -> dict[str, Any]:
    """A row of the table: each measure in words, costs as multiples of the first arm's."""
    facts, metric = comparison["arms"][arm], comparison["metric"]
    reference = next(iter(comparison["arms"].values()))["mean"]
    means = facts["mean"]

    def error(name: str) -> str:
        part = means.get(name)
        if not part or part["value"] is None:
            return "–"
        scale, unit = (100, " %") if name.endswith("error") else (1, "")
        low, high = part.get("low"), part.get("high")
        span = "" if low is None or high is None else f" [{scale * low:.4g}, {scale * high:.4g}]"
        return f"{scale * part['value']:.4g}{unit}{span}"

    def cost(name: str, say: Any) -> tuple[str, str]:
        part, base = means.get(name), reference.get(name)
        if not part or part["value"] is None:
            return "–", ""
        times = (
            ""
            if not base or not base["value"] or facts is comparison["arms"].get(next(iter(comparison["arms"])))
            else f"{part['value'] / base['value']:.3g}×"
        )
        return say(part["value"]), times

    reached = [v for v in facts.get("flops_to_target", ()) if v is not None]
    asked = len(facts.get("flops_to_target", ()))
    target = "–" if not asked else "not reached" if not reached else words.flops(sorted(reached)[len(reached) // 2])
    if reached and len(reached) < asked:
        target += f" ({asked - len(reached)} of {asked} not reached)"
    return {
        "arm": arm,
        "label": facts.get("label", arm),
        "about": facts["about"],
        "n": facts["runs"],
        "failed": facts.get("failed", 0),
        "error": error(f"test_{metric}"),
        "loss": error("test_loss"),
        "flops": cost("train_flops", words.flops),
        "seconds": cost("seconds", lambda v: f"{v:.3g} s"),
        "parameters": cost("parameters", lambda v: f"{v:,.0f}"),
        "inference": cost("flops_per_sample", lambda v: f"{v:,.0f}"),
        "device": words.on_device(facts.get("device")),
        "target": target,
        "widths": ", ".join(dict.fromkeys(words.widths(w) for w in facts.get("widths", ()))),
    }


def _cost(comparison: Plain) -> str:
    """The search's price beside one grown run, in words; empty without a search."""
    cost = (comparison.get("search") or {}).get("cost")
    if not cost:
        return ""
    ratio = cost.get("ratio_to_grow")
    beside = f": as much as {ratio:,.3g} grown runs" if ratio else ""
    return f"One search cost {words.flops(cost['train_flops'])} of training and {cost['seconds']:,.0f} s{beside}."


def _optimum(comparison: Plain) -> str:
    """Where the surrogate expects the least loss, beside the grown net; empty without one."""
    surrogate = (comparison.get("search") or {}).get("surrogate")
    if not surrogate:
        return ""
    best, grown = surrogate["optimum"], surrogate.get("grown")
    text = (
        f"Predicted optimum: {words.widths(best['widths'])}, dropout {best['dropout']:.2f}, learning rate {best['lr']:.2g}; "
        f"predicted validation loss {best['predicted']:.4g} ± {best['spread']:.2g}."
    )
    if grown:
        said = "" if grown.get("predicted") is None else f" (the surrogate would have said {grown['predicted']:.4g})"
        text += f" Growth arrived at {words.widths(grown['widths'])} with a validation loss of {grown['val_loss']:.4g}{said}."
    return text
