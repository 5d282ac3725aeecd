"""`report.html`: one file that opens anywhere, without a network, and shows how a net came to its size."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Template
from markupsafe import Markup, escape

from autogrow.data import lines
from autogrow.evaluation.judge import value_of
from autogrow.policy.history import History, Row
from autogrow.report.run.answers import charts, confusion
from autogrow.report.run.chapters import Kept, chapters, columns
from autogrow.report.run.effects import effect_charts
from autogrow.report.run.figure import axes, draw
from autogrow.report.run.use import lines_to_use
from autogrow.report.templates import compile_parts, templates
from autogrow.show import words
from autogrow.show.check import judges, measured
from autogrow.show.measures import consolation, details, judged_by, name_of, say, split_of, table, verdict
from autogrow.show.story import Story, headline, tell
from autogrow.train.record.files import write_page
from autogrow.train.record.folder import REPORT

_PAGE = "run/page.html.j2"


def write_report(
    folder: Path,
    *,
    rows: Sequence[Row],
    result: Mapping[str, Any],
    card: Mapping[str, Any],
    config: str,
    command: str,
    curves: Mapping[str, Any] | None = None,
) -> Path:
    """Write `report.html` into a run folder and return its path.

    `rows` is the history, `result` what `result.json` holds, `card` the data card, `config` the resolved config as
    YAML, `command` what reproduces the run, `curves` what `curves.json` holds, none for a run of before it was written.
    The page appears whole or not at all.
    """
    path = Path(folder) / REPORT
    html = render(
        rows=rows, result=result, card=card, config=config, command=command, curves=curves or {}, folder=str(folder)
    )
    write_page(path, html)
    return path


def template() -> Template:
    """The page's own, compiled once in a process."""
    environment = templates()
    environment.filters["whole"] = _whole
    return environment.get_template(_PAGE)


def compiled() -> None:
    """Compile the page's template and those it is made of, which else its first page does."""
    template()
    compile_parts(_PAGE)


def render(
    *,
    rows: History,
    result: Mapping[str, Any],
    card: Mapping[str, Any],
    config: str,
    command: str,
    curves: Mapping[str, Any],
    folder: str,
) -> str:
    """The page as a string of HTML."""
    metric, split = words.measure_name(result["task"]), split_of(result)
    found, base = (result.get(key, {}).get(split, {}) for key in ("metrics", "baseline"))
    story = tell(rows, result.get("best_epoch"))
    return template().render(
        name=card["name"],
        headline=f"{headline(rows, result)}; {verdict(result)}",
        consolation=consolation(result),
        ended=words.ending(result["stop_reason"]),
        result=result,
        metric=metric,
        story=story,
        tiles=_tiles(result, metric, story),
        figures=[draw(rows, story, axis, metric, result[split].get(metric), base.get(metric)) for axis in axes(rows)],
        score=_score_of(rows),
        columns=columns(metric),
        readings=_readings(rows, metric, judged_by(result)),
        split=split,
        refitted=not all(judges(row) for row in rows),
        table=table(result),
        details=details(result),
        confusion=confusion(found),
        charts=charts(curves, found, base),
        effects=effect_charts(curves.get("effects", ()), result["task"]),
        use=lines_to_use(folder, card),
        delivered=rows.index(story.delivered) if story.delivered else 0,
        chapters=chapters(rows, story, metric),
        is_kept=lambda chapter: isinstance(chapter, Kept),
        card=[(what, value) for what, value in lines(card) if what not in ("split", "classes")],
        shares=_shares(card),
        config=config,
        command=command,
        versions=result.get("versions", {}),
    )


def _whole(text: str) -> Markup:
    """Escaped text in which widths ('216-216') and numbers with their units stay on one line."""
    return Markup(re.sub(r"\d+(-\d+)+|[\d.]+ %", r'<span class="whole">\g<0></span>', str(escape(text))))


def _tiles(result: Mapping[str, Any], metric: str, story: Story) -> list[tuple[str, str, str]]:
    """The few numbers a reader came for: what it is, the number, what belongs beside it."""
    split = split_of(result)
    val, test, base = result["val"], result[split], result.get("baseline", {}).get(split, {})
    without = f", baseline {words.measure(metric, base[metric])}" if base else ""
    taken_back = len(story.growths) - len(story.kept)
    size = f"{words.count(result['parameters'])} parameters, {words.flops(result['flops_per_sample'])} per sample"
    return [
        (
            f"{split} {metric}",
            words.measure(metric, test[metric]),
            f"val {words.measure(metric, val[metric])}{without}",
        ),
        (f"{split} loss", words.number(test["loss"]), f"val {words.number(val['loss'])}"),
        ("hidden widths", words.widths(result["widths"]), size),
        ("growths", str(len(story.kept)), f"and {taken_back} taken back" if taken_back else "none taken back"),
        ("training", words.flops(result["train_flops"]), f"and {words.flops(result['eval_flops'])} for the checks"),
        ("time", words.duration(result["seconds"]), f"{words.passes(result['epochs'])} over the data"),
    ]


def _readings(rows: History, metric: str, judge: str) -> list[dict[str, Any]]:
    """What the page says about a check when it is pointed at; `judge`: the metric of rows that were judged by one."""
    by_checks, by_flops = axes(rows)
    return [
        {
            "checks": by_checks.at[i],
            "flops": by_flops.at[i],
            "title": f"check {row.check} · {words.passes(row.passes)} · {words.flops(row.train_flops)} · {row.phase}",
            "values": [
                *([name, said] for name, said in measured(row, metric, 3).items()),
                *([] if row.judged is None else [[name_of(judge), say(judge, value_of(judge, row.judged))]]),
                ["widths", words.widths(row.widths)],
                ["rate", f"{row.lr:.2g}"],
            ],
            "reason": row.reason,
        }
        for i, row in enumerate(rows)
    ]


def _score_of(rows: History) -> str:
    """What the reasons mean by the score."""
    if all(row.score == row.val_loss or not row.finite() for row in rows):
        return "The score that growing and stopping go by is the val loss."
    return (
        "The score that growing and stopping go by is the val loss at the temperature that makes it least: "
        "what it would be were the net exactly as sure of itself as it may be."
    )


def _shares(card: Mapping[str, Any], most: int = 20) -> list[tuple[str, list[tuple[str, str, float]], str]]:
    """What of the data card is better drawn than said: title, bars (label, count, percent of the longest),
    what is left out.
    """
    counts = [("split", [(name, rows) for name, rows in card["splits"].items()])]
    if "classes" in card:
        counts.append(("classes", [(str(c["label"]), c["rows"]) for c in card["classes"]]))
    drawn = []
    for title, pairs in counts:
        top = max(rows for _, rows in pairs) or 1
        bars = [(name, words.count(rows), round(100 * rows / top, 1)) for name, rows in pairs[:most]]
        drawn.append((title, bars, f"and {len(pairs) - most} more" if len(pairs) > most else ""))
    return drawn
