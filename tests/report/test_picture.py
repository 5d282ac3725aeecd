"""A run as one picture: well-formed, its growths and widths in it, and nothing loaded from anywhere."""

import re
import xml.etree.ElementTree as ET

import pytest

from autogrow.report.run.picture import picture, write_picture

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg):
    return ["".join(node.itertext()).strip() for node in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("width", [860, 430])
def test_it_shows_error_and_growth_side_by_side(run, width):
    svg = picture(rows=run.rows, result=run.result, width=width)
    said = texts(svg)
    assert any(text.startswith("Error") for text in said)
    assert any(text.startswith("Hidden units") for text in said)
    assert not any(text.startswith(("Loss", "Relative gap")) for text in said)
    assert [text for text in said if text in "123456"] == ["1", "2", "3", "4", "5", "6"]  # a badge for each growth
    assert "168" in said


def test_everything_stands_inside(run):
    root = ET.fromstring(picture(rows=run.rows, result=run.result, width=430))
    width, height = float(root.get("width")), float(root.get("height"))
    for node in root.findall(f"{SVG}text") + root.findall(f"{SVG}circle"):
        x, y = (float(node.get(name) or node.get(f"c{name}")) for name in "xy")
        assert 0 <= x <= width
        assert 0 <= y <= height


@pytest.mark.parametrize("title", ['a <b> & "c"', ""])
def test_a_title_is_text(run, title):
    assert texts(picture(rows=run.rows, result=run.result, title=title))[0].startswith(title or "Grew from")


def test_it_follows_light_and_dark_and_loads_nothing(run, tmp_path):
    path = write_picture(tmp_path / "growth.svg", rows=run.rows, result=run.result)
    svg = path.read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in svg
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|<script|url\(|@import", svg)


def test_runs_of_every_kind_have_one(fixed_run, regression_run):
    for one in (fixed_run, regression_run):
        assert texts(picture(rows=one.rows, result=one.result))
