"""encoder.json and encode.py make of a file's records what the run made of its table, however the file is written."""

import csv
import datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from autogrow.data import DataSpec, prepare
from autogrow.deploy.export.encode_rows import Encoder
from autogrow.deploy.export.encoder_file import encoder_files
from autogrow.deploy.export.inputs import CATEGORY, WAVE, input_rows, inputs_of

ROWS = 60
RNG = np.random.default_rng(0)
VALUES = RNG.integers(1000, 99_999_999, ROWS) / 100
DAYS = [datetime.datetime(2001, 1, 1) + datetime.timedelta(minutes=int(m)) for m in RNG.integers(0, 9_000_000, ROWS)]


def numbers(form, *signs):
    """Each value in this form, its point and commas as somebody else writes them."""
    swapped = str.maketrans(*signs) if signs else {}
    return [form.format(value, int(value)).translate(swapped) for value in VALUES]


def dates(form):
    return [day.strftime(form) for day in DAYS]


def some(gap, texts):
    """With gaps."""
    return [gap if RNG.random() < 0.15 else text for text in texts]


def drawn(*texts):
    return RNG.choice(texts, ROWS).tolist()


HABITS = {
    "American": (
        ",",
        {
            "money": some("n/a", numbers("${0:,.2f}")),
            "debt": [text.format(v) for text, v in zip(drawn("-${:,.2f}", "US$ {:,.0f}"), VALUES, strict=True)],
            "share": some("-", [f"{value % 100:.1f}%" for value in VALUES]),
            "many": some("NA", numbers("{1:,}")),
            "minus": numbers("−{0:.2f}"),
            "power": numbers("{0:.3e}"),
            "flag": some("", drawn("Yes", "no", "NO", "yes")),
            "born": some("none", dates("%m/%d/%Y %I:%M %p")),
            "seen": dates("%d %B %Y"),
            "short": dates("%d-%b-%y"),
            "fraction": [f"{day:%m/%d/%Y %H:%M:%S}.{k:09d}" for k, day in enumerate(DAYS)],
            "digits": dates("%Y%m%d"),
            "town": some("?", drawn(" Bern", "Basel ", "New York")),
            "code": drawn("01", "02", "10"),
            "level": drawn("1", "2", "3"),
        },
        {"categorical": ["level"], "dates": {"digits": "%Y%m%d"}},
    ),
    "ISO": (
        ",",
        {
            "at": [day.isoformat() + "Z" for day in DAYS],
            "away": [f"{day:%Y-%m-%d %H:%M} {zone}" for day, zone in zip(DAYS, drawn("+02:00", "-0500"), strict=True)],
            "nano": [f"{day.isoformat()}.{k:09d}" for k, day in enumerate(DAYS)],
            "month": dates("%Y-%m"),
            "loose": [f"{day.year}-{day.month}-{day.day} {day.hour}:{day.minute:02d}" for day in DAYS],
        },
        {},
    ),
    "German": (
        ";",
        {
            "preis": numbers("{0:,.2f} €", ",.", ".,"),
            "anteil": [f"{value % 100:.1f} %".replace(".", ",") for value in VALUES],
            "zahl": numbers("{1:,}", ",", "."),
            "klein": [f"{value / 1e6:.4f}".replace(".", ",") for value in VALUES],
            "ja": drawn("ja", "Nein"),
            "am": dates("%d.%m.%Y"),
            "um": dates("%d.%m.%y %H:%M"),
        },
        {},
    ),
    "French": (";", {"prix": numbers("{0:,.2f} €", ",.", "\u202f,"), "n": numbers("{1:,}", ",", "\u00a0")}, {}),
    "Swiss": (
        "\t",
        {"preis": numbers("CHF {0:,.2f}", ",", "'"), "z": some("-999", numbers("{1}"))},
        {"missing": [-999]},
    ),
}


@pytest.mark.parametrize("habit", HABITS)
def test_records_are_read_as_the_table_was(habit, tmp_path):
    separator, columns, told = HABITS[habit]
    path = tmp_path / "table.csv"
    pd.DataFrame({**columns, "y": drawn("a", "b")}).to_csv(path, sep=separator, index=False)
    pipeline = prepare(DataSpec(path=str(path), target="y", keep=list(columns), **told)).pipeline
    inputs = inputs_of(pipeline)[0]
    assert {one.column for one in inputs} == set(columns)
    assert [one.column for one in inputs if one.kind == CATEGORY] == [n for n in ("town", "level") if n in columns]
    files = encoder_files(SimpleNamespace(inputs=inputs, delivered=SimpleNamespace(pipeline=pipeline)))
    (tmp_path / "encoder.json").write_bytes(files["encoder.json"])
    encode = Encoder(tmp_path / "encoder.json")
    with path.open(newline="", encoding="utf-8") as file:
        found = np.array([encode(record) for record in csv.DictReader(file, delimiter=separator)])
    right = input_rows(pipeline, pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False))
    assert (np.isnan(right).mean(0) < 0.5).all()
    for k, one in enumerate(inputs):  # what comes round is of 32 bits in the run
        atol = 1e-6 if one.kind == WAVE else 0
        np.testing.assert_allclose(found[:, k], right[:, k], rtol=1e-12, atol=atol, err_msg=one.name)


def test_text_that_is_no_number_is_refused_and_not_guessed_at(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("n;y\n" + "".join(f"1.{k:03d},5;{k % 2}\n" for k in range(100, 160)))
    pipeline = prepare(DataSpec(path=str(path), target="y")).pipeline
    net = SimpleNamespace(inputs=inputs_of(pipeline)[0], delivered=SimpleNamespace(pipeline=pipeline))
    (tmp_path / "encoder.json").write_bytes(encoder_files(net)["encoder.json"])
    encode = Encoder(tmp_path / "encoder.json")
    assert encode({"n": "12.345,5"}) == [12345.5]
    assert encode({"n": 12.5}) == [12.5]
    for text in ("12.34", "1,234.5", "about 3"):
        with pytest.raises(ValueError, match="n must be a number"):
            encode({"n": text})


def test_the_digits_of_a_date_may_be_a_number(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("day,y\n" + "".join(f"202401{1 + k % 28:02d},{k % 2}\n" for k in range(60)))
    pipeline = prepare(DataSpec(path=str(path), target="y", dates={"day": "%Y%m%d"})).pipeline
    net = SimpleNamespace(inputs=inputs_of(pipeline)[0], delivered=SimpleNamespace(pipeline=pipeline))
    (tmp_path / "encoder.json").write_bytes(encoder_files(net)["encoder.json"])
    encode = Encoder(tmp_path / "encoder.json")
    assert encode({"day": 20240131}) == encode({"day": "20240131"}) == encode({"day": datetime.date(2024, 1, 31)})
