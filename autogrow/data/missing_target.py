"""Rows whose target is missing: there is nothing to learn from them, and they are left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from autogrow.data.columns import is_missing
from autogrow.data.raw import Raw
from autogrow.data.spec import DataSpec


def leave_out_rows(raw: Raw, spec: DataSpec) -> tuple[Raw, np.ndarray]:
    """The rows that have every target, and which rows of the source they are; all, with `data.missing_target=refuse`.

    A target without any value is left to be refused by name.
    """
    every = np.arange(len(raw))
    if spec.missing_target == "refuse" or not len(raw):
        return raw, every
    missing = np.stack([is_missing(raw.y[name]) for name in raw.y.columns])
    if not missing.any() or missing.all(1).any():
        return raw, every
    kept = np.flatnonzero(~missing.any(0))
    held = int((kept >= len(raw) - raw.test_rows).sum())
    names = ", ".join(repr(name) for name, gaps in zip(raw.y.columns, missing, strict=True) if gaps.any())
    note = (
        f"{len(raw) - len(kept):,} of {len(raw):,} rows have no target {names}: left out (data.missing_target=refuse "
        "refuses them)"
    )
    return replace(raw.take(kept), test_rows=held, notes=(*raw.notes, note)), kept
