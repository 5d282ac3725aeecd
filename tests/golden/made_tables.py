"""The data that golden runs write for themselves, drawn by a seed."""

from __future__ import annotations

import numpy as np
import pandas as pd


def prices(rows: int, seed: int) -> pd.DataFrame:
    """For regression (`price`): numbers on several scales, a category, codes, and holes in some of them."""
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame(draw.normal(size=(rows, 3)) * [1, 50, 0.01] + [0, 300, -1], columns=["u", "v", "w"])
    frame["kind"] = draw.choice(["oak", "elm", "ash"], rows)
    frame["code"] = draw.integers(0, 4, rows)
    frame["price"] = 3 * frame.u + frame.v / 25 + (frame.kind == "oak") * frame.code + 0.1 * draw.normal(size=rows)
    frame.loc[draw.random(rows) < 0.1, "v"] = np.nan
    frame.loc[draw.random(rows) < 0.1, "kind"] = None
    return frame


def classes(rows: int, seed: int, names: str) -> pd.DataFrame:
    """For classification (`label`), one class for each letter of `names`, by a number and a category."""
    draw = np.random.default_rng(seed)
    label = draw.integers(0, len(names), rows)
    frame = pd.DataFrame({"width": label + 0.4 * draw.normal(size=rows), "height": draw.normal(size=rows)})
    frame["colour"] = [names[(k + (draw.random() < 0.2)) % len(names)] for k in label]
    frame["label"] = [f"is {names[k]}" for k in label]
    return frame
