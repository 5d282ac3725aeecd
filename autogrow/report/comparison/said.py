"""How the ticks of the pictures read: errors, FLOPs, counts, short."""

from __future__ import annotations

from collections.abc import Callable

from autogrow.show import words


def say_error(metric: str) -> Callable[[float], str]:
    """How a tick of the error axis reads."""
    return (lambda v: f"{100 * v:.3g} %") if metric == "error" else (lambda v: f"{v:.4g}")


def say_flops(value: float) -> str:
    """FLOPs, short."""
    return words.flops(value).replace("FLOP", "").replace(".00", "").replace(".0 ", " ").strip() if value else "0"


def short(value: float) -> str:
    """A number of any size in three digits.

    >>> short(38100), short(0.25)
    ('38.1k', '0.25')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
