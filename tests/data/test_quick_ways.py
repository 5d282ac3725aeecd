"""Laws of the quick ways through a large table: each gives to the bit what the plain way gives, or leaves it to it."""

import gzip
import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from far_columns import WITHIN, column

from autogrow.data import DataSpec
from autogrow.data.centre import rounding_is_harmless, rounds_well
from autogrow.data.continued.known_rows import KnownRows
from autogrow.data.fit_encoder import _is_plain, fit_table_encoder
from autogrow.data.own_split import rows_to_bytes
from autogrow.data.preprocess import _ASKED, _NEAR, Standardise, _median
from autogrow.data.rules import checked
from autogrow.data.sources import assemble, blanks, delimited
from autogrow.data.sources.delimited import read_csv
from autogrow.data.sources.storage import storage_for
from autogrow.data.sources.text_format import FileFormat
from autogrow.data.splits import PARTS, Rows
from autogrow.errors import DataError

RNG = np.random.default_rng(0)
N = 60
CELLS = [f"{v:.4f}" for v in RNG.normal(size=N)]
LABELS = np.resize(["in", "out", "off"], N).tolist()


def lines(*columns, head="a,b,y", separator=",", end="\n"):
    rows = [head.replace(",", separator), *(separator.join(row) for row in zip(*columns, strict=True))]
    return (end.join(rows) + end).encode()


FILES = {
    "plain": lines(CELLS, CELLS[::-1], LABELS),
    "gaps": lines(["" if k % 7 else v for k, v in enumerate(CELLS)], CELLS, LABELS),
    "marks": lines([("NA", "?", v)[k % 3] for k, v in enumerate(CELLS)], CELLS, LABELS),
    "quoted": lines([f'"{v}"' for v in CELLS], ['"a,b"' if k % 2 else '"c""d"' for k in range(N)], LABELS),
    "windows": lines(CELLS, CELLS[::-1], LABELS, end="\r\n"),
    "old mac": lines(CELLS, CELLS[::-1], LABELS, end="\r"),
    "empty lines": lines(CELLS, CELLS[::-1], LABELS, end="\n\n"),
    "semicolons and commas": lines([v.replace(".", ",") for v in CELLS], CELLS, LABELS, separator=";"),
    "bars": lines(CELLS, LABELS[::-1], LABELS, separator="|"),
    "a mark in front": b"\xef\xbb\xbf" + lines(CELLS, CELLS[::-1], LABELS),
    "latin": lines(["é" if k % 2 else "ü" for k in range(N)], CELLS, LABELS).decode().encode("latin-1"),
    "whole numbers": lines([str(k % 9) for k in range(N)], [str(k * 10**12) for k in range(N)], LABELS),
    "yes and no": lines(["yes" if k % 2 else "no" for k in range(N)], CELLS, LABELS),
    "dates": lines([f"2020-01-{1 + k % 28:02}" for k in range(N)], CELLS, LABELS),
    "no header": lines(CELLS, CELLS[::-1], LABELS).split(b"\n", 1)[1],
    "blanks before numbers": lines([" " + v for v in CELLS], CELLS, LABELS),
    "blanks before marks": lines([v if k % 3 else " NA" for k, v in enumerate(CELLS)], CELLS, LABELS),
    "blanks before text": lines([" a" if k % 2 else "a" for k in range(N)], CELLS, LABELS),
    "blanks before quotes": lines([' "a,b"' if k % 2 else "c" for k in range(N)], CELLS, LABELS),
    "blanks in names": lines(CELLS, CELLS[::-1], LABELS, head=" a,b ,y"),
    "a line of blanks": lines(CELLS, CELLS[::-1], LABELS) + b"   \n",
    "tabs": lines(CELLS, ["" if k % 5 else v for k, v in enumerate(CELLS)], LABELS, separator="\t"),
    "a blank in the last row": lines(CELLS, [*CELLS[:-1], " NA"], LABELS),
    "UTF-16": lines(CELLS, [" x"] * N, LABELS).decode().encode("utf-16"),
}


def read(path):
    spec = checked(DataSpec(name="csv", source="csv", path=str(path), target="y"))
    if path.stem == "no header":
        spec = replace(spec, target=("2",))
    try:
        raw = read_csv(spec, storage_for(spec))
    except DataError as error:
        return str(error)
    return raw.x, raw.y, raw.notes, raw.written


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_blanks_is_read_as_if_they_were_looked_for(name, tmp_path, monkeypatch):
    monkeypatch.setattr(blanks, "_BLOCK", 16)
    path = tmp_path / f"{name}.csv"
    path.write_bytes(FILES[name])
    looked = []
    monkeypatch.setattr(
        delimited, "may_hold_blanks", lambda *asked: looked.append(blanks.may_hold_blanks(*asked)) or looked[-1]
    )
    found = read(path)
    assert set(looked) == {b" " in FILES[name] or b"\t" in FILES[name] or name == "UTF-16"}
    monkeypatch.setattr(delimited, "may_hold_blanks", lambda *_: True)
    wanted = read(path)
    if isinstance(wanted, str):
        assert found == wanted
        return
    for one, other in zip(found[:2], wanted[:2], strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert found[2:] == wanted[2:]


def test_what_is_packed_is_not_unpacked_to_look_for_blanks(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(FILES["plain"]))
    with gzip.open(tmp_path / "t.csv.gz") as file:
        assert blanks.may_hold_blanks(file, FileFormat())
        assert file.tell() == 0


PARTS_OF_A_COLUMN = {
    "fractions, then whole numbers": ["0.5", "1.5"] * 20 + ["123456789"] * 20,
    "fractions, then what 32 bits cannot hold": ["0.5", "1.5"] * 20 + ["1e300"] * 20,
    "fractions, then gaps": ["0.5", "1.5"] * 20 + [""] * 20,
    "fractions, then moments": ["0.5", "1.5"] * 20 + [f"{1_700_000_000.25 + k}" for k in range(20)],
    "one number, then fractions": ["1.5"] * 30 + CELLS[:30],
}


@pytest.mark.parametrize("name", PARTS_OF_A_COLUMN)
def test_what_follows_a_part_in_32_bits_is_kept_as_the_whole_column_is(name, tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_bytes(lines(PARTS_OF_A_COLUMN[name], CELLS, LABELS))
    whole = read(path)[0]
    for where in ("FIRST", "LEAST", "CELLS"):
        monkeypatch.setattr(assemble, where, 7)
    pd.testing.assert_frame_equal(read(path)[0], whole, check_exact=True)


MANY = 8 * _ASKED
COLUMNS = {
    "drawn": lambda n: RNG.normal(size=n),
    "one value": np.ones,
    "two values": lambda n: RNG.integers(0, 2, n),
    "sorted": np.arange,
    "ties": lambda n: RNG.normal(size=n).round(1),
    "far tails": RNG.standard_cauchy,
    "a few that mislead": lambda n: np.where(np.arange(n) % (n // _ASKED) == 0, 1e9, RNG.normal(size=n)),
    "a few that are all one": lambda n: np.where(np.arange(n) % (n // _ASKED) == 0, -3.0, RNG.normal(size=n)),
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("n", [1, 2, MANY, MANY + 1, 2 * MANY + 7])
def test_the_middle_of_many_is_the_middle_of_all(name, n):
    values = np.asarray(COLUMNS[name](max(n, _ASKED))[:n], dtype=np.float32)
    assert _median(values, gaps=False) == np.sort(values)[(n - 1) // 2]
    gaps = values.copy()
    gaps[::3] = np.nan
    seen = np.sort(gaps[~np.isnan(gaps)])
    assert _median(gaps, gaps=True) == (seen[(len(seen) - 1) // 2] if len(seen) else 0.0)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("rows", [1, 2 * _NEAR // 5 + 3])
def test_standardising_in_place_is_standardising(gaps, rows):
    x = torch.randn(rows, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 9.0, 0.01, 1.0, 3.0])
    x[0, 1] = -0.0
    if gaps:
        x[::7, :2] = torch.nan
    clip = torch.tensor([10.0, 10.0, 2.0, torch.inf, torch.inf])
    preprocess = Standardise(torch.randn(5), torch.randn(5), torch.tensor([2.0, 0.3, 50.0, 1.0, 0.0]), clip)
    wanted = preprocess(x)
    assert preprocess.in_place(x) is x
    assert torch.equal(x.view(torch.int32), wanted.view(torch.int32))


@pytest.mark.parametrize("seed", range(40))
def test_what_some_rows_of_a_column_surely_round_to_does(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 100_000))
    values = rng.normal(size=n) * 10.0 ** rng.integers(-32, 32) + 10.0 ** rng.integers(-3, 9)
    rows = np.flatnonzero(values < np.quantile(values, rng.uniform(0.01, 1)))
    if len(rows) and rounds_well(values, rng.permutation(rows)):
        assert rounding_is_harmless(values[rows], float(values[rows].std()))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32, np.int64])
@pytest.mark.parametrize("name", sorted(WITHIN))
def test_an_encoder_is_that_of_the_training_rows_whether_they_are_picked_or_not(name, kind):
    """A column that needs a centre, has gaps or other values in some rows alone is looked at in the training rows."""
    with np.errstate(invalid="ignore"):
        values = column(name, RNG.integers(-50, 50, 500)).astype(kind)
    table = pd.DataFrame({"t": values, "u": RNG.normal(size=500), "c": np.resize(["a", "b", None], 500)})
    half = RNG.permutation(500)[:250]
    others = np.setdiff1d(np.arange(500), half)
    table["gaps beside"] = np.where(np.isin(np.arange(500), others[:9]), np.nan, table["u"])
    table["gaps"] = np.where(np.isin(np.arange(500), half[:9]), np.nan, table["u"])
    table["far beside"] = np.where(np.isin(np.arange(500), others[:9]), 1e12, table["u"])
    table["near"] = np.where(np.isin(np.arange(500), others), table["u"] * 1e9, 1e9 + table["u"])
    assert [_is_plain(table[name], half) for name in ("u", "gaps beside", "far beside", "near")] == [True] + 3 * [False]
    how = {"categorical": (), "coding": "onehot", "most": 50, "ignored": ()}
    picked = fit_table_encoder(table.iloc[half].reset_index(drop=True), **how)
    assert fit_table_encoder(table, half, **how).state() == picked.state()


def test_known_rows_lie_in_the_last_part_that_holds_them():
    marks = {part: RNG.integers(0, 40, size).astype(np.uint64) for part, size in zip(PARTS, (50, 20, 9), strict=True)}
    wanted = {int(mark): i for i, part in enumerate(PARTS) for mark in marks[part]}
    known = KnownRows.of(marks)
    assert known.marks.tolist() == sorted(wanted)
    assert known.parts.tolist() == [wanted[mark] for mark in sorted(wanted)]
    assert len(KnownRows.of(dict.fromkeys(PARTS, np.empty(0, dtype=np.uint64))).marks) == 0


def test_a_split_is_written_in_the_order_of_the_table():
    order = RNG.permutation(300)
    rows = Rows(order[:200], np.empty(0, dtype=np.int64), order[200:] + 1000)
    with np.load(io.BytesIO(rows_to_bytes(rows))) as file:
        for part in PARTS:
            assert file[part].dtype == np.int64
            np.testing.assert_array_equal(file[part], np.sort(getattr(rows, part)))
