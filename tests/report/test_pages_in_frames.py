"""What every page keeps to, in a browser, as a desk, a tablet, phones, the dark and paper have it.

Nothing is wider than the screen or cut, no label lies on another, headings are in order, no section is empty, what is
drawn and what is tabled has a name, what scrolls is reached by keys, the focus is seen, the ink is read, and what is
folded is open on paper.
"""

from dataclasses import replace

import pytest
from comparisons import CASES as COMPARISONS
from comparisons import ROWS
from fronts import POINTS
from pages_in_frames import CHROMIUM, FRAMES, faults
from stages import STAGES
from sweeps import CASES as SWEEPS
from test_report import EFFECTS, answers_of

from autogrow.report import write_report
from autogrow.report.comparison.page import render as comparison_page
from autogrow.report.front.page import write_front
from autogrow.report.stages.page import write_stages_report
from autogrow.report.sweep.page import render as sweep_page

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]

ENDLESS = "a_very_long_name_without_any_space_in_it" * 4

BAD = """<!doctype html><html><head><title>bad</title><style>
p.pale { color: #bbb; } a { outline: none !important; } .wide { overflow-x: auto; width: 5rem; }
@media (prefers-color-scheme: dark) { p.pale { background: #ccc; } }
</style></head><body><main><h1>one</h1><h3>three</h3>
<section id="a"><h2>empty</h2></section><section id="a"><p style="width: 2000px">too wide, and its words run on and on and
on and on and on and on and on and on and on and on and on and on and on and on and on and on and on and on and on</p></section>
<p class="pale">pale</p><a href="#a">go</a><div class="wide"><table><tr><th>head</th><td>a_cell_that_is_wide_and_has_no_space</td></tr></table></div>
<svg viewBox="0 0 100 20" width="100" height="20"><text x="90" y="10">cut off</text><text x="5" y="10">on</text><text x="6" y="10">it</text></svg>
<div style="height: 1rem; overflow: hidden">cut<br>at its<br>foot</div><input><figure>no caption</figure><details><summary>more</summary><p>folded</p></details></main></body></html>"""


def read(path):
    return path.read_text(encoding="utf-8")


def test_the_page_of_a_run(run, regression_run, tmp_path):
    made, values = answers_of("multiclass"), answers_of("regression")
    endless = run.but(
        rows=[replace(row, reason=ENDLESS) for row in run.rows],
        command="autogrow fit " + "data.path=/a/long/path" * 12,
        result=run.result | made["result"],
        curves=made["curves"],
    )
    cases = {
        "classes": endless,
        "values": regression_run.but(
            result=regression_run.result | values["result"], curves=values["curves"] | {"effects": EFFECTS}
        ),
        "no checks": run.but(rows=[]),
    }
    pages = {name: read(write_report(tmp_path, **case.arguments())) for name, case in cases.items()}
    assert faults(pages, tmp_path) == []


def test_the_page_of_a_comparison(tmp_path):
    assert faults({name: comparison_page(case, ROWS) for name, case in COMPARISONS.items()}, tmp_path) == []


def test_the_page_of_a_sweep(tmp_path):
    assert faults({name: sweep_page(case) for name, case in SWEEPS.items()}, tmp_path) == []


def test_the_pages_of_a_front_and_of_stages(tmp_path):
    front = write_front(tmp_path, POINTS, run="runs/fit", name="digits", seconds=15.0, shares="1 GFLOP")
    stages = write_stages_report(tmp_path, result=STAGES, config="data: {}\n", command="autogrow fit data.arrival=…")
    assert faults({"front": read(front), "stages": read(stages)}, tmp_path) == []


def test_a_page_that_breaks_every_rule_is_found_out(tmp_path):
    found = faults({"bad": BAD}, tmp_path)
    asked = {f"bad, {frame}: {rule}" for frame, (_, rules) in FRAMES.items() for rule in rules}
    assert asked == {": ".join(fault.split(": ")[:2]) for fault in found}
    for said in ("leaves out a level", "is cut at its foot", "is empty", "is there twice", "px wider than", "sticks out of", "overlap",
                 "is a picture without a name", "no caption", "no scope", "no label", "no language", "cannot be reached",
                 "does not show that it has the focus", "stays folded", "has no heading as its name"):  # fmt: skip
        assert any(said in fault for fault in found), said
