"""The page of a sweep says what the sweep holds, ranks by validation alone, and leads to what is there."""

import copy
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from sweeps import CASES

from autogrow.report.sweep.page import headline, render, write_sweep


class Links(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name == "href" and tag == "a"]


@pytest.mark.parametrize("case", CASES)
def test_everything_is_there_and_nothing_says_none(case):
    sweep = CASES[case]
    page = render(sweep)
    for one in sweep["sets"]:
        for cell in one["cells"]:
            assert all(f"seed {run['seed']}" in page for run in cell["runs"])
        assert f"{one['metric']}" in page
    for failure in sweep["failures"]:
        assert failure["message"] in page
    for key in sweep["keys"]:
        varies = any(len({cell["settings"][key] for cell in one["cells"]}) > 1 for one in sweep["sets"])
        assert (f"<h3>{key}</h3>" in page) == varies
    shown = re.sub(r"<(style|pre)\b.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert not re.search(r"\b(None|nan|inf)\b", shown)


def test_the_test_set_ranks_nothing():
    """Whatever the test figures are, the same setting is first; a search shows none of them."""
    sweep = copy.deepcopy(CASES["names"])
    before = headline(sweep)
    for cell in sweep["sets"][0]["cells"]:
        cell["mean"]["test_error"] = {"value": 0.9876 if cell["best"] else 0.0, "low": None, "high": None}
    assert headline(sweep) == before
    assert before.startswith("Of 6 settings on digits, growth=gap net.widths=[16] has the least validation error: 0.")
    assert "98.76 %" in render(sweep)
    assert "98.76 %" not in render(sweep | {"chooses": True})


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("seeds alone", "5 runs of one setting on digits: validation error "),
        ("nothing finished", "No job of 13 has finished"),
        ("numbers", "Of 12 settings on digits, optimizer.lr=0.001 net.dropout=0.0 has the least validation rmse: "),
    ],
)
def test_the_headline_is_a_sentence(case, said):
    assert headline(CASES[case]).startswith(said)


def test_settings_that_are_level_are_said_to_be():
    sweep = copy.deepcopy(CASES["names"])
    first, second = sweep["sets"][0]["cells"][:2]
    second["mean"]["val_error"] = first["mean"]["val_error"]
    assert headline(sweep).endswith(", as 1 other has")


def test_links_lead_to_what_is_there(tmp_path):
    sweep = CASES["names"]
    first = sweep["sets"][0]["cells"][0]["runs"][0]["name"]
    for there in (f"{first}/report.html", "job-9/log.txt", "compare.html"):
        (tmp_path / there).parent.mkdir(exist_ok=True)
        (tmp_path / there).write_text("")
    found = Links(write_sweep(tmp_path, sweep).read_text(encoding="utf-8")).found
    assert sorted(found) == sorted(["compare.html", f"{first}/report.html", "job-9/log.txt"])
    assert all((tmp_path / unquote(link)).is_file() for link in found)


def test_many_trials_stay_a_small_page():
    assert len(render(CASES["many trials"]).encode()) < 200_000


def test_names_are_text_and_not_code():
    sweep = copy.deepcopy(CASES["names"])
    hostile = "<script>alert(1)</script>"
    sweep["sets"][0]["cells"][0]["settings"]["growth"] = hostile
    sweep["failures"][0]["name"] = sweep["name"] = hostile
    page = render(sweep)
    assert "<script" not in page
    assert "&lt;script&gt;alert" in page
