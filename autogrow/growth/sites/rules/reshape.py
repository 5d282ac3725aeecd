"""What a reshape does to axes: neighbouring dimensions merge into one, or one is cut in several."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from autogrow.growth.sites.axes import Axis, blocked, fix, length, new_axis, resolve, unify
from autogrow.growth.sites.numbers import SizeInt
from autogrow.growth.sites.sizes import Sizes
from autogrow.growth.sites.trace import Call, Value

_ELSEWHERE = "a reshape uses its size, or one computed from it, for another tensor"


def reshaped(numbers: Sizes, value: Value, before: Sequence[int], after: Sequence[int], sizes: Sequence[Any]) -> Value:
    """Axes behind a reshape. `sizes[d]`: how output dimension d is given: a number in the code, a `SizeInt` that was
    computed, or None, where it follows from the rest.
    """
    out: list[Axis | None] = [None] * len(after)
    for ins, outs in _matched(before, after):
        tracked = [d for d in ins if value[d] is not None and before[d] > 1]
        open_ones = [d for d in tracked if not _is_fixed(value[d])]
        tracked = open_ones if len(open_ones) == 1 else tracked  # beside it others are numbers, for they never grow
        wide = [d for d in outs if after[d] > 1]
        if not tracked:
            pass
        elif len(tracked) == 1 and len(wide) > 1 and all(before[d] == 1 for d in ins if d != tracked[0]):
            _cut(numbers, value[tracked[0]], after, wide, sizes, out)
        elif len(wide) != 1 or len(tracked) > 1:
            fix_all(tuple(value[d] for d in tracked), "a reshape cuts or mixes it")
        else:
            (source,), (target,) = tracked, wide
            repeats, block = prod(before[d] for d in ins if d < source), prod(before[d] for d in ins if d > source)
            if 0 in ins and before[0] > 1 and source != 0:
                fix_all((value[source],), "a reshape mixes it with the batch")
                continue
            out[target] = blocked(value[source], block, repeats)
            _measured(numbers, sizes[target], out[target], after[target])
    for d, size in enumerate(sizes):
        numbers.claim(size, out[d], _ELSEWHERE)
    return tuple(out)


def _is_fixed(axis: Axis) -> bool:
    return all(segment.width.fixed is not None for segment in resolve(axis))


def _measured(numbers: Sizes, size: Any, axis: Axis | None, now: int) -> None:
    """The axis has the size that is given for it."""
    if axis is None or size is None:
        return
    if isinstance(size, SizeInt):
        numbers.link(size, axis)
    else:
        fix(axis, f"a reshape writes the size {now} into the code; use -1 or flatten(1)")


def _cut(
    numbers: Sizes, axis: Axis, after: Sequence[int], wide: Sequence[int], sizes: Sequence[Any], out: list[Axis | None]
) -> None:
    """One axis is cut in several dimensions: the first of them whose size is not a number in the code can grow, or
    where `numbers.inner` the last.

    So of (heads, size of a head) it is the number of heads, where the code does not fix that, or the size of a head.
    """
    first = [d for d in wide if _may_grow(sizes[d], inner=False)]
    last = [d for d in wide if _may_grow(sizes[d], inner=True)]
    numbers.either = numbers.either or bool(first and last and first[0] != last[-1])
    growing = last[-1] if last and (numbers.inner or not first) else first[0] if first else None
    if growing is None:
        listed = ", ".join(str(int(after[d])) for d in wide)
        fix(axis, f"a reshape cuts or mixes it: into ({listed}), written in the code; use -1 for the one that may grow")
        return
    outer, inner = (prod(after[d] for d in wide if d < growing), prod(after[d] for d in wide if d > growing))
    unit = new_axis(int(after[growing]))
    unify(blocked(unit, inner, outer), axis)
    out[growing] = unit
    numbers.link(sizes[growing], unit)
    for d in wide:
        size = sizes[d]
        if d == growing or not isinstance(size, SizeInt) or not isinstance(size.count.over, tuple):
            continue
        # width // heads: where the number of heads grows, what it divides grows by whole heads
        if isinstance(sizes[growing], SizeInt) and size.count.over in sizes[growing].count.attributes:
            whole = blocked(unit, int(after[d]))
            if size.count.axes and length(size.count.axes[0]) == length(whole):
                unify(size.count.axes[0], whole)
            elif size.count.attributes and size.count.attributes[0] != size.count.over:
                numbers.follow(size.count.attributes[0], whole)


def _may_grow(size: Any, *, inner: bool) -> bool:
    if not isinstance(size, SizeInt):
        return size is None
    return size.count.plain or isinstance(size.count.over, int) or (inner and size.count.over is not None)


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


def shuffled(call: Call) -> Value:
    """PixelShuffle makes r × r places of each run of r² channels; PixelUnshuffle so many channels of each."""
    value, out = call.value, list(call.value)
    factor, up = call.before[-1] / call.result.shape[-1], call.before[-1] < call.result.shape[-1]
    block = round(1 / factor if up else factor) ** 2
    axis = value[-3]
    if axis is not None and up:
        out[-3] = new_axis(length(axis) // block)
        unify(blocked(out[-3], block), axis)
    elif axis is not None:
        out[-3] = blocked(axis, block)
    fix_all(value[-2:], "it is shuffled into channels")
    return (*out[:-2], None, None)


def fix_all(value: Any, reason: str) -> None:
    """Refuse every width among these axes."""
    for axis in value if isinstance(value, tuple) else ():
        if axis is not None:
            fix(axis, reason)
