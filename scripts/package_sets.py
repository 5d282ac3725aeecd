"""A table of three million rows that ships in a package registry, as Parquet files to stream from.

    npm pack vega-datasets@3.2.1     # into a folder: FROM
    .venv/bin/python scripts/package_sets.py --packages FROM --out TABLES

`flights` (vega-datasets): 3,000,000 flights within the United States from January to June 2001, where and when they
start, where they go and how far that is, with the places of both airports; `late` says whether a flight left on time,
by a quarter of an hour, or later. Rows are shuffled once, as files that are sorted by time would validate on a few
mornings, and written in parts of 200,000.
"""

from __future__ import annotations

import argparse
import io
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd

PACKAGE, PART = "vega-datasets-*.tgz", 200_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True, help="the folder of vega-datasets-*.tgz")
    parser.add_argument("--out", type=Path, required=True, help="the folder to make the folder flights in")
    options = parser.parse_args()
    found = sorted(options.packages.glob(PACKAGE))
    if not found:
        parser.error(f"{options.packages} has no {PACKAGE}")
    folder = options.out / "flights"
    print(f"{write_parts(flights(found[-1]), folder):,} rows in {folder}")


def write_parts(table: pd.DataFrame, folder: Path) -> int:
    """Write the rows in an order drawn once; how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    table = table.iloc[np.random.default_rng(0).permutation(len(table))]
    for part, start in enumerate(range(0, len(table), PART)):
        table.iloc[start : start + PART].to_parquet(folder / f"part-{part:02}.parquet", index=False)
    return len(table)


def flights(package: Path) -> pd.DataFrame:
    """Delays beyond a day either way are slips of the pen."""
    with tarfile.open(package) as archive:
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


if __name__ == "__main__":
    main()
