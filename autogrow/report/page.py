"""`report.html`: one file that opens anywhere, without a network, and shows how a net came to its size."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from autogrow.policy.history import History, Row
from autogrow.report.chapters import Kept, chapters
from autogrow.report.figure import axes, draw
from autogrow.train import words
from autogrow.train.story import Story, headline, tell

NAME = "report.html"


def write_report(
    folder: Path,
    *,
    rows: Sequence[Row],
    result: Mapping[str, Any],
    card: Mapping[str, Any],
    config: str,
    command: str,
) -> Path:
    """Write `report.html` into a run folder and return its path.

    `rows` is the history, `result` what `result.json` holds, `card` the data card, `config` the resolved config as YAML,
    `command` what reproduces the run. The page appears whole or not at all: it is written beside and renamed.
    """
    html = render(rows=rows, result=result, card=card, config=config, command=command)
    path = Path(folder) / NAME
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{NAME}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(html)
        os.chmod(beside, 0o644)  # mkstemp makes files that only their owner can read
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise
    return path


def render(*, rows: History, result: Mapping[str, Any], card: Mapping[str, Any], config: str, command: str) -> str:
    """The page as a string of HTML."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    metric = words.measure_name(result["task"])
    story = tell(rows, result.get("best_epoch"))
    return environment.get_template("page.html.j2").render(
        name=str(card.get("name", result["task"])),
        headline=headline(rows, result),
        result=result,
        metric=metric,
        story=story,
        tiles=_tiles(result, metric, story),
        figures=[draw(rows, story, axis, metric, result["test"].get(metric)) for axis in axes(rows)],
        readings=_readings(rows, metric),
        delivered=rows.index(story.delivered) if story.delivered else 0,
        chapters=chapters(rows, story, metric),
        is_kept=lambda chapter: isinstance(chapter, Kept),
        card=_entries(card),
        config=config,
        command=command,
        versions=result.get("versions", {}),
    )


def _tiles(result: Mapping[str, Any], metric: str, story: Story) -> list[tuple[str, str, str]]:
    """The few numbers a reader came for: what it is, the number, what belongs beside it."""
    val, test = result["val"], result["test"]
    spent = f"{words.passes(result['epochs'])}, {words.duration(result['seconds'])}"
    evaluation = f"and {words.flops(result['eval_flops'])} to look at validation"
    taken_back = len(story.growths) - len(story.kept)
    return [
        (f"test {metric}", words.measure(metric, test[metric]), f"val {words.measure(metric, val[metric])}"),
        ("test loss", words.number(test["loss"]), f"val {words.number(val['loss'])}"),
        ("hidden widths", words.widths(result["widths"]), f"{words.count(result['parameters'])} parameters"),
        ("growths kept", str(len(story.kept)), f"{taken_back} taken back" if taken_back else "none taken back"),
        ("training", words.flops(result["train_flops"]), evaluation),
        ("time", words.duration(result["seconds"]), spent.split(",")[0]),
    ]


def _readings(rows: History, metric: str) -> list[dict[str, Any]]:
    """What the page says about a check when it is pointed at."""
    by_passes, by_flops = axes(rows)
    return [
        {
            "passes": by_passes.at[i],
            "flops": by_flops.at[i],
            "title": f"check {row.check} · {words.passes(row.passes)} · {words.flops(row.train_flops)} · {row.phase}",
            "values": [
                ["train", words.number(row.train_loss, 3)],
                ["val", words.number(row.val_loss, 3)],
                [metric, words.measure(metric, row.val_error)],
                ["gap", words.percent(row.relative_gap, 0)],
                ["widths", words.widths(row.widths)],
                ["rate", words.number(row.lr, 2)],
            ],
            "reason": row.reason,
        }
        for i, row in enumerate(rows)
    ]


def _entries(plain: Mapping[str, Any], most: int = 24) -> list[dict[str, Any]]:
    """A nested mapping as a list that the template can walk: a value, counts to draw as bars, or further entries."""
    entries = []
    for name, value in list(plain.items())[:most]:
        entry: dict[str, Any] = {"name": str(name).replace("_", " "), "text": "", "bars": [], "inner": []}
        if isinstance(value, Mapping) and value and all(type(v) is int and v >= 0 for v in value.values()):
            top = max(value.values()) or 1
            entry["bars"] = [(str(k), words.count(v), round(100 * v / top, 1)) for k, v in list(value.items())[:most]]
            entry["text"] = f"and {len(value) - most} more" if len(value) > most else ""
        elif isinstance(value, Mapping) and value:
            entry["inner"] = _entries(value, most)
        else:
            entry["text"] = _text(value, most)
        entries.append(entry)
    if len(plain) > most:
        entries.append({"name": "…", "text": f"{len(plain) - most} more", "bars": [], "inner": []})
    return entries


def _text(value: Any, most: int) -> str:
    match value:
        case None | {} | [] | ():
            return "none"
        case bool():
            return "yes" if value else "no"
        case int():
            return words.count(value)
        case float():
            return words.number(value)
        case list() | tuple():
            more = f" and {len(value) - most} more" if len(value) > most else ""
            return ", ".join(_text(v, most) for v in value[:most]) + more
        case _:
            return str(value)
