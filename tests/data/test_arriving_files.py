"""Files that arrive in a folder: one table, split file by file, and a row that comes twice keeps its split."""

import itertools
import os

import numpy as np
import pandas as pd
import pytest

from autogrow.data import DataSpec, count_stages, prepare
from autogrow.errors import DataError

PARTS = ("train", "val", "test")


def put(folder, name, rows=60, seed=0, **columns):
    draw = np.random.default_rng(seed)
    y = draw.integers(0, 2, rows)
    table = pd.DataFrame({"a": draw.normal(size=rows) + y, "b": draw.normal(size=rows), "y": y}).assign(**columns)
    table.to_parquet(folder / name) if name.endswith("parquet") else table.to_csv(folder / name, index=False)
    return table


def spec(folder, stage=None, source="csv", **keys):
    return DataSpec(name=source, source=source, path=str(folder), target="y", arrival="files", stage=stage, **keys)


def rows_of(prepared):
    return {part: set(getattr(prepared, part).rows.tolist()) for part in PARTS}


@pytest.mark.parametrize("source", ["csv", "parquet"])
def test_each_file_is_a_stage_and_changes_nothing_of_those_before(tmp_path, source):
    for k, name in enumerate(("1-mon", "2-tue", "3-wed")):
        put(tmp_path, f"{name}.{source}", seed=k)
    (tmp_path / "notes.md").write_text("not data")
    assert count_stages(spec(tmp_path, source=source)) == 3
    stages = [prepare(spec(tmp_path, k, source)) for k in range(3)]
    assert [len(s.train) + len(s.val) + len(s.test) for s in stages] == [60, 120, 180]
    for before, after in itertools.pairwise(stages):
        for part in PARTS:
            assert rows_of(before)[part] < rows_of(after)[part]
    assert rows_of(prepare(spec(tmp_path, source=source))) == rows_of(stages[-1])
    assert "3 files in" in stages[-1].card["origin"]


def test_a_row_that_comes_again_keeps_its_split(tmp_path):
    first = put(tmp_path, "1.csv")
    second = put(tmp_path, "2.csv", seed=1)
    pd.concat([first, second.iloc[:0], first.iloc[::-1]]).to_csv(tmp_path / "2.csv", index=False)
    both = prepare(spec(tmp_path))
    split = {row: part for part in PARTS for row in rows_of(both)[part]}
    for i in range(60):
        assert split[i] == split[60 + i]
        assert split[i] == split[179 - i]


def test_the_order_is_by_name_or_by_when_it_was_written(tmp_path):
    for k, (name, at) in enumerate((("a.csv", 300), ("b.csv", 100), ("c.csv", 200))):
        put(tmp_path, name, seed=k)
        os.utime(tmp_path / name, (at, at))
    first = {order: prepare(spec(tmp_path, 0, stages=order)).card["origin"] for order in ("name", "mtime")}
    assert first["name"].endswith("a.csv")
    assert first["mtime"].endswith("b.csv")
    assert prepare(spec(tmp_path, 0, files=["c.csv", "a.csv"])).card["origin"].endswith("c.csv")


def test_a_column_that_comes_later_is_missing_before(tmp_path):
    put(tmp_path, "1.csv")
    put(tmp_path, "2.csv", seed=1, extra=np.arange(60.0))
    assert prepare(spec(tmp_path, 0)).card["columns"] == 2
    both = prepare(spec(tmp_path, 1))
    assert both.card["columns"] == 3
    assert both.card["missing_by_column"] == {"extra": 60}


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"b": "text"}, "2.csv: column 'b' holds text, and numbers in the files before it"),
        ({"b": True}, "column 'b' holds booleans, and numbers"),
        ({"b": "2020-01-01"}, "column 'b' holds dates, and numbers"),
        ({"y": "no"}, "column 'y' holds text, and numbers"),
    ],
)
def test_a_column_of_another_kind_is_refused(tmp_path, second, message):
    put(tmp_path, "1.csv")
    put(tmp_path, "2.csv", seed=1, **second)
    with pytest.raises(DataError, match=message):
        prepare(spec(tmp_path))


def test_what_cannot_be_read_is_one_line(tmp_path):
    table = put(tmp_path, "1.csv")
    table.drop(columns="b").to_csv(tmp_path / "2.csv", index=False)
    with pytest.raises(DataError, match=r"2.csv has no column 'b', which the files before it have"):
        prepare(spec(tmp_path))
    table.iloc[:0].to_csv(tmp_path / "2.csv", index=False)
    with pytest.raises(DataError, match=r"2.csv holds a header and no rows"):
        prepare(spec(tmp_path))
    (tmp_path / "2.csv").write_text("")
    with pytest.raises(DataError, match=r"2.csv is empty"):
        prepare(spec(tmp_path))
    (tmp_path / "2.csv").unlink()
    for keys, message in (
        ({"files": ["2.csv"]}, r"there is no '2.csv' in .*did you mean '1.csv'"),
        ({"stages": "size"}, r"data.stages must be name or mtime"),
        ({"split": "group", "split_column": "a"}, r"data.split=group does not go with it"),
    ):
        with pytest.raises(DataError, match=message):
            prepare(spec(tmp_path, **keys))
    for path, message in ((tmp_path / "1.csv", "is a file"), (tmp_path / "x", "does not exist")):
        with pytest.raises(DataError, match=message):
            prepare(spec(path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no csv file"):
        prepare(spec(tmp_path / "empty"))
    with pytest.raises(DataError, match="goes with data=csv or data=parquet"):
        prepare(DataSpec(name="digits", source="sklearn", arrival="files"))
