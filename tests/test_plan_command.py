"""`autogrow plan`: what is printed, and that nothing is written."""

import sys

import pytest

from autogrow.cli import main


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["autogrow"])


def call(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["plan", "data=iris", *arguments])
    return ended.value.code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], ["Growth goes by the loss. If that falls well at every check", "If it never falls", "At most"]),
        (["growth=never"], ["The net never grows"]),
        (["growth=fixed"], ["The schedule, by the clock, unless the run is stopped before", "widened"]),
        (
            ["growth=fixed", "growth.when.at=[2,4]", "stop=never", "trainer.max_epochs=160"],
            ["by the clock\n", "in all 160 passes"],
        ),
        (["growth=score"], ["all candidates are alike"]),
        (["experiment=accurate"], ["widened"]),
        (["regularize=dropout", "regularize.gap=0.4"], ["with a gap above 0.4, dropout 0.2, then 0.35 is tried"]),
    ],
)
def test_says_what_may_happen_and_writes_nothing(arguments, said, capsys, tmp_path):
    assert call(*arguments) == 0
    out = capsys.readouterr().out
    assert all(words in out for words in said)
    assert "Nothing was trained and nothing was written" in out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["growth=fixed", "growth.when.at=[5,800]", "trainer.max_epochs=20"], "beyond the run's"),
        (["growth=fixd"], "did you mean 'fixed'?"),
        (["stop=never", "trainer.max_epochs=null"], "stop=never needs an end"),
        (["budget.parameters=10"], "budget.parameters=10 is below the starting net"),
        (["continue_from=runs/x"], "plan is for a run from the start"),
        (["-m"], "plan looks at one run"),
        (["data.no_such=1"], "no_such"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(arguments, message, capsys, tmp_path):
    assert call(*arguments) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert not list(tmp_path.iterdir())
