"""From a spec to tensors that are ready to train on: read, split, fit the preprocessing on the training rows, transform once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from autogrow.data.arrival.files import split_by_file
from autogrow.data.arrival.stage import arrival_values, arrive, at_stage, check_arrival
from autogrow.data.arrival.when import moments
from autogrow.data.card import fingerprint, make_card
from autogrow.data.continued.extend import (
    PROBED,
    Extension,
    aligned,
    column_sources,
    extended_encoder,
    extension_of,
    updated,
)
from autogrow.data.continued.known_rows import KnownRows, fingerprints
from autogrow.data.encode import Encoder, ImageEncoder, TableEncoder, fit_table_encoder
from autogrow.data.pipeline import Pipeline
from autogrow.data.prepared import Prepared, Split
from autogrow.data.preprocess import CONSTANT, Standardise, fit_images, fit_table
from autogrow.data.raw import Raw
from autogrow.data.sources import read
from autogrow.data.spec import DataSpec, names_of, validate
from autogrow.data.splits import Rows, check_sizes, group_rows, random_rows, stratified_order, time_rows
from autogrow.data.target import Target, read_target
from autogrow.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd


def prepare(spec: DataSpec, before: Before | None = None) -> Prepared:
    """Read, split, encode and standardise what `spec` names. Raises DataError for anything that cannot be learned from.

    With `before`, the data are prepared for a net that is there already: see `Before`.

    >>> from autogrow.data import DataSpec, prepare
    >>> digits = prepare(DataSpec(name="digits", source="sklearn"))
    >>> digits.input_shape, digits.outputs, len(digits.train), digits.task
    ((64,), 10, 1079, 'classification')
    """
    validate(spec)
    check_arrival(spec)
    return prepare_raw(read(spec), spec, before)


def prepare_raw(raw: Raw, spec: DataSpec, before: Before | None = None) -> Prepared:
    """As `prepare`, for rows that are already in memory."""
    validate(spec)
    check_arrival(spec)
    target = read_target(raw.y, spec.task if before is None or spec.task != "auto" else before.pipeline.task)
    raw, target, numbered = _sample(raw, target, spec)
    when = arrival_values(raw, spec)
    raw, split_values = _without_split_column(raw, spec)
    rows = _split(raw, target, split_values, spec)
    if spec.arrival != "none":
        arrival = arrive(raw, target, rows, when, spec)
        last = len(arrival.names) - 1
        raw, target, rows, numbered = at_stage(
            raw,
            target,
            rows,
            numbered,
            arrival,
            last if spec.stage is None else spec.stage,
            new_classes=spec.new_classes,
        )
    if before is not None:
        target = aligned(target, before.pipeline, new_classes=spec.new_classes)
        if before.known is not None:
            rows = before.known.keep(rows, _marks(before.pipeline.encoder, raw, target))
            check_sizes(rows, None, len(raw))
    encoder, preprocess, encoded = _fit(raw, rows.train, spec)
    scale = _target_scale(target, rows.train)
    follow = None
    if before is not None:
        encoder, preprocess, encoded, follow = _follow(before.pipeline, raw, rows.train, encoder, target)
        scale = before.pipeline.target_scale

    def part(chosen: np.ndarray) -> Split:
        x: Tensor = preprocess(encoded(chosen))
        return Split(x, _targets(target, chosen, scale), torch.from_numpy(numbered[chosen]))

    train, val, test = part(rows.train), part(rows.val), part(rows.test)
    outputs = len(target.labels) or len(target.names)
    shape = tuple(train.x.shape[1:])
    pipeline = Pipeline(
        target.task, shape, outputs, list(target.labels), list(target.names), encoder, preprocess, scale
    )
    card = make_card(
        _title(spec), raw, target, rows, encoder=encoder, split=_split_words(spec, raw), sha256=fingerprint(raw, target)
    )
    if follow is not None:
        card["notes"] = [*card["notes"], *follow.notes]

    def known() -> KnownRows:
        marks = _marks(encoder, raw, target)
        now = KnownRows.of({name: marks[getattr(rows, name)] for name in ("train", "val", "test")})
        return now if before is None or before.known is None else before.known.joined(now)

    return Prepared(_title(spec), pipeline, train, val, test, card, follow, known)


def _marks(encoder: Encoder, raw: Raw, target: Target) -> np.ndarray:
    """Fingerprints (n,) of all rows, by the columns that the encoder knows."""
    x = raw.x if isinstance(raw.x, np.ndarray) else raw.x[[c for c in raw.x.columns if c in encoder.columns]]  # type: ignore[union-attr]
    return fingerprints(encoder.encode(x), target.values)


def _follow(
    before: Pipeline, raw: Raw, train: np.ndarray, fitted: Encoder, target: Target
) -> tuple[Encoder, Standardise, Any, Extension]:
    """Encoder and preprocessing that the net of `before` can follow, and how."""
    probed = train[:PROBED]
    if isinstance(raw.x, np.ndarray):
        encoder = extended_encoder(before.encoder, fitted, columns_given=())
        images = raw.x
        same = Extension(
            (), torch.ones(0), torch.zeros(0), len(target.labels) - len(before.labels) if target.labels else 0,
            before.inputs(images[probed]), before.preprocess(encoder.encode(images[probed])),
        )  # fmt: skip
        return encoder, before.preprocess, lambda rows: encoder.encode(images[rows]), same
    encoder = extended_encoder(before.encoder, fitted, columns_given=[str(c) for c in raw.x.columns])
    assert isinstance(encoder, TableEncoder)
    whole = encoder.encode(raw.x)
    source = column_sources(before.encoder, encoder)
    preprocess, factor, shift = updated(before.preprocess, whole, train, source, len(encoder.numeric))
    follow = extension_of(
        before, raw.x.iloc[probed], preprocess(whole[probed]), source, factor, shift, labels=target.labels
    )
    return encoder, preprocess, lambda rows: whole[rows], follow


@dataclass(frozen=True)
class Before:
    """What a net that is there already was trained on: its pipeline, and which rows it knows (None where nobody wrote that down).

    Its columns, categories, classes and target scale are kept and extended, its statistics refitted as far as the net can follow
    exactly, and a row it knows stays in the split that it was in.
    """

    pipeline: Pipeline
    known: KnownRows | None = None


def _title(spec: DataSpec) -> str:
    return Path(spec.path).stem if spec.path and spec.name in ("csv", "parquet", "npz", "") else spec.name


def _sample(raw: Raw, target: Target, spec: DataSpec) -> tuple[Raw, Target, np.ndarray]:
    """At most `max_rows` rows, stratified (a test file stays whole), and which rows of the source they are."""
    pool = len(raw) - raw.test_rows
    if spec.max_rows is None or spec.max_rows >= pool:
        return raw, target, np.arange(len(raw))
    rng = np.random.default_rng([spec.split_seed, 1])
    order = stratified_order(target.values[:pool], rng) if target.labels else rng.permutation(pool)
    kept = np.concatenate([np.sort(order[: spec.max_rows]), np.arange(pool, len(raw))])
    note = f"a sample of {spec.max_rows:,} of {pool:,} rows (data.max_rows)"
    return replace(raw.take(kept), notes=(*raw.notes, note)), replace(target, values=target.values[kept]), kept


def _without_split_column(raw: Raw, spec: DataSpec) -> tuple[Raw, pd.Series | None]:
    """The inputs proper, and the column that the split goes by."""
    named = [*names_of(spec.split_column), *names_of(spec.drop), *names_of(spec.categorical)]
    if isinstance(raw.x, np.ndarray):
        if named:
            raise DataError(
                f"images have no columns, so data.split_column, drop and categorical cannot name {named[0]!r}"
            )
        return raw, None
    columns = [str(c) for c in raw.x.columns]
    for name in named:
        if name not in columns:
            raise DataError(f"{raw.origin} has no input column {name!r}; {nearest(name, columns)}")
    values = raw.x[spec.split_column] if spec.split_column else None
    away = {*names_of(spec.drop), *names_of(spec.split_column)}
    x = raw.x.drop(columns=list(away))
    if not x.shape[1]:
        raise DataError(f"{raw.origin} has no input columns besides the target{' and what is dropped' if away else ''}")
    return replace(raw, x=x), values


def _split(raw: Raw, target: Target, column: pd.Series | None, spec: DataSpec) -> Rows:
    classes = target.values if target.labels else None
    if column is not None and raw.test_rows:
        raise DataError(f"data.split={spec.split} does not go with a test file; leave it at random")
    if column is not None and bool(column.isna().any()):
        raise DataError(
            f"data.split_column {spec.split_column!r} is missing in {int(column.isna().sum())} rows; every row must have one"
        )
    if raw.files is not None:
        rows = split_by_file(raw, spec, classes)
    elif column is None:
        rows = random_rows(
            len(raw), spec.val_fraction, spec.test_fraction, spec.split_seed, classes=classes, held=raw.test_rows
        )
    elif spec.split == "group":
        rows = group_rows(_group_codes(column), spec.val_fraction, spec.test_fraction, spec.split_seed)
    else:
        rows = time_rows(moments(column, "split_column"), spec.val_fraction, spec.test_fraction, spec.split_seed)
    check_sizes(rows, classes, len(raw))
    return rows


def _group_codes(column: pd.Series) -> np.ndarray:
    import pandas as pd

    codes, _ = pd.factorize(column, sort=True)
    return np.asarray(codes)


def _fit(raw: Raw, train: np.ndarray, spec: DataSpec) -> tuple[Encoder, Standardise, Any]:
    """Encoder and preprocessing fitted on the training rows, and a function from row numbers to the encoded tensor."""
    if isinstance(raw.x, np.ndarray):
        images, (c, h, w) = raw.x, raw.x.shape[1:]
        image_encoder = ImageEncoder((c, h, w))
        return (
            image_encoder,
            fit_images(images[train]),
            lambda rows: image_encoder.encode(images[rows]),
        )
    away = [*raw.y.columns, *names_of(spec.drop), *names_of(spec.split_column)]
    encoder = fit_table_encoder(
        raw.x.iloc[train],
        categorical=names_of(spec.categorical),
        coding=spec.categories,
        most=spec.max_categories,
        ignored=[str(c) for c in away],
    )
    whole = encoder.encode(raw.x)
    if not whole.shape[1]:
        raise DataError(f"{raw.origin}: no input column holds a value in the training rows")
    return encoder, fit_table(whole[train], len(encoder.numeric)), lambda rows: whole[rows]


def _target_scale(target: Target, train: np.ndarray) -> tuple[Tensor, Tensor] | None:
    if target.labels:
        return None
    values = target.values[train]
    mean, std = values.mean(0), values.std(0)
    flat = np.flatnonzero(std <= CONSTANT * np.abs(values).max(0))
    if len(flat):
        raise DataError(f"target {target.names[flat[0]]!r} is constant in the training rows; there is nothing to learn")
    return torch.from_numpy(mean).float(), torch.from_numpy(std).float()


def _targets(target: Target, rows: np.ndarray, scale: tuple[Tensor, Tensor] | None) -> Tensor:
    values = torch.from_numpy(target.values[rows])
    return values if scale is None else ((values - scale[0].double()) / scale[1].double()).float()


def _split_words(spec: DataSpec, raw: Raw) -> str:
    how = {"random": "random", "group": f"by group {spec.split_column}", "time": f"by time {spec.split_column}"}[
        spec.split
    ]
    return f"{how}, split seed {spec.split_seed}{', test from its own file' if raw.test_rows else ''}"
