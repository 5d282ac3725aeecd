"""What is left out, and why: columns of no use, rows without a target. And what is added: gaps, the parts of dates."""

import datetime as dt
import re

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autogrow.data import DataSpec, Pipeline, lines, prepare, prepare_raw
from autogrow.data.columns import days as since_1970
from autogrow.data.columns import with_dates
from autogrow.data.continued.follow import TrainedOn
from autogrow.data.date_parts import ROUNDS, varying_parts, waves, years
from autogrow.data.left_out import useless_columns
from autogrow.data.raw import Raw
from autogrow.errors import DataError

N = 100
DRAW = np.random.default_rng(0)
Y = pd.DataFrame({"y": DRAW.normal(size=N)})
USELESS = {
    "counts from 0": (np.arange(N), "numbers the rows"),
    "counts from 1": (np.arange(N) + 1, "numbers the rows"),
    "counts down": (np.arange(N)[::-1], "numbers the rows"),
    "a permutation": (DRAW.permutation(N), "in another order"),
    "with some rows gone": (np.delete(np.arange(N + 8), DRAW.choice(N + 8, 8, False)), "numbers the rows"),
    "as floats": (np.arange(N) * 1.0, "numbers the rows"),
    "customer_id": (DRAW.choice(10**6, N, False), "an id: its name says so"),
    "ID": (DRAW.choice(10**6, N, False), "an id"),
    "rownames": (DRAW.choice(10**4, N, False), "an id"),
    "name": ([f"Mr. {i}" for i in range(N)], r"new in nearly every row \(100 of 100\)"),
    "nearly all new": ([f"n{i % 95}" for i in range(N)], "new in nearly every row"),
    "one value": (np.full(N, 3.5), "is 3.5 in every row"),
    "one word": (["yes"] * N, "is 'yes' in every row"),
    "nothing": ([None] * N, "holds no value"),
    "twin": (Y["y"] * 2.0, ""),
    "the target": (Y["y"], "is the target 'y'"),
}
USEFUL = {
    "a measurement": DRAW.normal(size=N),
    "whole numbers, each another": DRAW.choice(10**6, N, False) + 5,
    "whole numbers that repeat": DRAW.integers(0, N, N),
    "evenly spaced": np.arange(N) * 10,
    "from elsewhere": np.arange(N) + 1000,
    "year": np.arange(N) + 1,
    "trend": np.arange(N),
    "a number with gaps, one value": [None if i % 3 else 1.0 for i in range(N)],
    "words": [f"n{i % 60}" for i in range(N)],
    "id": [i // 3 for i in range(N)],
}


@pytest.mark.parametrize("name", [name for name, (_, why) in USELESS.items() if why])
def test_a_column_of_no_use_is_left_out_with_its_reason(name):
    values, why = USELESS[name]
    x = pd.DataFrame({name: values, "other": DRAW.normal(size=N)})
    reasons = useless_columns(x, Y)
    assert list(reasons) == [name]
    assert re.search(why, reasons[name])
    assert useless_columns(x, Y, keep=[name]) == {}


@pytest.mark.parametrize("name", USEFUL)
def test_a_column_that_may_help_stays(name):
    x = pd.DataFrame({name: USEFUL[name], "other": DRAW.normal(size=N)})
    assert useless_columns(x, Y) == {}


def test_the_first_of_two_that_are_alike_stays():
    x = pd.DataFrame({"a": np.arange(N) * 0.5, "b": np.arange(N) * 0.5, "c": ["u", "v"] * 50, "d": ["u", "v"] * 50})
    assert useless_columns(x, Y) == {"b": "is the same as 'a' in every row", "d": "is the same as 'c' in every row"}
    gaps = x.assign(a=x["a"].where(x.index > 3), b=x["b"].where(x.index > 3))
    assert list(useless_columns(gaps, Y)) == ["b", "d"]
    assert list(useless_columns(gaps.assign(b=x["b"].where(x.index > 4)), Y)) == ["d"]


def test_a_number_of_the_row_stays_where_nothing_else_is_left_and_nothing_else_does():
    assert useless_columns(pd.DataFrame({"x": np.arange(N), "one": np.ones(N)}), Y) == {"one": "is 1 in every row"}
    with pytest.raises(DataError, match=r"no input column is left: 'one' is 1 in every row.*data\.keep=\[one\]"):
        useless_columns(pd.DataFrame({"one": np.ones(N)}), Y)


def stored(tmp_path, table, kind="csv", **fields):
    path = tmp_path / f"t.{kind}"
    table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path)
    return DataSpec(**({"name": kind, "source": kind, "path": str(path), "target": "y"} | fields))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_without_them_is_learned_from_and_says_so(tmp_path, kind):
    table = pd.DataFrame({"id": np.arange(N) + 7000, "a": DRAW.normal(size=N), "y": np.sort(DRAW.normal(size=N))})
    prepared = prepare(stored(tmp_path, table, kind))
    assert prepared.encoder.columns == ("a",)
    (said,) = [text for what, text in lines(prepared.card) if what == "left out"]
    assert "id numbers the rows" in said
    assert "data.keep=[id]" in said
    assert torch.equal(prepared.pipeline.inputs(table.drop(columns="id")), prepared.pipeline.inputs(table))
    assert prepare(stored(tmp_path, table, kind, keep="id")).encoder.columns == ("id", "a")
    with pytest.raises(DataError, match=r"data\.keep: .* has no input column 'idd'; did you mean 'id'"):
        prepare(stored(tmp_path, table, kind, keep="idd"))


def test_rows_in_memory_keep_their_columns():
    x = pd.DataFrame({"id": np.arange(N), "one": np.ones(N)})
    assert prepare_raw(Raw(x, Y, "here"), DataSpec()).encoder.columns == ("id", "one")


def test_a_finished_net_keeps_the_columns_that_it_reads(tmp_path):
    table = pd.DataFrame({"a": DRAW.normal(size=N), "b": DRAW.integers(0, 9, N), "y": DRAW.normal(size=N)})
    before = prepare(stored(tmp_path, table)).pipeline
    assert before.columns == ("a", "b")
    later = prepare(stored(tmp_path, table.assign(b=5)), TrainedOn(before))
    assert later.encoder.columns == ("a", "b")


def test_what_may_be_the_target_in_other_words_is_named(tmp_path):
    y = DRAW.choice(["sick", "well"], N)
    table = pd.DataFrame({"code": np.where(y == "sick", 4, 9), "a": DRAW.normal(size=N), "y": y})
    prepared = prepare(stored(tmp_path, table))
    assert prepared.encoder.columns == ("code", "a")
    (note,) = prepared.card["notes"]
    assert "'code' has one value for each class" in note
    assert "data.drop=[code]" in note


@pytest.mark.parametrize("target", ["class", "number", "two numbers"])
def test_rows_without_a_target_are_left_out_and_counted(tmp_path, target):
    table = pd.DataFrame({"a": DRAW.normal(size=N), "y": DRAW.normal(size=N), "z": DRAW.normal(size=N)})
    if target == "class":
        table["y"] = DRAW.choice(["u", "v"], N)
    table.loc[[3, 50], "y"] = None
    names = ["y", "z"] if target == "two numbers" else ["y"]
    prepared = prepare(stored(tmp_path, table, target=names, drop=() if len(names) == 2 else ["z"]))
    assert prepared.card["rows"] == N - 2
    assert f"2 of {N} rows have no target 'y': left out" in prepared.card["notes"][0]
    rows = torch.cat([part.rows for part in (prepared.train, prepared.val, prepared.test)]).tolist()
    assert sorted(rows) == [i for i in range(N) if i not in (3, 50)]
    assert torch.equal(prepared.pipeline.inputs(table.iloc[prepared.val.rows.numpy()]), prepared.val.x)
    with pytest.raises(DataError, match=rf"'y' is missing in 2 of {N} rows, the first is row 3"):
        prepare(stored(tmp_path, table, target=names, missing_target="refuse"))


def test_a_gap_has_a_column_where_it_occurs_in_training():
    x = pd.DataFrame({"a": DRAW.normal(size=N), "b": DRAW.normal(size=N), "c": DRAW.choice(["u", "v"], N)})
    prepared = prepare_raw(Raw(x, Y, "here"), DataSpec())
    held, learned = int(prepared.test.rows[0]), prepared.train.rows[:5].numpy()
    x.loc[held, "a"] = np.nan
    x.loc[learned, "b"] = np.nan
    prepared = prepare_raw(Raw(x, Y, "here"), DataSpec())
    assert prepared.encoder.indicators == ("b",)
    says = prepared.encoder.encoded().index(("b", "is missing"))
    assert prepared.encoder.encode(x)[:, says].nonzero().flatten().tolist() == sorted(learned)
    one = prepared.pipeline.inputs([{"a": 0.0, "b": None, "c": "u"}])
    assert one[0, says] == 1


@given(st.lists(st.floats(-719_162, 2_932_896), min_size=1, max_size=20))  # years 1 to 9999
def test_parts_of_dates_are_those_of_the_calendar(days):
    days = np.array(days)
    moments = [dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=round(d * 86_400_000_000)) for d in days]
    assert years(days).tolist() == [m.year for m in moments]
    parts = {
        "month": [m.month - 1 for m in moments],
        "day": [m.day - 1 for m in moments],
        "weekday": [m.weekday() for m in moments],
        "hour": [m.hour + m.minute / 60 + m.second / 3600 + m.microsecond / 3.6e9 for m in moments],
    }
    found = waves(days, list(ROUNDS))
    for k, (part, round_) in enumerate(ROUNDS.items()):
        angle = 2 * np.pi * np.array(parts[part]) / round_
        assert np.allclose(found[:, 2 * k], np.sin(angle), atol=1e-5)
        assert np.allclose(found[:, 2 * k + 1], np.cos(angle), atol=1e-5)
    varies = {part for part, values in parts.items() if len(set(values)) > 1}
    assert set(varying_parts(days)) - {"year"} == varies


def test_a_missing_date_has_no_parts():
    days = np.array([np.nan, 0.0])
    assert waves(days, ["hour"])[0].tolist() == [0, 0]
    assert np.isnan(years(days)[0])
    assert varying_parts(np.array([np.nan])) == ()


TIMES = [dt.datetime(1, 1, 1), dt.datetime(2020, 3, 28, 11), dt.datetime(9999, 12, 31, 23)]
DATED = {
    "date32": [t.date() for t in TIMES] * 20,
    "moments": TIMES * 20,
    "dates and moments": [*TIMES[:2], TIMES[2].date()] * 20,
    "offsets": [t.replace(tzinfo=dt.timezone(dt.timedelta(hours=k))) for k, t in enumerate([TIMES[1]] * 3)] * 20,
    "offsets and none": [TIMES[1].replace(tzinfo=dt.UTC), TIMES[1] + dt.timedelta(days=1), TIMES[1]] * 20,
    "periods": list(pd.period_range("2019-11", periods=60, freq="M")),
}


@pytest.mark.parametrize("kind", DATED)
@pytest.mark.parametrize("gaps", [False, True])
def test_dates_of_any_type_are_dates_as_inputs_and_refused_as_targets(kind, gaps):
    column = pd.Series(DATED[kind], dtype=None if kind == "periods" else object)
    column = column.mask(column.index == 4) if gaps else column
    y = pd.DataFrame({"y": np.arange(60) % 2})
    prepared = prepare_raw(Raw(pd.DataFrame({"d": column}), y, "here"), DataSpec())
    assert prepared.encoder.dates == ("d",)
    first = DATED[kind][0]
    utc = pd.Timestamp(first.to_timestamp() if kind == "periods" else first)
    utc = utc if utc.tz is None else utc.tz_convert("UTC").tz_localize(None)
    since = (utc.as_unit("us") - pd.Timestamp(0).as_unit("us")) / pd.Timedelta(days=1)
    assert since_1970(with_dates(pd.DataFrame({"d": column}))["d"])[0] == pytest.approx(since, rel=1e-12)
    with pytest.raises(DataError, match="target 'd' holds dates"):
        prepare_raw(Raw(y, pd.DataFrame({"d": column}), "here"), DataSpec())


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_dates_from_year_1_to_9999_in_a_file(tmp_path, kind):
    table = pd.DataFrame({"d": DATED["date32"], "a": DRAW.normal(size=60), "y": np.arange(60) % 2})
    prepared = prepare(stored(tmp_path, table, kind))
    assert prepared.encoder.dates == ("d",)
    assert prepared.encoder.parts["d"] == ("year", "month", "day", "weekday")
    assert torch.equal(prepared.pipeline.inputs(table.iloc[prepared.val.rows.numpy()]), prepared.val.x)
    with pytest.raises(DataError, match="target 'd' holds dates"):
        prepare(stored(tmp_path, table, kind, target="d"))


def test_records_with_numbers_for_names():
    x = pd.DataFrame({0: DRAW.normal(size=N), 1: DRAW.choice(["u", "v"], N)})
    prepared = prepare_raw(Raw(x, Y, "here"), DataSpec())
    records = [{0: 1.5, 1: "u"}, {0: -1.0, 1: "v"}]
    expected = prepared.pipeline.inputs(pd.DataFrame({"0": [1.5, -1.0], "1": ["u", "v"]}))
    assert torch.equal(prepared.pipeline.inputs(records), expected)
    assert torch.equal(prepared.pipeline.inputs(records[0]), expected[:1])


def test_an_older_pipeline_is_read_and_gone_on_with_as_it_was(tmp_path):
    table = pd.DataFrame({"a": DRAW.normal(size=N), "one": np.ones(N), "d": pd.date_range("2020", periods=N)})
    table["word"], table["y"] = DRAW.choice(["yes", "no"], N), DRAW.normal(size=N)
    table.loc[::7, "a"] = np.nan
    spec = stored(tmp_path, table)
    older = prepare_raw(Raw(table.drop(columns="y"), table[["y"]], "here"), DataSpec()).state()
    numbers = len(older["encoder"]["numeric"])
    for key in ("readings", "missing", "indicators", "parts", "centred"):
        del older["encoder"][key]
    kept = [*range(numbers), *range(-2, 0)]  # numbers, and the two words
    older["preprocess"] = {name: buffer[kept] for name, buffer in older["preprocess"].items()}
    older["input_shape"] = [len(kept)]
    begun = Pipeline.from_state(older)
    resumed = prepare(spec, begun=begun)
    assert resumed.state()["encoder"] == begun.encoder.state()
    assert resumed.train.x.shape[1] == len(kept)
    assert torch.equal(resumed.val.x, begun.inputs(table.iloc[resumed.val.rows.numpy()]))
    continued = prepare(spec, TrainedOn(begun))
    assert continued.encoder.columns == begun.columns
    assert (continued.encoder.indicators, continued.encoder.parts) == ((), {})
    assert list(continued.encoder.categories) == ["word"]
