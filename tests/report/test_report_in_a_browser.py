"""The page in a real browser: it renders, says nothing on the console, asks for nothing, and answers to pointing."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from comparisons import CASES, ROWS
from pages_in_frames import CHROMIUM, QUIET

from autogrow.report import write_report
from autogrow.report.comparison.page import write_comparison

POINT = """
<script>
const figure = document.querySelector(".figure");
const plot = figure.querySelector(".plot").getBoundingClientRect();
figure.dispatchEvent(new PointerEvent("pointermove", {clientX: plot.left + plot.width * 0.1, clientY: plot.top}));
document.title = document.getElementById("reading").innerText.split("\\n")[0];
</script>
"""
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


def test_a_comparison_renders_quietly_and_asks_for_nothing(tmp_path):
    page = write_comparison(tmp_path, CASES["eleven arms and a search"], ROWS)
    document, console, asked = browse(page, tmp_path)
    assert "The arms" in document
    assert console == []
    assert asked == []


def test_a_page_that_does_ask_and_complain_would_be_noticed(run, tmp_path):
    page = write_report(tmp_path, **run.arguments())
    loud = '<img src="http://127.0.0.1:9/x.png"><script>console.error("loud")</script></body>'
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))
    page.write_text(html.replace("</body>", loud), encoding="utf-8")
    _, console, asked = browse(page, tmp_path)
    assert any("loud" in line for line in console)
    assert "http://127.0.0.1:9/x.png" in asked
