"""A split of one's own: by a column or a file, to the row; and what a run leaves says it again."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import call

from autogrow.data import DataSpec, prepare, validate
from autogrow.errors import DataError

pytestmark = pytest.mark.usefixtures("alone")

PARTS = ("train", "val", "test")
SAID = np.random.default_rng(3).choice(PARTS, 120, p=[0.6, 0.2, 0.2])


def table(**columns):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=120), "z": rng.normal(size=120), "y": np.resize(["a", "b"], 120)})
    frame.assign(**columns).to_csv("t.csv", index=False)


def prepared(**settings):
    return prepare(DataSpec(path="t.csv", target="y", **settings))


def rows_of(data):
    return {part: sorted(getattr(data, part).rows.tolist()) for part in PARTS}


def said(parts=SAID):
    return {part: np.flatnonzero(np.asarray(parts) == part).tolist() for part in PARTS}


COLUMN = {"split": "column", "split_column": "part"}
FILE = {"split": "file", "split_file": "rows.npz"}


@pytest.mark.parametrize(
    "called", [{}, {"train": "Training", "val": "valid", "test": " TEST "}, {"val": "dev"}], ids=str
)
def test_a_column_says_it_and_is_no_input(called):
    table(part=[called.get(part, part) for part in SAID])
    data = prepared(**COLUMN)
    assert rows_of(data) == said()
    assert data.encoder.columns == ("x", "z")
    assert "as column part says" in data.card["split"]
    data.pipeline.inputs(pd.read_csv("t.csv"))  # and may be there when the net is asked


@pytest.mark.parametrize("form", ["npz", "csv"])
def test_a_file_says_it(form):
    table()
    if form == "npz":
        np.savez("rows.npz", **said())
    else:
        pd.DataFrame({"row": range(120), "part": SAID}).sample(frac=1, random_state=0).to_csv("rows.csv", index=False)
    data = prepared(split="file", split_file=f"rows.{form}")
    assert rows_of(data) == said()


def test_rows_are_those_of_the_table_where_some_have_no_target():
    y = np.resize(["a", "b"], 120).astype(object)
    y[[0, 7, 50]] = None
    table(y=y, part=SAID)
    np.savez("rows.npz", **said())
    wanted = {part: [r for r in rows if r not in (0, 7, 50)] for part, rows in said().items()}
    assert rows_of(prepared(**COLUMN)) == rows_of(prepared(drop=["part"], **FILE)) == wanted


def test_rows_are_those_of_the_table_where_a_sample_is_learned_from():
    table(part=SAID)
    whole, some = said(), rows_of(prepared(max_rows=60, **COLUMN))
    assert sum(map(len, some.values())) == 60
    assert all(set(some[part]) <= set(whole[part]) for part in PARTS)


@pytest.mark.parametrize("unsaid", [["val"], ["test"], ["val", "test"]], ids=str)
def test_a_part_that_is_not_said_is_drawn_from_train(unsaid):
    parts = np.where(np.isin(SAID, unsaid), "train", SAID)
    table(part=parts)
    found = rows_of(prepared(**COLUMN))
    for part in ("val", "test"):
        if part in unsaid:
            assert len(found[part]) == round(0.2 * len(said(parts)["train"]))
            assert set(found[part]) < set(said(parts)["train"])
        else:
            assert found[part] == said(parts)[part]
    assert sorted(row for rows in found.values() for row in rows) == list(range(120))


@pytest.mark.parametrize("settings", [[], ["data.split=group", "data.split_column=g"], ["data.max_rows=100"]], ids=str)
def test_what_a_run_leaves_gives_another_the_same_rows(settings):
    table(g=np.arange(120) % 17)
    assert (
        call(
            "fit",
            "data=csv",
            "data.path=t.csv",
            "data.target=y",
            "trainer.max_epochs=2",
            "hydra.run.dir=run",
            *settings,
        )
        == 0
    )
    with np.load("run/splits.npz") as file:
        left = {part: file[part].tolist() for part in PARTS}
    card = json.loads(Path("run/data_card.json").read_text())
    assert {part: len(rows) for part, rows in left.items()} == card["splits"]
    if "data.max_rows=100" not in settings:
        assert rows_of(prepared(split="file", split_file="run/splits.npz", drop=["g"])) == left
    else:
        with pytest.raises(DataError, match="20 rows in no part"):
            prepared(split="file", split_file="run/splits.npz")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (["train"] * 119 + ["tset"], "got 'tset' in row 119; did you mean 'test'"),
        (["train"] * 119 + [None], "got nothing in row 119"),
        (["test"] * 120, "data.split_column=part puts no row into train"),
        (["train"] * 119 + ["val"], "val gets 1"),
    ],
)
def test_a_column_that_does_not_say_it(part, message):
    table(part=part)
    with pytest.raises(DataError, match=message):
        prepared(**COLUMN)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train": range(119), "test": [119, 120]}, "names row 120, and the table has 120 rows, from 0 to 119"),
        ({"train": range(110), "test": range(109, 120)}, "names row 109 more than once"),
        ({"train": range(100), "test": range(105, 120)}, "5 rows in no part where they belong, the first is row 100"),
        ({"train": [0.5, 1.0]}, "train is no list of whole numbers"),
        ({"val": range(120)}, "it has no train"),
        ({"train": [-1], "test": range(120)}, "names row -1"),
    ],
    ids=str,
)
def test_a_file_that_does_not_say_it(arrays, message):
    table()
    np.savez("rows.npz", **{k: np.array(v) for k, v in arrays.items()})
    with pytest.raises(DataError, match=message):
        prepared(**FILE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "does not exist"),
        ("", "cannot be read as CSV"),
        ("a,b\n1,2\n", "columns row .* and part"),
        ("row,part\n1,x\n", "got 'x'"),
    ],
)
def test_a_text_that_does_not_say_it(text, message):
    table()
    if text is not None:
        Path("rows.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        prepared(split="file", split_file="rows.csv")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "column"}, "data.split=column needs data.split_column=<the column that says the part>"),
        ({"split": "file"}, "data.split=file needs data.split_file="),
        ({"split_file": "rows.npz"}, "data.split_file='rows.npz' needs data.split=file"),
        ({"split": "file", "split_file": "r.npz", "split_column": "part"}, "needs data.split=group"),
        ({"split": "colunm", "split_column": "part"}, "did you mean 'column'"),
    ],
)
def test_the_rules_of_a_split_are_rules_of_the_spec(settings, message):
    with pytest.raises(DataError, match=message):
        validate(DataSpec(path="t.csv", target="y", **settings))


def test_images_are_split_by_a_file_too():
    rng = np.random.default_rng(0)
    np.savez("images.npz", x=rng.integers(0, 255, (120, 6, 6), dtype=np.uint8), y=np.arange(120) % 2)
    np.savez("rows.npz", **said())
    assert rows_of(prepare(DataSpec(source="npz", path="images.npz", **FILE))) == said()


def test_a_row_that_a_net_has_learned_from_is_not_put_into_test():
    table(part=SAID)
    fit = ["fit", "data=csv", "data.path=t.csv", "data.target=y", "data.split=column", "data.split_column=part"]
    assert call(*fit, "trainer.max_epochs=2", "hydra.run.dir=first") == 0
    assert call(*fit, "trainer.max_epochs=2", "hydra.run.dir=same", "continue_from=first") == 0
    turned = np.where(SAID == "train", "test", np.where(SAID == "test", "train", SAID))
    table(part=turned)
    assert call(*fit, "trainer.max_epochs=2", "hydra.run.dir=turned", "continue_from=first") == 2
