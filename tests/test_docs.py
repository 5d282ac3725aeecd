"""The site says what is: its reference is the code's, its commands and programs run, its picture has every room."""

import importlib.util
import logging
import random
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
import yaml
from command_line import call
from sklearn.datasets import load_iris

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))


def fenced(page, language):
    return re.findall(rf"```{language}(?: title=[^\n]*)?\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def files_of(page):
    """The files that a page shows, by name: what stands under a title."""
    return re.findall(r'```\w+ title="([^"]+)"\n(.*?)```', page.read_text(encoding="utf-8"), re.DOTALL)


COMMANDS = sorted(
    {line.partition(" #")[0].strip() for page in PAGES for block in fenced(page, "bash") for line in block.splitlines()}
)
PROGRAMS = [page for page in PAGES if fenced(page, "python")]


def write_houses(path):
    """The table of the page on reading: as people write them, in rows drawn from a seed."""
    rng = random.Random(0)
    lines = ["Nr;Straße;Fläche;Baujahr;verkauft am;Garten;Zustand;Preis"]
    for i in range(400):
        area, year, garden = rng.randint(40, 220), rng.randint(1900, 2020), rng.choice(["ja", "nein"])
        state = rng.choice(["gut", "mittel", "schlecht", "k.A."])
        price = area * 2500 + 30000 * (garden == "ja") + 400 * (year - 1900) + rng.gauss(0, 15000)
        said = f"{price:,.2f}".translate(str.maketrans(",.", ".,"))
        day = f"{rng.randint(1, 28):02d}.{rng.randint(1, 12):02d}.{rng.randint(2015, 2024)}"
        size = f"{area},5" if i % 7 else ""
        built = year if i % 11 else -999
        lines.append(f"{i + 1};Weg {i};{size};{built};{day};{garden};{state};{said} €")
    path.write_text("\n".join(lines) + "\n", encoding="cp1252")


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
    write_houses(folder / "houses.csv")
    for page in PAGES:
        for name, text in files_of(page):
            if name != "houses.csv":  # whose first rows the page shows
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text, encoding="utf-8")
    for name in ("first", "houses"):
        words = shlex.split(next(line for line in COMMANDS if f"hydra.run.dir=runs/{name}" in line))
        run = [sys.executable, "-m", *words, "trainer.max_epochs=3"]
        done = subprocess.run(run, cwd=folder, check=True, capture_output=True, text=True, encoding="utf-8")
        (folder / f"{name}.txt").write_text(done.stdout, encoding="utf-8")
    (saved,) = fenced(DOCS / "transfer.md", "python")  # a net of scikit-learn's, which a command there reads
    subprocess.run([sys.executable, "-c", saved], cwd=folder, check=True, capture_output=True)
    return folder


def test_what_reading_says_is_what_the_page_shows(house):
    said = (house / "houses.txt").read_text(encoding="utf-8").splitlines()
    page = (DOCS / "reading-data.md").read_text(encoding="utf-8")
    shown = re.findall(r"^  (?:rows|task|written|left out|note) .*$", page, re.MULTILINE)
    assert len(shown) == 5
    assert set(shown) <= set(said)
    rows = (house / "houses.csv").read_text(encoding="cp1252").splitlines()
    assert dict(files_of(DOCS / "reading-data.md"))["houses.csv"].splitlines() == rows[:3]


@pytest.mark.parametrize("line", COMMANDS, ids=range(len(COMMANDS)))
def test_its_commands_are_as_they_are_written(line, house, monkeypatch, capfd):
    monkeypatch.chdir(house)
    monkeypatch.setattr(sys, "argv", ["autogrow"])
    words = shlex.split(line)
    if words[0] == "PYTHONPATH=.":  # modules of one's own
        monkeypatch.syspath_prepend(house)
        del words[0]
    program, command, *rest = words
    assert program == "autogrow"
    if command in ("fit", "compare", "search"):  # what trains is composed; two runs have been made
        # one job of a sweep
        words = [
            re.sub(r"=(?:range\(|interval\()?([\w.-]+),[\w.,-]+\)?$", r"=\1", word) for word in rest if word != "-m"
        ]
        rest = [*words, "--cfg", "job"]
    assert call(command, *rest) == 0, capfd.readouterr().err


def test_what_a_shell_would_take_for_its_own_is_quoted():
    """A bracket is a pattern in zsh, a semicolon ends a command."""
    for line in COMMANDS:
        bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", line)
        assert not re.search(r"[][{}()<>;&|*?$]", bare), line


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


def script(name):
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_code_says():
    pages = script("reference").pages()
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
        text = page.read_text(encoding="utf-8")
        for path in re.findall(r"`((?:scripts|examples|autogrow|tests)/[\w./]+)`", text):
            assert (ROOT / path).exists(), f"{page.name}: {path}"


def test_pictures_are_those_that_the_script_draws_and_each_is_shown():
    of_a_study = {"envelope", "envelope_flights"}  # drawn by scripts/envelope_picture.py, of its cells
    drawn = {*script("pictures").RUNS, *of_a_study}
    shown = {
        name for page in PAGES for name in re.findall(r"\(pictures/(\w+)\.svg\)", page.read_text(encoding="utf-8"))
    }
    assert drawn == shown == {path.stem for path in (DOCS / "pictures").iterdir()}
    for path in (DOCS / "pictures").iterdir():
        ElementTree.parse(path)
        assert path.stat().st_size < 20_000


@pytest.mark.skipif(importlib.util.find_spec("material") is None, reason="the extra docs is not installed")
def test_the_site_is_built_strictly(tmp_path):
    assert yaml.safe_load((ROOT / "mkdocs.yml").read_text())["plugins"]
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "site" / "reference" / "keys" / "index.html").is_file()
    shutil.rmtree(tmp_path / "site")
