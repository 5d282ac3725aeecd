"""`sweep.html`: what was swept, what each setting found on validation, and what it cost; drawn from its plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from autogrow.report.sweep.panels import named, of_costs, of_key, told
from autogrow.report.templates import templates
from autogrow.show import words
from autogrow.train.record.files import write_page
from autogrow.train.record.folder import COMPARED_PAGE, REPORT, SWEEP_PAGE

Plain = Mapping[str, Any]
Cell = str | tuple[str, str]

MOST = 20  # settings that are not folded


def write_sweep(folder: Path, sweep: Plain) -> Path:
    """Write `sweep.html` into a sweep's folder and return its path; `sweep` is what `compare.read.sweep` read there."""
    path = Path(folder) / SWEEP_PAGE
    write_page(path, render(sweep, Path(folder)))
    return path


def render(sweep: Plain, folder: Path | None = None) -> str:
    """The page as one self-contained text; `folder` is where it will lie, none for a page that leads nowhere."""
    several = len(sweep["sets"]) > 1
    compared = folder is not None and (folder / COMPARED_PAGE).is_file()
    return (
        templates()
        .get_template("sweep/page.html.j2")
        .render(
            sweep=sweep,
            headline=headline(sweep),
            lead=lead(sweep),
            on_test=[] if sweep["chooses"] else [on_test(one) for one in sweep["sets"]],
            sets=[_set(one, sweep, number, several=several, folder=folder) for number, one in enumerate(sweep["sets"])],
            failures=[_failure(failure, folder) for failure in sweep["failures"]],
            compared=COMPARED_PAGE if compared else "",
            most=MOST,
        )
    )


def headline(sweep: Plain) -> str:
    """What the sweep found, in a sentence."""
    if not sweep["sets"]:
        return f"No job of {sweep['jobs']} has finished"
    said = [_found(one) for one in sweep["sets"]]
    return "; ".join(said) if len(said) < 3 else f"{len(said)} sets of data, each with a best setting of its own"


def _found(one: Plain) -> str:
    best, metric, count = one["cells"][0], one["metric"], len(one["cells"])
    found = words.measure(metric, best["mean"][f"val_{metric}"]["value"])
    if count == 1:
        return f"{words.times(len(best['runs']), 'run')} of one setting on {one['data']}: validation {metric} {found}"
    level = sum(
        cell["mean"][f"val_{metric}"]["value"] == best["mean"][f"val_{metric}"]["value"] for cell in one["cells"][1:]
    )
    alike = f", as {words.times(level, 'other')} {'has' if level == 1 else 'have'}" if level else ""
    return (
        f"Of {count} settings on {one['data']}, {settings_of(best)} has the least validation {metric}: {found}{alike}"
    )


def lead(sweep: Plain) -> str:
    """How many jobs there were, and what they are ranked by."""
    repeated = f", {' and '.join(sweep['repeated'])} repeats each setting" if sweep["repeated"] else ""
    swept = (
        f"swept: {', '.join(sweep['keys'])}{repeated}" if sweep["keys"] else f"swept: {', '.join(sweep['repeated'])}"
    )
    done = f"{sweep['done']} of {words.times(sweep['jobs'], 'job')} finished"
    what = f"{done}; {swept}" if sweep["keys"] or sweep["repeated"] else done
    return f"{what}. Settings are ranked by validation; the test set ranks nothing."


def on_test(one: Plain) -> str:
    """What the setting that validation chose does on the test set."""
    metric, best = one["metric"], one["cells"][0]
    found = words.measure(metric, best["mean"][f"test_{metric}"]["value"])
    return f"On the test set of {one['data']}, which chose nothing, the first setting's {metric} is {found}."


def settings_of(cell: Plain) -> str:
    """A setting as it would be typed."""
    return " ".join(f"{key}={told(value)}" for key, value in cell["settings"].items() if value) or "as it is"


def _set(one: Plain, sweep: Plain, number: int, *, several: bool, folder: Path | None) -> dict[str, Any]:
    """What the page shows of one set of data."""
    cells, metric = one["cells"], one["metric"]
    varied = [key for key in sweep["keys"] if len({cell["settings"][key] for cell in cells}) > 1]
    return {
        "id": f"-{number}" if several else "",
        "of": f", on {one['data']}" if several else "",
        "heads": heads(metric, test=not sweep["chooses"]),
        "lines": [line(cell, varied, metric, folder, test=not sweep["chooses"]) for cell in cells],
        "looks": ["best" if cell["best"] else "" for cell in cells],
        "keys": [(key, of_key(cells, key, metric)) for key in varied],
        "costs": of_costs(cells, metric),
    }


def heads(metric: str, *, test: bool) -> list[tuple[str, bool]]:
    """The columns of the table of settings: what each says, and whether it is text."""
    tested = [f"test {metric}"] if test else []
    numbers = (f"val {metric}", "val loss", "training", "parameters", "time", *tested)
    return [("setting", True), *((n, False) for n in numbers), ("widths", True), ("runs", True)]


def line(cell: Plain, keys: Sequence[str], metric: str, folder: Path | None, *, test: bool) -> list[Cell]:
    """A setting in the words of the columns; its runs lead to their own pages where `folder` holds them."""
    mean = cell["mean"]
    name = " ".join(f"{key}={told(cell['settings'][key])}" for key in keys if cell["settings"][key])
    missing = f"{cell['missing']} not finished" if cell["missing"] else ""
    nets = dict.fromkeys(words.widths(run["widths"]) for run in cell["runs"])
    return [
        (name or named(cell), missing),
        _found_in(mean[f"val_{metric}"], metric),
        _found_in(mean["val_loss"], "loss"),
        words.flops(mean["train_flops"]["value"]),
        words.count(mean["parameters"]["value"]),
        words.duration(mean["seconds"]["value"]),
        *([words.measure(metric, mean[f"test_{metric}"]["value"])] if test else []),
        Markup(", ").join(Markup('<span class="whole">{}</span>').format(net) for net in nets),
        Markup(" ").join(_run(run, folder) for run in cell["runs"]),
    ]


def _found_in(mean: Plain, measure: str) -> Cell:
    """A mean and, under it, its interval over the runs of a setting."""
    value, low, high = (mean[name] for name in ("value", "low", "high"))
    if low is None or high is None:
        return words.measure(measure, value)
    scale = 100 if measure == "error" else 1
    return (words.measure(measure, value), f"{scale * low:.3g} … {scale * high:.3g}")


def _run(run: Plain, folder: Path | None) -> Markup:
    page = f"{run['name']}/{REPORT}"
    said = f"seed {run['seed']}"
    if folder is None or not (folder / page).is_file():
        return Markup('<span class="whole">{}</span>').format(said)
    return Markup('<a class="whole" href="{}" aria-label="the page of {}">{}</a>').format(
        quote(page), run["name"], said
    )


def _failure(failure: Plain, folder: Path | None) -> dict[str, str]:
    there = folder is not None and (folder / failure["log"]).is_file()
    return {**failure, "href": quote(failure["log"]) if there else ""}
