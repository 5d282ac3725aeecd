"""However a table is written, it is the same table: its format is found, and reads the rows that come later."""

import bz2
import gzip
import io
import lzma
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch

from autogrow.data import DataSpec, Pipeline, prepare
from autogrow.data.reading import numerals
from autogrow.data.reading.find import Asked, find_reading
from autogrow.data.sources import text_format
from autogrow.data.sources.text_format import find_encoding, find_format
from autogrow.errors import DataError

N = 90


def measured():
    """A table of every kind of column, with gaps; numbers above 1,000, so that thousands are grouped."""
    draw = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "length": draw.normal(1500, 700, N).round(2),
            "count": draw.integers(1, 90_000, N).astype(float),
            "Größe": draw.choice(["klein", "groß", "mittel"], N),
            "old": draw.random(N) < 0.5,
            "day": pd.Timestamp("2019-12-20") + pd.to_timedelta(draw.integers(0, 900, N), unit="D"),
            "price": draw.normal(3000, 900, N).round(2),
        }
    )
    table.loc[draw.random(N) < 0.1, "length"] = np.nan
    table.loc[draw.random(N) < 0.1, "Größe"] = None
    return table


def number(value, decimal, thousands):
    if np.isnan(value):
        return None
    text = f"{value:,.2f}".replace(",", "T").replace(".", decimal).replace("T", thousands)
    return text.removesuffix(f"{decimal}00") if value % 1 == 0 else text


def written(table, *, decimal=".", thousands="", day="%Y-%m-%d", unit="{}", yes="True", no="False"):
    """The table as text, by a habit of writing."""
    said = {c: table[c].map(lambda v: number(v, decimal, thousands)) for c in ("length", "count")}
    said["price"] = table["price"].map(lambda v: unit.format(number(v, decimal, thousands)))
    said["old"] = table["old"].map({True: yes, False: no})
    said["day"] = table["day"].dt.strftime(day)
    return table.assign(**said)


HABITS = {
    "plain": ({}, {}),
    "german": ({"decimal": ",", "thousands": ".", "day": "%d.%m.%Y", "yes": "ja", "no": "nein"}, {"sep": ";"}),
    "german, no thousands": ({"decimal": ",", "day": "%d.%m.%Y"}, {"sep": ";", "encoding": "cp1252"}),
    "english": ({"thousands": ",", "day": "%m/%d/%Y", "unit": "${}", "yes": "Yes", "no": "No"}, {}),
    "french": ({"decimal": ",", "thousands": "\u202f", "day": "%d/%m/%Y", "unit": "{} €"}, {"sep": ";"}),
    "swiss": ({"thousands": "'", "day": "%d.%m.%Y", "unit": "CHF {}"}, {"sep": "\t", "encoding": "utf-16"}),
    "percent": ({"unit": "{} %", "day": "%d %b %Y", "yes": "y", "no": "n"}, {"sep": "|", "encoding": "utf-8-sig"}),
    "question marks": ({"day": "%Y/%m/%d"}, {"na_rep": "?"}),
    "dashes": ({"decimal": ",", "day": "%Y.%m.%d"}, {"na_rep": "n/a", "sep": ";"}),
    "clocks": ({"day": "%d/%m/%Y 00:00:00"}, {}),
}


@pytest.mark.parametrize("habit", HABITS)
def test_however_a_table_is_written_it_is_the_same_table(tmp_path, habit):
    table = measured()
    table.to_csv(tmp_path / "plain.csv", index=False)
    plain = prepare(DataSpec(path=str(tmp_path / "plain.csv"), target="price"))
    fields, how = HABITS[habit]
    written(table, **fields).to_csv(tmp_path / "t.csv", index=False, **how)
    found = prepare(DataSpec(path=str(tmp_path / "t.csv"), target="price"))
    assert found.card["fingerprint"] == plain.card["fingerprint"]
    assert torch.equal(found.train.x, plain.train.x)
    assert torch.equal(found.test.y, plain.test.y)
    assert found.encoder.numeric == ("length", "count", "old", "day")
    assert found.encoder.indicators == ("length",)


@pytest.mark.parametrize("habit", HABITS)
def test_rows_that_come_later_are_read_as_the_file_was(tmp_path, habit):
    table = measured()
    fields, how = HABITS[habit]
    written(table, **fields).to_csv(tmp_path / "t.csv", index=False, **how)
    prepared = prepare(DataSpec(path=str(tmp_path / "t.csv"), target="price"))
    torch.save(prepared.state(), tmp_path / "pipeline.pt")
    loaded = Pipeline.from_state(torch.load(tmp_path / "pipeline.pt", weights_only=True))
    as_text = pd.read_csv(tmp_path / "t.csv", dtype=str, **{k: v for k, v in how.items() if k != "na_rep"})
    rows = prepared.test.rows.numpy()
    assert torch.equal(loaded.inputs(as_text.iloc[rows]), prepared.test.x)
    assert torch.equal(loaded.inputs(table.iloc[rows].drop(columns="price")), prepared.test.x)
    records = as_text.drop(columns="price").iloc[rows].astype(object)
    records = records.where(records.notna(), None).to_dict("records")
    assert torch.equal(loaded.inputs(records), prepared.test.x)


def column(*values, name="x"):
    return pd.Series(values, name=name, dtype="str")


def read(*values, **asked):
    found = find_reading(column(*values), Asked(**asked))
    return found.reading.read(column(*values)).tolist(), found


NUMBERS = {
    ("1,5", "2,25"): [1.5, 2.25],
    ("1.5", "2.25"): [1.5, 2.25],
    ("1.234,5", "7"): [1234.5, 7],
    ("1,234.5", "7"): [1234.5, 7],
    ("1,234,567", "8"): [1234567, 8],
    ("0,123", "0,5"): [0.123, 0.5],
    ("1234,567", "1"): [1234.567, 1],
    ("1 234", "5"): [1234, 5],
    ("-1'234.5", "+2"): [-1234.5, 2],
    ("−3,5", "1e3"): [-3.5, 1000],
    ("$1,005", "-$3.50"): [1005, -3.5],
    ("1.005,50 €", "3 €"): [1005.5, 3],
    ("EUR 12", "EUR 13"): [12, 13],
    ("12 %", "3.5%"): [12, 3.5],
    (".5", "1."): [0.5, 1],
}


@pytest.mark.parametrize("texts", NUMBERS)
def test_numbers_as_people_write_them(texts):
    assert read(*texts)[0] == NUMBERS[texts]


@pytest.mark.parametrize(
    "texts",
    [
        ("1.2.3", "1.2.4"), ("10-20", "20-30"), ("12:30", "13:45"), ("1,23,4", "5"), ("192.168.0.1", "10.0.0.1"),
        ("$5", "€6"), ("5 %", "6"), ("0x1f", "0x20"), ("5 kg", "6 kg"), ("+", "-"), ("-", "n/a"),
    ],
)  # fmt: skip
def test_what_is_no_number_stays_text(texts):
    assert read(*texts)[1].reading.kind == "text"


@pytest.mark.parametrize(
    ("texts", "rows"),
    [(("1,5", "2", "1.5"), "'1,5' in row 0, '1.5' in row 2"), (("1.234,5", "1,234.5"), "'1.234,5' in row 0")],
)
def test_two_decimal_signs_in_one_column_are_refused_with_the_rows(texts, rows):
    with pytest.raises(DataError, match=f"'x' writes decimals in two ways.*{rows}"):
        read(*texts)


def test_a_doubtful_comma_goes_by_the_file_and_is_said():
    values, found = read("1,234", "5,678")
    assert values == [1234, 5678]
    assert "'1,234' is read as 1234 (thousands); if it is a decimal sign: data.decimal=\",\"" in found.notes[0]
    values, found = read("1,234", "5,678", decimal=",", sure=True)
    assert (values, found.notes) == ([1.234, 5.678], ())


def test_a_sign_that_can_only_group_thousands_does():
    assert read("1,200", "276", decimal=",")[0] == [1200, 276]
    assert read("1.200", "276", "13.456")[0] == [1200, 276, 13456]
    assert read("$1,200", "$276")[1].notes == ("column 'x': '$1,200' is read as 1200 (thousands, currency)",)
    assert read("1.234", "276")[0] == [1.234, 276]


def test_a_target_of_several_currencies_names_the_rule(tmp_path):
    (tmp_path / "t.csv").write_text("a,price\n" + "".join(f"{i % 7},{'$€'[i % 2]}{i + 0.5}\n" for i in range(60)))
    with pytest.raises(DataError, match=r"target 'price' must hold numbers of one currency.*got \$, €"):
        prepare(DataSpec(path=str(tmp_path / "t.csv"), target="price"))
    (tmp_path / "t.csv").write_text("a,price\n" + "".join(f'{i % 7},"${i + 1},005"\n' for i in range(60)))
    prepared = prepare(DataSpec(path=str(tmp_path / "t.csv"), target="price"))
    assert prepared.task == "regression"
    assert prepared.card["target_range"]["price"]["min"] == 1005
    assert "'$1,005' is read as 1005 (thousands, currency)" in prepared.card["notes"][0]


def test_thousands_that_are_named_say_what_the_decimal_sign_is(tmp_path):
    (tmp_path / "t.csv").write_text("a;y\n" + "".join(f"1.{100 + i * 7};{i % 2}\n" for i in range(60)))
    named, found = (prepare(DataSpec(path=str(tmp_path / "t.csv"), target="y", thousands=t)) for t in (".", None))
    assert named.encoder.encode([{"a": "1.234"}])[0, 0] == 1234
    assert found.encoder.encode([{"a": "1.234"}])[0, 0] == pytest.approx(1.234)


def test_marks_are_missing_among_numbers_alone():
    values, found = read("1,5", "-", "n/a", "2,5")
    assert np.isnan(values[1:3]).all()
    assert "'-' among numbers with a decimal comma is read as missing" in found.notes[-1]


def test_text_among_numbers_is_named_with_what_would_help():
    found = read(*map(str, range(30)), "unknown")[1]
    assert found.reading.kind == "text"
    assert "'unknown' is not; data.missing=[unknown]" in found.notes[0]


def test_the_settings_decide(tmp_path):
    with pytest.raises(DataError, match=r"'x' must hold numbers \(data.numeric\), got 'soon' in row 1"):
        read("1", "soon", "x", numeric=("x",))
    with pytest.raises(DataError, match=r"'x' must hold dates; give its format: data.dates=.*got 'soon' in row 0"):
        read("soon", "2020-01-01", dates={"x": None})
    with pytest.raises(DataError, match=r"'x' must hold dates as %d\.%m\.%Y, got '2020-01-02' in row 1"):
        read("01.02.2020", "2020-01-02", dates={"x": "%d.%m.%Y"})
    assert read("1,5", "2", as_they_are=("x",))[0] == ["1,5", "2"]
    assert read("20240131", "20240201", dates={"x": "%Y%m%d"})[0][1] == pd.Timestamp("2024-02-01")
    with pytest.raises(DataError, match="'%Q' is not a format of dates"):
        read("1", dates={"x": "%Q"})


DATES = {
    ("2012/01/01", "2012/12/31"): ("2012-01-01", "2012-12-31"),
    ("31.12.2024", "01.02.2024"): ("2024-12-31", "2024-02-01"),
    ("12/31/2024", "02/01/2024"): ("2024-12-31", "2024-02-01"),
    ("31/12/2024", "02/01/2024"): ("2024-12-31", "2024-01-02"),
    ("01/01/2024", "01/02/2024", "01/03/2024"): ("2024-01-01", "2024-02-01", "2024-03-01"),
    ("01/01/2024", "02/01/2024", "03/01/2024"): ("2024-01-01", "2024-02-01", "2024-03-01"),
    ("2020-01", "2021-12"): ("2020-01-01", "2021-12-01"),
    ("3 May 1999", "14 Dec 1999"): ("1999-05-03", "1999-12-14"),
    ("May 3, 1999", "Dec 14, 1999"): ("1999-05-03", "1999-12-14"),
    ("14-Dec-99", "3-May-01"): ("1999-12-14", "2001-05-03"),
    ("2020-01-01", "2020-01-01T12:30:00Z"): ("2020-01-01", "2020-01-01 12:30"),
    ("2020-03-28T12:00:00+01:00", "2020-03-30T12:00:00+02:00"): ("2020-03-28 11:00", "2020-03-30 10:00"),
    ("2020-01-01T10:00:00Z", "2020-01-01T10:00:00"): ("2020-01-01 10:00", "2020-01-01 10:00"),
    ("12/31/2020 11:59 PM", "1/1/2021 12:01 AM"): ("2020-12-31 23:59", "2021-01-01 00:01"),
    ("31.12.2024 18:30", "01.01.2025 06:00"): ("2024-12-31 18:30", "2025-01-01 06:00"),
    ("0001-01-01", "9999-12-31"): ("0001-01-01", "9999-12-31"),
    ("01.01.0001", "31.12.9999"): ("0001-01-01", "9999-12-31"),
    ("2012/01/01", "31.12.2024"): ("2012-01-01", "2024-12-31"),
}


@pytest.mark.parametrize("texts", DATES)
def test_dates_as_people_write_them(texts):
    values, found = read(*texts)
    assert found.reading.kind == "date"
    assert [str(v) for v in values] == [str(pd.Timestamp(v)) for v in DATES[texts]]


MANY_DAYS = [f"{day:02}.04.2020" for day in range(1, 28)]


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (("2020-01-01", "2020-13-40", "2020-02-02"), "reads? as ISO8601 but '2020-13-40' does not"),
        (("0000-01-01", "0000-01-02"), "'0000-01-01' does not"),
        (("13/02/2020", "02/13/2020"), "'02/13/2020' does not"),
        (("31.04.2020", "01.04.2020"), "'31.04.2020' does not$"),
        ((*MANY_DAYS, "k.A."), r"'k\.A\.' does not; data\.missing=\[k\.A\.\] would make it missing$"),
        ((*MANY_DAYS, "not yet"), r"not; \"data\.missing=\['not yet'\]\" would make it missing$"),
    ],
)
def test_a_column_with_what_is_no_date_is_text_and_says_so(texts, says):
    found = read(*texts)[1]
    assert found.reading.kind == "text"
    assert re.search(says, found.notes[0])


def test_what_no_value_decides_is_said():
    found = read("01/02/2024", "03/04/2024")[1]
    assert found.reading.formats == ("%m/%d/%Y",)
    assert "'01/02/2024' may begin with the day or the month" in found.notes[0]
    assert "%d/%m/%Y" in found.notes[0]
    assert "different offsets" in read("2020-03-28T12:00+01:00", "2020-03-30T12:00+02:00")[1].notes[0]
    assert not read("31/12/2024", "01/02/2024")[1].notes


@pytest.mark.parametrize("decimal", numerals.DECIMALS)
@pytest.mark.parametrize("thousands", ["", "'", " "])
def test_a_number_that_is_written_is_read(decimal, thousands):
    draw = np.random.default_rng(1)
    values = np.concatenate([draw.normal(0, 10.0**k, 50).round(2) for k in range(7)])
    texts = pd.Series([number(v, decimal, thousands) for v in values], dtype="str")
    assert numerals.matches(texts, decimal).all()
    assert numerals.to_numbers(texts, decimal).tolist() == values.tolist()


FORMATS = {
    "a,b\n1,2\n": (",", True, "."),
    "a;b\n1,5;2\n2,5;3\n": (";", True, ","),
    "1,5;2,5;3,5\n2,5;3,5;4,5\n": (";", False, ","),
    "a\tb\n1\t2\n": ("\t", True, "."),
    "a|b\n1.5|2\n": ("|", True, "."),
    "a b\n1.5 2\n2 3\n": (r"\s+", True, "."),
    "5.1,3.5,setosa\n4.9,3.0,virginica\n4.7,3.2,setosa\n": (",", False, "."),
    "p,x,s\ne,x,s\np,y,s\ne,x,t\n": (",", False, "."),
    "0,1,2\n5.1,3.5,a\n": (",", True, "."),
    ",a,b\n0,1,2\n": (",", True, "."),
    "a,b\n1.2,x;y\n1.3,z;u\n": (",", True, "."),
    "sep=;\na;b\n1,5;2\n": (";", True, ","),
    "name,note\nann,'a;b'\nbob,'c;d'\n": (",", True, "."),
    "a;b\n1.234;x\n2.345,5;y\n": (";", True, ","),
    "y\n1\n2\n": (",", True, "."),
    "a;b\n1.200;x\n276;y\n": (";", True, ","),
    "a;b\n1.234;x\n276;y\n": (";", True, "."),
    "a;b\n1.200;x\n0.276;y\n": (";", True, "."),
}


@pytest.mark.parametrize("text", FORMATS)
def test_the_format_is_found(text):
    form = find_format(text.encode())
    assert (form.separator, form.header, form.decimal) == FORMATS[text]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_the_encoding_is_found(encoding):
    text = "Größe;Straße\n1,5;lang\n" * 20
    found = find_encoding(text.encode(encoding), whole=True)
    assert text.encode(encoding).decode(found) == text


def test_a_byte_far_into_a_file_decides_its_encoding(tmp_path):
    lines = ["a,b,y", *(f"{i % 7},{i % 5},{'n' if i % 3 else 'j'}" for i in range(60_000))]
    (tmp_path / "t.csv").write_bytes("\n".join([*lines, "1,2,Größe", "3,4,Größe"]).encode("latin-1"))
    prepared = prepare(DataSpec(path=str(tmp_path / "t.csv"), target="y"))
    assert prepared.labels == ["Größe", "j", "n"]
    assert "cp1252" in prepared.card["written"]
    with pytest.raises(DataError, match=r"it is not utf-8 .* data.encoding=latin-1 reads any byte"):
        prepare(DataSpec(path=str(tmp_path / "t.csv"), target="y", encoding="utf-8"))


def test_a_file_without_a_header(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60), "c": rng.choice(["u", "v"], 60)})
    table.to_csv(tmp_path / "t.csv", index=False, header=False)
    prepared = prepare(DataSpec(path=str(tmp_path / "t.csv"), target=2))
    assert (prepared.encoder.columns, prepared.card["rows"], prepared.labels) == (("0", "1"), 60, ["u", "v"])
    assert "no header" in prepared.card["written"]
    with pytest.raises(DataError, match=r"data\.target 'u' is not a column"):
        prepare(DataSpec(path=str(tmp_path / "t.csv"), target="u", header=False))


def test_blanks_around_names_are_no_part_of_them(tmp_path):
    (tmp_path / "t.csv").write_text(
        " , size, kind ,y\n" + "".join(f"{i % 7}, {i % 5}, k{i % 3},{i % 2}\n" for i in range(60))
    )
    prepared = prepare(DataSpec(path=str(tmp_path / "t.csv"), target="y"))
    assert prepared.encoder.columns == ("Unnamed: 0", "size", "kind")
    rows = prepared.val.rows.numpy()
    assert torch.equal(prepared.pipeline.inputs(pd.read_csv(tmp_path / "t.csv").iloc[rows]), prepared.val.x)


def test_a_wrong_separator_names_the_right_one_as_it_has_to_be_typed(tmp_path):
    (tmp_path / "t.csv").write_text("a;y\n" + "1,5;0\n2,5;1\n" * 30)
    with pytest.raises(DataError, match=r"""it looks separated by semicolons: 'data\.separator=";"'"""):
        prepare(DataSpec(path=str(tmp_path / "t.csv"), target="y", separator=","))


def good_rows(n=60):
    return "a,y\n" + "".join(f"{i % 7},{i % 2}\n" for i in range(n))


def zipped(**files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()


def tarred():
    import tarfile

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("t.csv")
        info.size = len(good_rows())
        archive.addfile(info, io.BytesIO(good_rows().encode()))
    return packed.getvalue()


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, lzma.compress, lambda b: zipped(**{"t.csv": b.decode()})]
)
@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "txt"])
def test_a_packed_file_is_unpacked_whatever_its_name(tmp_path, pack, suffix):
    path = tmp_path / f"t.{suffix}"
    path.write_bytes(pack(good_rows().encode()))
    assert prepare(DataSpec(path=str(path), target="y")).card["rows"] == 60


LONG = "".join(f"{i * 7919 % 10007},{i % 2}\n" for i in range(20_000)).encode()
PACKED = {
    "cut gzip": (gzip.compress(b"a,y\n" + LONG)[:-2000], "it is damaged or cut short"),
    "spoilt gzip": (gzip.compress(b"a,y\n" + LONG)[:-8] + b"12345678", "it is damaged or cut short"),
    "cut bzip2": (bz2.compress(b"a,y\n" + LONG)[:-2000], "it is damaged or cut short"),
    "cut xz": (lzma.compress(b"a,y\n" + LONG)[:-2000], "it is damaged or cut short"),
    "cut zip": (zipped(t=good_rows())[:-30], "it is damaged or cut short"),
    "two in a zip": (zipped(one=good_rows(), two=good_rows()), r"holds 2 files \(one, two\); unpack the one"),
    "nothing in a zip": (zipped(), "t.csv"),
    "a tar": (tarred(), r"is an archive \(tar\): unpack it first"),
    "excel": (zipped(**{"[Content_Types].xml": "", "xl/workbook.xml": ""}), "is an Excel workbook: save the sheet as"),
    "parquet": (b"PAR1 and so on", "is a Parquet file: data=parquet"),
}


@pytest.mark.parametrize("case", PACKED)
def test_a_packed_file_that_is_damaged_or_holds_several_tables_is_one_line(tmp_path, case):
    content, says = PACKED[case]
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        prepare(DataSpec(path=str(tmp_path / "t.csv"), target="y"))
    assert "\n" not in str(caught.value)


def test_a_number_that_may_mean_missing_is_asked_about_and_taken_where_it_is_said(tmp_path):
    draw = np.random.default_rng(0)
    table = pd.DataFrame({"a": draw.integers(0, 50, 80), "b": draw.normal(size=80), "y": draw.integers(0, 2, 80)})
    table.loc[::9, "a"] = -999
    table.to_csv(tmp_path / "t.csv", index=False)
    asked = prepare(DataSpec(path=str(tmp_path / "t.csv"), target="y"))
    assert any("-999 is the only negative value of 'a': if it means missing, data.missing=[-999]" in n for n in asked.card["notes"])  # fmt: skip
    assert asked.encoder.indicators == ()
    said = prepare(DataSpec(path=str(tmp_path / "t.csv"), target="y", missing=[-999]))
    assert said.card["missing_by_column"] == {"a": 9}
    assert said.encoder.indicators == ("a",)
    rows = said.test.rows.numpy()
    assert torch.equal(said.pipeline.inputs(table.iloc[rows]), said.test.x)
    table.to_parquet(tmp_path / "t.parquet")
    typed = prepare(DataSpec("parquet", "parquet", path=str(tmp_path / "t.parquet"), target="y", missing=[-999]))
    assert torch.equal(typed.train.x, said.train.x)


def test_text_in_a_typed_file_stays_text_and_is_named(tmp_path):
    draw = np.random.default_rng(0)
    table = pd.DataFrame(
        {"a": [f"{v:.1f}".replace(".", ",") for v in draw.normal(size=60)], "y": draw.random(60) < 0.5}
    )
    table.assign(b=draw.normal(size=60)).to_parquet(tmp_path / "t.parquet")
    spec = {"name": "parquet", "source": "parquet", "path": str(tmp_path / "t.parquet"), "target": "y"}
    assert any("data.numeric=[a] reads it" in note for note in prepare(DataSpec(**spec)).card["notes"])
    assert prepare(DataSpec(**spec, numeric="a")).encoder.numeric == ("a", "b")


CELLS = ("1", "12", "1.5", "1,5", "1.234", "1,234", "1,234.5", "1.234,5", "-3", "word", "1 234", "0.12345", "2e3")


@pytest.mark.parametrize("seed", range(200))
def test_which_sign_a_column_votes_for_is_what_counting_all_its_cells_says(seed):
    rng = np.random.default_rng(seed)
    cells = [str(cell) for cell in rng.choice(rng.choice(CELLS, rng.integers(1, 5)), rng.integers(1, 30))]
    counts = {sign: sum(bool(p.fullmatch(cell)) for cell in cells) for sign, p in text_format._PLAIN.items()}
    fits = text_format._fits(cells)
    assert max(fits.values()) == max(counts.values())
    assert (fits["."] == fits[","]) == (counts["."] == counts[","])
    assert max(fits, key=fits.__getitem__) == max(counts, key=counts.__getitem__)
