"""Which rows are train, val and test: fixed by the split seed alone, whatever the run's seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autogrow.errors import DataError

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Rows:
    """Row numbers of each part, in a seeded random order, so that the first rows of a part are a fair sample of it."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def stratified_order(classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An order of all rows: every stretch holds the classes in proportion, and one row of each class comes first.

    Within a class the rows are shuffled; row k of a class of c rows lies at (k + u) / c of the way, u drawn for each
    class.
    """
    shuffled = rng.permutation(len(classes))
    counts = np.bincount(classes)
    short = classes.astype(np.uint16) if len(counts) < 1 << 16 else classes  # of which NumPy sorts by digits
    by_class = shuffled[np.argsort(short[shuffled], kind="stable")]
    rank = np.arange(len(classes)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = (rank + np.repeat(rng.random(len(counts)), counts)) / np.repeat(counts, counts)
    place[rank == 0] = 0.0
    return by_class[np.argsort(place, kind="stable")]


def random_rows(
    n: int, val: float, test: float, seed: int | Sequence[int], *, classes: np.ndarray | None, held: int = 0
) -> Rows:
    """A random split of n rows, stratified where `classes` (codes, (n,)) are given; the last `held` rows are test."""
    rng = np.random.default_rng(seed)
    pool = n - held
    order = rng.permutation(pool) if classes is None else stratified_order(classes[:pool], rng)
    n_val = round(pool * val)
    n_test = 0 if held else round(pool * test)
    n_train = pool - n_val - n_test
    last = np.arange(pool, n) if held else rng.permutation(order[n_train + n_val :])
    return Rows(rng.permutation(order[:n_train]), rng.permutation(order[n_train : n_train + n_val]), last)


def group_rows(groups: np.ndarray, val: float, test: float, seed: int) -> Rows:
    """Whole groups (codes, (n,)) go to one part: in random order, each where there is room, likelier for more."""
    rng = np.random.default_rng(seed)
    n, counts = len(groups), np.bincount(groups)
    if len(counts) < 3:
        raise DataError(f"data.split=group needs at least 3 groups, one for each part, got {len(counts)}")
    wanted = np.array([n - round(n * val) - round(n * test), round(n * val), round(n * test)])
    filled, part = np.zeros(3, dtype=np.int64), np.zeros(len(counts), dtype=np.int64)
    for left, group in zip(range(len(counts), 0, -1), rng.permutation(len(counts)), strict=True):
        empty = np.flatnonzero(filled == 0)
        parts = empty if left <= len(empty) else np.arange(3)
        room = wanted[parts] - filled[parts]
        fits = room >= counts[group]
        weights = room * fits
        chosen = rng.choice(parts, p=weights / weights.sum()) if fits.any() else parts[int(room.argmax())]
        part[group], filled[chosen] = chosen, filled[chosen] + counts[group]
    return Rows(*(rng.permutation(np.flatnonzero(part[groups] == p)) for p in range(3)))


def time_rows(moments: np.ndarray, val: float, test: float, seed: int) -> Rows:
    """The oldest rows are train, the newest test; rows of the same moment stay together, on the older side."""
    rng = np.random.default_rng(seed)
    n = len(moments)
    order = np.argsort(moments, kind="stable")
    cuts = []
    for wanted in (n - round(n * val) - round(n * test), n - round(n * test)):
        cut = wanted
        while 0 < cut < n and moments[order[cut]] == moments[order[cut - 1]]:
            cut += 1
        cuts.append(cut)
    train, rest = order[: cuts[0]], order[cuts[0] :]
    middle = max(cuts[1] - cuts[0], 0)
    return Rows(*(rng.permutation(part) for part in (train, rest[:middle], rest[middle:])))


def check_sizes(rows: Rows, classes: np.ndarray | None, n: int) -> None:
    """Raises DataError where a part is too small to learn from or to judge by."""
    labels = 1 if classes is None else int(classes.max()) + 1
    least = {"train": max(labels, 2), "val": labels, "test": labels}
    sizes = {part: len(getattr(rows, part)) for part in least}
    small = [part for part in least if sizes[part] < least[part]]
    if small:
        why = "" if classes is None else f", one for each of {labels} classes"
        raise DataError(
            f"{n} rows are too few for the split: {small[0]} gets {sizes[small[0]]} "
            f"(train {sizes['train']}, val {sizes['val']}, test {sizes['test']}) "
            f"and needs at least {least[small[0]]}{why}"
        )
    if classes is not None and np.count_nonzero(np.bincount(classes[rows.train])) < 2:
        raise DataError("the training rows of this split hold one class only; another split or split column is needed")
