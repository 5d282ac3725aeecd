"""When each row arrives: by share of the rows, by a column's value, with its class or its file. Stages count from 0."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autogrow.data.columns import moments
from autogrow.data.raw import Raw
from autogrow.data.spec import DataSpec, names_of
from autogrow.data.splits import Rows, stratified_order
from autogrow.data.target import Target
from autogrow.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_STAGES = {"fraction": 5, "column": 5, "class": 2}


@dataclass(frozen=True)
class Stages:
    """When rows arrive.

    since: the stage of each row, int64 (n,), `len(names)` for one that never does.  names: each stage in words.
    """

    since: np.ndarray
    names: tuple[str, ...]


def fractions_of(stages: Any) -> list[float]:
    """Increasing shares of all rows, above 0, at most 1; a number of stages is equal steps up to 1."""
    if stages is None or is_whole(stages):
        count = DEFAULT_STAGES["fraction"] if stages is None else int(stages)
        return [(k + 1) / count for k in range(count)]
    shares = list(stages) if hasattr(stages, "__iter__") and not isinstance(stages, (str, dict)) else [stages]
    numbers = all(isinstance(s, (int, float)) and not isinstance(s, bool) for s in shares)
    if not shares or not numbers or not (shares[0] > 0 and shares[-1] <= 1):
        raise DataError(
            f"data.stages must be shares of the rows above 0 and at most 1, such as [0.2,0.6,1], got {shares}"
        )
    for one, two in itertools.pairwise(shares):
        if two <= one:
            raise DataError(f"data.stages must increase from stage to stage, got {two} after {one}")
    return [float(s) for s in shares]


def by_fraction(rows: Rows, target: Target, spec: DataSpec) -> Stages:
    """Each split grows by itself, its classes in proportion, and every class is there from the first stage on."""
    shares = fractions_of(spec.stages)
    since = np.full(len(target.values), len(shares))
    for number, part in enumerate((rows.train, rows.val, rows.test)):
        rng = np.random.default_rng([spec.split_seed, 2, number])
        order = stratified_order(target.values[part], rng) if target.labels else rng.permutation(len(part))
        for stage in reversed(range(len(shares))):
            since[part[order[: round(shares[stage] * len(part))]]] = stage
    return Stages(since, tuple(f"{100 * share:.3g} % of the rows" for share in shares))


def by_column(column: pd.Series, spec: DataSpec) -> Stages:
    """Rows in the order of a column: up to and including each cut, then what is above the last.

    A number of stages is as many quantiles.
    """
    import pandas as pd

    values = moments(column, "arrival_column")
    name = spec.arrival_column
    stages: Any = DEFAULT_STAGES["column"] if spec.stages is None else spec.stages
    if is_whole(stages):
        ordered = np.sort(values)
        cuts = np.array([ordered[-(-len(values) * (k + 1) // int(stages)) - 1] for k in range(int(stages) - 1)])
        words = [f"quantile {(k + 1) / int(stages):.3g} of {name}" for k in range(len(cuts))]
    else:
        numeric = pd.api.types.is_numeric_dtype(column.dtype)
        given = pd.Series(list(stages), name=name)
        if numeric != pd.api.types.is_numeric_dtype(given.dtype):
            kind = "numbers" if numeric else "dates"
            raise DataError(f"data.stages must be {kind}, as data.arrival_column {name!r} holds, got {list(stages)}")
        cuts = moments(given, "stages: a cut of")
        words = [f"{name} up to {cut}" for cut in stages]
    if (np.diff(cuts) <= 0).any():
        at = int(np.flatnonzero(np.diff(cuts) <= 0)[0])
        if is_whole(stages):
            raise DataError(
                f"{stages} stages are too many for {name!r}: {words[at]} and {words[at + 1]} are the same value"
            )
        raise DataError(
            f"data.stages must increase from stage to stage, got {list(stages)[at + 1]} after {list(stages)[at]}"
        )
    return Stages(np.searchsorted(cuts, values, side="left"), (*words, f"all of {name}"))


def by_class(target: Target, spec: DataSpec) -> Stages:
    """Rows arrive with their class. A number of stages shares out the classes, in their order, as evenly as it can."""
    if not target.labels:
        raise DataError("data.arrival=class needs classes, and this task is regression")
    labels = [str(label) for label in target.labels]
    stages: Any = DEFAULT_STAGES["class"] if spec.stages is None else spec.stages
    if is_whole(stages):
        if stages > len(labels):
            raise DataError(f"data.stages={stages} is more than the {len(labels)} classes")
        stages = [part.tolist() for part in np.array_split(np.array(labels), int(stages))]
    since_class: dict[str, int] = {}
    in_stage = [names_of(classes) for classes in stages]
    for stage, classes in enumerate(in_stage):
        for label in classes:
            if label not in labels:
                raise DataError(
                    f"data.stages: {label!r} is not a class of {target.names[0]!r}; {nearest(label, labels)}"
                )
            if label in since_class:
                raise DataError(f"data.stages names class {label!r} twice; a class arrives once")
            since_class[label] = stage
    left = [label for label in labels if label not in since_class]
    if left:
        raise DataError(f"data.stages leaves out class {', '.join(left)}; every class must be in one stage")
    since = np.array([since_class[label] for label in labels])[target.values]
    return Stages(since, tuple(f"classes {', '.join(classes)}" for classes in in_stage))


def by_file(raw: Raw) -> Stages:
    """Rows arrive with their file."""
    assert raw.files is not None
    return Stages(raw.files, raw.file_names)


def is_whole(value: Any) -> bool:
    """Whether a setting is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)
