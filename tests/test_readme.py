"""What the README says is true: its code runs, its commands compose, its numbers are those of the documents."""

import re
import sys
from pathlib import Path

import pytest

from autogrow.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
FITS = sorted(
    {
        re.split(r"\s{2,}|\s#|`", found)[0]
        for found in re.findall(r"(?:^|`)(autogrow fit [^\n]*)", README, re.MULTILINE)
        if "--help" not in found
    }
)
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


def test_it_is_two_screens():
    assert len(README.splitlines()) <= 120


def test_the_estimator_in_three_lines_runs(capsys):
    from sklearn.datasets import load_iris

    (code,) = [c for c in PYTHON if "GrowingClassifier(" in c]
    assert len(code.splitlines()) == 3
    X, y = load_iris(return_X_y=True)
    exec(compile(code, "README.md", "exec"), {"X": X, "y": y})
    assert "[" in capsys.readouterr().out


def test_the_controllers_lines_are_of_the_tested_example_which_the_guests_page_shows():
    example = (ROOT / "tests" / "train" / "growth_controller_example.py").read_text(encoding="utf-8")
    (code,) = [c for c in PYTHON if "GrowthController(" in c]
    assert len(code.splitlines()) == 5
    assert set(code.splitlines()) <= set(example.splitlines())
    assert f"```python\n{example.strip()}\n```" in (ROOT / "docs" / "guests.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", FITS)
def test_its_commands_compose(command, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["autogrow"])
    with pytest.raises(SystemExit) as caught:
        main([*command.split()[1:], "--cfg", "job"])
    assert caught.value.code == 0
    assert "growth:" in capsys.readouterr().out


def test_every_interval_and_factor_of_its_results_stands_in_the_documents():
    table = README.partition("| beside |")[2].partition("\n\n")[0]
    numbers = [n for n in re.findall(r"\[[^\]\s]+, [^\]]+\]|[\d.]+(?=×)", table) if n != "1"]
    assert len(numbers) > 10
    assert [n for n in numbers if n not in RESULTS] == []


def test_what_is_said_of_other_learners_is_so_table_by_table():
    """How often the default errs less than each, and the worst it does, by the table of means."""
    lines = (ROOT / "docs" / "peers.md").read_text(encoding="utf-8").splitlines()
    head, _, *rows = ([c.strip() for c in line.strip("|").split("|")] for line in lines if line.startswith("|"))
    lower, worst = [], []
    for learner in ("LightGBM", "HGB", "XGBoost", "CatBoost", "MLP"):
        ratios = [float(row[head.index("default")]) / float(row[head.index(learner)]) for row in rows]
        lower.append(sum(ratio < 1 for ratio in ratios))
        worst.append(f"{max(ratios):.2f}")
    one, two, three, four, five = lower
    said = f"LightGBM on {one} of the {len(rows)} tables, than HGB on {two}, XGBoost on {three}, CatBoost on {four} and"
    assert said in RESULTS
    assert f"MLP on {five}; at worst {', '.join(worst[:-1])} and {worst[-1]} times" in RESULTS
    assert f"lower on {one} | | **win**, at worst {worst[0]} times" in README


def test_it_names_only_what_is_there():
    for path in re.findall(r"`(?:\./)?(scripts/\w+)`|\]\(((?:docs/)?[\w/.-]+)(?:#[\w-]+)?\)", README):
        assert (ROOT / "".join(path)).exists(), path
