"""What the README says is true: its code runs, its commands compose, its example is the one that is tested."""

import re
import sys
from pathlib import Path

import pytest

from autogrow.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
FITS = [re.split(r"\s{2,}|\s#", line)[0] for line in README.splitlines() if line.startswith("autogrow fit ")]


def test_the_operators_example_runs(capsys):
    (code,) = [c for c in PYTHON if "autogrow.widen" in c]
    exec(compile(code, "README.md", "exec"), {})
    assert "Receipt(" in capsys.readouterr().out


def test_the_estimators_example_runs(capsys):
    (code,) = [c for c in PYTHON if "GrowingClassifier(" in c]
    exec(compile(code, "README.md", "exec"), {})
    assert "[" in capsys.readouterr().out


def test_the_controllers_example_is_the_tested_one():
    example = (ROOT / "tests" / "train" / "growth_controller_example.py").read_text(encoding="utf-8")
    assert example.strip() in [c.strip() for c in PYTHON]


@pytest.mark.parametrize(
    "command", [c for c in FITS if "--help" not in c and "resume=" not in c and "--config-dir" not in c]
)
def test_its_commands_compose(command, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["autogrow"])
    words = [w for w in command.split()[1:] if w not in ("-m", "--cfg", "job")]
    words = [re.sub(r"=([\w.]+),[\w.,]+$", r"=\1", w) for w in words]  # one job of a sweep
    with pytest.raises(SystemExit) as caught:
        main([*words, "--cfg", "job"])
    assert caught.value.code == 0
    assert "growth:" in capsys.readouterr().out


def test_it_names_only_what_is_there():
    for path in re.findall(r"`(scripts/\w+|\./scripts/\w+)`", README):
        assert (ROOT / path).exists(), path
