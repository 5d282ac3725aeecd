"""What a reshape does to axes: neighbouring dimensions merge into one, or one is cut in several."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from autogrow.growth.sites.axes import Axis, blocked, fix
from autogrow.growth.sites.trace import Value


def reshaped(value: Value, before: Sequence[int], after: Sequence[int], constant: Sequence[bool]) -> Value:
    """Axes behind a reshape. `constant[d]`: output dimension d is a number written in the code."""
    out: list[Axis | None] = [None] * len(after)
    for ins, outs in _matched(before, after):
        tracked = [d for d in ins if value[d] is not None and before[d] > 1]
        wide = [d for d in outs if after[d] > 1]
        if not tracked:
            continue
        axes = tuple(value[d] for d in tracked)
        if len(wide) != 1 or len(tracked) > 1:
            fix_all(axes, "a reshape cuts or mixes it")
            continue
        (source,), (target,) = tracked, wide
        repeats, block = prod(before[d] for d in ins if d < source), prod(before[d] for d in ins if d > source)
        if 0 in ins and before[0] > 1 and source != 0:
            fix_all(axes, "a reshape mixes it with the batch")
            continue
        if constant[target]:
            fix_all(axes, f"a reshape writes the size {after[target]} into the code; use -1 or flatten(1)")
        out[target] = blocked(value[source], block, repeats)
    return tuple(out)


def _matched(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Groups of neighbouring input and output dimensions that hold the same elements."""
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        ins, outs = [], []
        if i < len(before):
            ins, i = [i], i + 1
        if j < len(after):
            outs, j = [j], j + 1
        while prod(before[d] for d in ins) != prod(after[d] for d in outs):
            if prod(before[d] for d in ins) < prod(after[d] for d in outs):
                ins, i = [*ins, i], i + 1
            else:
                outs, j = [*outs, j], j + 1
        while i < len(before) and before[i] == 1 and (j >= len(after) or after[j] != 1):
            ins, i = [*ins, i], i + 1
        while j < len(after) and after[j] == 1 and (i >= len(before) or before[i] != 1):
            outs, j = [*outs, j], j + 1
        groups.append((ins, outs))
    return groups


def fix_all(value: Any, reason: str) -> None:
    """Refuse every width among these axes."""
    for axis in value if isinstance(value, tuple) else ():
        if axis is not None:
            fix(axis, reason)
