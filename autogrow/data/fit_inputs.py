"""Encoder and preprocessing, fitted on the training rows alone, and what they make of all rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import Tensor

from autogrow.data.encode import Encoder, TableEncoder, standing
from autogrow.data.encode_images import ImageEncoder
from autogrow.data.fit_encoder import fit_table_encoder
from autogrow.data.give_back import give_back
from autogrow.data.preprocess import Standardise, fit_columns, fit_images
from autogrow.data.raw import Raw
from autogrow.data.spec import DataSpec
from autogrow.data.split_rows import columns_away
from autogrow.data.splits import Rows
from autogrow.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Inputs = dict[Any, "pd.Series"] | np.ndarray
"""A table's columns as its encoder reads them, or images."""


class Fitted(NamedTuple):
    """From raw rows to the net's input: `encoder`, then `preprocess`.

    encoded: the training, validation and test rows (B, …), encoded, before the preprocessing.
    """

    encoder: Encoder
    preprocess: Standardise
    encoded: Sequence[Tensor]


def fit_encoder(raw: Raw, train: np.ndarray, spec: DataSpec) -> Encoder:
    """The encoder that the training rows alone would have. Raises DataError where they say nothing."""
    if isinstance(raw.x, np.ndarray):
        c, h, w = raw.x.shape[1:]
        return ImageEncoder((c, h, w))
    encoder = fit_table_encoder(
        raw.x,
        train,
        categorical=spec.categorical,
        coding=spec.categories,
        most=spec.max_categories,
        ignored=(*raw.y.columns, *columns_away(spec), *raw.left_out),
        written=raw.written,
    )
    if not encoder.width:
        raise DataError(f"{raw.origin}: no input column holds a value in the training rows")
    return encoder


def inputs_for(encoder: Encoder, raw: Raw) -> Inputs:
    """What the encoder reads of these rows."""
    if isinstance(raw.x, np.ndarray):
        return raw.x
    assert isinstance(encoder, TableEncoder)
    return dict(encoder.read(raw.x[[name for name in raw.x.columns if name in encoder.columns]]).items())


def encode_and_fit(inputs: Inputs, rows: Rows, encoder: Encoder, preprocess: Standardise | None = None) -> Fitted:
    """All parts by the encoder, and the preprocessing that the training rows ask for where none is given.

    A table's columns are taken out of `inputs` one by one: see `TableEncoder.encode_rows`.
    """
    parts = (rows.train, rows.val, rows.test)
    if isinstance(inputs, np.ndarray):
        preprocess = preprocess or fit_images(inputs[rows.train])
        return Fitted(encoder, preprocess, [encoder.encode(inputs[part]) for part in parts])
    assert isinstance(encoder, TableEncoder)
    lying = encoder.encode_rows(inputs, np.concatenate(parts))
    preprocess = preprocess or fit_columns([column[: len(rows.train)] for column in lying], encoder.quantities)
    give_back()
    return Fitted(encoder, preprocess, standing(lying, [len(part) for part in parts]))
