"""A finished net goes on with more data: the same answers at the start, no row of val or test in train,
whatever has come in addition.
"""

import json
import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

import autogrow
from autogrow.cli import main
from autogrow.data.continued.known_rows import KnownRows
from autogrow.data.splits import Rows
from autogrow.policy.history import Row
from autogrow.train.record.ledger import read_ledger

FAST = ["trainer.max_epochs=12", "trainer.check_every=10"]


def table(n, seed=0, classes=3, categories="ab", extra=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 3)) * [1, 5, 0.1] + [0, 3, -1], columns=["u", "v", "w"])
    frame["constant"] = 2.0 if seed == 0 else rng.normal(size=n)
    frame.loc[rng.random(n) < 0.1, "v"] = np.nan
    frame["kind"] = rng.choice(list(categories), n)
    for i in range(extra):
        frame[f"extra{i}"] = rng.normal(size=n) * 7 + 100
    frame["y"] = rng.integers(0, classes, n)
    return frame


def call(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["fit", "data=csv", "data.target=y", "data.task=classification", *FAST, *arguments])
    return ended.value.code


def parts(run):
    with np.load(run / "checkpoints" / "best.split.npz") as file:
        return {part: set(file["sums"][file["parts"] == i].tolist()) for i, part in enumerate(("train", "val", "test"))}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def chain(runs, *tables, options=()):
    """One run for each table, each continuing from the one before; their folders."""
    folders = []
    for i, frame in enumerate(tables):
        frame.to_csv(f"t{i}.csv", index=False)
        before = [f"continue_from=r{i - 1}"] if i else []
        assert call(f"data.path=t{i}.csv", f"hydra.run.dir=r{i}", *before, *options) == 0
        folders.append(runs / f"r{i}")
    return folders


FIRST, LATER = table(160), table(200, seed=1, classes=3)
GROWN = {
    "more rows": pd.concat([FIRST, LATER]),
    "a new category": pd.concat([FIRST, table(200, seed=1, categories="abc")]),
    "a new column": pd.concat([FIRST, table(200, seed=1, extra=1)]),
    "new classes": pd.concat([FIRST, table(200, seed=1, classes=5)]),
    "all of it": pd.concat([FIRST, table(200, seed=1, classes=5, categories="abcd", extra=2)]),
}
NEW_INPUTS = {"more rows": 1, "a new category": 2, "a new column": 3, "new classes": 1, "all of it": 7}
"""The column that was constant (and left out) is a new one; a category; a column, and where it is missing."""


@pytest.mark.parametrize(("what", "options"), [*((what, ()) for what in GROWN), ("all of it", ("net.members=2",))])
def test_the_answers_on_old_rows_are_the_same(what, options, runs):
    """The first row's receipt is of the nets themselves; here the same is asked of the files, through `load`."""
    _, after = chain(runs, FIRST, GROWN[what], options=options)
    event = read_ledger(after)[0].event
    assert event.do == "data_arrived"
    assert event.receipt["max_abs_change"] <= 1e-5
    assert event.done.new_outputs == (2 if what in ("new classes", "all of it") else 0)
    assert event.done.new_inputs == NEW_INPUTS[what]
    net = autogrow.load(after / "checkpoints" / "best.ckpt")
    labels = net.predict(GROWN[what].drop(columns="y"))
    assert set(labels) <= set(GROWN[what]["y"])
    result = json.loads((after / "result.json").read_text())
    assert result["continued"]["receipt"] == event.receipt


def test_the_start_of_the_next_run_is_the_net_of_the_one_before(runs):
    """A run that may not train (one check at rate 0) hands back the net it was given, statistics refitted or not."""
    first, after = chain(
        runs, FIRST, GROWN["a new category"], options=("optimizer.lr=1e-30", "trainer.temperature=false")
    )
    before, now = (autogrow.load(r / "checkpoints" / "best.ckpt") for r in (first, after))
    old = FIRST.drop(columns="y")
    torch.testing.assert_close(before(before.encode(old)), now(now.encode(old)), atol=1e-5, rtol=1e-5)
    assert not torch.equal(before.preprocess.mean, now.preprocess.mean[: len(before.preprocess.mean)])


def test_no_row_leaves_val_or_test(runs):
    tables = [
        table(150),
        pd.concat([table(150), table(150, seed=1)]),
        pd.concat([table(150), table(150, seed=1), table(90, seed=2)]),
    ]
    folders = chain(runs, *tables)
    for earlier, later in pairwise(folders):
        before, now = parts(earlier), parts(later)
        for part, others in (("train", ("val", "test")), ("val", ("train", "test")), ("test", ("train", "val"))):
            assert not any(before[part] & now[other] for other in others)
            assert before[part] <= now[part]


def test_a_run_that_continues_is_resumed_like_any_other(runs):
    whole = chain(runs, FIRST, GROWN["all of it"])[1]
    rows = read_ledger(whole)
    (runs / "r1" / "result.json").unlink()
    assert call_resume(runs / "r1") == 0
    again = read_ledger(runs / "r1")
    assert [untimed(row) for row in rows] == [untimed(row) for row in again]


def call_resume(folder):
    with pytest.raises(SystemExit) as ended:
        main(["fit", f"resume={folder}"])
    return ended.value.code


def untimed(row: Row):
    plain = row.to_plain()
    plain.pop("timing")
    return {k: "nan" if isinstance(v, float) and math.isnan(v) else v for k, v in plain.items()}


def test_shrink_and_perturb_says_that_the_function_changed(runs):
    chain(runs, FIRST)
    FIRST.to_csv("t.csv", index=False)
    assert (
        call(
            "data.path=t.csv", "continue_from=r0", "warm_start.shrink=0.5", "warm_start.perturb=0.1", "hydra.run.dir=p"
        )
        == 0
    )
    event = read_ledger(runs / "p")[0].event
    assert (event.done.shrink, event.done.perturb, event.receipt["promise"]) == (0.5, 0.1, None)
    assert event.receipt["max_abs_change"] > 1e-3


def test_bad_input_is_one_line_and_leaves_nothing(runs, capsys):
    chain(runs, FIRST)
    (runs / "broken.ckpt").write_text("no")
    text = FIRST.assign(u=["many"] * len(FIRST))
    cases = [
        (FIRST, ["continue_from=nowhere"], "nowhere"),
        (FIRST, ["continue_from=broken.ckpt"], "not a whole checkpoint"),
        (FIRST, [f"continue_from={runs}"], "not the folder of a finished run"),
        (FIRST.drop(columns="u"), ["continue_from=r0"], "'u'"),
        (text, ["continue_from=r0"], "'u'"),
        (GROWN["new classes"], ["continue_from=r0", "data.new_classes=refuse"], "class 3 is new to the net"),
        (
            FIRST.assign(y=FIRST.v.fillna(0.5)),
            ["continue_from=r0", "data.task=regression"],
            "trained for classification",
        ),
        (FIRST, ["continue_from=r0", "net.widths=[7]"], "net.widths=[7]"),
    ]
    capsys.readouterr()
    for frame, arguments, message in cases:
        frame.to_csv("bad.csv", index=False)
        assert call("data.path=bad.csv", "hydra.run.dir=bad", *arguments) == 2
        error = capsys.readouterr().err.strip()
        assert message in error
        assert "\n" not in error
        assert not (runs / "bad").exists()


def test_known_rows_stay_and_new_ones_are_split():
    known = KnownRows.of(
        {"train": np.array([5, 1], np.uint64), "val": np.array([7], np.uint64), "test": np.array([1, 9], np.uint64)}
    )
    assert dict(zip(known.marks.tolist(), known.parts.tolist(), strict=True)) == {1: 2, 5: 0, 7: 1, 9: 2}
    marks = np.array([9, 7, 5, 3, 1, 4], np.uint64)
    rows = known.keep(Rows(np.array([0, 1, 3]), np.array([2]), np.array([4, 5])), marks)
    assert [set(p.tolist()) for p in (rows.train, rows.val, rows.test)] == [{3, 2}, {1}, {0, 4, 5}]
    assert KnownRows.from_bytes(known.to_bytes()).marks.tolist() == known.marks.tolist()
