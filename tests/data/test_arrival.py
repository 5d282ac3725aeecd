"""Laws of data that arrive in stages: splits are nested, nothing changes its split, the last stage is the plain run."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from drawn_examples import up_to
from hypothesis import assume, given
from hypothesis import strategies as st

from autogrow.data import DataSpec, count_stages, prepare, prepare_raw
from autogrow.data.raw import Raw
from autogrow.errors import DataError

PARTS = ("train", "val", "test")


def table(rows=300, classes=4, seed=0):
    draw = np.random.default_rng(seed)
    y = draw.integers(0, classes, rows)
    x = pd.DataFrame(
        {"a": draw.normal(size=rows) + y, "year": draw.integers(2015, 2021, rows), "b": draw.normal(size=rows)}
    )
    return Raw(x, pd.DataFrame({"y": y}), "a table")


def rows_of(prepared):
    return {part: set(getattr(prepared, part).rows.tolist()) for part in PARTS}


def chain(raw, spec):
    return [prepare_raw(raw, replace(spec, stage=k)) for k in range(count_stages(spec))]


KINDS = [
    {"arrival": "fraction"},
    {"arrival": "fraction", "stages": [0.3, 0.5, 1.0]},
    {"arrival": "fraction", "stages": 3},
    {"arrival": "column", "arrival_column": "year", "stages": [2016, 2018]},
    {"arrival": "column", "arrival_column": "year", "stages": 3, "drop": ["year"]},
    {"arrival": "column", "arrival_column": "b"},
    {"arrival": "class", "stages": [[0, 2], [1], [3]]},
    {"arrival": "class"},
]


@pytest.mark.parametrize("keys", KINDS, ids=str)
@pytest.mark.parametrize("split_seed", [0, 3])
def test_stages_are_nested_and_the_last_is_the_plain_run(keys, split_seed):
    raw = table()
    spec = DataSpec(target="y", split_seed=split_seed, **keys)
    plain = prepare_raw(raw, replace(spec, arrival="none", arrival_column=None, stages=None))
    stages = chain(raw, spec)
    for before, after in itertools.pairwise(stages):
        for part in PARTS:
            assert rows_of(before)[part] < rows_of(after)[part]
    assert rows_of(stages[-1]) == rows_of(plain)
    for part in PARTS:  # and in the same order, through the same preprocessing
        one, two = getattr(stages[-1], part), getattr(plain, part)
        assert one.rows.tolist() == two.rows.tolist()
        assert np.array_equal(one.x, two.x)
        assert np.array_equal(one.y, two.y)


@given(
    counts=st.lists(st.integers(60, 120), min_size=2, max_size=5),
    shares=st.lists(st.integers(20, 100), min_size=1, max_size=4, unique=True),
    seed=st.integers(0, 4),
)
@up_to(40)
def test_fractions_hold_every_class_in_proportion(counts, shares, seed):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    raw = Raw(pd.DataFrame({"a": np.arange(len(y)) + 0.5}), pd.DataFrame({"y": y}), "a table")
    shares = sorted(shares)
    assume(all(b - a > 1 for a, b in itertools.pairwise(shares)))  # a hundredth of 120 rows may be none, and is refused
    spec = DataSpec(target="y", arrival="fraction", stages=[s / 100 for s in shares], split_seed=seed)
    plain = prepare_raw(raw, replace(spec, arrival="none", stages=None))
    for stage, share in zip(chain(raw, spec), sorted(shares), strict=True):
        assert len(stage.train) == round(share / 100 * len(plain.train))
        expected = np.bincount(plain.train.y, minlength=len(counts)) * share / 100
        assert np.all(np.abs(np.bincount(stage.train.y, minlength=len(counts)) - expected) <= 1 + len(counts) / 2)
        assert len(np.unique(stage.train.y)) == len(counts)


def test_a_test_file_grows_too_and_stays_the_test_set():
    raw = replace(table(), test_rows=60)
    stages = chain(raw, DataSpec(target="y", arrival="fraction", stages=[0.5, 1.0]))
    assert rows_of(stages[1])["test"] == set(range(240, 300))
    assert len(stages[0].test) == 30
    assert rows_of(stages[0])["test"] < set(range(240, 300))


def test_classes_that_have_not_arrived_are_unknown_to_the_stage():
    stages = chain(table(), DataSpec(target="y", arrival="class", stages=[[2, 0], [1, 3]]))
    assert [stage.labels for stage in stages] == [[0, 2], [0, 1, 2, 3]]
    assert [stage.outputs for stage in stages] == [2, 4]


def test_a_rare_class_is_there_from_the_first_fraction_on():
    y = np.repeat([0, 1], [300, 6])
    raw = Raw(pd.DataFrame({"a": np.arange(306.0)}), pd.DataFrame({"y": y}), "a table")
    for seed in range(5):
        stages = chain(raw, DataSpec(target="y", arrival="fraction", stages=[0.1, 1.0], split_seed=seed))
        assert set(stages[0].train.y.tolist()) == {0, 1}


def test_new_classes_are_said_or_refused():
    spec = DataSpec(target="y", arrival="class", stages=[[2, 0], [1, 3]], stage=1)
    assert "classes that are new in this stage: 1, 3" in prepare_raw(table(), spec).card["notes"]
    with pytest.raises(
        DataError, match=r"stage 1 of 2 \(classes 1, 3\) brings class 1, 3, which no stage before it has"
    ):
        prepare_raw(table(), replace(spec, new_classes="refuse"))
    first = prepare_raw(table(), replace(spec, stage=0, new_classes="refuse"))
    assert not any("new in this stage" in note for note in first.card["notes"])
    with pytest.raises(DataError, match=r"data.new_classes 'grwo' is unknown; did you mean 'grow'"):
        prepare_raw(table(), replace(spec, new_classes="grwo"))


def test_the_preprocessing_knows_only_what_has_arrived():
    raw = table()
    raw.x.loc[raw.x["year"] > 2016, "a"] = 1e6
    first = chain(raw, DataSpec(target="y", arrival="column", arrival_column="year", stages=[2016]))[0]
    assert float(first.preprocess.mean.max()) < 1e4


def test_a_cut_belongs_to_the_stage_that_it_ends():
    stages = chain(table(), DataSpec(target="y", arrival="column", arrival_column="year", stages=[2016]))
    years = table().x["year"].to_numpy()
    assert set(years[stages[0].train.rows]) == {2015, 2016}


def test_dates_are_cut_by_iso_dates():
    raw = table()
    raw.x["year"] = pd.to_datetime(raw.x["year"].astype(str) + "-06-01")
    stages = chain(raw, DataSpec(target="y", arrival="column", arrival_column="year", stages=["2016-12-31"]))
    assert set(raw.x["year"].dt.year.to_numpy()[stages[0].train.rows]) == {2015, 2016}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"arrival": "fractoin"}, "data.arrival 'fractoin' is unknown; did you mean 'fraction'?"),
        ({"stages": 3}, "data.stages=3 needs data.arrival=fraction or column or class or files"),
        ({"stage": 1}, "data.stage=1 needs data.arrival"),
        ({"files": ["a.csv"]}, "data.files=['a.csv'] needs data.arrival=files"),
        ({"arrival": "fraction", "arrival_column": "year"}, "data.arrival_column=year needs data.arrival=column"),
        ({"arrival": "fraction", "stages": [0.5, 0.5, 1.0]}, "must increase from stage to stage, got 0.5 after 0.5"),
        ({"arrival": "fraction", "stages": [0.8, 0.2]}, "must increase from stage to stage, got 0.2 after 0.8"),
        ({"arrival": "fraction", "stages": [0.5, 1.2]}, "at most 1, such as [0.2,0.6,1], got [0.5, 1.2]"),
        ({"arrival": "fraction", "stages": [0.0, 1.0]}, "above 0"),
        ({"arrival": "fraction", "stages": ["a"]}, "shares of the rows"),
        ({"arrival": "fraction", "stages": []}, "got []"),
        ({"arrival": "fraction", "stages": "half"}, "'half'"),
        ({"arrival": "fraction", "stages": 1}, "at least 2"),
        ({"arrival": "fraction", "stage": 5}, "data.stage must be a whole number from 0 to 4, got 5"),
        ({"arrival": "fraction", "stages": [0.01, 1.0]}, "stage 0 of 2 (1 % of the rows)"),
        ({"arrival": "fraction", "stages": [0.999, 0.9991]},
         "stage 1 of data.arrival=fraction (99.9 % of the rows) has no rows"),
        ({"arrival": "column"}, "needs data.arrival_column="),
        ({"arrival": "column", "arrival_column": "yaer"}, "no input column 'yaer'; did you mean 'year'?"),
        ({"arrival": "column", "arrival_column": "year", "stages": [2018, 2016]}, "got 2016 after 2018"),
        ({"arrival": "column", "arrival_column": "year", "stages": [1990]}, "(year up to 1990) has no rows of its own"),
        ({"arrival": "column", "arrival_column": "year", "stages": [2020]}, "(all of year) has no rows of its own"),
        ({"arrival": "column", "arrival_column": "year", "stages": ["2016-01-01"]}, "must be numbers"),
        ({"arrival": "column", "arrival_column": "year", "stages": 50}, "50 stages are too many for 'year'"),
        ({"arrival": "class", "stages": [[0, 1], [2, 7]]}, "'7' is not a class of 'y'"),
        ({"arrival": "class", "stages": [[0, 1], [1, 2, 3]]}, "names class '1' twice"),
        ({"arrival": "class", "stages": [[0, 1], [2]]}, "leaves out class 3"),
        ({"arrival": "class", "stages": [[0], [1, 2, 3]]}, "stage 0 of 2 (classes 0)"),
        ({"arrival": "class", "stages": 9}, "more than the 4 classes"),
        ({"arrival": "class", "task": "regression"}, "needs classes"),
    ],
)  # fmt: skip
def test_what_cannot_be_staged_is_one_line(keys, message):
    spec = DataSpec(
        target="y", **{"stage": 0, **keys} if keys.get("arrival") in ("fraction", "column", "class") else keys
    )
    with pytest.raises(DataError) as caught:
        prepare_raw(table(), spec)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_column_with_missing_values_is_refused():
    raw = table()
    raw.x["when"] = np.where(np.arange(300) % 50 == 0, np.nan, 1.0)
    with pytest.raises(DataError, match="'when' is missing in 6 rows"):
        prepare_raw(raw, DataSpec(target="y", arrival="column", arrival_column="when"))


def test_a_time_split_leaves_early_stages_without_a_test_set():
    spec = DataSpec(
        target="y", split="time", split_column="year", arrival="column", arrival_column="year", stages=[2016], stage=0
    )
    with pytest.raises(DataError, match=r"stage 0 of 2 \(year up to 2016\): .* too few for the split: val gets 0"):
        prepare_raw(table(), spec)


def test_prepare_reads_stages_of_a_named_set():
    sizes = [
        len(prepare(DataSpec(name="digits", source="sklearn", arrival="fraction", stage=k)).train) for k in range(5)
    ]
    assert sizes == [216, 432, 647, 863, 1079]
