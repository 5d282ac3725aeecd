"""What is shipped: the wheel holds all code, YAML and templates and nothing else, and installed it runs elsewhere."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import autogrow

ROOT = Path(__file__).parent.parent


SHIPPED = {".py", ".j2", ".css", ".js", ".yaml", ".typed"}
"""Every kind of file that the checkout's packages hold; a file of another kind would be left out without a word."""


def files_under(folder):
    return {
        str(p.relative_to(ROOT)) for p in (ROOT / folder).rglob("*") if p.is_file() and "__pycache__" not in p.parts
    }


def build_sdist(out):
    """The source archive, of a copy: nothing that an earlier build left behind gets in, and nothing is left behind."""
    source = out / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("autogrow", "conf", "tests", "scripts"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = f"from setuptools import build_meta; build_meta.build_sdist({str(out)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (sdist,) = out.glob("autogrow-*.tar.gz")
    return sdist


def build_wheel(out):
    """The wheel, as whoever has the source archive alone builds it."""
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out)]
    sdist = str(build_sdist(out))
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, sdist], cwd=out, check=True, capture_output=True)
    (wheel,) = out.glob("autogrow-*.whl")
    return wheel


@pytest.mark.slow
def test_the_wheel_is_the_checkout_and_runs_outside_it(tmp_path):
    site, wheel = tmp_path / "site", build_wheel(tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, str(wheel)], cwd=tmp_path, check=True, capture_output=True)
    assert (site / "autogrow" / "py.typed").is_file()
    expected = files_under("autogrow") | {f"autogrow/{name}" for name in files_under("conf")}
    assert {Path(name).suffix or Path(name).name for name in expected} == SHIPPED
    assert names == expected  # nothing is missing, and neither tests nor scripts are in it
    environment = {**os.environ, "PYTHONPATH": str(site)}
    show = "import autogrow, autogrow.config as c; print(autogrow.__file__, c.CONF_DIR)"
    where = subprocess.run(
        [sys.executable, "-c", show], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert where.stdout.split() == [str(site / "autogrow" / "__init__.py"), str(site / "autogrow" / "conf")]
    version = importlib.metadata.Distribution.at(next(site.glob("*.dist-info"))).version
    assert version == autogrow.__version__  # said in one place
    program = str(site / "bin" / "autogrow")  # what an install puts on the PATH
    fit = [program, "fit", "data=iris", "trainer.max_epochs=30", "hydra.run.dir=run"]
    subprocess.run(fit, cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert (tmp_path / "run" / "report.html").is_file()


def test_constraints_pin_every_requirement():
    """What pyproject asks for, constraints.txt pins: a fresh install is the one that was tried."""
    import re
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[<>=\[; ]", w)[0].lower() for w in wanted}
    pinned = {
        line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    }
    assert names <= pinned


def test_what_github_reads_is_well_formed():
    """The version to cite is the version; a template has what its form needs, and no field stands there twice."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == autogrow.__version__
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"):
        form = yaml.safe_load(path.read_text())
        assert {"name", "description", "body"} == set(form), path
        names = [field["id"] for field in form["body"]]
        assert len(set(names)) == len(names), path
        assert all(field["attributes"]["label"] for field in form["body"]), path
