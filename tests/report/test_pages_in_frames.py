"""What every page keeps to, in a browser, as a desk, a tablet, phones, the dark and paper have it.

Nothing is wider than the screen or cut, no label lies on another, headings are in order, no section is empty, what is
drawn and what is tabled has a name, what scrolls is reached by keys, the focus is seen, the ink is read, and what is
folded is open on paper.
"""

from dataclasses import replace

import pytest
from comparisons import CASES, ROWS
from pages_in_frames import CHROMIUM, faults
from sweeps import CASES as SWEEPS
from test_report import answers_of

from autogrow.report import write_report
from autogrow.report.comparison.page import render
from autogrow.report.sweep.page import render as sweep_page

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]

ENDLESS = "a_very_long_name_without_any_space_in_it" * 4


def test_a_run(run, tmp_path):
    made = answers_of("multiclass")
    rows = [replace(row, reason=ENDLESS) for row in run.rows]
    case = run.but(
        rows=rows,
        command="autogrow fit " + "data.path=/a/long/path" * 12,
        result=run.result | made["result"],
        curves=made["curves"],
    )
    assert faults(write_report(tmp_path, **case.arguments()).read_text(encoding="utf-8"), tmp_path) == []


def test_a_run_with_values(regression_run, tmp_path):
    made = answers_of("regression")
    case = regression_run.but(result=regression_run.result | made["result"], curves=made["curves"])
    assert faults(write_report(tmp_path, **case.arguments()).read_text(encoding="utf-8"), tmp_path) == []


@pytest.mark.parametrize("case", CASES)
def test_a_comparison(case, tmp_path):
    assert faults(render(CASES[case], ROWS), tmp_path) == []


@pytest.mark.parametrize("case", SWEEPS)
def test_a_sweep(case, tmp_path):
    assert faults(sweep_page(SWEEPS[case]), tmp_path) == []
