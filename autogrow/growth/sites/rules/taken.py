"""Indexing: dimensions of a tensor taken as a whole, in part, one entry of, or looked up by number."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from autogrow.growth.sites.axes import Axis, fix, length, new_axis, unify
from autogrow.growth.sites.numbers import SizeInt
from autogrow.growth.sites.rules.reshape import fix_all
from autogrow.growth.sites.trace import Call, Value

_WRITTEN = "a part of it is taken by numbers written in the code; use chunk or split"


def getitem(call: Call) -> Value:
    """An element of a list of tensors, or what is taken along each dimension of one."""
    value, index = call.value, call.args[1]
    if isinstance(value, list):
        return value[index]
    if isinstance(index, Tensor) and isinstance(value, tuple):
        return _looked_up(call, value, index)
    if not isinstance(value, tuple):
        return None
    items = _for_each(index, len(value))
    asked = _for_each(call.node.args[1], len(value))  # with sizes that know how they came about
    listed = [i for i in items if isinstance(i, (list, Tensor))]
    looked = [at for at, i in enumerate(items) if isinstance(i, (list, Tensor)) or (listed and type(i) is int)]
    if any(not (i is None or isinstance(i, (int, slice, list, Tensor))) or _is_mask(i) for i in items):
        return None
    if looked and looked != list(range(looked[0], looked[-1] + 1)):
        return None  # torch puts what is looked up in front then
    out: list[Axis | None] = []
    axes = iter(value)
    for at, (item, number) in enumerate(zip(items, asked, strict=True)):
        axis = None if item is None else next(axes)
        if isinstance(item, slice):
            out.append(_part(call, axis, number))
            continue
        if axis is not None:
            fix(axis, _WRITTEN)
        if item is None:
            out.append(None)
        elif looked and at == looked[0]:
            out += [None] * max(torch.as_tensor(i).ndim for i in listed)
    return (*out, *axes)


def _for_each(index: Any, dims: int) -> list[Any]:
    """What is taken along each dimension of a tensor, from the first on."""
    items = list(index) if isinstance(index, tuple) else [index]
    at = next((at for at, item in enumerate(items) if item is Ellipsis), None)
    if at is not None:
        taken = sum(item is not None for item in items) - 1
        items[at : at + 1] = [slice(None)] * (dims - taken)
    return items


def _is_mask(item: Any) -> bool:
    return isinstance(item, (list, Tensor)) and torch.as_tensor(item).dtype == torch.bool


def _part(call: Call, axis: Axis | None, item: slice) -> Axis | None:
    """A slice whose ends are sizes (half of the axis, a module's attribute): the axis is cut where they are."""
    ends = [end for end in (item.start, item.stop) if end is not None and not (type(end) is int and end == 0)]
    if axis is None or not ends:
        whole = item.step in (None, 1) and item.stop is None
        if axis is not None and not whole:
            fix(axis, _WRITTEN)
        _claim_sizes(call, [item.start, item.stop, item.step])
        return axis if whole else None
    known = item.step in (None, 1) and all(isinstance(end, SizeInt) and 0 < end.now <= length(axis) for end in ends)
    if not known:
        fix(axis, _WRITTEN)
        _claim_sizes(call, [item.start, item.stop, item.step])
        return None
    borders = sorted({0, length(axis), *(end.now for end in ends)})
    pieces = [new_axis(stop - start) for start, stop in pairwise(borders)]
    unify(tuple(segment for piece in pieces for segment in piece), axis)
    for end in ends:
        before = _joined(pieces[: borders.index(end.now)])
        call.numbers.link(end, before)
        call.numbers.claim(end, before, "a part of it is taken by a size that it does not follow; use chunk or split")
    start = 0 if item.start is None or type(item.start) is int else item.start.now
    stop = length(axis) if item.stop is None else item.stop.now
    return _joined(pieces[borders.index(start) : borders.index(stop)])


def _joined(pieces: Sequence[Axis]) -> Axis:
    return tuple(segment for piece in pieces for segment in piece)


def _claim_sizes(call: Call, numbers: Sequence[Any]) -> None:
    for number in numbers:
        call.numbers.claim(number, None, "its size enters what getitem() computes")


def _looked_up(call: Call, value: Any, index: Tensor) -> Value:
    """Entries of the first dimension by a tensor of numbers (a table of relative positions): the others stay."""
    for source, axes in call.values.items():
        fix_all(axes if source is not call.node.args[0] else axes[:1], "entries of it are looked up by number")
    if index.dtype == torch.bool:
        return None
    return (*(None,) * index.ndim, *value[1:])


def selected(call: Call) -> Value:
    """Entries along a dimension by a tensor of numbers: the other dimensions stay."""
    value, dim = call.value, call.dim(1, 0) % len(call.value)
    if value[dim] is not None:
        fix(value[dim], "entries of it are looked up by number")
    return (*value[:dim], None, *value[dim + 1 :])
