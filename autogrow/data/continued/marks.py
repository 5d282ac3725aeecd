"""The number by which a row is known again: of its encoded values, not standardised, and its target.

`SUMS`, of today's runs, is multilinear hashing: a row's 32-bit words, each times a 64-bit key of its place, are summed
modulo 2⁶⁴, twice with other keys, and the upper halves are the mark. Two rows that differ have the same mark with
probability 2⁻⁶⁴ over the keys (Lemire and Kaser, Strongly universal string hashing is fast, The Computer Journal 2014,
theorem 3.1), and all rows are marked by one product. `DIGESTS`, of older runs, is BLAKE2b of a row's bytes.

n rows, w words of a row.
"""

from __future__ import annotations

import hashlib

import numpy as np
from torch import Tensor

from autogrow.data.encode import Encoder, TableEncoder
from autogrow.data.raw import Raw
from autogrow.data.target import Target

SUMS, DIGESTS = "sums", "marks"
"""The ways to mark rows, by the name that a file of known rows gives them."""
_CELLS = 1 << 18  # that are marked at a time
_UPPER, _HALF = np.uint64(0xFFFF_FFFF_0000_0000), np.uint64(32)


def mark_rows(encoder: Encoder, raw: Raw, target: Target, way: str = SUMS) -> np.ndarray:
    """The marks (n,) of all rows, by the columns that the encoder knows."""
    if isinstance(encoder, TableEncoder) and not isinstance(raw.x, np.ndarray):
        known = raw.x[[c for c in raw.x.columns if c in encoder.columns]]
        return marks_of(encoder.encode(known), target.values, way)
    return marks_of(encoder.encode(raw.x), target.values, way)


def marks_of(encoded: Tensor, target: np.ndarray, way: str = SUMS) -> np.ndarray:
    """One number (n,) uint64 for each row: of its encoded values (n, …), where −0 is 0, and its target (n, …)."""
    mark = {SUMS: _sums, DIGESTS: _digests}[way]
    marks = np.empty(len(encoded), dtype=np.uint64)
    together = max(1, _CELLS // max(1, encoded[:1].numel()))
    for start in range(0, len(encoded), together):
        rows = slice(start, start + together)
        x = (encoded[rows] + 0.0).flatten(1).numpy()
        marks[rows] = mark(x, np.ascontiguousarray(target[rows]).reshape(len(x), -1))
    return marks


def _sums(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    words = np.concatenate([x.view(np.uint32), y.view(np.uint32)], axis=1, dtype=np.uint64)
    sums = words @ _keys(words.shape[1])
    found: np.ndarray = sums[:, 0] & _UPPER | sums[:, 1] >> _HALF
    return found


def _keys(words: int) -> np.ndarray:
    """The keys (w, 2) of each place, the same ones everywhere and for ever."""
    drawn = hashlib.shake_256(b"autogrow: marks of rows").digest(16 * words)
    return np.frombuffer(drawn, dtype="<u8").reshape(words, 2).astype(np.uint64)


def _digests(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    both = np.concatenate([x.view(np.uint8), y.view(np.uint8)], axis=1)
    content, width = both.tobytes(), both.shape[1]
    digests = [
        hashlib.blake2b(content[first : first + width], digest_size=8).digest()
        for first in range(0, len(content), width)
    ]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)
