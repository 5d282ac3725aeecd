"""Which rows a net was trained, validated and tested on: a row never moves from one to another as data grow."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autogrow.data.continued.marks import DIGESTS, SUMS
from autogrow.data.splits import PARTS, Rows


@dataclass(frozen=True)
class KnownRows:
    """Marks (m,) uint64 of rows, sorted, and the split (m,) each belongs to, as an index into `PARTS`.

    way: how rows are marked here (see `marks`); only rows that are marked in the same way can be looked up.
    """

    marks: np.ndarray
    parts: np.ndarray
    way: str = SUMS

    @staticmethod
    def of(marks: Mapping[str, np.ndarray], way: str = SUMS) -> KnownRows:
        """From the marks of each split. A row that occurs in several belongs to test before val before train."""
        ordered = [np.sort(marks[part]) for part in PARTS]
        every = np.concatenate(ordered)
        every.sort(kind="stable")  # which merges what is in order
        every = every[np.append(every[1:] != every[:-1], True)[: len(every)]]
        where = np.zeros(len(every), dtype=np.uint8)  # train
        for i, own in enumerate(ordered[1:], start=1):
            where[np.searchsorted(every, own)] = i
        return KnownRows(every, where, way)

    def joined(self, later: KnownRows) -> KnownRows:
        """These and later ones; what was known before stays where it was."""
        fresh = ~np.isin(later.marks, self.marks)
        marks = np.concatenate([self.marks, later.marks[fresh]])
        order = np.argsort(marks, kind="stable")
        return KnownRows(marks[order], np.concatenate([self.parts, later.parts[fresh]])[order], self.way)

    def parts_of(self, marks: np.ndarray) -> np.ndarray:
        """The split of each row, as an index into `PARTS`, −1 for one that is not known: int64 (n,).

        marks: of rows (n,), made in the same way.
        """
        if not len(self.marks):
            return np.full(len(marks), -1)
        at = np.searchsorted(self.marks, marks).clip(0, len(self.marks) - 1)
        parts: np.ndarray = np.where(self.marks[at] == marks, self.parts[at].astype(np.int64), -1)
        return parts

    def keep(self, rows: Rows, marks: np.ndarray) -> Rows:
        """`rows` with every known row in the split that it was in. marks: those (n,) of all rows."""
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
        """As a file of NumPy arrays, the marks named by their way; not packed: there is nothing to find in them."""
        file, arrays = io.BytesIO(), dict[str, Any](parts=self.parts)
        np.savez(file, **arrays | {self.way: self.marks})
        return file.getvalue()

    @staticmethod
    def from_bytes(content: bytes) -> KnownRows:
        """The inverse of `to_bytes`. Raises ValueError for what is no such file; nothing is read but what it holds."""
        with zipfile.ZipFile(io.BytesIO(content)) as whole:
            way = SUMS if f"{SUMS}.npy" in whole.namelist() else DIGESTS
            marks, parts = (_array(whole, name, kind) for name, kind in ((way, np.uint64), ("parts", np.uint8)))
        if len(marks) != len(parts) or (parts >= len(PARTS)).any() or (marks[1:] <= marks[:-1]).any():
            raise ValueError("marks and parts do not go together")
        return KnownRows(marks, parts, way)


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
