"""The rows that an artefact is tried on: a probe that is drawn, and the run's own rows, read again.

n rows, I inputs, O outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autogrow.data import DataSpec, ImageEncoder, TableEncoder
from autogrow.data.read_again import read_again
from autogrow.data.splits import PARTS
from autogrow.deploy.export.inputs import CATEGORY, DATE, VALUE
from autogrow.deploy.export.net import PortableNet
from autogrow.errors import CheckpointError, DataError
from autogrow.train.record.folder import read_split

PROBED = 256  # rows of the probe
MOST = 20_000  # rows of a part that are used: more only make it slower
FAR = 3.0  # standard deviations of the probe's numbers: some lie beyond the clip


@dataclass(frozen=True)
class Rows:
    """Rows (n, *input_shape), float64; what the delivered net answers on them (n, O); and, where it is known, their
    truth: class codes (n,), or values (n, O).
    """

    x: np.ndarray
    answers: np.ndarray
    truth: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class OwnRows:
    """The run's own rows. `why`: why there are none, or not all; '' where all is well."""

    train: np.ndarray
    val: Rows | None
    why: str


def probe_rows(net: PortableNet) -> Rows:
    """Rows drawn over all that the net may be given: far values, gaps, categories that it does not know."""
    rng = np.random.default_rng(0)
    encoder = net.delivered.pipeline.encoder
    table = _drawn_images(net, rng) if isinstance(encoder, ImageEncoder) else _drawn_table(net, encoder, rng)
    return Rows(net.rows_of(table), net.answers_of(table))


def _drawn_images(net: PortableNet, rng: np.random.Generator) -> np.ndarray:
    preprocess = net.delivered.preprocess
    mean, scale = preprocess.mean.numpy(), preprocess.scale.numpy()
    std = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    drawn: np.ndarray = (mean + std * rng.normal(size=(PROBED, *net.input_shape))).astype(np.float32)
    return drawn


def _drawn_table(net: PortableNet, encoder: TableEncoder, rng: np.random.Generator) -> Any:
    import pandas as pd

    column_of = {c.source: c for c in net.columns if c.kind == VALUE}
    drawn: dict[str, Any] = {}
    for i, one in enumerate(net.inputs):
        if one.part:
            continue
        gaps = rng.random(PROBED) < 0.1
        if one.kind == CATEGORY:
            texts = np.array([*one.codes, None, "\0 unknown"], dtype=object)
            drawn[one.name] = texts[rng.integers(0, len(texts), PROBED)]
            continue
        column = column_of[i]
        std = 1 / column.scale if column.scale > 0 else 1.0
        moved = column.mean + std * FAR * rng.normal(size=PROBED)
        values = moved if one.spread == 0 else one.origin + one.spread * moved
        if one.kind == DATE:
            dated = pd.to_timedelta(np.clip(values, -30_000, 80_000), unit="D") + pd.Timestamp(0)
            drawn[one.name] = pd.Series(dated).dt.round("us").mask(gaps)
        else:
            drawn[one.name] = np.where(gaps, np.nan, values)
    return pd.DataFrame(drawn)[list(encoder.columns)]


def own_rows(net: PortableNet, data: DataSpec | None, checkpoint: Path) -> OwnRows:
    """The rows that the net of a checkpoint was trained and validated on, read again from where `data` says they are.

    By the fingerprint of each row, which the run has kept: data that changed since have other rows, which are not used.
    """
    known = read_split(checkpoint)
    none = np.zeros((0, *net.input_shape))
    if data is None or known is None:
        return OwnRows(none, None, f"{checkpoint} does not say where the rows are that it learned from")
    try:
        again = read_again(data, net.delivered.pipeline, known.way)
    except (DataError, CheckpointError) as error:
        return OwnRows(none, None, f"its data cannot be read again: {str(error).partition('; ')[0]}")
    parts = known.parts_of(again.marks)
    train, val = (np.flatnonzero(parts == PARTS.index(part))[:MOST] for part in ("train", "val"))
    if not len(val):
        return OwnRows(none, None, f"its data have changed: none of its validation rows is in {again.raw.origin}")
    of_val = again.table(val)
    found = Rows(net.rows_of(of_val), net.answers_of(of_val), again.y[val])
    gone = int((~np.isin(known.marks[known.parts == PARTS.index("val")], again.marks)).sum())
    why = f"its data have changed: {gone} of its validation rows are not in {again.raw.origin} any more" if gone else ""
    return OwnRows(net.rows_of(again.table(train)) if len(train) else none, found, why)
