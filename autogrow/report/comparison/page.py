"""`compare.html`: the page of a comparison, drawn from its plain data and nothing else. Verdict first."""

from __future__ import annotations

import csv
import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from autogrow.report.comparison.costs import of_arms, of_trials
from autogrow.report.comparison.figures import curves, dependences, differences, looks, timelines
from autogrow.report.comparison.table import columns_of, heads, line, run_heads, run_line
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
    write_page(path, render(comparison, rows, Path(folder)))
    return path


def render(comparison: Plain, rows: Sequence[Mapping[str, Any]], folder: Path | None = None) -> str:
    """The page as one self-contained text; `folder` is where it will lie, none for a page that leads nowhere."""
    look, metric = looks(comparison), comparison["metric"]
    label = {arm: facts.get("label", arm) for arm, facts in comparison["arms"].items()}
    drawn = [curves(comparison, along) for along in ("train_flops", "seconds")]
    return (
        templates()
        .get_template("comparison/page.html.j2")
        .render(
            c=comparison,
            alone=_alone(comparison),
            heads=heads(comparison),
            table=[line(comparison, arm) for arm in comparison["arms"]],
            about=[
                (label[arm], facts["about"])
                for arm, facts in comparison["arms"].items()
                if facts["about"] != label[arm]
            ],
            keys=[key(label[arm], look[arm]) for arm in comparison["arms"] if comparison["curves"].get(arm)],
            curves=[plot.svg() for plot in drawn if plot is not None],
            differences=differences(comparison),
            costs=[plot.svg() for plot in of_arms(comparison)],
            trials=[plot.svg() for plot in of_trials(comparison)],
            trial_keys=[key(name, at, marker=True) for name, at in KEYS_OF_TRIALS],
            dependences=[plot.svg() for plot in dependences(comparison)],
            timelines=[(label.get(arm, arm), lines) for arm, lines in timelines(comparison)],
            search=comparison.get("search"),
            cost=_cost(comparison),
            device=comparison.get("device"),
            optimum=_optimum(comparison),
            failures=[_failure(failure, label, folder) for failure in comparison["failures"]],
            columns=run_heads(metric),
            lines=[run_line(row, metric, folder) for row in rows],
            csv="data:text/csv;base64," + b64encode(_csv(rows).encode()).decode(),
        )
    )


KEYS_OF_TRIALS = (("grown", 0), ("other arm", 1), ("trial of the search", 7))


def _alone(comparison: Plain) -> str:
    """Why there is nothing to say of one arm against another."""
    if len(comparison["arms"]) == 1:
        return "There is one arm only: nothing to compare it with."
    return "No two arms have a seed on the same split in common: none is held against another."


def _failure(failure: Plain, label: Mapping[str, str], folder: Path | None) -> dict[str, str]:
    """A run that is missing: which, why, and its log where there is one."""
    there = folder is not None and (folder / failure["log"]).is_file()
    return {
        "arm": label.get(failure["arm"], failure["arm"]),
        "seed": failure["seed"],
        "message": failure["message"],
        "log": failure["log"],
        "href": quote(failure["log"]) if there else "",
    }


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    file = io.StringIO()
    if rows:
        writer = csv.DictWriter(file, columns_of(rows), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return file.getvalue()


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
