"""IDX files: the format of MNIST and Fashion-MNIST (http://yann.lecun.com/exdb/mnist, "the IDX file format")."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from autogrow.errors import DataError

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
PARTS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def read_idx(path: Path) -> np.ndarray:
    """The array in an IDX file, plain or gzipped. Raises DataError where it is not one, or cut short."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES:
        raise DataError(f"{path} is not an IDX file: it begins with {content[:4].hex(' ') or 'nothing'}")
    dtype, ndim = np.dtype(TYPES[content[2]]), content[3]
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", count=min(ndim, (len(content) - 4) // 4), offset=4))
    start, size = 4 + 4 * ndim, int(np.prod(shape, dtype=np.int64))
    if len(shape) < ndim or len(content) != start + size * dtype.itemsize:
        raise DataError(
            f"{path} is cut short or too long: {len(content)} bytes where its header says {shape} of {dtype.name}"
        )
    values = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return values.astype(dtype.newbyteorder("="))


def find_parts(folder: Path) -> list[Path] | None:
    """The four files of a set in a folder, plain or gzipped, or None where one is missing."""
    found = []
    for part in PARTS:
        # torchvision unpacks to train-images-idx3-ubyte, some archives to train-images.idx3-ubyte
        names = (part, f"{part}.gz", part.replace("-idx", ".idx"), part.replace("-idx", ".idx") + ".gz")
        here = [folder / name for name in names if (folder / name).is_file()]
        if not here:
            return None
        found.append(here[0])
    return found


def read_set(folder: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Images (n, H, W), labels (n,) and how many of the last rows are the test file's. Raises DataError."""
    parts = find_parts(folder)
    if parts is None:
        raise DataError(f"{folder} does not hold the four IDX files {', '.join(PARTS)} (plain or .gz)")
    train_x, train_y, test_x, test_y = (read_idx(p) for p in parts)
    for images, labels, path in ((train_x, train_y, parts[1]), (test_x, test_y, parts[3])):
        if images.ndim < 3 or labels.ndim != 1 or len(images) != len(labels):
            raise DataError(f"{path} holds {labels.shape} labels for images {images.shape}; it must hold one for each")
    if train_x.shape[1:] != test_x.shape[1:]:
        raise DataError(
            f"{folder}: train images are {train_x.shape[1:]}, test images {test_x.shape[1:]}; they must agree"
        )
    return np.concatenate([train_x, test_x]), np.concatenate([train_y, test_y]), len(test_y)
