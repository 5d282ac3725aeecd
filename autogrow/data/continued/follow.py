"""Data for a net that is there already: what it knows is kept, what is new to it is added, and it can follow exactly.

n rows, D encoded columns before, D' after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autogrow.data.card import fingerprint
from autogrow.data.continued.extend import (
    PROBED,
    Extension,
    column_sources,
    extend_encoder,
    extend_target,
    extension_of,
    refit_preprocess,
)
from autogrow.data.continued.known_rows import KnownRows
from autogrow.data.continued.marks import SUMS, mark_rows
from autogrow.data.encode import Encoder, TableEncoder
from autogrow.data.fit_inputs import Fitted, encode_and_fit
from autogrow.data.pipeline import Pipeline
from autogrow.data.spec import DataSpec
from autogrow.data.split_rows import SplitData
from autogrow.data.splits import PARTS
from autogrow.errors import DataError


@dataclass(frozen=True)
class TrainedOn:
    """What a finished net was trained on: its pipeline, and which rows it knows (None where nobody wrote that down).
    `refined`: numeric columns whose knots stand in the units of the old statistics, which therefore stay.

    Its columns, categories, classes and target scale are kept and extended, its statistics refitted as far as the net
    can follow exactly, and a row it knows stays in the split that it was in.
    """

    pipeline: Pipeline
    known: KnownRows | None = None
    refined: frozenset[str] = frozenset()
    card: Mapping[str, Any] | None = None
    """The card of its run's data, where there is one."""


def keep_known(data: SplitData, trained_on: TrainedOn, spec: DataSpec) -> SplitData:
    """The targets in the net's terms, and every row that the net knows in the split that it was in.

    Raises DataError for a target that the net cannot have, and for a file that has lost rows since.
    """
    target = extend_target(data.target, trained_on.pipeline, new_classes=spec.new_classes)
    rows = data.rows
    if trained_on.known is not None:
        marks = mark_rows(trained_on.pipeline.encoder, data.raw, target, trained_on.known.way)
        if trained_on.card is not None and spec.max_rows is None:
            _check_none_gone(replace(data, target=target), marks, trained_on.known, trained_on.card)
        rows = trained_on.known.keep(rows, marks)
    return replace(data, target=target, rows=rows)


def _check_none_gone(data: SplitData, marks: np.ndarray, known: KnownRows, before: Mapping[str, Any]) -> None:
    """More rows in the same file are what a net goes on for. A row that was edited there is a new one to it: it may
    come back in test and have been in train. So the file must still hold the rows that it held.
    """
    origin = data.raw.origin
    same_file = Path(origin).is_file() and Path(origin).resolve() == Path(str(before["origin"])).resolve()
    still = int(np.isin(marks, known.marks).sum())
    if same_file and still < before["rows"]:
        now = fingerprint(data.raw, data.target)
        raise DataError(
            f"continue_from: {before['rows'] - still} of the {before['rows']} rows that the net knows of {origin} are "
            f"gone or changed (fingerprint {before['fingerprint'][:12]} then, {now[:12]} now): one that was edited may "
            "come back in another split; put them back, or give the table under another name if rows left it"
        )


def follow_inputs(data: SplitData, trained_on: TrainedOn, fitted: Encoder) -> tuple[Fitted, Extension]:
    """Encoder and preprocessing that the net can follow, and how.

    fitted: the encoder that the new rows alone would have.
    """
    before, raw, target, train = trained_on.pipeline, data.raw, data.target, data.rows.train
    probed = train[:PROBED]
    if isinstance(raw.x, np.ndarray):
        encoder = extend_encoder(before.encoder, fitted, columns_given=())
        images = raw.x
        same = Extension(
            (), torch.ones(0), torch.zeros(0), len(target.labels) - len(before.labels) if target.labels else 0,
            before.inputs(images[probed]), before.preprocess(encoder.encode(images[probed])),
        )  # fmt: skip
        return encode_and_fit(images, data.rows, encoder, before.preprocess), same
    assert isinstance(before.encoder, TableEncoder)
    silent = [c for c, scale in zip(before.encoder.numeric, before.preprocess.scale, strict=False) if scale == 0]
    encoder = extend_encoder(before.encoder, fitted, columns_given=list(raw.x.columns), silent=silent)
    assert isinstance(encoder, TableEncoder)
    whole = encoder.encode(raw.x)
    source = column_sources(before.encoder, encoder)
    refitted = [name not in trained_on.refined for name, _ in encoder.encoded()[: encoder.quantities]]
    preprocess, factor, shift = refit_preprocess(before.preprocess, whole, train, source, refitted)
    extension = extension_of(
        before, encoder, raw.x.iloc[probed], preprocess(whole[probed]), source, factor, shift, labels=target.labels
    )
    parts = (train, data.rows.val, data.rows.test)
    return Fitted(encoder, preprocess, [whole[rows] for rows in parts]), extension


def way_of(trained_on: TrainedOn | None) -> str:
    """How rows are marked: as the net knows them, today's way where it knows none."""
    return SUMS if trained_on is None or trained_on.known is None else trained_on.known.way


def known_rows_of(marks: Sequence[np.ndarray], trained_on: TrainedOn | None) -> KnownRows:
    """Which rows are in which split, and were: what a net that learns from these data will know.

    marks: of the training, validation and test rows, made as `way_of` says.
    """
    now = KnownRows.of(dict(zip(PARTS, marks, strict=True)), way_of(trained_on))
    return now if trained_on is None or trained_on.known is None else trained_on.known.joined(now)
