"""The site says what is: its reference is the code's, its commands and programs run, its picture has every room."""

import importlib.util
import logging
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest
import yaml
from command_line import call
from sklearn.datasets import load_iris

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))


def fenced(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


COMMANDS = sorted({line.strip() for page in PAGES for block in fenced(page, "bash") for line in block.splitlines()})
PROGRAMS = [page for page in PAGES if fenced(page, "python")]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A folder with the run of the quick start, made shorter, and the tables that the pages name."""
    folder = tmp_path_factory.mktemp("docs")
    flowers = load_iris(as_frame=True).frame
    flowers.to_csv(folder / "flowers.csv", index=False)
    rows = range(60)
    house = {
        "area": [40 + i * 3 % 90 for i in rows],
        "town": [f"t{i % 9}" for i in rows],
        "price": [i * 1.5 for i in rows],
    }
    pd.DataFrame(house).to_csv(folder / "table.csv", index=False)
    first = next(line for line in COMMANDS if "hydra.run.dir=runs/first" in line)
    run = [sys.executable, "-m", *shlex.split(first), "trainer.max_epochs=3"]
    subprocess.run(run, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("line", COMMANDS, ids=range(len(COMMANDS)))
def test_its_commands_are_as_they_are_written(line, house, monkeypatch, capfd):
    monkeypatch.chdir(house)
    monkeypatch.setattr(sys, "argv", ["autogrow"])
    program, command, *rest = shlex.split(line, comments=True)
    assert program == "autogrow"
    if command == "fit":  # what trains is composed; the run of the quick start has been made
        words = [re.sub(r"=([\w.]+),[\w.,]+$", r"=\1", word) for word in rest if word != "-m"]  # one job of a sweep
        rest = [*words, "--cfg", "job"]
    assert call(command, *rest) == 0, capfd.readouterr().err


@pytest.mark.parametrize("page", PROGRAMS, ids=lambda page: page.stem)
def test_its_programs_run(page, house, monkeypatch, capsys):
    monkeypatch.chdir(house)
    monkeypatch.setitem(sys.modules, page.stem, type(sys)(page.stem))  # where dataclasses look up their module
    for name in ("pytorch_lightning", "lightning_fabric"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.ERROR)
    names = {"__name__": page.stem}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"pytorch_lightning\..*")  # advice on workers and loggers
        for block in fenced(page, "python"):
            exec(compile(block, page.name, "exec"), names)
    assert capsys.readouterr().out


def test_the_reference_is_what_the_code_says():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    pages = reference.pages()
    assert {path.name for path in (DOCS / "reference").iterdir()} == set(pages)
    for name, text in pages.items():
        assert (DOCS / "reference" / name).read_text(encoding="utf-8") == text, f"python scripts/reference.py: {name}"


def test_every_page_is_in_the_map():
    named = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    assert named == {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}


def test_the_picture_has_every_room():
    drawn = set(re.findall(r"<text x=[^>]+>(\w+)</text>", (DOCS / "architecture.svg").read_text(encoding="utf-8")))
    rooms = {path.parent.name for path in (ROOT / "autogrow").glob("*/__init__.py")}
    assert drawn == rooms | {"config"}


def test_it_names_only_what_is_there():
    for page in PAGES:
        for path in re.findall(r"`((?:scripts|examples|autogrow)/[\w./]+)`", page.read_text(encoding="utf-8")):
            assert (ROOT / path).exists(), f"{page.name}: {path}"


@pytest.mark.skipif(importlib.util.find_spec("material") is None, reason="the extra docs is not installed")
def test_the_site_is_built_strictly(tmp_path):
    assert yaml.safe_load((ROOT / "mkdocs.yml").read_text())["plugins"]
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "site" / "reference" / "keys" / "index.html").is_file()
    shutil.rmtree(tmp_path / "site")
