"""The page of a comparison holds what the comparison holds, whatever that is,
and says so in a browser without asking the network.
"""

import base64
import copy
import re

import pytest
from comparisons import CASES, ROWS

from autogrow.report.comparison.page import render


@pytest.mark.parametrize("case", CASES)
def test_everything_is_there_and_nothing_says_none(case):
    plain = CASES[case]
    page = render(plain, ROWS)
    for name, facts in plain["arms"].items():
        assert facts["label"] in page, name
        assert facts["about"] in page
    for verdict in plain["verdicts"]:
        assert verdict["text"] in page
    assert all(warning in page for warning in plain["warnings"])
    shown = re.sub(r"<(style|pre)\b.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert not re.search(r"\b(None|nan|inf)\b", shown)
    assert not re.search(r"\bnan\b", page.partition("<svg")[2])
    assert "not reached" in page
    assert page.index(plain["verdicts"][0]["sentence"] if plain["verdicts"] else plain["title"]) < page.index(
        "The arms"
    )
    assert all(f["message"] in page for f in plain["failures"])


def test_what_nets_take_on_a_device_is_a_pair_of_columns():
    page = render(CASES["on a device"], ROWS)
    heads = re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', page)
    assert heads.index("kB") == heads.index("µs on device") + 1
    assert 'data-head="µs on device">2.47</td><td role="cell" data-head="kB">8.0</td>' in re.sub(r">\s+<", "><", page)
    assert CASES["on a device"]["device"]["about"] in page
    assert "on device" not in render(CASES["one arm"], ROWS)


def test_names_are_text_and_not_code():
    plain = copy.deepcopy(CASES["eleven arms and a search"])
    plain["arms"]["grow"]["label"] = plain["verdicts"][0]["sentence"] = plain["verdicts"][0]["text"] = (
        "<script>alert(1)</script>"
    )
    plain["pairs"][0]["a"] = "<script>"
    plain["search"]["pareto"]["against"]["parameters"]["points"][0]["label"] = '"><script>'
    page = render(plain, ROWS)
    assert "<script" not in page
    assert "&lt;script&gt;alert" in page


def test_the_csv_is_whole():
    page = render(CASES["one seed"], ROWS)
    link = re.search(r'href="data:text/csv;base64,([^"]*)"', page)
    assert base64.b64decode(link[1]).decode().splitlines() == [
        "arm,seed,test_error,extra",
        "grow,0,0.1,",
        "fixed_256,0,nan,",
    ]


def test_links_lead_to_what_is_there(tmp_path):
    """A run to its page and a failure to its log, where the folder holds them; nothing else."""
    rows = [{**row, "folder": f"{row['arm']}/seed_{row['seed']}"} for row in ROWS]
    for there in ("grow/seed_0/report.html", "big_fixed/log.txt"):
        (tmp_path / there).parent.mkdir(parents=True)
        (tmp_path / there).write_text("")
    page = render(CASES["an arm that failed"], rows, tmp_path)
    links = re.findall(r'<a [^>]*href="(?!data:)([^"]*)"', page)
    assert set(links) == {"grow/seed_0/report.html", "big_fixed/log.txt"}
    assert all((tmp_path / link).is_file() for link in links)


def test_the_front_of_costs_is_of_the_tables_split_with_intervals_and_names():
    plain = CASES["regression"]
    page = render(plain, ROWS)
    pictures = re.findall(
        r'<svg class="drawn"[^>]*aria-label="(test rmse of each arm against [^"]*)">(.*?)</svg>', page
    )
    assert [title.rpartition(" against ")[2] for title, _ in pictures] == [
        "training FLOPs",
        "parameters",
        "FLOPs a row",
    ]
    for _, drawn in pictures:
        names = re.findall(r'<text class="name"[^>]*>([^<]*)</text>', drawn)
        assert sorted(names) == sorted(facts["label"] for facts in plain["arms"].values())
        assert drawn.count('class="spread') == len(plain["arms"])
