"""Large tables: read in parts, kept in few bytes, encoded column by column; and what comes out is the same."""

import hashlib
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from far_columns import WITHIN, column

from autogrow.data import DataSpec, prepare, prepare_raw
from autogrow.data.as_text import coded, texts
from autogrow.data.centre import centring_of, is_constant, rounding_is_harmless, rounds_well, told_apart
from autogrow.data.columns import doubles
from autogrow.data.columns import stored as as_stored
from autogrow.data.continued.follow import TrainedOn
from autogrow.data.continued.known_rows import KnownRows
from autogrow.data.continued.marks import DIGESTS, SUMS, marks_of
from autogrow.data.encode import standing
from autogrow.data.fit_encoder import fit_table_encoder
from autogrow.data.left_out import _reason
from autogrow.data.rules import checked
from autogrow.data.same_columns import holds_the_same
from autogrow.data.sources import assemble
from autogrow.data.sources.delimited import read_csv
from autogrow.data.sources.storage import Storage
from autogrow.data.sources.tables import read_parquet

N = 120
RNG = np.random.default_rng(0)


def mixed(rows=N):
    """A table of everything that a column may hold."""
    gaps = RNG.random(rows) < 0.2
    return pd.DataFrame(
        {
            "fractions": RNG.normal(size=rows).round(4),
            "with gaps": np.where(gaps, np.nan, RNG.normal(3, 1, rows).round(4)),
            "whole": RNG.integers(-40, 40, rows),
            "large": RNG.integers(2**24, 2**31 - 1, rows),
            "larger": RNG.integers(2**40, 2**41, rows),
            "moment": RNG.integers(1_700_000_000, 1_700_000_900, rows) * 1.0,
            "text": RNG.choice(["a", "b", "c d", "é"], rows),
            "text with gaps": np.where(gaps, None, RNG.choice(["a", "b"], rows)),
            "yes or no": RNG.choice(["yes", "no"], rows),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(RNG.integers(0, 900, rows), "D"),
            "y": RNG.choice(["in", "out"], rows),
        }
    )


def spec(path):
    form = path.suffix[1:]
    return checked(DataSpec(name=form, source=form, path=str(path), target="y"))


def stored(table, path):
    table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path, index=False)
    return path


def assert_same(one, two):
    """Two prepared data sets hold the same."""
    for part in ("train", "val", "test"):
        a, b = getattr(one, part), getattr(two, part)
        for held, other in ((a.rows, b.rows), (a.y, b.y), (a.x, b.x)):
            assert torch.equal(held, other), part
    assert one.card["fingerprint"] == two.card["fingerprint"]
    assert (one.known_rows().marks == two.known_rows().marks).all()
    for a, b in zip(one.preprocess.buffers(), two.preprocess.buffers(), strict=True):
        assert torch.equal(a, b)


@pytest.fixture
def small_parts(monkeypatch):
    """Text is read a few rows at a time."""
    for name, rows in {"FIRST": 3, "LEAST": 5, "CELLS": 1}.items():
        monkeypatch.setattr(assemble, name, rows)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_what_is_learned_from_a_file_is_what_its_frame_holds(form, tmp_path, small_parts):
    table = mixed()
    path = stored(table, tmp_path / f"table.{form}")
    wanted = spec(path)
    read = {"csv": read_csv, "parquet": read_parquet}[form]
    assert_same(prepare(wanted), prepare_raw(read(wanted), wanted))


def test_one_table_is_learned_from_alike_in_either_form(tmp_path, small_parts):
    table = mixed().drop(columns="yes or no")  # a word of yes and no is a boolean in text, and text in a typed file
    one, two = (prepare(spec(stored(table, tmp_path / f"table.{form}"))) for form in ("csv", "parquet"))
    assert_same(one, two)


PARTS = {
    "whole numbers, then fractions": ["1"] * 20 + ["2.5"] * 20,
    "nothing, then numbers": [""] * 20 + ["7"] * 20,
    "numbers, then nothing": ["7"] * 20 + [""] * 20,
    "nothing, then text": [""] * 20 + ["a"] * 20,
    "text, then nothing": ["a"] * 20 + [""] * 20,
    "numbers, then text": ["007"] * 20 + ["a"] * 20,
    "text, then numbers": ["a"] * 20 + ["1.50"] * 20,
    "booleans": ["True", "False"] * 20,
    "booleans, then nothing": ["True"] * 20 + [""] * 10 + ["False"] * 10,
    "booleans, then numbers": ["True"] * 20 + ["1"] * 20,
    "nothing at all": [""] * 40,
    "numbers that outgrow 64 bits": ["1"] * 20 + [str(2**63 + 5)] * 20,
    "numbers that outgrow all": ["1"] * 20 + ["123456789012345678901234567890"] * 20,
    "thousands": ["1,234.5", "2,000"] * 20,
    "dates": ["3 May 1999", "4 June 2001"] * 20,
    "text with blanks around it": ["a", " a ", "b", "?"] * 10,
}


@pytest.mark.parametrize("name", PARTS)
def test_a_column_read_in_parts_is_the_column_read_whole(name, tmp_path, monkeypatch):
    table = pd.DataFrame({"x": PARTS[name], "y": ["u", "v"] * 20})
    wanted = spec(stored(table, tmp_path / "table.csv"))
    whole = read_csv(wanted)
    for where in ("FIRST", "LEAST", "CELLS"):
        monkeypatch.setattr(assemble, where, 7)
    parts = read_csv(wanted)
    pd.testing.assert_frame_equal(parts.x, whole.x)
    assert (parts.notes, parts.written) == (whole.notes, whole.written)
    small = read_csv(wanted, Storage(frozenset("y")))
    assert texts(small.x["x"]) == texts(whole.x["x"])


def test_numbers_that_lie_closer_than_their_first_rows_say_are_read_again(tmp_path, monkeypatch):
    """The first part alone would do in 32 bits; all rows together, a hundredth apart around a thousand, would not."""
    monkeypatch.setattr(assemble, "FIRST", 3)
    x = np.concatenate([[0.0, 1.0, 2.0], 1000 + RNG.normal(size=29_997).round(3) / 100])
    table = pd.DataFrame({"x": x, "y": np.resize(["u", "v"], len(x))})
    read = read_csv(spec(stored(table, tmp_path / "table.csv")), Storage(frozenset("y"))).x["x"]
    pd.testing.assert_series_equal(read, table["x"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", WITHIN)
def test_a_column_is_kept_in_32_bits_only_where_these_tell_its_values_apart(name):
    x = pd.Series(column(name, RNG.integers(-50, 50, 500)), name="x")
    kept = Storage(frozenset()).kept(x)
    assert (kept.dtype == np.float32) == (name in ("ordinary", "of size 1e-30"))
    assert Storage(frozenset("x")).kept(x) is Storage().kept(x) is x


@pytest.mark.parametrize("seed", range(40))
def test_what_surely_rounds_well_does(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rng.integers(2, 200_000)) * 10.0 ** rng.integers(-32, 32) + 10.0 ** rng.integers(-3, 9)
    if rounds_well(x):
        assert rounding_is_harmless(x, float(x.std()))
        assert not is_constant(x)


def test_whole_numbers_stay_whole_and_text_becomes_codes():
    kept = Storage(frozenset())
    assert kept.kept(pd.Series([1, 2**31 - 1])).dtype == np.int32
    assert kept.kept(pd.Series([1, 2**31])).dtype == np.int64
    words = pd.Series(["a", None, "b", "a"] * 3, name="w")
    assert texts(kept.kept(words)) == texts(words) == ["a", None, "b", "a"] * 3
    assert isinstance(kept.kept(words).dtype, pd.CategoricalDtype)
    assert not isinstance(kept.kept(pd.Series(list("abc"))).dtype, pd.CategoricalDtype)  # all are different


@pytest.mark.parametrize(
    "values",
    [["a", None, "b"], [1.0, 2.5, np.nan], [1, 2, 2], [True, 1, "1"], [True, None, False], pd.Categorical(["x", None])],
    ids=str,
)
def test_each_different_text_once_says_what_all_do(values):
    column = pd.Series(values)
    found = coded(column)
    assert [None if c < 0 else found.texts[c] for c in found.codes] == texts(column)
    assert len(set(found.texts)) == len(found.texts)
    assert sum(found.counts().values()) == len(column)
    assert b"".join(found.joined("\0", "\1")) == "\0".join("\1" if t is None else t for t in texts(column)).encode()


def test_a_copy_of_the_target_is_found_where_it_is_kept_in_fewer_bytes(tmp_path):
    y = RNG.normal(size=N).round(5)
    table = pd.DataFrame({"x": RNG.normal(size=N), "same": y, "y": y})
    for form in ("csv", "parquet"):
        assert prepare(spec(stored(table, tmp_path / f"t.{form}"))).card["left_out"] == {"same": "is the target 'y'"}
    assert not holds_the_same(table["x"], table["y"])
    assert not holds_the_same(pd.Series([1.0, np.nan]), pd.Series([1.0, 2.0]))
    assert holds_the_same(pd.Series(["a", None]), pd.Series(pd.Categorical(["a", None], ["b", "a"])))


def test_a_column_that_a_net_knows_in_64_bits_is_read_in_them(tmp_path):
    """Moments a few minutes apart are centred; with rows of other years beside them 32 bits would do for new rows."""
    near = pd.DataFrame(
        {"t": 1_700_000_000.0 + RNG.integers(0, 900, N), "x": RNG.normal(size=N), "y": ["u", "v"] * (N // 2)}
    )
    path = stored(near, tmp_path / "table.parquet")
    before = prepare(spec(path))
    assert "t" in before.encoder.centred
    known = before.known_rows()
    far = near.assign(t=RNG.integers(0, 2_000_000_000, N) * 1.0)
    stored(pd.concat([near, far]), path)
    assert Storage(frozenset()).kept(pd.concat([near, far])["t"]).dtype == np.float32
    now = prepare(spec(path), TrainedOn(before.pipeline, known, card=before.card))
    assert (known.parts_of(now.known_rows().marks) >= 0).sum() == len(known.marks)


def test_rows_are_known_by_the_marks_that_older_runs_wrote():
    x, y = torch.randn(50_000, 3), RNG.integers(0, 2, 50_000)
    x[5, 1] = -0.0
    wanted = [
        int.from_bytes(hashlib.blake2b((row + 0.0).numpy().tobytes() + one.tobytes(), digest_size=8).digest(), "little")
        for row, one in zip(x[:20], y[:20], strict=True)
    ]
    marks = marks_of(x, y, DIGESTS)
    assert marks[:20].tolist() == wanted
    assert (marks_of(x[40_000:], y[40_000:], DIGESTS) == marks[40_000:]).all()


def test_a_mark_is_the_sum_of_a_row_s_words_each_times_its_key():
    """And not of its place: −0 is 0, rows that are equal have one mark, a bit or a swap makes another."""
    x, y = torch.randn(30_000, 3), RNG.integers(0, 2, 30_000)
    x[5, 1], x[6], y[6] = -0.0, x[5], y[5]
    x[6, 1], x[7], y[7] = 0.0, x[5].flip(0), y[5]
    keys = hashlib.shake_256(b"autogrow: marks of rows").digest(16 * 5)
    keys = [int.from_bytes(keys[at : at + 8], "little") for at in range(0, len(keys), 8)]

    def mark(row, one):
        words = [*(row + 0.0).numpy().view(np.uint32).tolist(), *np.array([one]).view(np.uint32).tolist()]
        upper, lower = (sum(w * k for w, k in zip(words, keys[way::2], strict=True)) % 2**64 for way in (0, 1))
        return (upper >> 32 << 32) + (lower >> 32)

    marks = marks_of(x, y)
    assert marks[:20].tolist() == [mark(row, one) for row, one in zip(x[:20], y[:20].tolist(), strict=True)]
    assert (marks_of(x[20_001:], y[20_001:]) == marks[20_001:]).all()
    assert marks[5] == marks[6]
    assert len(np.unique(marks)) == len(marks) - 1
    turned = x.numpy().copy()
    turned.view(np.uint32)[:, 2] ^= 1
    assert not np.isin(marks_of(torch.from_numpy(turned), y), marks).any()
    assert not np.isin(marks_of(x, 1 - y), marks).any()


@pytest.mark.parametrize("way", [SUMS, DIGESTS])
def test_a_net_goes_on_marking_rows_in_the_way_of_its_run(way, tmp_path):
    """Also where that is an older one: every row is known again, and later rows are marked in the same way."""
    table = pd.DataFrame({"x": RNG.normal(size=N), "y": ["u", "v"] * (N // 2)})
    before = prepare(spec(stored(table, tmp_path / "table.parquet")))
    parts = {part: getattr(before, part) for part in ("train", "val", "test")}
    raw = {
        part: torch.from_numpy(table["x"].to_numpy(np.float32)[split.rows])[:, None] for part, split in parts.items()
    }
    marked = KnownRows.of({part: marks_of(raw[part], split.y.numpy(), way) for part, split in parts.items()}, way)
    known = KnownRows.from_bytes(marked.to_bytes())
    assert known.way == way
    more = pd.DataFrame({"x": RNG.normal(size=N), "y": ["v", "u"] * (N // 2)})
    stored(pd.concat([more, table]), tmp_path / "table.parquet")
    now = prepare(spec(tmp_path / "table.parquet"), TrainedOn(before.pipeline, known, card=before.card))
    for part, split in parts.items():
        assert set(N + split.rows.numpy()) <= set(getattr(now, part).rows.tolist())
    later = now.known_rows()
    assert later.way == way
    assert ((known.parts_of(later.marks) >= 0).sum(), len(later.marks)) == (N, 2 * N)


def test_parts_are_encoded_as_the_whole_is_and_columns_are_let_go():
    table = mixed().drop(columns="y")
    encoder = fit_table_encoder(table, categorical=["whole"], coding="onehot", most=50, ignored=())
    whole = encoder.encode(table)
    rows = [RNG.permutation(N)[:70], np.arange(0, N, 3), np.array([], dtype=np.int64)]
    columns = dict(encoder.read(table).items())
    parts = standing(encoder.encode_rows(columns, np.concatenate(rows)), [len(own) for own in rows])
    for part, own in zip(parts, rows, strict=True):
        torch.testing.assert_close(part, whole[own], rtol=0, atol=0, equal_nan=True)
    assert columns == {}
    assert list(table) == list(encoder.columns)  # the frame that was given is as it was


@pytest.mark.parametrize("name", sorted(WITHIN))
def test_what_is_asked_of_a_column_in_32_bits_is_what_is_asked_of_its_numbers_in_64(name):
    values = column(name, np.arange(N)).astype(np.float32)
    for kept in (values, np.where(np.arange(N) % 7 == 0, np.float32(np.nan), values)):
        wide, narrow = (pd.Series(kept.astype(kind), name="x") for kind in (np.float64, np.float32))
        assert centring_of(kept, precision=2.0**-23) == centring_of(wide.to_numpy(), precision=2.0**-23)
        assert told_apart(kept).tobytes() == told_apart(wide.to_numpy()).tobytes()
        assert _reason(narrow) == _reason(wide)
        assert as_stored(narrow).dtype == np.float32
        np.testing.assert_array_equal(doubles(narrow), wide)


@pytest.mark.parametrize("coding", ["onehot", "embed"])
def test_dates_and_categories_that_come_again_are_encoded_as_each_by_itself(coding):
    moments = pd.Series(pd.Timestamp("2019-12-30") + pd.to_timedelta(RNG.integers(0, 9_000_000, 40), "s"))
    moments[3] = pd.NaT
    table = pd.DataFrame({"t": moments, "d": moments.dt.normalize(), "c": RNG.choice(["a", "b", None], 40)})
    table = table.iloc[RNG.integers(0, 40, 500)].reset_index(drop=True)
    encoder = fit_table_encoder(table, categorical=[], coding=coding, most=50, ignored=())
    whole = encoder.encode(table)
    for row in range(0, 500, 25):
        one = encoder.encode(table.iloc[row : row + 1])
        torch.testing.assert_close(one, whole[row : row + 1], rtol=0, atol=0, equal_nan=True)
    names = [name for name, _ in encoder.encoded()]
    assert names.count("t") > names.count("d") > 3


MEASURED = """
import sys
from pathlib import Path
from autogrow.data import DataSpec, prepare

def prepared(path):
    return prepare(DataSpec(name="parquet", source="parquet", path=path, target="y"))

def kilobytes(key):
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if key in line)

prepared(sys.argv[1])  # what is imported and kept is not measured
before = kilobytes("VmRSS:")
wide = prepared(sys.argv[2]).train.x.shape[1]
print(wide, 1024 * (kilobytes("VmHWM:") - before))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_a_table_is_not_held_in_64_bits(tmp_path):
    """Beside its rows in 32 bits, once as columns and in part as rows, only a few columns are held at any time."""
    rows, width = 200_000, 40
    x = RNG.normal(size=(rows, width))
    table = pd.DataFrame(x, columns=[f"x{k}" for k in range(width)]).assign(y=np.where(x[:, 0] > 0, "u", "v"))
    paths = [stored(table.iloc[:500], tmp_path / "small.parquet"), stored(table, tmp_path / "large.parquet")]
    said = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, paths)], capture_output=True, text=True, check=True
    )
    wide, held = map(int, said.stdout.split())
    assert wide == width
    assert held < 3.5 * rows * width * 4 + 40e6
