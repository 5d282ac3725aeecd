"""The page in a real browser: it renders, says nothing on the console, asks for nothing, and answers to pointing."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from comparisons import CASES, ROWS

from autogrow.report import write_report
from autogrow.report.comparison.page import write_comparison

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--log-level=0",
    "--virtual-time-budget=2000",
]
POINT = """
<script>
const figure = document.querySelector(".figure");
const plot = figure.querySelector(".plot").getBoundingClientRect();
figure.dispatchEvent(new PointerEvent("pointermove", {clientX: plot.left + plot.width * 0.1, clientY: plot.top}));
document.title = document.getElementById("reading").innerText.split("\\n")[0];
</script>
"""
WIDTHS = "<script>document.title = document.body.scrollWidth - document.documentElement.clientWidth;</script>"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]


def browse(page: Path, folder: Path, *more: str) -> tuple[str, list[str], list[str]]:
    """Open a page; returns the document as it then is, what it said on the console, and the addresses it asked for."""
    log = folder / "net.json"
    command = [
        str(CHROMIUM),
        *QUIET,
        *more,
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={log}",
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    jobs = [event["params"] for event in events if "initiator" in event.get("params", {})]
    asked = [job["url"] for job in jobs if job["initiator"] != "not an origin"]  # those are the browser's own
    return done.stdout, console, asked


@pytest.mark.parametrize("name", ["run", "regression_run"])
def test_it_renders_quietly_and_asks_for_nothing(name, request, tmp_path):
    page = write_report(tmp_path, **request.getfixturevalue(name).arguments())
    document, console, asked = browse(page, tmp_path)
    assert "How it learned" in document
    assert console == []
    assert asked == []


def test_pointing_at_a_curve_reads_the_check_that_is_there(run, tmp_path):
    page = write_report(tmp_path, **run.arguments())
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", POINT + "</body>"), encoding="utf-8")
    document, console, _ = browse(page, tmp_path)
    nearest = min(run.rows, key=lambda row: abs((row.check + 1) / len(run.rows) - 0.1))
    title = re.search(r"<title>(.*?)</title>", document)
    assert title is not None
    assert title[1].startswith(f"check {nearest.check} ·")
    assert console == []


def test_nothing_sticks_out_of_a_narrow_screen(run, tmp_path):
    rows = [replace(row, reason="a_very_long_name_without_any_space_in_it" * 4) for row in run.rows]
    page = write_report(
        tmp_path, **run.but(rows=rows, command="autogrow fit " + "data.path=/a/long/path" * 12).arguments()
    )
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", WIDTHS + "</body>"), encoding="utf-8")
    document, _, _ = browse(page, tmp_path, "--window-size=500,900")
    title = re.search(r"<title>(.*?)</title>", document)
    assert title is not None
    assert title[1] == "0"


@pytest.mark.parametrize("case", ["eleven arms and a search", "one seed"])
def test_a_comparison_renders_quietly_also_on_a_narrow_screen(case, tmp_path):
    assert measured_in_a_comparison(case, WIDTHS, 500, tmp_path) == ("0", [], [])


def test_the_table_of_arms_is_whole_on_a_screen_of_1280(tmp_path):
    hidden = """<script>
    const held = document.querySelector("#arms .scroll");
    document.title = [held.scrollWidth - held.clientWidth, document.body.scrollWidth > innerWidth].join();
    </script>"""
    title, _, _ = measured_in_a_comparison("eleven arms and a search", hidden, 1280, tmp_path)
    assert title == "0,false"


def measured_in_a_comparison(case, script, width, folder):
    """The title that a script gives the page, and what the page said and asked for."""
    page = write_comparison(folder, CASES[case], ROWS)
    html = page.read_text(encoding="utf-8").replace("</body>", script + "</body>")
    allowed = html.replace("style-src 'unsafe-inline'", "style-src 'unsafe-inline'; script-src 'unsafe-inline'")
    page.write_text(allowed, encoding="utf-8")
    document, console, asked = browse(page, folder, f"--window-size={width},900")
    title = re.search(r"<title>(.*?)</title>", document)
    assert title is not None
    return title[1], console, asked


def test_a_page_that_does_ask_and_complain_would_be_noticed(run, tmp_path):
    page = write_report(tmp_path, **run.arguments())
    loud = '<img src="http://127.0.0.1:9/x.png"><script>console.error("loud")</script></body>'
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))
    page.write_text(html.replace("</body>", loud), encoding="utf-8")
    _, console, asked = browse(page, tmp_path)
    assert any("loud" in line for line in console)
    assert "http://127.0.0.1:9/x.png" in asked
