"""Which rows a net was trained, validated and tested on: a row never moves from one to another as data grow."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from autogrow.data.encode import Encoder, TableEncoder
from autogrow.data.raw import Raw
from autogrow.data.splits import PARTS, Rows
from autogrow.data.target import Target

_HASHED = 1 << 14  # rows at a time


@dataclass(frozen=True)
class KnownRows:
    """Fingerprints (m,) uint64 of rows, sorted, and the split (m,) each belongs to, as an index into `PARTS`."""

    marks: np.ndarray
    parts: np.ndarray

    @staticmethod
    def of(marks: Mapping[str, np.ndarray]) -> KnownRows:
        """From the fingerprints of each split. A row that occurs in several belongs to test before val before train."""
        every = np.concatenate([marks[part] for part in PARTS])
        where = np.concatenate([np.full(len(marks[part]), i, dtype=np.uint8) for i, part in enumerate(PARTS)])
        order = np.lexsort((-where.astype(np.int64), every))
        unique, first = np.unique(every[order], return_index=True)
        return KnownRows(unique, where[order][first])

    def joined(self, later: KnownRows) -> KnownRows:
        """These and later ones; what was known before stays where it was."""
        fresh = ~np.isin(later.marks, self.marks)
        marks = np.concatenate([self.marks, later.marks[fresh]])
        order = np.argsort(marks, kind="stable")
        return KnownRows(marks[order], np.concatenate([self.parts, later.parts[fresh]])[order])

    def parts_of(self, marks: np.ndarray) -> np.ndarray:
        """The split of each row, as an index into `PARTS`, −1 for one that is not known: int64 (n,).

        marks: fingerprints (n,).
        """
        if not len(self.marks):
            return np.full(len(marks), -1)
        at = np.searchsorted(self.marks, marks).clip(0, len(self.marks) - 1)
        parts: np.ndarray = np.where(self.marks[at] == marks, self.parts[at].astype(np.int64), -1)
        return parts

    def keep(self, rows: Rows, marks: np.ndarray) -> Rows:
        """`rows` with every known row in the split that it was in. marks: fingerprints (n,) of all rows."""
        now = np.empty(len(marks), dtype=np.int64)
        now.fill(-1)
        for i, part in enumerate(PARTS):
            now[getattr(rows, part)] = i
        before = self.parts_of(marks)
        known = (before >= 0) & (now >= 0)
        now[known] = before[known]
        kept = []
        for i, part in enumerate(PARTS):
            order = np.concatenate([getattr(rows, other) for other in PARTS])  # the seeded order stays
            own = getattr(rows, part)
            stays = own[now[own] == i]
            moved = np.setdiff1d(order[now[order] == i], stays, assume_unique=False)
            kept.append(np.concatenate([stays, moved]))
        return Rows(*kept)

    def to_bytes(self) -> bytes:
        """As a file of NumPy arrays, not packed: there is nothing to find in fingerprints."""
        file = io.BytesIO()
        np.savez(file, marks=self.marks, parts=self.parts)
        return file.getvalue()

    @staticmethod
    def from_bytes(content: bytes) -> KnownRows:
        """The inverse of `to_bytes`. Raises ValueError for what is no such file; nothing is read but what it holds."""
        with zipfile.ZipFile(io.BytesIO(content)) as whole:
            marks, parts = (_array(whole, name, kind) for name, kind in (("marks", np.uint64), ("parts", np.uint8)))
        if len(marks) != len(parts) or (parts >= len(PARTS)).any() or (marks[1:] <= marks[:-1]).any():
            raise ValueError("marks and parts do not go together")
        return KnownRows(marks, parts)


def _array(whole: zipfile.ZipFile, name: str, kind: type[np.generic]) -> np.ndarray:
    """One array of a file of arrays, where its header claims neither more nor less than there is."""
    content = whole.read(f"{name}.npy")
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError(f"{name} is of another version")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype != kind or len(shape) != 1 or shape[0] * dtype.itemsize + file.tell() != len(content):
        raise ValueError(f"{name} should be a list of {np.dtype(kind)}, and is {dtype} of shape {shape}")
    return np.frombuffer(content, dtype=dtype, offset=file.tell()).copy()


def mark_rows(encoder: Encoder, raw: Raw, target: Target) -> np.ndarray:
    """Fingerprints (n,) of all rows, by the columns that the encoder knows."""
    if isinstance(encoder, TableEncoder) and not isinstance(raw.x, np.ndarray):
        return fingerprints(encoder.encode(raw.x[[c for c in raw.x.columns if c in encoder.columns]]), target.values)
    return fingerprints(encoder.encode(raw.x), target.values)


def fingerprints(encoded: Tensor, target: np.ndarray) -> np.ndarray:
    """One number (n,) uint64 for each row: of its encoded values (n, …), not standardised, and its target (n, …)."""
    marks = np.empty(len(encoded), dtype=np.uint64)
    for start in range(0, len(encoded), _HASHED):
        x = (encoded[start : start + _HASHED] + 0.0).flatten(1).numpy()  # −0 becomes 0
        y = np.ascontiguousarray(target[start : start + _HASHED]).reshape(len(x), -1)
        both = np.concatenate([x.view(np.uint8), y.view(np.uint8)], axis=1)
        content, width = both.tobytes(), both.shape[1]
        digests = [
            hashlib.blake2b(content[first : first + width], digest_size=8).digest()
            for first in range(0, len(content), width)
        ]
        marks[start : start + _HASHED] = np.frombuffer(b"".join(digests), dtype=np.uint64)
    return marks
