"""Tensors that meet or are joined, and parts of them: sums, products, cat, stack, chunk, split, GLU, slices, expand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from autogrow.growth.sites.axes import Axis, Segment, Width, blocked, fix, length, new_axis, unify
from autogrow.growth.sites.sizes import SizeInt
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


def chunk(call: Call) -> Value:
    """Equal parts of an axis grow equally: [V, V, …], so that chunk finds the same borders again."""
    value, count = call.value, len(call.result)
    dim = call.dim(2, 0) % len(value)
    axis = value[dim]
    if axis is None:
        return [value] * count
    if len({part.shape[dim] for part in call.result}) > 1:
        fix(axis, "chunk cuts it in unequal parts")
        return [(*value[:dim], None, *value[dim + 1 :])] * count
    part: Axis = (Segment(Width(length(axis) // count)),)
    unify(part * count, axis)
    return [(*value[:dim], part, *value[dim + 1 :])] * count


def split(call: Call) -> Value:
    """Parts of sizes that are an attribute, or computed, grow with it; of sizes written in the code none can grow."""
    value = call.value
    dim = call.dim(2, 0) % len(value)
    asked: Any = call.node.args[1] if len(call.node.args) > 1 else next(iter(call.node.kwargs.values()))
    sizes = list(asked) if isinstance(asked, (tuple, list)) else [asked] * len(call.result)
    if value[dim] is None:
        return [value] * len(call.result)
    parts = [new_axis(part.shape[dim]) for part in call.result]
    equal = not isinstance(asked, (tuple, list)) and len({part.shape[dim] for part in call.result}) == 1
    if equal and isinstance(asked, SizeInt):
        parts = parts[:1] * len(parts)
    elif not all(isinstance(size, SizeInt) for size in sizes) or not isinstance(asked, (tuple, list)):
        fix(value[dim], "split writes the size of its parts into the code; use chunk")
        return [(*value[:dim], None, *value[dim + 1 :])] * len(call.result)
    unify(tuple(segment for part in parts for segment in part), value[dim])
    for size, part in zip(sizes, parts, strict=True):
        call.numbers.link(size, part)
        call.numbers.claim(size, part, "split is given the size of its parts")
    return [(*value[:dim], part, *value[dim + 1 :]) for part in parts]


def unbind(call: Call) -> Value:
    """A dimension taken apart: its entries are fixed, the others stay."""
    value = call.value
    dim = call.dim(1, 0) % len(value)
    if value[dim] is not None:
        fix(value[dim], "unbind takes it apart")
    return [(*value[:dim], *value[dim + 1 :])] * len(call.result)


def extreme(call: Call) -> Value:
    """max, min, … along a dimension, with where: the others stay in both answers."""
    value, dims = call.value, call.dim(1, -1)
    dim = dims % len(value)
    if value[dim] is not None:
        fix(value[dim], f"{call.name} runs over it")
    kept = (*value[:dim], *value[dim + 1 :])
    return [kept if part.ndim < len(value) else (*value[:dim], None, *value[dim + 1 :]) for part in call.result]


def repeated(call: Call) -> Value:
    """repeat_interleave by a number: each unit becomes a block of copies."""
    value, times = call.value, call.args[1] if len(call.args) > 1 else call.kwargs.get("repeats")
    dim = call.kwargs.get("dim", call.args[2] if len(call.args) > 2 else None)
    if not isinstance(value, tuple) or not isinstance(times, int) or dim is None:
        return None
    axis = value[dim % len(value)]
    call.numbers.claim(
        call.node.args[1] if len(call.node.args) > 1 else None, None, "it is how often something repeats"
    )
    out = list(value)
    out[dim % len(value)] = None if axis is None else blocked(axis, times)
    return tuple(out)


def rolled(call: Call) -> Value:
    """roll, flip, tril, …: the dimensions that they run over cannot grow, the others stay."""
    value = call.value
    position = {"roll": 2, "flip": 1}.get(call.name)
    dims: Any = (-2, -1) if position is None else call.kwargs.get("dims", call.args[position:] or None)
    if isinstance(dims, tuple) and len(dims) == 1 and isinstance(dims[0], (tuple, list)):
        dims = dims[0]
    over = range(len(value)) if dims is None else (dims,) if isinstance(dims, int) else dims
    for dim in over:
        if value[dim] is not None:
            fix(value[dim], f"{call.name} runs over it")
    return value


def glu(call: Call) -> Value:
    """Gated linear unit: one half along the dimension gates the other, and one half is left."""
    value, dim = call.value, call.dim(1, -1)
    axis = value[dim]
    if axis is None:
        return value
    part: Axis = (Segment(Width(length(axis) // 2)),)
    unify(part * 2, axis)
    out = list(value)
    out[dim] = part
    return tuple(out)


def getitem(call: Call) -> Value:
    """An element of a list of tensors, or dimensions of a tensor taken as a whole, in part or one entry of."""
    value, index = call.value, call.args[1]
    if isinstance(value, list):
        return value[index]
    if not isinstance(value, tuple):
        return None
    items = list(index) if isinstance(index, tuple) else [index]
    if any(not (i is None or i is Ellipsis or isinstance(i, (int, slice))) for i in items):
        return None
    if Ellipsis in items:
        at = items.index(Ellipsis)
        taken = sum(i is not None for i in items) - 1
        items[at : at + 1] = [slice(None)] * (len(value) - taken)
    out: list[Axis | None] = []
    axes = iter(value)
    for item in items:
        if item is None:
            out.append(None)
            continue
        axis = next(axes)
        if item != slice(None) and axis is not None:
            fix(axis, "a part of it is taken by numbers written in the code")
        if isinstance(item, slice):
            out.append(axis if item == slice(None) else None)
    return (*out, *axes)


def expand(call: Call) -> Value:
    """Dimensions of size 1 are spread; what was a width stays one where its size is not written in the code."""
    before, after = call.before, call.result.shape
    lead = len(after) - len(before)
    sizes = call.node.args[1:]
    flat: Any = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    out: list[Axis | None] = [None] * lead
    for d, axis in enumerate(call.value):
        stays = before[d] == after[lead + d]
        written = type(flat[lead + d]) is int and flat[lead + d] != -1
        if axis is not None and (not stays or written):
            fix(axis, "expand writes its size into the code; use -1")
        out.append(axis if stays else None)
    for d, axis in enumerate(out):
        if axis is not None:
            call.numbers.link(flat[d], axis)
        call.numbers.claim(flat[d], axis, "expand uses its size for another tensor")
    return tuple(out)


def expand_as(call: Call) -> Value:
    """Spread to the shape of another tensor: where both have a width it is the same one."""
    return meet(call.result.shape, call.shapes, call.values)
