"""What a source hands over: rows as they were found, before anything is split, encoded or fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from autogrow.data.columns import with_dates, with_text_names
from autogrow.data.reading.written import Written
from autogrow.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Raw:
    """n rows: a table (DataFrame) or images (array (n, C, H, W)), and the targets, one column each.

    Names of columns become text here, so that everything behind may rely on it. `test_rows`: how many of the last rows
    are a test file's. `origin`: where the rows come from, in words. `notes`: what the reader did that its user should
    know. `files`, `file_names`: where rows come from several files, the number of each row's file, (n,), and what they
    are called.
    """

    x: pd.DataFrame | np.ndarray
    y: pd.DataFrame
    origin: str
    test_rows: int = 0
    notes: tuple[str, ...] = field(default=())
    files: np.ndarray | None = None
    file_names: tuple[str, ...] = ()
    written: Written | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.x, np.ndarray):
            object.__setattr__(self, "x", with_dates(with_text_names(self.x)))
        object.__setattr__(self, "y", with_dates(with_text_names(self.y)))

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: np.ndarray) -> Raw:
        """These rows alone, in this order; a test file's rows must all be among them, at the end."""
        x = self.x[rows] if isinstance(self.x, np.ndarray) else self.x.iloc[rows].reset_index(drop=True)
        files = None if self.files is None else self.files[rows]
        return replace(self, x=x, y=self.y.iloc[rows].reset_index(drop=True), files=files)


def from_arrays(x: Any, y: Any, origin: str, *, columns: list[str] | None = None, test_rows: int = 0) -> Raw:
    """Raw rows from arrays: x (n, d) a table, (n, H, W), (n, C, H, W) or (n, H, W, C) images; y (n,) or (n, t)."""
    import pandas as pd

    x, y = np.asarray(x), np.asarray(y)
    if y.ndim not in (1, 2) or x.ndim not in (1, 2, 3, 4) or len(x) != len(y):
        raise DataError(
            f"{origin}: inputs must be (n, d), (n, H, W) or (n, C, H, W) and targets (n,) or (n, t), "
            f"got {x.shape} and {y.shape}"
        )
    y = y[:, None] if y.ndim == 1 else y
    names = ["target"] if y.shape[1] == 1 else [f"target_{i}" for i in range(y.shape[1])]
    targets = pd.DataFrame(y, columns=names)
    if x.ndim <= 2:
        x = x[:, None] if x.ndim == 1 else x
        return Raw(pd.DataFrame(x, columns=columns or [f"x{i}" for i in range(x.shape[1])]), targets, origin, test_rows)
    if x.ndim == 3:
        x = x[:, None]
    elif x.shape[-1] in (1, 3, 4) and x.shape[1] not in (1, 3, 4):
        x = np.moveaxis(x, -1, 1)
    return Raw(x, targets, origin, test_rows)
