"""Every policy that can be named trains a net from the command line,
and what cannot be right is refused before anything is trained.
"""

import itertools
import json
from pathlib import Path

import pytest
import torch

from autogrow.cli import main

pytestmark = pytest.mark.usefixtures("alone")

CONF = Path(__file__).parents[1] / "conf"
RUN = ["data=iris", "trainer.max_epochs=600", "hydra.run.dir=run"]


def call(*arguments):
    with pytest.raises(SystemExit) as caught:
        main(["fit", *RUN, *arguments])
    return caught.value.code


def named(group):
    return [path.stem for path in sorted((CONF / group).glob("*.yaml"))]


CHOICES = [
    *([f"growth={name}"] for name in named("growth")),
    *([f"growth/{part}={name}"] for part in ("when", "where", "amount") for name in named(f"growth/{part}")),
    *([f"growth/guards=[{name}]"] for name in named("growth/guards")),
    *([f"stop={name}"] for name in named("stop")),
    *([f"budget={name}"] for name in named("budget")),
    *([f"finish={name}"] for name in named("finish")),
    *([f"regularize={name}"] for name in named("regularize")),
    *([f"neurons={name}", "growth=ramp"] for name in named("neurons")),
]


@pytest.mark.slow
@pytest.mark.parametrize("choice", CHOICES, ids=" ".join)
def test_every_choice_trains(choice):
    assert call(*choice) == 0
    result = json.loads(Path("run/result.json").read_text())
    rows = [json.loads(line) for line in Path("run/ledger.jsonl").read_text().splitlines()]
    assert result["test"]["error"] < 0.5
    assert result["stop_reason"]
    assert all(row["reason"] for row in rows)
    for before, row in itertools.pairwise(rows):
        if before["action"]["do"] in ("widen", "deepen"):
            receipt = row["event"]["receipt"]
            assert receipt["promise"] is None or receipt["max_abs_change"] <= receipt["promise"]


@pytest.mark.parametrize(("name", "kind"), [("gradmax", "GradMax"), ("tiny", "Tiny")])
def test_new_units_are_computed_from_the_rows_of_the_run(name, kind):
    assert call(f"neurons={name}", "growth=ramp", "trainer.max_epochs=60", "finish.refit=false") == 0
    recipe = torch.load("run/checkpoints/last.ckpt", weights_only=True)["autogrow"]["recipe"]
    assert [entry["neurons"]["name"] for entry in recipe if entry["op"] == "widen"] == [kind]
    assert call(f"neurons={name}", "growth=ramp", "net.norm=layer", "hydra.run.dir=refused") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["budget.parameters=20"], "budget.parameters=20 is below the starting net"),
        (["budget.flops_per_sample=20"], "budget.flops_per_sample=20 is below the starting net"),
        (["budget.seconds=0"], "budget.seconds must be above 0"),
        (["growth=fixed", "growth.when.at=[2,900]"], "growth.when.at has 900 (checks)"),
        (["growth=fixed", "growth.when.at=[3,2]"], "growth.when.at must be increasing"),
        (
            ["growth=fixed", "growth.when.unit=fraction", "growth.when.at=[0.5]", "trainer.max_epochs=null"],
            "growth.when.unit=fraction needs a budget",
        ),
        (["growth=fixed", "growth.when.unit=epochs"], "growth.when.unit 'epochs' is unknown"),
        (["growth/guards=[gap_closes,hysteresis]", "growth.guards.hysteresis.close=0.7"], "is never reached"),
        (["growth=ramp", "growth/guards=[warm_up]", "growth.guards.warm_up.checks=30"], "it would never grow"),
        (
            ["growth/guards=[gap_closes,trial]", "stop.after_growth=1"],
            "can end the run before growth.guards.trial.checks",
        ),
        (["growth.amount.cap=8", "net.widths=[16,16,16]"], "the net could never grow"),
        (["growth.amount.factor=1"], "growth.amount.factor must be above 1"),
        (["growth=plateau", "growth.when.watch=eror"], "did you mean 'error'?"),
        (["stop=never", "trainer.max_epochs=null"], "stop=never needs an end"),
        (["finish.share=1"], "finish.share must be between 0 and 1"),
    ],
)
def test_what_cannot_be_right_is_one_line_and_writes_nothing(arguments, message, capsys):
    assert call(*arguments) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert not Path("run").exists()


def test_a_policy_of_ones_own_that_watches_what_nobody_records(capsys, monkeypatch, tmp_path):
    (tmp_path / "watcher.py").write_text(
        "from dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "from autogrow.policy.verdict import Verdict\n"
        "@dataclass(frozen=True)\n"
        "class Watcher:\n"
        "    needs: ClassVar[frozenset] = frozenset({'latency_p95'})\n"
        "    def __call__(self, history, options):\n"
        "        return Verdict(False, 'check 0')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert call("growth/when=never", "growth.when._target_=watcher.Watcher") == 2
    error = capsys.readouterr().err.strip()
    assert "the policy needs 'latency_p95', which this run does not record; did you mean 'latency_p95_ms'?" in error
    assert not Path("run").exists()
