import io
import math
import os
import re
import stat
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from autogrow.data import DataSpec, prepare
from autogrow.evaluation import baseline, evaluate
from autogrow.evaluation.curves import curves
from autogrow.policy.history import Anneal, Event, Keep, Regularize, Undo, Widen
from autogrow.policy.newborns import Newborns
from autogrow.report import write_report
from autogrow.report.drawing.scale import fit, path
from autogrow.show.display import Display
from autogrow.show.story import headline, tell

HOSTILE = "<img src='https://example.org/x' onerror=alert(1)>\"&</script>"


class Page(HTMLParser):
    """A page taken apart: (tag, attributes) of every element, and the text outside style and script."""

    VOID = frozenset({"meta", "link", "input", "br", "path", "rect"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        assert self.open == [], f"never closed: {self.open}"
        self.text = " ".join("".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {k: v or "" for k, v in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag not in ("span", "i", "b"):
            self.words.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {k: v or "" for k, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    def all(self, tag: str, look: str = "") -> list[dict[str, str]]:
        return [a for t, a in self.elements if t == tag and set(look.split()) <= set(a.get("class", "").split())]


def page_of(run: Any, folder: Path) -> Page:
    return Page(write_report(folder, **run.arguments()).read_text(encoding="utf-8"))


def test_the_page_says_what_the_run_found_and_how_to_repeat_it(run, tmp_path):
    page = page_of(run, tmp_path)
    assert "Grew from 32 to 168-168-168 in 6 growths; test error 3.03 %" in page.text
    assert f"How it ended: {run.result['stop_reason']}" in page.text
    for said in ("69,394 parameters", "56.2 GFLOP", "213.7 passes", "2.13.0", "9f2c1a7be0d3c7f1", run.command):
        assert said in page.text
    assert " ".join(run.config.split()) in page.text


def test_new_units_are_drawn_beside_the_old_ones_where_they_were_looked_at(run, tmp_path):
    title = "New units over old ones"
    assert title not in page_of(run, tmp_path).text
    rows = [
        replace(
            row,
            newborns=tuple(Newborns(at, 0.5, 1.5, min(1.0, (row.check - at) / 20)) for at in (6, 9) if at < row.check),
        )
        for row in run.rows
    ]
    page = page_of(run.but(rows=rows), tmp_path)
    assert page.text.count(f"{title}, each growth (1: alike)") == 2  # on each axis
    for look in ("gradient", "update", "weights"):
        assert len([a for a in page.all("path", f"newborn-{look}") if a["d"] != "M1 4H23"]) == 2 * 2  # each growth
    assert any("the old ones', 1.000 at the end" in a.get("aria-label", "") for a in page.all("svg"))


def test_how_fine_the_columns_are_is_drawn_where_some_became_finer(run, tmp_path):
    title = "Pieces of the columns made finer, together"
    assert title not in page_of(run, tmp_path).text
    rows = [replace(row, knots={"age": 8} if row.check > 5 else {}) for row in run.rows]
    rows[-1] = replace(rows[-1], knots={"age": 8, "income": 32})
    page = page_of(run.but(rows=rows), tmp_path)
    assert page.text.count(title) == 2  # on each axis
    first, _ = [a["d"] for a in page.all("path", "pieces")]
    heights = [float(y) for y in re.findall(r"(?:^M0 |V)([\d.]+)", first)]
    assert len(heights) == len(rows)
    assert sorted(set(heights)) == [0, 800, 1000]  # of 40 pieces: all, 8, none
    assert any("2 columns finer at the end, read in 40 pieces" in a.get("aria-label", "") for a in page.all("svg"))


def test_every_growth_has_a_card_with_reason_cost_and_proof(run, tmp_path):
    page = page_of(run, tmp_path)
    grown = [(a, b) for a, b in zip(run.rows, run.rows[1:], strict=False) if b.event and b.event.grew]
    assert len(page.all("li", "card growth")) == len(grown) == 6
    for before, row in grown:
        assert before.reason in page.text
        assert f"parameters {row.event.before.parameters:,} → {row.event.after.parameters:,}" in page.text
    assert page.text.count("answers unchanged to 3.1e-15 (promised 1e-9)") == 6
    assert "returned to check 36 and annealed over 390 steps" in page.text


def test_every_check_is_told_once(run, tmp_path):
    """A check is in the table of those that kept the net, or its reason is on the card of what it decided."""
    page = page_of(run, tmp_path)
    kept = [row for row in run.rows if isinstance(row.action, Keep)]
    listed = len(page.all("td", "text"))
    assert listed == len(kept)
    assert listed + len(page.all("li", "card")) == len(run.rows)


def test_growths_are_marked_where_the_check_that_decided_them_ended(run, tmp_path):
    page = page_of(run, tmp_path)
    for key, value in (("checks", lambda row: row.check + 1), ("flops", lambda row: row.train_flops)):
        last = value(run.rows[-1])
        expected = [round(1000 * value(run.rows[row.event.decided_at]) / last) for row in run.rows if row.event]
        start = next(i for i, (_, a) in enumerate(page.elements) if a.get("data-axis") == key)
        panel = []
        for tag, attributes in page.elements[start:]:
            panel.append((tag, attributes))
            if tag == "path" and "train" in attributes.get("class", "") and attributes["d"] != "M1 4H23":
                break
        marks = [a["d"] for t, a in panel if t == "path" and "mark" in a.get("class", "").split()]
        assert [round(float(d[1:].split()[0])) for d in marks] == expected


def test_both_axes_show_loss_error_gap_and_widths(run, tmp_path):
    page = page_of(run, tmp_path)
    pictures = [a["aria-label"] for t, a in page.elements if t == "svg" and a.get("role") == "img"]
    assert len(pictures) == 8
    assert pictures[:4] == pictures[4:]
    assert pictures[3].endswith("32, 32-32, 48-48, 72-72, 112-112, 112-112-112, 168-168-168")
    nets = [a["class"] for t, a in page.elements if t == "rect" and "band" in a["class"]]
    assert len(nets) == 2 * (1 + 2 + 2 + 2 + 2 + 3 + 3)


@pytest.mark.parametrize(
    "name", ["run", "fixed_run", "regression_run", "one_row", "no_rows", "broken", "unapplied", "undone", "regularized"]
)
def test_any_run_makes_a_whole_page(name, run, fixed_run, regression_run, tmp_path):
    first, nan = run.rows[0], math.nan
    lost = replace(run.rows[7], train_loss=nan, val_loss=math.inf, score=nan, gap=nan, val_error=nan, train_error=nan)
    grown = run.rows[6].event
    back = {"event": Event(Undo(5), before=grown.after, after=grown.before)}
    exact = {"promise": 0.0, "max_abs_change": 0.0}
    dropped = {"event": Event(Regularize(7, 0.2), before=grown.after, after=grown.after, receipt=exact)}
    case = {
        "run": run,
        "fixed_run": fixed_run,
        "regression_run": regression_run,
        "one_row": run.but(rows=[first]),
        "no_rows": run.but(rows=[]),
        "broken": run.but(rows=[*run.rows[:7], lost, *run.rows[8:]]),
        "unapplied": run.but(rows=[*run.rows[:5], replace(run.rows[5], action=Widen({"hidden.0": 48}))]),
        "undone": run.but(rows=[*run.rows[:8], replace(run.rows[8], **back, action=Keep())]),
        "regularized": run.but(rows=[*run.rows[:8], replace(run.rows[8], **dropped, action=Keep()), *run.rows[9:]]),
    }[name]
    page = page_of(case, tmp_path)
    assert page.all("h1")
    drawn = [a["d"] for t, a in page.elements if t == "path"] + [a.get("style", "") for _, a in page.elements]
    numbers = [float(n) for text in drawn for n in re.findall(r"-?\d+(?:\.\d+)?", text)]
    assert all(-0.5 <= n <= 1000.5 for n in numbers)
    assert not any(re.search(r"nan|inf|None", text) for text in drawn)
    assert ("not finite" in page.text) == (name == "broken")
    assert ("training ended before this was applied" in page.text) == (name == "unapplied")
    assert ("taken back: the delivered net does not have it" in page.text) == (name == "undone")
    said = "went back to check 7 and trained on with dropout 0.2"
    assert (said in page.text) == ("answers unchanged, exactly" in page.text) == (name == "regularized")
    assert ("test rmse 16.34" in page.text) == (name == "regression_run")


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_it_reads_the_data_card_that_a_run_makes(name, run, regression_run, tmp_path):
    card = prepare(DataSpec(name=name, source="sklearn")).card
    page = page_of((regression_run if name == "diabetes" else run).but(card=card), tmp_path)
    for label, rows in [*card["splits"].items(), *((c["label"], c["rows"]) for c in card.get("classes", ()))]:
        assert f"{label}{rows}" in page.text
    assert card["origin"] in page.text


def test_a_perfect_loss_stands_at_the_edge_of_a_log_scale(run, tmp_path):
    page = page_of(run.but(rows=[*run.rows[:-1], replace(run.rows[-1], train_loss=0.0)]), tmp_path)
    assert "Loss, log scale (0 at the edge) train" in page.text


def heights(page: Page, of: str) -> list[float]:
    """Places from the top, in percent, of a curve of the error panel of the first figure."""
    shown = [a for t, a in page.elements if t in ("svg", "path")]
    start = next(i for i, a in enumerate(shown) if "val error from" in a.get("aria-label", ""))
    path = next(a["d"] for a in shown[start:] if a.get("class", "") == of)
    return [float(y) / 10 for y in re.findall(r"[ML]\d+ ([\d.]+)", path)]


@pytest.mark.parametrize("perfect", [False, True])
def test_a_late_rise_of_the_error_is_a_rise_on_paper(run, tmp_path, perfect):
    """Neither a high start nor a train error of nearly nothing presses it flat."""
    errors = [0.6, 0.3, *[0.02] * 29, *[0.03] * 29]
    rows = [
        replace(row, event=None, action=Keep(), val_error=error, train_error=1e-5 if perfect and i > 2 else error)
        for i, (row, error) in enumerate(zip(run.rows, errors, strict=True))
    ]
    page = page_of(run.but(rows=rows), tmp_path)
    drawn = heights(page, "val")
    assert drawn[-2] < drawn[-35] - 10  # percent of the panel's height
    assert "Error, from 60.00 % at the start" in page.text


def test_the_axis_counts_as_the_reasons_do_and_says_what_a_check_is(run, tmp_path):
    page = page_of(run, tmp_path)
    assert "0 20 40 check (30 steps, 3.6 passes over the training data, each)" in page.text
    assert "kept the net: checks 0 to 4, 3.6 to 17.8 passes" in page.text
    assert "check 5, 21.4 passes: train" in page.text


@pytest.mark.parametrize(("scaled", "said"), [(1.0, "go by is the val loss."), (0.9, "at the temperature that makes")])
def test_the_score_is_explained(run, tmp_path, scaled, said):
    rows = [replace(row, score=scaled * row.score) for row in run.rows]
    assert said in page_of(run.but(rows=rows), tmp_path).text


def test_a_refit_is_told_by_what_it_learned_and_is_no_trouble(run, tmp_path):
    """Its checks have no validation to be judged on: the delivered net stands on the train curve."""
    nan = math.nan
    lost = {"val_loss": nan, "val_error": nan, "score": nan, "gap": nan}
    rows = [replace(row, phase="refit", **lost) if row.check > 55 else row for row in run.rows]
    page = page_of(run.but(rows=rows), tmp_path)
    assert "not finite" not in page.text
    assert page.all("span", "badge trouble") == []
    assert "kept the net: checks 47 to 58, 171 to 210.2 passes, train loss" in page.text
    assert len(page.all("span", "dot delivered")) == 2 * 4  # in the plots and their keys
    file = io.StringIO()
    display = Display(Console(file=file, width=200), every=0.0)
    display.start("digits", {})
    for row in rows[50:]:
        display.check(row)
    assert "refit  train " in file.getvalue()
    assert "not finite" not in file.getvalue()


def test_no_minus_stands_before_a_zero(run, tmp_path):
    rows = [replace(row, gap=-1e-4 * row.val_loss) for row in run.rows]
    page = page_of(run.but(rows=rows), tmp_path)
    assert "gap 0 %" in page.text
    assert "-0 %" not in page.text


def answers_of(task: str) -> dict[str, Any]:
    """What a run's result and `curves.json` say of made-up answers."""
    draw = np.random.default_rng(0)
    if task == "regression":
        labels, names, y, prior = [], ("weight", "length"), draw.normal(size=(50, 2)), [0.0, 0.0]
        outputs = y + 0.3 * draw.normal(size=y.shape)
    else:
        labels, names = (["no", "yes"], ()) if task == "binary" else (["ant", "bee", "<cat>"], ())
        y, prior = draw.integers(0, len(labels), 50), [1 / len(labels)] * len(labels)
        outputs = draw.dirichlet(np.ones(len(labels)), 50)
    kind = "regression" if task == "regression" else "classification"
    metrics = evaluate(kind, labels, outputs, y, names=names)
    base = baseline(kind, labels, prior, y, names=names)
    drawn = curves(kind, labels, outputs, y, names=names, before=None if labels == [] else outputs)
    measured = {"loss": 0.1, **({"rmse": metrics["rmse"]} if labels == [] else {"error": metrics["error"]})}
    sides = {key: {"val": v, "test": v} for key, v in (("metrics", metrics), ("baseline", base))}
    result = {"metric": "auto", "val": measured, "test": measured, **sides}
    return {"result": result, "curves": {"split": "test", **drawn}, "metrics": metrics}


@pytest.mark.parametrize(
    ("task", "pictures"),
    [
        ("binary", ["ROC curve", "Precision and recall", "Calibration of yes"]),
        ("multiclass", ["ROC curve", "Precision and recall", "Calibration of the answers"]),
        (
            "regression",
            [f"{what} {of}" for of in ("weight", "length") for what in ("Predicted and true", "Residuals of")],
        ),
    ],
)
def test_the_page_draws_how_well_the_net_answers(run, regression_run, tmp_path, task, pictures):
    of = regression_run if task == "regression" else run
    made = answers_of(task)
    page = page_of(of.but(result=of.result | made["result"], curves=made["curves"]), tmp_path)
    assert re.findall("|".join(map(re.escape, pictures)), page.text)[: len(pictures)] == pictures
    assert len(page.all("figure", "chart")) == len(pictures)
    counts = [n for row in made["metrics"].get("confusion", []) for n in row]
    cells = page.all("td", "right") + page.all("td", "wrong")
    assert len(cells) == len(counts)
    for said in ("ROC AUC", "balanced accuracy") if task != "regression" else ("R²", "MAE", "weight", "length"):
        assert said in page.text
    drawn = [float(n) for t, a in page.elements if t == "path" for n in re.findall(r"-?\d+(?:\.\d+)?", a["d"])]
    assert all(-0.5 <= n <= 1000.5 for n in drawn)


EFFECTS = [
    {
        "name": "a<b>",
        "x": [0.0, 1.0, 2.0, 3.0, 90.0],
        "lines": [{"label": k, "y": [0.1, 0.2, 0.3, 0.2, 0.9]} for k in "pq"],
    },
    {"name": "age", "x": [18.0, 40.0, 80.0], "lines": [{"label": k, "y": [0.5, 0.1, 0.0]} for k in "qr"]},
]


def test_the_page_draws_how_finer_columns_are_read(run, tmp_path):
    page = page_of(run.but(curves={"effects": EFFECTS}), tmp_path)
    assert "How it reads the columns it made finer" in page.text
    assert [t for t in ("a<b>", "age") if t in page.text] == ["a<b>", "age"]
    assert "4 pieces, the outer ones not drawn" in page.text  # the last is thirty times as long as the others
    assert "2 pieces" in page.text
    marks = [a["d"] for t, a in page.elements if t == "path" and a.get("class") == "knots"]
    assert [d.count("M") for d in marks] == [3, 3]
    looks = [a["class"] for t, a in page.elements if t == "path" and a.get("class", "").startswith("class-")]
    assert set(looks) == {"class-0", "class-1", "class-2"}  # p, q and r: each has its own
    drawn = [float(n) for t, a in page.elements if t == "path" for n in re.findall(r"-?\d+(?:\.\d+)?", a["d"])]
    assert all(-30 <= n <= 1000.5 for n in drawn)


def test_targets_of_several_units_have_scales_of_their_own(regression_run, tmp_path):
    one = {"name": "u", "x": [0.0, 1.0], "lines": [{"label": "weight", "y": [1000.0, 2000.0]}]}
    other = {"name": "v", "x": [0.0, 1.0], "lines": [{"label": "length", "y": [0.1, 0.2]}]}
    page = page_of(regression_run.but(curves={"effects": [one, other]}), tmp_path)
    lines = [a["d"] for t, a in page.elements if t == "path" and a.get("class", "").startswith("class-")]
    heights = [abs(float(y[1]) - float(y[0])) for d in lines if len(y := re.findall(r" (\S+?)(?=L|$)", d)) == 2]
    assert len(heights) == 2
    assert min(heights) > 500


def test_a_run_of_before_pictures_has_none(run, tmp_path):
    page = page_of(run, tmp_path)
    assert page.all("figure") == []
    assert "How well it answers" not in page.text


def test_the_page_says_how_the_net_is_used(run, tmp_path):
    folder = tmp_path / "my run"
    folder.mkdir()
    text = page_of(run, folder).text
    for line in (
        f"autogrow predict '{folder}' table.csv",
        f"autogrow predict '{folder}' table.csv out=predictions.parquet",
        f"autogrow evaluate '{folder}' table.csv",
        f"net = autogrow.load({str(folder)!r})",
        "net.predict_proba(table)",
    ):
        assert line in text
    images = page_of(run.but(card=run.card | {"columns": [1, 8, 8]}), folder).text
    assert "table.csv" not in images
    assert "net.predict(images)" in images


def test_what_was_taken_back_is_not_counted_as_grown(run):
    """A return forgets the growths after the net it returns to, and what grew before stays."""
    rows = [replace(row, event=Event(Anneal(9, 30))) if row.check == 47 else row for row in run.rows]
    story = tell(rows)
    assert [told.number for told in story.kept] == [1, 2]
    assert len(story.growths) == 6
    result = run.result | {"widths": [48, 48]}
    assert headline(rows, result) == "Grew from 32 to 48-48 in 2 growths (4 more taken back)"


def test_nothing_is_loaded_from_anywhere(run, tmp_path):
    html = write_report(tmp_path, **run.arguments()).read_text(encoding="utf-8")
    page = Page(html)
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "data", "action", "poster", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert not re.search(r"https?:|@import|url\(", html)
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_text_from_outside_stays_text(run, tmp_path):
    plain = page_of(run, tmp_path)
    rows = [replace(row, reason=HOSTILE, phase=HOSTILE) for row in run.rows]
    card = run.card | {"name": HOSTILE, "notes": [HOSTILE], "classes": [{"label": HOSTILE, "rows": 1, "share": 1.0}]}
    result = run.result | {"stop_reason": HOSTILE, "versions": {HOSTILE: HOSTILE}}
    page = page_of(run.but(rows=rows, card=card, result=result, config=HOSTILE, command=HOSTILE), tmp_path)
    assert page.text.count(HOSTILE) > 60
    assert not page.all("img")
    assert len(page.all("script")) == len(plain.all("script")) == 2


def test_a_page_appears_whole_or_not_at_all(run, tmp_path, monkeypatch):
    path = write_report(tmp_path, **run.arguments())
    before = path.read_text(encoding="utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644

    def fail(old: str, new: Path) -> None:
        assert Path(old).read_text(encoding="utf-8").endswith("</html>")
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        write_report(tmp_path, **run.but(command="another").arguments())
    assert path.read_text(encoding="utf-8") == before
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, min_value=None), max_size=8), st.booleans())
def test_a_scale_holds_every_finite_value_and_its_ticks(values, zero):
    values = [v if not math.isfinite(v) else math.fmod(v, 1e9) for v in values]
    scale = fit(values, zero=zero)
    places = [scale.at(v) for v in [*values, *scale.round_values()] if math.isfinite(v)]
    assert all(-0.01 <= place <= 100.01 for place in places)
    assert 1 <= len(scale.round_values()) <= 12


def test_a_line_goes_through_every_point_that_is_there():
    assert path([0, 10, 20, 30], [1.0, None, 3.0, 4.0]) == "M0 10h0M200 30L300 40"
    assert path([], []) == ""
