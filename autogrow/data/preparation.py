"""From a spec to tensors that are ready to train on: read, split, fit on the training rows, transform once.

One way through: the settings are checked here and nowhere behind, `Raw` makes the names of columns text, `at_stage`
says what has arrived, and `continued` keeps what a finished net knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autogrow.data.arrival.stage import at_stage
from autogrow.data.card import fingerprint, make_card
from autogrow.data.centre import is_constant, rounding_is_harmless
from autogrow.data.continued.follow import TrainedOn, follow_inputs, keep_known, known_rows_of, way_of
from autogrow.data.continued.marks import marks_of
from autogrow.data.fit_inputs import encode_and_fit, fit_encoder, inputs_for
from autogrow.data.give_back import give_back
from autogrow.data.left_out import leave_out_columns
from autogrow.data.missing_target import leave_out_rows
from autogrow.data.pipeline import Pipeline
from autogrow.data.prepared import Prepared, Split
from autogrow.data.raw import Raw
from autogrow.data.row_weights import describe_weights, weights_of_column, weights_of_rows
from autogrow.data.rules import checked
from autogrow.data.spec import STREAM, DataSpec
from autogrow.data.split_rows import SplitData, describe_split, parts_named, sample_rows, split_rows, take_columns
from autogrow.data.splits import PARTS, check_sizes
from autogrow.data.streamed.first_part import streamed_tables
from autogrow.data.streamed.own import FirstBatches, streamed_batches
from autogrow.data.streamed.reader import read_rows
from autogrow.data.target import Target, read_target
from autogrow.errors import DataError

LARGEST = 1e18
"""How large a regression target may be, and one over it how narrow its spread."""


def prepare(spec: DataSpec, trained_on: TrainedOn | None = None, *, begun: Pipeline | None = None) -> Prepared:
    """Read, split, encode and standardise what `spec` names. Raises DataError for anything that cannot be learned from.

    With `trained_on`, the data are prepared for a finished net that goes on: see `TrainedOn`. `begun`: the pipeline of
    a run that was interrupted: its rows are encoded as they were, whatever a new run would make of them.

    >>> from autogrow.data import DataSpec, prepare
    >>> digits = prepare(DataSpec(name="digits", source="sklearn"))
    >>> digits.input_shape, digits.outputs, len(digits.train), digits.task
    ((64,), 10, 1079, 'classification')
    """
    spec = checked(spec)
    if spec.source == STREAM and trained_on is not None:
        raise DataError(
            "a net cannot go on with data=stream: which of its rows it has been judged by is known of the first part "
            "alone; data=parquet reads a file as a whole"
        )
    reading, known = spec, begun if trained_on is None else trained_on.pipeline
    if known is not None:  # what were categories stay the texts that they were
        reading = replace(spec, categorical=(*spec.categorical, *known.categories))
    centred = () if known is None else known.centred
    prepared = _transformed(  # nobody else holds the rows: they can be let go as they are encoded
        _chosen(read_rows(reading, centred=centred), spec, trained_on, begun), spec, trained_on, begun
    )
    return streamed_tables(prepared, spec) if spec.source == STREAM else prepared


def prepare_stream(stream: Iterable[Any], spec: DataSpec, *, begun: Pipeline | None = None) -> Prepared:
    """As `prepare`, for batches of one's own: frames, mappings from column to values, or pairs (x, y).

    Raises DataError for a stream whose rows cannot be counted, and for settings that do not go with one.
    """
    if spec.source != STREAM or spec.path is not None:
        raise DataError(f"a stream of one's own needs DataSpec(source='stream') without a path, got {spec.source!r}")
    first = FirstBatches.of(stream, checked(spec))
    chosen = _chosen(first.raw, first.spec, None, begun)
    return streamed_batches(_transformed(chosen, first.spec, None, begun), stream, first)


def prepare_raw(raw: Raw, spec: DataSpec, trained_on: TrainedOn | None = None) -> Prepared:
    """As `prepare`, for rows that are already in memory."""
    spec = checked(spec)
    return _transformed(_chosen(raw, spec, trained_on), spec, trained_on)


def prepare_split(data: SplitData, spec: DataSpec, trained_on: TrainedOn | None = None) -> Prepared:
    """As `prepare`, for rows in memory that somebody else has split: of `spec` only what encodes them counts.

    Raises DataError where no row is left to learn from, or to judge by.
    """
    spec = checked(spec)
    if trained_on is not None:
        data = keep_known(data, trained_on, spec)
    for part, use in (("train", "learn from"), ("val", "judge by")):
        if not len(getattr(data.rows, part)):
            raise DataError(f"of {len(data.raw)} rows none is left to {use}; give more")
    return _transformed(data, spec, trained_on)


def _transformed(
    data: SplitData, spec: DataSpec, trained_on: TrainedOn | None, begun: Pipeline | None = None
) -> Prepared:
    target, rows, numbered, weights = data.target, data.rows, data.numbered, data.weight
    scale, extension, preprocess = _target_scale(target, rows.train), None, None
    encoder = fit_encoder(data.raw, rows.train, spec) if begun is None or trained_on is not None else begun.encoder
    if trained_on is not None:
        fitted, extension = follow_inputs(data, trained_on, encoder)
        encoder, scale = fitted.encoder, trained_on.pipeline.target_scale
        if scale is not None:
            scale = _as_precise(*scale, target.values[rows.train])
    elif begun is not None:
        preprocess, scale = begun.preprocess, begun.target_scale
    card = make_card(
        _title(spec), data, encoder=encoder, split=describe_split(spec, data.raw), sha256=fingerprint(data.raw, target)
    )
    card["notes"] = [*card["notes"], *describe_weights(spec), *(() if extension is None else extension.notes)]
    written = {} if data.raw.written is None else data.raw.written.readings
    if trained_on is None:
        inputs = inputs_for(encoder, data.raw)
        del data  # from here on only the columns are held that are not encoded yet
        fitted = encode_and_fit(inputs, rows, encoder, preprocess)
    parts = (rows.train, rows.val, rows.test)
    way = way_of(trained_on)
    marks = [marks_of(x, target.values[own], way) for x, own in zip(fitted.encoded, parts, strict=True)]

    def part(x: Tensor, own: np.ndarray) -> Split:
        weight = None if weights is None or not len(own) else torch.from_numpy(weights[own])
        mean_of_one = None if weight is None else (weight / weight.mean()).float()
        y = _targets(target, own, scale)
        return Split(fitted.preprocess.in_place(x), y, torch.from_numpy(numbered[own]), mean_of_one)

    train, val, test = map(part, fitted.encoded, parts)
    give_back()
    labels, names = list(target.labels), list(target.names)
    readings = {name: written[name] for name in names if name in written}
    shape, outputs = tuple(train.x.shape[1:]), len(labels) or len(names)
    pipeline = Pipeline(target.task, shape, outputs, labels, names, encoder, fitted.preprocess, scale, readings)
    known = partial(known_rows_of, marks, trained_on)
    return Prepared(_title(spec), pipeline, train, val, test, card, extension, known)


def _chosen(raw: Raw, spec: DataSpec, trained_on: TrainedOn | None, begun: Pipeline | None = None) -> SplitData:
    """The rows that are there to learn from, in their splits."""
    task = spec.task if trained_on is None or spec.task != "auto" else trained_on.pipeline.task
    known = begun if trained_on is None else trained_on.pipeline
    n = len(raw)
    raw, complete = leave_out_rows(raw, spec)
    target = read_target(raw.y, task)
    raw, named = take_columns(raw, spec)
    raw = leave_out_columns(raw, target, spec, () if known is None else known.columns)
    raw, target, sampled = sample_rows(raw, target, spec)
    named, numbered = named.at(sampled), complete[sampled]
    parts = parts_named(raw, named.split, numbered, n, spec)
    weight = None if named.weight is None else weights_of_column(named.weight)
    data = SplitData(raw, target, split_rows(raw, target, named.split, spec, parts), numbered, weight)
    data = at_stage(data, named.arrival, spec)
    if trained_on is not None:
        data = keep_known(data, trained_on, spec)
        if trained_on.known is not None:
            check_sizes(data.rows, None, len(raw))
            if parts is not None:
                _check_kept(data, parts[np.searchsorted(numbered, data.numbered)], spec)
    return replace(data, weight=weights_of_rows(data.weight, data.target, data.rows, spec.class_weight))


def _check_kept(data: SplitData, parts: np.ndarray, spec: DataSpec) -> None:
    """Raises DataError where somebody puts rows (n,) into val or test that the net has learned from."""
    learned = data.rows.train[parts[data.rows.train] > 0]
    if len(learned):
        part = PARTS[parts[learned[0]]]
        raise DataError(
            f"data.split={spec.split} puts row {data.numbered[learned[0]]} into {part}, and the net has learned from it "
            f"({len(learned)} such rows); a row stays where it was: leave the split as it was, or start a new net"
        )


def _title(spec: DataSpec) -> str:
    return Path(spec.path).stem if spec.path and spec.name in ("csv", "parquet", "npz", "") else spec.name


def _target_scale(target: Target, train: np.ndarray) -> tuple[Tensor, Tensor] | None:
    if target.labels:
        return None
    values = target.values[train]
    size, spread = np.abs(target.values).max(0), values.max(0) - values.min(0)
    far = np.flatnonzero((size > LARGEST) | ((spread > 0) & (spread < 1 / LARGEST)))
    if len(far):  # squares of errors have to fit into 32-bit floats
        raise DataError(
            f"target {target.names[far[0]]!r} has values up to {size[far[0]]:.2g} that lie {spread[far[0]]:.2g} apart; "
            f"a target must be within ±{LARGEST:g}, and spread over {1 / LARGEST:g} or more: give it in another unit"
        )
    flat = [i for i, column in enumerate(values.T) if is_constant(column)]
    if flat:
        raise DataError(f"target {target.names[flat[0]]!r} is constant in the training rows; there is nothing to learn")
    return _as_precise(torch.from_numpy(values.mean(0)), torch.from_numpy(values.std(0)), values)


def _as_precise(mean: Tensor, std: Tensor, values: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and std (t,) in 64 bits where 32 would round the targets (n, t) in their own units, else in 32."""
    exact = all(rounding_is_harmless(v, s) for v, s in zip(values.T, std.tolist(), strict=True))
    return (mean.float(), std.float()) if exact else (mean.double(), std.double())


def _targets(target: Target, rows: np.ndarray, scale: tuple[Tensor, Tensor] | None) -> Tensor:
    values = torch.from_numpy(target.values[rows])
    return values if scale is None else ((values - scale[0].double()) / scale[1].double()).float()
