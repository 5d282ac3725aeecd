"""Data for a net that is there already: what it knows is kept, what is new to it is added, and it can follow exactly.

n rows, D encoded columns before, D' after.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from autogrow.data.continued.extend import (
    PROBED,
    Extension,
    column_sources,
    extend_encoder,
    extend_target,
    extension_of,
    refit_preprocess,
)
from autogrow.data.continued.known_rows import PARTS, KnownRows, mark_rows
from autogrow.data.encode import Encoder, TableEncoder
from autogrow.data.fit_inputs import Fitted
from autogrow.data.pipeline import Pipeline
from autogrow.data.split_rows import SplitData


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


def keep_known(data: SplitData, trained_on: TrainedOn, *, new_classes: str) -> SplitData:
    """The targets in the net's terms, and every row that the net knows in the split that it was in.

    Raises DataError for a target that the net cannot have.
    """
    target = extend_target(data.target, trained_on.pipeline, new_classes=new_classes)
    rows = data.rows
    if trained_on.known is not None:
        rows = trained_on.known.keep(rows, mark_rows(trained_on.pipeline.encoder, data.raw, target))
    return replace(data, target=target, rows=rows)


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
        return Fitted(encoder, before.preprocess, lambda rows: encoder.encode(images[rows])), same
    assert isinstance(before.encoder, TableEncoder)
    silent = [c for c, scale in zip(before.encoder.numeric, before.preprocess.scale, strict=False) if scale == 0]
    encoder = extend_encoder(before.encoder, fitted, columns_given=list(raw.x.columns), silent=silent)
    assert isinstance(encoder, TableEncoder)
    whole = encoder.encode(raw.x)
    source = column_sources(before.encoder, encoder)
    refitted = [name not in trained_on.refined for name, _ in encoder.encoded()[: encoder.quantities]]
    preprocess, factor, shift = refit_preprocess(before.preprocess, whole, train, source, refitted)
    extension = extension_of(
        before, raw.x.iloc[probed], preprocess(whole[probed]), source, factor, shift, labels=target.labels
    )
    return Fitted(encoder, preprocess, lambda rows: whole[rows]), extension


def known_rows_of(data: SplitData, encoder: Encoder, trained_on: TrainedOn | None) -> KnownRows:
    """Which rows are in which split, and were: what a net that learns from these data will know."""
    marks = mark_rows(encoder, data.raw, data.target)
    now = KnownRows.of({part: marks[getattr(data.rows, part)] for part in PARTS})
    return now if trained_on is None or trained_on.known is None else trained_on.known.joined(now)
