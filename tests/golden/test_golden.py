"""The golden runs, made again by today's code: the ledgers, results and weights that were kept of them, bit for bit.

Bits depend on the processor and on torch. Where these are what the fixtures were made with, everything has to be equal;
elsewhere the structure has to be (see `kept.unlike`). Each test's name says which of the two it is. Where a difference
is meant, make and keep the runs anew (`golden_runs.py`), read what changed, and commit it with its reason.
"""

from __future__ import annotations

import copy
import fcntl
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from golden_runs import RUNS
from kept import FIXTURES, OLD_RUNS, differences, kept, made_with, read_fixture, unlike, unmended

BITS, STRUCTURE = "bit for bit", "structure alone: made with another torch or processor"


def compared(name: str) -> str:
    return BITS if read_fixture(name)["made_with"] == made_with() else STRUCTURE


CASES = [pytest.param(name, compared(name), id=f"{name}, {compared(name)}") for name in RUNS]


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The folder of all golden runs: made once, in a process of their own, whatever the number of test processes."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (shared / "golden.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "golden").exists():
            program = [sys.executable, str(Path(__file__).parent / "golden_runs.py"), "make", str(shared / "golden")]
            done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=600)
            (shared / "golden.log").write_text(done.stdout + done.stderr)
    return shared / "golden"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "how"), CASES)
def test_a_run_is_made_again(name, how, made):
    assert (made / name).is_dir(), (made.parent / "golden.log").read_text()[-3000:]
    before, now = read_fixture(name)["folders"], kept(made / name)
    assert list(unlike(before, now)) == []
    if how == BITS:
        assert list(differences(before, now)) == []


def without_looks(plain):
    """Without what later code looks at beside: an old run's first rows do not have it, and did not pay for it."""
    if isinstance(plain, dict):
        return {k: without_looks(v) for k, v in plain.items() if k not in ("newborns", "eval_flops")}
    return [without_looks(v) for v in plain] if isinstance(plain, list) else plain


def test_runs_that_were_interrupted_in_an_old_folder_end_like_those_that_were_not():
    """So it was when they were kept, and the fixtures hold later code to it."""
    resumed, guest, old = (read_fixture(name)["folders"] for name in ("resumed", "guest", "replay"))
    whole = copy.deepcopy(old["run"])
    whole["result"]["command"] = resumed["interrupted"]["result"]["command"]
    assert list(differences(without_looks(whole), without_looks(resumed["interrupted"]))) == []
    assert list(differences(guest["run"], resumed["guest"])) == []
    stage = kept(OLD_RUNS / "stages")["stage_1"]
    for content in (stage, resumed["stages/stage_1"]):  # they were made in different places
        content["result"].update(command="", continued_from="", continued={})
        content["ledger"][0]["event"] = {}
    for key in resumed["stages/stage_1"]["result"].keys() - stage["result"].keys():  # what a result says since then
        del resumed["stages/stage_1"]["result"][key]
    assert list(differences(without_looks(stage), without_looks(resumed["stages/stage_1"]))) == []


def test_every_fixture_is_of_a_run_that_is_made():
    assert {path.stem for path in FIXTURES.glob("*.json")} == set(RUNS)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("dense", {"widen", "deepen", "anneal"}),
        ("members", {"widen", "deepen"}),
        ("conv", {"widen", "deepen"}),
        ("residual", {"widen", "deepen"}),
        ("regression", {"widen", "deepen"}),
        ("embedded", {"widen", "deepen"}),
        ("stages", {"data_arrived", "widen", "refit"}),
        ("continued", {"data_arrived", "widen", "deepen"}),
        ("more_rows", {"data_arrived", "widen", "deepen"}),
        ("undone", {"widen", "deepen", "undo"}),
        ("scored", {"widen", "deepen"}),
        ("guest", {"widen", "deepen"}),
        ("sweep", {"widen", "deepen"}),
        ("watch", {"data_arrived", "widen", "deepen"}),
        ("resumed", {"data_arrived", "widen", "deepen"}),
        ("from_old", {"data_arrived", "widen"}),
    ],
)
def test_what_is_kept_is_eventful(name, wanted):
    ledgers = [run["ledger"] for run in read_fixture(name)["folders"].values() if "ledger" in run]
    assert wanted <= {row["event"]["do"] for rows in ledgers for row in rows if row["event"]}


# -- the comparison itself: what it sees, and the two fields that it does not look at -------------------------------
def at(content, *keys):
    for key in keys:
        content = content[key]
    return content


ROW, RECEIPT = ("run", "ledger", 9), ("run", "ledger", 9, "event", "receipt")
CHANGES = {
    "a float's last bit": (*ROW, "train_loss", lambda x: math.nextafter(x, 9)),
    "a whole number that became a float": (*ROW, "step", float),
    "a reason": (*ROW, "reason", lambda x: x + "."),
    "a result": ("run", "result", "train_flops", lambda x: x + 1),
    "a tensor": ("run", "delivered", "weights", "head.bias", lambda x: x[:-1] + "g"),
    "a growth of the recipe": ("run", "delivered", "recipe", 1, "kind", lambda x: "residual"),
    "what a receipt says": (*RECEIPT, "max_abs_change", lambda x: x + 1e-15),
}


@pytest.mark.parametrize("what", CHANGES)
def test_one_change_is_one_difference(what):
    *path, key, change = CHANGES[what]
    before = read_fixture("dense")["folders"]
    now = copy.deepcopy(before)
    at(now, *path)[key] = change(at(now, *path)[key])
    assert len(list(differences(before, now))) == 1
    assert list(differences(before, copy.deepcopy(before))) == []


def test_what_is_missing_and_what_is_new_is_said():
    one = {"a": 1, "rows": [1, 2], "zero": 0.0}
    assert list(differences(one, {"b": 1, "rows": [1], "zero": -0.0})) == [
        "a is only in the first",
        "rows: 2 against 1 entries",
        "zero: 0.0 against -0.0",
        "b is only in the second",
    ]


def test_only_the_mended_fields_of_an_event_are_left_out():
    assert unmended({"event": {"do": "anneal", "flops": 9}}) == {"event": {"do": "anneal"}}
    assert unmended({"event": {"do": "widen", "flops": 9}}) == {"event": {"do": "widen", "flops": 9}}
    event = {"do": "deepen", "behind": "hidden.0.act", "decided_at": 3, "after": {"widths": {}}, "kind": "identity"}
    row = {"check": 4, "decided_at": 1, "event": event}
    assert unmended(row) == {
        "check": 4,
        "decided_at": 1,
        "event": {"do": "deepen", "after": {"widths": {}}, "kind": "identity"},
    }


UNLIKE = {
    "a field of a later row": ("run", "ledger", 5, lambda row: row.pop("lr")),
    "a field of the result": ("run", "result", lambda result: result.update(new=1)),
    "the net of the first row": ("run", "ledger", 0, "widths", lambda widths: widths.update({"hidden.0.linear": 9})),
    "the loss of the first row": ("run", "ledger", 0, lambda row: row.update(val_loss=1.002 * row["val_loss"])),
    "a receipt above its promise": (*RECEIPT, lambda r: r.update(max_abs_change=1.0)),
}


@pytest.mark.parametrize("what", UNLIKE)
def test_one_change_of_structure_is_seen_on_any_processor(what):
    *path, change = UNLIKE[what]
    before = read_fixture("dense")["folders"]
    now = copy.deepcopy(before)
    change(at(now, *path))
    assert len(list(unlike(before, now))) == 1


def test_other_bits_are_not_another_structure():
    before = read_fixture("dense")["folders"]
    now = copy.deepcopy(before)
    for row in now["run"]["ledger"]:
        row["train_loss"] *= 1 + 1e-6
    now["run"]["ledger"].pop()
    assert list(unlike(before, now)) == []
    assert list(differences(before, now)) != []


def test_a_run_is_kept_without_the_moment_and_the_place(tmp_path):
    path = tmp_path.resolve()
    (tmp_path / "run").mkdir()
    row = {"check": 0, "event": None, "timing": {"seconds": 1.0}}
    (tmp_path / "run" / "ledger.jsonl").write_text(json.dumps(row) + "\n")
    result = {"seconds": 1.0, "continued_from": f"{path}/first", "versions": {"torch": "9", "autogrow": "8"}}
    (tmp_path / "run" / "result.json").write_text(json.dumps(result))
    assert kept(tmp_path) == {
        "run": {
            "ledger": [{"check": 0, "event": None}],
            "result": {"continued_from": "first", "versions": ["autogrow", "torch"]},
        }
    }
