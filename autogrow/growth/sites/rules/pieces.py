"""Parts of a tensor, and its entries in another order: chunk, split, GLU, unbind, max, repeats, roll."""

from __future__ import annotations

from typing import Any

from autogrow.growth.sites.axes import Axis, Segment, Width, blocked, fix, length, new_axis, unify
from autogrow.growth.sites.numbers import SizeInt
from autogrow.growth.sites.trace import Call, Value


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
        fix(value[dim], "split writes the size of its parts into the code; use chunk, or a size that the module keeps")
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
