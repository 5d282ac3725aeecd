"""Tensors that meet, are joined or spread: sums, products, cat, stack, expand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from autogrow.growth.sites.axes import Axis, fix, new_axis, unify
from autogrow.growth.sites.numbers import SizeInt
from autogrow.growth.sites.trace import Call, Value

ADD = {"add", "sub", "iadd", "isub", "add_", "sub_", "radd", "rsub"}
MUL = {"mul", "multiply", "imul", "mul_"}
DIV = {"truediv", "div", "itruediv", "div_", "true_divide", "divide"}
ELEMENTWISE = ADD | MUL | DIV | {"maximum", "minimum", "max", "min", "pow", "where", "lerp"}


def elementwise_kind(call: Call) -> str:
    """What an elementwise operation does to a new unit's value: one tensor is shifted or scaled, or several meet."""
    name, sources = call.name.removesuffix("_"), list(call.shapes)
    if len(sources) > 1:
        return "add" if name in ADD else "mul" if name in MUL else "mix"
    first = call.node.args and call.node.args[0] is sources[0]
    return "shift" if name in ADD else "linear" if name in MUL or (name in DIV and first) else "mix"


def elementwise(call: Call) -> Value:
    """Tensors that meet element by element: where both have a width it is the same one."""
    return meet(call.result.shape, call.shapes, call.values)


def meet(result: Sequence[int], shapes: Mapping[Any, Sequence[int]], values: Mapping[Any, Value]) -> Value:
    """The axes of what has the shape `result`, of tensors that are broadcast against each other."""
    axes: list[Axis | None] = []
    for back in range(len(result), 0, -1):
        met: list[tuple[int, Axis | None]] = []
        for source, shape in shapes.items():
            value = values[source]
            if isinstance(value, tuple) and len(shape) >= back:
                met.append((shape[-back], value[-back]))
        axes.append(_meet(result[-back], met))
    return tuple(axes)


def _meet(size: int, met: Sequence[tuple[int, Axis | None]]) -> Axis | None:
    """One axis out of several that meet in a dimension of `size`."""
    tracked = [axis for _, axis in met if axis is not None]
    for extent, axis in met:
        if extent != size and axis is not None:
            fix(axis, "it is a single unit that is spread over a whole axis")
    whole = [axis for extent, axis in met if extent == size and axis is not None]
    if any(axis is None for extent, axis in met if extent == size and size > 1):
        for axis in tracked:
            fix(axis, "it meets a tensor along an axis that is not a width")
    for axis in whole[1:]:
        unify(whole[0], axis)
    return whole[0] if whole else None


def cat(call: Call) -> Value:
    """Along the joined dimension the axes lie behind each other, along the others they are the same."""
    listed: Any = call.node.args[0] if call.node.args else call.node.kwargs.get("tensors")
    if not isinstance(listed, (tuple, list)) or not isinstance(call.result, Tensor):
        return None
    dim = call.dim(1, 0) % call.result.ndim
    out: list[Axis | None] = []
    for d in range(call.result.ndim):
        axes = [call.values[part][d] for part in listed]
        if d != dim:
            out.append(_joined(axes))
        elif all(axis is None for axis in axes):
            out.append(None)
        else:
            sizes = [call.shapes[part][d] for part in listed]
            row = [
                new_axis(size, "not a width") if axis is None else axis for axis, size in zip(axes, sizes, strict=True)
            ]
            out.append(tuple(segment for axis in row for segment in axis))
    return tuple(out)


def stack(call: Call) -> Value:
    """A new dimension that is no width; along the others the axes are the same."""
    listed: Any = call.node.args[0]
    dim = call.dim(1, 0) % call.result.ndim
    axes = [_joined([call.values[p][d] for p in listed]) for d in range(call.result.ndim - 1)]
    return (*axes[:dim], None, *axes[dim:])


def _joined(axes: Sequence[Axis | None]) -> Axis | None:
    """One axis out of those that lie side by side."""
    known = [a for a in axes if a is not None]
    for axis in known:
        if len(known) < len(axes):
            fix(axis, "it lies beside a tensor along an axis that is not a width")
    for axis in known[1:]:
        unify(known[0], axis)
    return known[0] if known else None


def expand(call: Call) -> Value:
    """Dimensions of size 1 are spread; what was a width stays one where its size is not written in the code."""
    before, after = call.before, call.result.shape
    lead = len(after) - len(before)
    sizes = call.node.args[1:]
    flat: Any = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    out: list[Axis | None] = [None] * lead
    for d, axis in enumerate(call.value):
        stays = before[d] == after[lead + d]
        size = flat[lead + d]
        if (
            not stays
            and isinstance(size, SizeInt)
            and size.count.plain
            and size.count.attributes
            and not _between(call, d)
        ):
            axis = new_axis(size.now)  # copies, so many as an attribute says: queries that share one head of keys
            out.append(axis)
            continue
        written = type(flat[lead + d]) is int and flat[lead + d] != -1
        if axis is not None and (not stays or written):
            fix(axis, "expand writes its size into the code; use -1")
        out.append(axis if stays else None)
    for d, axis in enumerate(out):
        if axis is not None:
            call.numbers.link(flat[d], axis)
        call.numbers.claim(flat[d], axis, "expand uses its size for another tensor")
    return tuple(out)


def _between(call: Call, dim: int) -> bool:
    """Whether the dimension in front of one is a width, with which a reshape would make it one."""
    return dim > 0 and call.value[dim - 1] is not None


def expand_as(call: Call) -> Value:
    """Spread to the shape of another tensor: where both have a width it is the same one."""
    return meet(call.result.shape, call.shapes, call.values)
