"""A policy that somebody wrote themselves, given through --config-dir:
known in fit, plan, replay and stages by what it says of itself.
"""

import json
import sys
import types
from pathlib import Path

import pytest
from command_line import call

from autogrow.policy.event import Event
from autogrow.policy.history import Deepen, Widen

MINE = '''
from dataclasses import dataclass, replace
from typing import ClassVar

from autogrow.policy.history import Decision, Deepen, Keep, Widen
from autogrow.policy.verdict import Verdict


@dataclass(frozen=True)
class Twice:
    """Widens at check 2 and deepens at check 4, by the clock."""

    by_the_clock: ClassVar[bool] = True

    def over(self, row, max_steps):
        return row.check > 4

    def __call__(self, history, options):
        check = history[-1].check
        if check == 2:
            return Decision(Widen({name: size + 4 for name, size in options.widths.items()}), "it is check 2")
        if check == 4:
            place = next(iter(options.depths))
            return Decision(Deepen(place, options.depths[place][0]), "it is check 4")
        return Decision(Keep(), f"check {check} is neither 2 nor 4")


@dataclass(frozen=True)
class Checks:
    """Stops after so many checks."""

    most: int = 12

    def shortened(self, factor):
        return replace(self, most=round(factor * self.most))

    def __call__(self, history, options):
        return Verdict(len(history) >= self.most, f"{len(history)} of {self.most} checks")
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The folder of somebody's own config, beside their module of policies."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["autogrow"])
    module = types.ModuleType("policies_of_mine")
    exec(compile(MINE, "policies_of_mine.py", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "policies_of_mine", module)
    for group, name in (("growth", "Twice"), ("stop", "Checks")):
        Path("conf", group).mkdir(parents=True)
        Path("conf", group, "mine.yaml").write_text(f"_target_: policies_of_mine.{name}\n")


OWN = ["--config-dir", "conf", "growth=mine", "stop=mine", "data=iris", "trainer.check_every=5", "net.widths=[8]"]


def events_of(folder):
    rows = [json.loads(line) for line in Path(folder, "ledger.jsonl").read_text().splitlines()]
    return rows, [Event.from_plain(row["event"]) for row in rows if row["event"]]


def test_it_trains_and_its_ledger_says_who_decided_what_and_where(mine):
    assert call("fit", *OWN, "hydra.run.dir=run") == 0
    rows, events = events_of("run")
    widened, deepened = events[:2]
    assert widened.done == Widen({"hidden.0.linear": 12})
    assert widened.decided_at == 2
    assert isinstance(deepened.done, Deepen)
    assert deepened.done.after in rows[4]["options"]["depths"]
    assert deepened.decided_at == 4
    assert all(rows[event.decided_at]["action"]["do"] == event.do for event in events)
    assert deepened.after.widths == rows[5]["widths"]


def test_it_is_rehearsed_by_the_clock(mine, capsys):
    assert call("plan", *OWN) == 0
    printed = capsys.readouterr().out
    assert "The schedule, by the clock" in printed
    assert "widened" in printed
    assert "deepened (identity)" in printed


def test_it_is_replayed(mine, capsys):
    assert call("fit", *OWN, "hydra.run.dir=run") == 0
    capsys.readouterr()
    assert call("replay", "run", "--config-dir", "conf", "growth=mine", "stop=mine") == 0
    assert "the same decisions at all" in capsys.readouterr().out
    assert call("replay", "run", "--config-dir", "conf", "growth=never", "stop=mine") == 0
    assert "the first decision that differs is at check 2" in capsys.readouterr().out


def test_its_stages_are_shortened_as_it_says_and_go_on_with_it(mine):
    arguments = [
        *OWN,
        "data.arrival=fraction",
        "data.stages=[0.6,1]",
        "stage.patience=0.5",
        "finish=none",
        "hydra.run.dir=run",
    ]
    assert call("fit", *arguments) == 0
    first, last = (events_of(f"run/stage_{n}")[0] for n in (0, 1))
    assert (len(first), len(last)) == (6, 12)
    assert "most: 6" in Path("run/stage_0/config.yaml").read_text()
    assert json.loads(Path("run/result.json").read_text())["widths"] == [16, 16, 16]
