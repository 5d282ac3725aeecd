"""Encoder and preprocessing, fitted on the training rows alone."""

from __future__ import annotations

from collections.abc import Callable
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
from autogrow.errors import DataError


class Fitted(NamedTuple):
    """From raw rows to the net's input: `encoder`, then `preprocess`.

    encoded: the rows of these data (B, …), encoded, by their numbers (B,).
    """

    encoder: Encoder
    preprocess: Standardise
    encoded: Callable[[np.ndarray], Tensor]


def as_begun(raw: Raw, encoder: Encoder, preprocess: Standardise) -> Fitted:
    """What a run made of its inputs before it was interrupted."""
    if isinstance(raw.x, np.ndarray):
        images = raw.x
        return Fitted(encoder, preprocess, lambda rows: encoder.encode(images[rows]))
    assert isinstance(encoder, TableEncoder)
    whole = encoder.encode(raw.x[[name for name in raw.x.columns if name in encoder.columns]])
    return Fitted(encoder, preprocess, lambda rows: whole[rows])


def fit_inputs(raw: Raw, train: np.ndarray, spec: DataSpec) -> Fitted:
    """What the training rows say about the inputs. Raises DataError where they say nothing."""
    if isinstance(raw.x, np.ndarray):
        images, (c, h, w) = raw.x, raw.x.shape[1:]
        image_encoder = ImageEncoder((c, h, w))
        return Fitted(image_encoder, fit_images(images[train]), lambda rows: image_encoder.encode(images[rows]))
    encoder = fit_table_encoder(
        raw.x.iloc[train],
        categorical=spec.categorical,
        coding=spec.categories,
        most=spec.max_categories,
        ignored=(*raw.y.columns, *columns_away(spec), *raw.left_out),
        written=raw.written,
    )
    whole = encoder.encode(raw.x)
    if not whole.shape[1]:
        raise DataError(f"{raw.origin}: no input column holds a value in the training rows")
    return Fitted(encoder, fit_table(whole[train], encoder.quantities), lambda rows: whole[rows])
