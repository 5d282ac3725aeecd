"""Encoder and preprocessing, fitted on the training rows alone, and what they make of all rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from autogrow.data.encode import Encoder, TableEncoder
from autogrow.data.encode_images import ImageEncoder
from autogrow.data.fit_encoder import fit_table_encoder
from autogrow.data.preprocess import Standardise, fit_images, fit_table
from autogrow.data.raw import Raw
from autogrow.data.spec import DataSpec
from autogrow.data.split_rows import columns_away
from autogrow.data.splits import Rows
from autogrow.errors import DataError


class Fitted(NamedTuple):
    """From raw rows to the net's input: `encoder`, then `preprocess`.

    inputs: the net's inputs of the training, validation and test rows, (B, …) each.
    """

    encoder: Encoder
    preprocess: Standardise
    inputs: Sequence[Tensor]


def inputs_of(raw: Raw, rows: Rows, encoder: Encoder, preprocess: Standardise) -> Fitted:
    """All parts by an encoder and a preprocessing that are there already."""
    return Fitted(encoder, preprocess, [preprocess.in_place(x) for x in _encoded(raw, rows, encoder)])


def fit_inputs(raw: Raw, rows: Rows, spec: DataSpec) -> Fitted:
    """What the training rows say about the inputs. Raises DataError where they say nothing."""
    encoder = fit_encoder(raw, rows.train, spec)
    if isinstance(raw.x, np.ndarray):
        return inputs_of(raw, rows, encoder, fit_images(raw.x[rows.train]))
    assert isinstance(encoder, TableEncoder)
    if not encoder.width:
        raise DataError(f"{raw.origin}: no input column holds a value in the training rows")
    encoded = _encoded(raw, rows, encoder)
    preprocess = fit_table(encoded[0], encoder.quantities)
    return Fitted(encoder, preprocess, [preprocess.in_place(x) for x in encoded])


def fit_encoder(raw: Raw, train: np.ndarray, spec: DataSpec) -> Encoder:
    """The encoder that the training rows alone would have."""
    if isinstance(raw.x, np.ndarray):
        c, h, w = raw.x.shape[1:]
        return ImageEncoder((c, h, w))
    return fit_table_encoder(
        raw.x,
        train,
        categorical=spec.categorical,
        coding=spec.categories,
        most=spec.max_categories,
        ignored=(*raw.y.columns, *columns_away(spec), *raw.left_out),
        written=raw.written,
    )


def _encoded(raw: Raw, rows: Rows, encoder: Encoder) -> list[Tensor]:
    parts = (rows.train, rows.val, rows.test)
    if isinstance(raw.x, np.ndarray):
        images = raw.x
        return [encoder.encode(images[part]) for part in parts]
    assert isinstance(encoder, TableEncoder)
    known = [name for name in raw.x.columns if name in encoder.columns]
    return encoder.encode_parts(encoder.read(raw.x[known]), parts)
