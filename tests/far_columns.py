"""Columns that 32-bit floats cannot hold: what tells two rows apart is lost where they are rounded before centring."""

import numpy as np

WITHIN = {
    "Unix seconds, a minute apart": (1_700_000_000.0, 60.0),
    "Unix milliseconds": (1_700_000_000_000.0, 5_000.0),
    "numbers near a billion": (1e9, 4.0),
    "a thousandth on a billion": (1e9, 1e-3),
    "ones on 1e15": (1e15, 3.0),
    "far below zero": (-7e8, 2.0),
    "of size 1e-30": (0.0, 1e-30),
    "of size 1e-200": (0.0, 1e-200),
    "of size 1e35": (0.0, 1e35),
    "ordinary": (5.0, 2.0),
}
"""By name: where a column lies, and how far its values do from there."""


def column(name, steps):
    """The column, float64 (n,), with a value for each whole number of steps (n,)."""
    origin, unit = WITHIN[name]
    return origin + unit * np.asarray(steps, np.float64)
