"""`autogrow replay`: the run's own policy decides alike; another one, up to the first decision that differs."""

import sys

import pytest
from command_line import call


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for growth in ("default", "plateau", "never"):
        arguments = [
            "data=iris",
            "trainer.max_epochs=200",
            f"growth={growth}",
            f"hydra.run.dir={folder / growth}",
        ]
        assert call("fit", *arguments) == 0
    return folder


@pytest.mark.parametrize("growth", ["default", "plateau", "never"])
def test_the_own_policy_decides_alike(growth, runs, capsys):
    # the ledger's steps are bounded by the run's budget, which the recorded options hold
    assert call("replay", str(runs / growth), f"growth={growth}") == 0
    assert "the same decisions at all" in capsys.readouterr().out


def test_another_policy_up_to_the_first_difference(runs, capsys):
    assert call("replay", f"run={runs / 'default'}", "growth=never") == 0
    out = capsys.readouterr().out
    assert "the first decision that differs is at check" in out
    assert "the record says nothing about them" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "replay takes one run folder"),
        (["nowhere"], "nowhere"),
        (["{run}", "growth=plateu"], "did you mean 'plateau'?"),
        (["{run}", "growth=score"], "scores"),
    ],
)
def test_bad_input_is_one_line(arguments, message, runs, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["autogrow"])
    assert call("replay", *(a.format(run=runs / "default") for a in arguments)) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
