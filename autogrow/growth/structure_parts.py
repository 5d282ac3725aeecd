"""Tensors that are joined, and parts that are taken of them: cat, stack, chunk, split, GLU, slices, expand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, fx

from autogrow.growth.structure_axes import Axis, Segment, Width, fix, length, new_axis, unify

if TYPE_CHECKING:
    from autogrow.growth.structure_rules import Interpreter
    from autogrow.growth.structure_trace import Value


def dim_of(node: fx.Node, run: Interpreter, position: int, default: int, name: str = "dim") -> int:
    """The dimension an operation runs along: given by name, by position, or left out."""
    args, kwargs = run.fetch_args_kwargs_from_env(node)
    return int(kwargs.get(name, args[position] if len(args) > position else default))


def cat(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    """Along the joined dimension the axes lie behind each other, along the others they are the same."""
    listed: Any = node.args[0] if node.args else node.kwargs.get("tensors")
    if not isinstance(listed, (tuple, list)) or not isinstance(result, Tensor):
        return None
    dim = dim_of(node, run, 1, 0) % result.ndim
    out: list[Axis | None] = []
    for d in range(result.ndim):
        axes = [run.trace.values[part][d] for part in listed]
        if d != dim:
            out.append(_joined(axes))
        elif all(axis is None for axis in axes):
            out.append(None)
        else:
            sizes = [run.trace.shapes[part][d] for part in listed]
            row = [
                new_axis(size, "not a width") if axis is None else axis for axis, size in zip(axes, sizes, strict=True)
            ]
            out.append(tuple(segment for axis in row for segment in axis))
    return tuple(out)


def stack(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    """A new dimension that is no width; along the others the axes are the same."""
    listed: Any = node.args[0]
    dim = dim_of(node, run, 1, 0) % result.ndim
    axes = [_joined([run.trace.values[p][d] for p in listed]) for d in range(result.ndim - 1)]
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


def chunk(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    """Equal parts of an axis grow equally: [V, V, …], so that chunk finds the same borders again."""
    dim = dim_of(node, run, 2, 0) % len(value)
    axis = value[dim]
    if axis is None:
        return [value] * len(result)
    if len({part.shape[dim] for part in result}) > 1:
        fix(axis, "chunk cuts it in unequal parts")
        return [(*value[:dim], None, *value[dim + 1 :])] * len(result)
    part: Axis = (Segment(Width(length(axis) // len(result))),)
    unify(part * len(result), axis)
    return [(*value[:dim], part, *value[dim + 1 :])] * len(result)


def split(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    """Parts of sizes written in the code: a width that is cut so cannot grow."""
    dim = dim_of(node, run, 2, 0) % len(value)
    if value[dim] is not None:
        fix(value[dim], "split writes the size of its parts into the code; use chunk")
    return [(*value[:dim], None, *value[dim + 1 :])] * len(result)


def halves(value: Value, dim: int) -> Value:
    """What is left of the axes when one half along `dim` gates the other."""
    axis = value[dim]
    if axis is None:
        return value
    part: Axis = (Segment(Width(length(axis) // 2)),)
    unify(part * 2, axis)
    out = list(value)
    out[dim] = part
    return tuple(out)


def glu(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    """Gated linear unit."""
    return halves(value, dim_of(node, run, 1, -1))


def getitem(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    """An element of a list of tensors, or dimensions of a tensor taken as a whole, in part or one entry of."""
    index = run.fetch_args_kwargs_from_env(node)[0][1]
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


def expand(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    """Dimensions of size 1 are spread; what was a width stays one where its size is not written in the code."""
    before = run.trace.shapes[node.all_input_nodes[0]]
    lead = result.ndim - len(before)
    sizes = node.args[1:]
    flat: Any = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    out: list[Axis | None] = [None] * lead
    for d, axis in enumerate(value):
        stays = before[d] == result.shape[lead + d]
        if axis is not None and (not stays or (isinstance(flat[lead + d], int) and flat[lead + d] != -1)):
            fix(axis, "expand writes its size into the code; use -1")
        out.append(axis if stays else None)
    return tuple(out)
