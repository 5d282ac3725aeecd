"""Laws of rows that go by: each is learned from once a pass, those that judge never, and a step's batch is one function
of (seed, step).
"""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from drawn_examples import up_to
from hypothesis import given
from hypothesis import strategies as st
from row_numbers import batches

from autogrow.data import DataSpec, WindowStream, prepare, prepare_stream
from autogrow.errors import CheckpointError, DataError


class Numbered:
    """A source whose rows are their numbers; `read_from` says which were asked for."""

    once = False

    def __init__(self, rows):
        self.rows, self.read_from = rows, []

    def read(self, a_pass, start, stop, *, seed):
        self.read_from.append((a_pass, start, stop))
        y = torch.arange(start, stop)
        return y.float()[:, None].expand(-1, 3), y


def stream(n=103, *, window=30, seed=0, **fields):
    given_fields = {"batch_size": 10, "steps_per_check": 7, "burst": 3} | fields
    return WindowStream(Numbered(n), window=window, seed=seed, **given_fields)


sizes = {
    "n": st.integers(1, 60),
    "batch_size": st.integers(1, 20),
    "members": st.integers(1, 3),
    "window": st.integers(1, 70),
    "more": st.integers(0, 9),
}


def windowed(n, more, **fields):
    a_stream = stream(n, **fields)
    if more:
        y = torch.arange(n, n + more)
        a_stream.learn_also(y.float()[:, None].expand(-1, 3), y)
    return a_stream


@given(**sizes, steps_per_check=st.integers(1, 12), burst=st.integers(1, 8), seed=st.integers(0, 3))
@up_to(60)
def test_the_batch_of_a_step_does_not_depend_on_how_steps_are_cut(n, more, steps_per_check, burst, **kwargs):
    cut = batches(windowed(n, more, steps_per_check=steps_per_check, burst=burst, **kwargs), range(3))
    one_by_one = windowed(n, more, steps_per_check=1, burst=1, **kwargs)
    steps = list(range(3 * steps_per_check))
    found = {t: one_by_one.steps(t, t + 1)[1] for t in steps[::2] + steps[1::2]}  # going back, too
    assert torch.equal(cut, torch.cat([found[t] for t in steps]))


@given(**sizes)
@up_to(60)
def test_a_pass_sees_each_row_at_most_once_and_drops_less_than_a_batch(n, more, batch_size, members, window):
    a_stream = windowed(n, more, batch_size=batch_size, members=members, window=window)
    steps = a_stream.rows // a_stream.batch_size
    for a_pass in range(2):
        ys = a_stream.steps(a_pass * steps, (a_pass + 1) * steps)[1].reshape(steps, members, -1)
        for member in ys.unbind(1):
            seen = member.flatten().tolist()
            assert len(set(seen)) == len(seen) > n + more - a_stream.batch_size
            assert set(seen) <= set(range(n + more))


def test_passes_seeds_and_members_have_orders_of_their_own():
    orders = [stream().steps(0, 10)[1], stream(seed=1).steps(0, 10)[1], stream().steps(10, 20)[1]]
    orders += [stream(members=2).steps(0, 10)[1][:, 1]]
    assert len({tuple(order.flatten().tolist()) for order in orders}) == 4


def test_a_run_that_goes_on_reads_the_window_that_it_was_in_and_no_other():
    whole = batches(stream(), range(2))
    resumed = stream()
    stopped = stream()
    bursts = iter(stopped)
    next(bursts), next(bursts)
    resumed.load_state_dict(stopped.state_dict())
    rest = torch.cat([ys for _, ys in resumed])
    assert torch.equal(rest, whole[6:7])
    assert resumed.source.read_from == [(0, 51, 77)]
    with pytest.raises(CheckpointError, match="resume needs the rows"):
        stream(104).load_state_dict(stopped.state_dict())


def table(n, seed):
    rng = np.random.default_rng(seed)
    x, kind = rng.normal(size=(n, 2)), rng.choice(list("abc"), n)
    y = np.where(x[:, 0] + (kind == "a") > 0, "yes", "no")
    return pd.DataFrame({"number": np.arange(n) + 1000.0 * seed, "u": x[:, 0], "v": x[:, 1], "kind": kind, "y": y})


@pytest.fixture
def parts(tmp_path):
    """Four files of 310 rows in row groups of 100, a target in each row but every 50th."""
    pytest.importorskip("pyarrow")
    for k in range(4):
        one = table(310, k + 1)
        one.loc[::50, "y"] = None
        one.to_parquet(tmp_path / f"part_{k}.parquet", row_group_size=100, index=False)
    return tmp_path


def spec_of(folder, **fields):
    given_fields = {"first_rows": 400, "window_rows": 150, "keep": ("number",)} | fields
    return DataSpec(name="stream", source="stream", path=str(folder), target="y", **given_fields)


def marks(x, prepared):
    """The `number` of each row, which is an input."""
    scale = prepared.preprocess
    at = prepared.encoder.numeric.index("number")
    return [round(v) for v in (x[:, at] / scale.scale[at] + scale.mean[at]).tolist()]


def test_a_pass_over_files_is_every_row_with_a_target_but_those_that_judge(parts):
    prepared = prepare(spec_of(parts))
    every = {1000 * (k + 1) + i for k in range(4) for i in range(310) if i % 50}
    judged = {m for part in (prepared.val, prepared.test) for m in marks(part.x, prepared)}
    orders = []
    for a_pass in range(2):
        x, y = prepared.stream.read(a_pass, 0, prepared.stream.rows, seed=3)
        orders.append(marks(x, prepared))
        assert Counter(orders[-1]) == Counter(every - judged)
        pieces = [prepared.stream.read(a_pass, i, min(i + 37, len(x)), seed=3) for i in range(0, len(x), 37)]
        assert torch.equal(torch.cat([piece[0] for piece in pieces]), x)
        assert torch.equal(torch.cat([piece[1] for piece in pieces]), y)
    assert orders[0] != orders[1]
    card = prepared.card
    assert card["splits"] == {"train": len(every - judged), "val": len(prepared.val), "test": len(prepared.test)}
    assert len(prepared.train) < prepared.train_rows == prepared.stream.rows
    assert any("first part of 400 rows (from 16 of 16 row groups)" in note for note in card["notes"])
    rows = sorted(torch.cat([prepared.val.rows, prepared.test.rows]).tolist())
    assert {1000 * (i // 310 + 1) + i % 310 for i in rows} == judged  # numbered as in the files, one after another


def test_rows_that_went_by_are_encoded_as_those_of_the_first_part(parts):
    prepared = prepare(spec_of(parts))
    x, y = prepared.stream.read(0, 0, prepared.stream.rows, seed=0)
    by_mark = dict(zip(marks(x, prepared), zip(x, y, strict=True), strict=True))
    for mark, row, target in zip(marks(prepared.train.x, prepared), prepared.train.x, prepared.train.y, strict=True):
        assert torch.equal(by_mark[mark][0], row)
        assert by_mark[mark][1] == target


@pytest.mark.parametrize("path", ["", "part_*.parquet"])
def test_a_folder_and_a_pattern_name_the_same_files(parts, path):
    assert prepare(spec_of(parts / path)).card["fingerprint"] == prepare(spec_of(parts)).card["fingerprint"]
    assert prepare(spec_of(parts / path, files=["part_2.parquet"])).card["rows"] == 310 - 7


def test_data_that_changed_have_another_fingerprint(parts):
    before = prepare(spec_of(parts)).card["fingerprint"]
    table(310, 9).to_parquet(parts / "part_3.parquet", row_group_size=100, index=False)
    assert prepare(spec_of(parts)).card["fingerprint"] != before


def test_a_class_that_the_first_part_has_not_is_named_with_its_row_group(parts):
    late = table(310, 5)
    late.loc[305:, "y"] = "maybe"
    late.to_parquet(parts / "part_4.parquet", row_group_size=310, index=False)
    with pytest.raises(DataError, match=r"row group 0 of .*part_4.parquet: .*class 'maybe'.*data.first_rows"):
        prepare(spec_of(parts))


class Batches:
    """Something that can be iterated again."""

    def __init__(self, sizes=(60, 40, 60, 80, 0, 30), form="mapping"):
        whole = table(sum(sizes), 1)
        ends = np.cumsum(sizes)
        frames = [whole.iloc[end - size : end] for size, end in zip(sizes, ends, strict=True)]
        forms = {
            "frame": lambda f: f,
            "mapping": lambda f: {name: f[name].to_numpy() for name in f},
            "pair": lambda f: (f[["u", "v"]].to_numpy(), f["y"].to_numpy()),
        }
        self.batches = [forms[form](frame) for frame in frames]

    def __iter__(self):
        return iter(self.batches)


def own_spec(**fields):
    return DataSpec(**({"name": "own", "source": "stream", "target": "y", "first_rows": 90} | fields))


@pytest.mark.parametrize("form", ["frame", "mapping", "pair"])
def test_a_stream_of_ones_own_is_counted_and_gone_through_again(form):
    prepared = prepare_stream(Batches(form=form), own_spec(**({"target": None} if form == "pair" else {})))
    assert prepared.card["rows"] == 270
    assert prepared.stream.rows == 270 - len(prepared.val) - len(prepared.test)
    x, y = prepared.stream.read(0, 0, prepared.stream.rows, seed=0)
    again = prepared.stream.read(1, 0, prepared.stream.rows, seed=0)
    assert torch.equal(x, again[0])
    assert torch.equal(y, again[1])
    assert torch.equal(x[: len(prepared.train)], prepared.train.x)
    assert torch.equal(prepared.stream.read(0, 100, 150, seed=0)[0], x[100:150])


def test_an_iterator_goes_forward_and_says_so_where_it_cannot():
    prepared = prepare_stream(iter(Batches()), own_spec(stream_rows=270))
    whole = prepare_stream(Batches(), own_spec())
    assert prepared.stream.once
    assert prepared.stream.rows == whole.stream.rows
    for start, stop in ((0, 20), (20, 90), (110, 150)):
        here, there = (p.stream.read(0, start, stop, seed=0) for p in (prepared, whole))
        assert torch.equal(here[0], there[0])
    with pytest.raises(DataError, match="would have to go back to row 10 of pass 0, and an iterator cannot"):
        prepared.stream.read(0, 10, 20, seed=0)


REFUSED = {
    "no rows": ([], {}, "the stream is empty"),
    "an iterator without a count": (iter(Batches()), {}, "say how many it has with data.stream_rows"),
    "fewer rows than first": (Batches(), {"stream_rows": 50}, "data.stream_rows=50 is below the 100 rows"),
    "what is no batch": ([1.0], {}, "got float"),
    "a pair that does not go together": ([(np.ones((3, 2)), np.ones(2))], {}, r"got \(3, 2\) and \(2,\)"),
    "weights": (Batches(), {"weight": "u"}, "data.weight=u needs rows that are in memory"),
    "a split by time": (Batches(), {"split": "time", "split_column": "u"}, "data.split=time needs rows that are in"),
    "another source": (Batches(), {"source": "csv"}, "needs DataSpec"),
}


@pytest.mark.parametrize("given", REFUSED)
def test_what_a_stream_cannot_be_is_refused_by_name(given):
    rows, fields, says = REFUSED[given]
    with pytest.raises(DataError, match=says):
        prepare_stream(rows, own_spec(**fields))


def test_a_stream_that_ends_early_says_after_how_many_rows():
    prepared = prepare_stream(Batches(), own_spec(stream_rows=300))
    with pytest.raises(DataError, match=r"the stream ended after .* data\.stream_rows=300"):
        prepared.stream.read(0, 0, prepared.stream.rows, seed=0)


def test_a_path_without_files_is_refused_by_name(tmp_path):
    for path in (tmp_path, tmp_path / "*.parquet", tmp_path / "none.parquet"):
        with pytest.raises(DataError, match="has no Parquet file"):
            prepare(spec_of(path))
