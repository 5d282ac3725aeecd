"""Laws of the split: disjoint, complete, stratified, fixed by the split seed."""

import numpy as np
import pandas as pd
import pytest
import torch
from drawn_examples import up_to
from hypothesis import given
from hypothesis import strategies as st

from autogrow.data import DataSpec, from_arrays, prepare, prepare_raw
from autogrow.data.raw import Raw
from autogrow.data.splits import check_sizes, group_rows, random_rows, stratified_order, time_rows
from autogrow.errors import DataError


def parts_of(rows):
    return [rows.train, rows.val, rows.test]


@given(
    counts=st.lists(st.integers(2, 60), min_size=2, max_size=6),
    val=st.floats(0.1, 0.4),
    test=st.floats(0.1, 0.4),
    seed=st.integers(0, 5),
)
@up_to(60)
def test_a_stratified_split_is_a_partition_with_every_class_in_proportion(counts, val, test, seed):
    classes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    rows = random_rows(len(classes), val, test, seed, classes=classes)
    assert sorted(np.concatenate(parts_of(rows))) == list(range(len(classes)))
    assert (len(rows.val), len(rows.test)) == (round(len(classes) * val), round(len(classes) * test))
    for part in parts_of(rows):
        share = len(part) / len(classes)
        expected = np.array(counts) * share
        # the cuts lie at quantiles of a union of evenly spaced rows: two rows off at most, one for each end
        assert np.all(np.abs(np.bincount(classes[part], minlength=len(counts)) - expected) <= 2 + len(counts) / 2)
    if len(rows.train) >= len(counts):
        assert len(np.unique(classes[rows.train])) == len(counts)
    else:  # two rows of each class and most rows wanted elsewhere: refused, never trained on without a class
        with pytest.raises(DataError, match=f"train gets {len(rows.train)} .* one for each of {len(counts)} classes"):
            check_sizes(rows, classes, len(classes))


def test_stratified_counts_are_within_one_row_of_the_share():
    classes = np.repeat([0, 1, 2], [500, 300, 200])
    rows = random_rows(1000, 0.2, 0.2, 3, classes=classes)
    for part, share in zip(parts_of(rows), (0.6, 0.2, 0.2), strict=True):
        assert np.all(np.abs(np.bincount(classes[part]) - share * np.array([500, 300, 200])) <= 1)


@pytest.mark.parametrize("seed", range(5))
def test_a_rare_class_is_always_in_train(seed):
    classes = np.repeat(np.arange(6), [200, 2, 2, 2, 2, 2])
    rows = random_rows(len(classes), 0.4, 0.4, seed, classes=classes)
    assert len(np.unique(classes[rows.train])) == 6


def test_any_prefix_of_the_stratified_order_is_stratified():
    classes = np.repeat([0, 1], [900, 100])
    order = stratified_order(classes, np.random.default_rng(0))
    for n in (10, 100, 500):
        assert abs(np.sum(classes[order[:n]]) - n / 10) <= 1


@given(sizes=st.lists(st.integers(1, 40), min_size=3, max_size=30), seed=st.integers(0, 5))
@up_to(60)
def test_a_group_lies_in_one_part_and_no_part_is_empty(sizes, seed):
    groups = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows = group_rows(groups, 0.2, 0.2, seed)
    assert sorted(np.concatenate(parts_of(rows))) == list(range(len(groups)))
    seen = [set(groups[part]) for part in parts_of(rows)]
    assert all(seen)
    assert sum(len(s) for s in seen) == len(sizes)


def test_many_small_groups_fill_the_shares():
    groups = np.arange(1000) // 5
    rows = group_rows(groups, 0.2, 0.2, 1)
    assert [len(p) for p in parts_of(rows)] == [600, 200, 200]


def test_time_goes_forward_from_train_to_val_to_test_and_a_moment_is_not_cut():
    moments = np.random.default_rng(0).integers(0, 40, 500)
    rows = time_rows(moments, 0.2, 0.2, 0)
    assert sorted(np.concatenate(parts_of(rows))) == list(range(500))
    assert moments[rows.train].max() < moments[rows.val].min()
    assert moments[rows.val].max() < moments[rows.test].min()


def test_the_split_seed_alone_fixes_the_split():
    spec = DataSpec("wine", "sklearn")
    torch.manual_seed(1)
    np.random.seed(1)
    one = prepare(spec)
    torch.manual_seed(2)
    np.random.seed(2)
    two, other = prepare(spec), prepare(DataSpec("wine", "sklearn", split_seed=1))
    for part in ("train", "val", "test"):
        assert torch.equal(getattr(one, part).rows, getattr(two, part).rows)
        assert torch.equal(getattr(one, part).x, getattr(two, part).x)
        assert not torch.equal(getattr(one, part).rows, getattr(other, part).rows)
    assert one.card["fingerprint"] == other.card["fingerprint"]


@pytest.mark.parametrize("split", ["group", "time"])
def test_the_split_column_splits_and_is_no_input(split):
    rng = np.random.default_rng(0)
    dates = pd.date_range("2020-01-01", periods=120, freq="D")
    table = pd.DataFrame({"a": rng.normal(size=120), "by": rng.permutation(dates)})
    raw = Raw(table, pd.DataFrame({"y": rng.integers(0, 2, 120)}), "here")
    prepared = prepare_raw(raw, DataSpec(split=split, split_column="by"))
    assert prepared.encoder.columns == ("a",)
    by = table["by"].to_numpy()
    if split == "time":
        assert by[prepared.train.rows].max() < by[prepared.val.rows].min() < by[prepared.test.rows].min()
    assert len(prepared.train) == 72


def test_a_test_file_is_the_test_set_in_its_own_order_and_the_rest_is_split():
    x = np.arange(80.0)[:, None]
    raw = from_arrays(x, np.arange(80) % 2, "here", test_rows=20)
    prepared = prepare_raw(raw, DataSpec(val_fraction=0.25))
    assert prepared.test.rows.tolist() == list(range(60, 80))
    assert len(prepared.val) == 15
    assert sorted(prepared.train.rows.tolist() + prepared.val.rows.tolist()) == list(range(60))


def test_max_rows_takes_a_stratified_sample_and_numbers_rows_by_the_source():
    x = np.arange(1000.0)[:, None]
    prepared = prepare_raw(from_arrays(x, np.arange(1000) % 10 == 0, "here"), DataSpec(max_rows=200))
    rows = torch.cat([prepared.train.rows, prepared.val.rows, prepared.test.rows])
    assert len(set(rows.tolist())) == 200
    assert int((rows % 10 == 0).sum()) == 20
    mean, scale = prepared.preprocess.mean, prepared.preprocess.scale
    assert torch.allclose(prepared.train.x[:, 0], (prepared.train.rows - mean) * scale, atol=1e-5)
