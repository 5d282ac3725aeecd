"""What is shipped: the wheel holds the YAML and the page's template, and runs away from the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_wheel_runs_outside_the_checkout(tmp_path):
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(tmp_path),
        ".",
    ]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("autogrow-*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(site)
    shipped = {str(p.relative_to(ROOT)) for p in (ROOT / "conf").rglob("*.yaml")}
    assert shipped == {n.removeprefix("autogrow/") for n in names if n.endswith(".yaml")}
    assert not [n for n in names if n.startswith("tests/")]
    code = {
        str(p.relative_to(ROOT)) for p in (ROOT / "autogrow").rglob("*") if p.suffix in (".py", ".j2", ".css", ".js")
    }
    assert code <= set(names)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    show = "import autogrow, autogrow.config as c; print(autogrow.__file__, c.CONF_DIR)"
    where = subprocess.run(
        [sys.executable, "-c", show], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert where.stdout.split() == [str(site / "autogrow" / "__init__.py"), str(site / "autogrow" / "conf")]
    fit = [sys.executable, "-m", "autogrow", "fit", "data=iris", "trainer.max_epochs=30", "hydra.run.dir=run"]
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
