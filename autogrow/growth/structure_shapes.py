"""Operations that rearrange axes: pooling, reshapes, permutations, concatenation, slices, reductions.

`SHAPES` maps a module's class name or a function's name to its rule. A rule gets the axes of the input and returns those of the
output; where an operation would mix a width with something else, or writes its size into the code, the width is fixed with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from torch import Size, Tensor, fx, nn

from autogrow.growth.structure_axes import Axis, Segment, Width, blocked, fix, length, unify

if TYPE_CHECKING:
    from autogrow.growth.structure_rules import Interpreter
    from autogrow.growth.structure_trace import Value

OfModule = Callable[[nn.Module, "Value", Size, Size], "Value"]
OfFunction = Callable[[fx.Node, "Interpreter", "Value", Any], "Value"]


@dataclass(frozen=True)
class ShapeRule:
    """`kind`: what it does to a new unit's value ('linear' across channels, 'zero' keeps zeros, 'mix' neither)."""

    kind: str
    of_module: OfModule
    of_function: OfFunction


def _whole(value: Any) -> bool:
    return isinstance(value, tuple)


def _fix_all(value: Any, reason: str) -> None:
    for axis in value if isinstance(value, tuple) else ():
        if axis is not None:
            fix(axis, reason)


# -- pooling, padding, resizing: channels stay, what lies behind them is space


def _spatial(dims: int) -> ShapeRule:
    def keep(value: Value) -> Value:
        for axis in value[len(value) - dims :]:
            if axis is not None:
                fix(axis, "it is pooled over")
        return (*value[: len(value) - dims], *(None,) * dims)

    def of_function(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
        return keep(value) if _whole(value) and isinstance(result, Tensor) else None

    return ShapeRule("", lambda module, value, before, after: keep(value), of_function)


def _resize(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    return (*value[:2], *(None,) * (len(value) - 2)) if _whole(value) else None


def _pad(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    args, kwargs = run.fetch_args_kwargs_from_env(node)
    touched = len(kwargs.get("pad", args[1] if len(args) > 1 else ())) // 2
    _fix_all(value[len(value) - touched :], "it is padded")
    return (*value[: len(value) - touched], *(None,) * touched)


# -- reshapes


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
            _fix_all(axes, "a reshape cuts or mixes it")
            continue
        (source,), (target,) = tracked, wide
        repeats, block = prod(before[d] for d in ins if d < source), prod(before[d] for d in ins if d > source)
        if 0 in ins and before[0] > 1 and source != 0:
            _fix_all(axes, "a reshape mixes it with the batch")
            continue
        if constant[target]:
            _fix_all(axes, f"a reshape writes the size {after[target]} into the code; use -1 or flatten(1)")
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


def _view(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    sizes = node.args[1:] or tuple(node.kwargs.values())[-1:]
    flat = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    constant = [isinstance(s, int) and s != -1 for s in flat] if isinstance(flat, (tuple, list)) else []
    if len(constant) != result.ndim:  # a size computed as a whole, such as y.shape
        constant = [False] * result.ndim
    before = run.trace.shapes[node.all_input_nodes[0]]
    return reshaped(value, before, result.shape, constant) if _whole(value) else None


def _same_elements(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    """flatten, squeeze, unsqueeze: sizes follow from the input."""
    if not _whole(value):
        return None
    return reshaped(value, run.trace.shapes[node.all_input_nodes[0]], result.shape, [False] * result.ndim)


def _flatten_module(module: nn.Module, value: Value, before: Size, after: Size) -> Value:
    return reshaped(value, before, after, [False] * len(after))


def _unflatten_module(module: nn.Module, value: Value, before: Size, after: Size) -> Value:
    return reshaped(value, before, after, [True] * len(after))


# -- orders of dimensions


def _permute(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    args, kwargs = run.fetch_args_kwargs_from_env(node)
    dims = kwargs.get("dims", args[1:])
    order = dims[0] if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims
    return tuple(value[d] for d in order) if _whole(value) else None


def _transpose(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    args, kwargs = run.fetch_args_kwargs_from_env(node)
    one, other = (
        (args[1:] + tuple(kwargs[k] for k in ("dim0", "dim1") if k in kwargs))[:2] if node.target != "t" else (0, 1)
    )
    order = list(range(len(value)))
    order[one], order[other] = order[other], order[one]
    return tuple(value[d] for d in order)


# -- several tensors


def _dim_of(node: fx.Node, run: Interpreter, position: int, default: int, name: str = "dim") -> int:
    args, kwargs = run.fetch_args_kwargs_from_env(node)
    return int(kwargs.get(name, args[position] if len(args) > position else default))


def _cat(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    parts = [n for n in node.all_input_nodes if n in run.trace.shapes]
    listed: Any = node.args[0] if node.args else node.kwargs.get("tensors")
    if not isinstance(listed, (tuple, list)) or not isinstance(result, Tensor):
        return None
    parts = [n for n in listed if isinstance(n, fx.Node)]
    dim = _dim_of(node, run, 1, 0) % result.ndim
    out: list[Axis | None] = []
    for d in range(result.ndim):
        axes = [run.trace.values[p][d] for p in parts]
        if d == dim:
            row = [a if a is not None else (Segment(Width(run.trace.shapes[p][d], "not a width")),) for a, p in zip(axes, parts, strict=True)]  # fmt: skip
            out.append(tuple(s for a in row for s in a) if any(a is not None for a in axes) else None)
        else:
            out.append(_joined(axes))
    return tuple(out)


def _stack(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    listed: Any = node.args[0]
    dim = _dim_of(node, run, 1, 0) % result.ndim
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


# -- parts of a tensor


def _chunk(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    """Equal parts of an axis grow equally: [V, V, …], so that chunk finds the same borders again."""
    dim = _dim_of(node, run, 2, 0) % len(value)
    axis = value[dim]
    if axis is None:
        return [value] * len(result)
    if len({part.shape[dim] for part in result}) > 1:
        fix(axis, "chunk cuts it in unequal parts")
        return [(*value[:dim], None, *value[dim + 1 :])] * len(result)
    part: Axis = (Segment(Width(length(axis) // len(result))),)
    unify(part * len(result), axis)
    return [(*value[:dim], part, *value[dim + 1 :])] * len(result)


def _split(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    dim = _dim_of(node, run, 2, 0) % len(value)
    if value[dim] is not None:
        fix(value[dim], "split writes the size of its parts into the code; use chunk")
    return [(*value[:dim], None, *value[dim + 1 :])] * len(result)


def _glu_axes(value: Value, dim: int) -> Value:
    axis = value[dim]
    if axis is None:
        return value
    part: Axis = (Segment(Width(length(axis) // 2)),)
    unify(part * 2, axis)
    return (*value[:dim], part, *value[dim % len(value) + 1 :])


def _getitem(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    index = run.fetch_args_kwargs_from_env(node)[0][1]
    if isinstance(value, list):
        return value[index] if isinstance(index, int) else value[index]
    if not _whole(value):
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


def _expand(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
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


# -- reductions


def _reduce(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    if not _whole(value) or not isinstance(result, Tensor):
        return None
    args, kwargs = run.fetch_args_kwargs_from_env(node)
    dims = kwargs.get("dim", args[1] if len(args) > 1 else None)
    over = range(len(value)) if dims is None else [d % len(value) for d in ([dims] if isinstance(dims, int) else dims)]
    _fix_all(tuple(value[d] for d in over), f"{_name(node)} runs over it")
    if result.ndim == len(value):
        return tuple(None if d in over else a for d, a in enumerate(value))
    return tuple(a for d, a in enumerate(value) if d not in over)


def _softmax(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    dim = _dim_of(node, run, 1, -1)
    _fix_all((value[dim],), f"{_name(node)} runs over it")
    return value


def _softmax_module(module: nn.Module, value: Value, before: Size, after: Size) -> Value:
    dim: Any = getattr(module, "dim", None)
    _fix_all((value[1 if dim is None else dim],), f"{type(module).__name__} runs over it")
    return value


def _name(node: fx.Node) -> str:
    return str(node.target) if isinstance(node.target, str) else getattr(node.target, "__name__", "it")


def _no_module(module: nn.Module, value: Value, before: Size, after: Size) -> Value:
    return value


def _function(kind: str, rule: OfFunction, of_module: OfModule = _no_module) -> ShapeRule:
    return ShapeRule(kind, of_module, rule)


def _table() -> dict[str, ShapeRule]:
    table: dict[str, ShapeRule] = {}
    for dims in (1, 2, 3):
        for title, snake, kind in (
            ("AvgPool", "avg_pool", "linear"),
            ("AdaptiveAvgPool", "adaptive_avg_pool", "linear"),
            ("MaxPool", "max_pool", "zero"),
            ("AdaptiveMaxPool", "adaptive_max_pool", "zero"),
            ("ZeroPad", "zero_pad", "linear"),
            ("ReflectionPad", "reflection_pad", "linear"),
            ("ReplicationPad", "replication_pad", "linear"),
        ):
            rule = _spatial(dims)
            table[f"{title}{dims}d"] = table[f"{snake}{dims}d"] = ShapeRule(kind, rule.of_module, rule.of_function)
    resize = _function("linear", _resize, lambda m, v, b, a: (*v[:2], *(None,) * (len(v) - 2)))
    reshape = _function("linear", _same_elements, _flatten_module)
    softmax = _function("mix", _softmax, _softmax_module)
    table |= dict.fromkeys(
        ("interpolate", "upsample", "Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"), resize
    )
    table |= dict.fromkeys(("flatten", "squeeze", "unsqueeze", "Flatten"), reshape)
    table |= dict.fromkeys(("view", "reshape"), _function("linear", _view))
    table |= dict.fromkeys(("softmax", "log_softmax", "Softmax", "LogSoftmax", "Softmin"), softmax)
    table |= dict.fromkeys(("mean",), _function("linear", _reduce))
    table |= dict.fromkeys(("sum", "amax", "amin", "var", "std", "prod", "norm"), _function("mix", _reduce))
    table |= dict.fromkeys(("cat", "concat", "concatenate"), _function("linear", _cat))
    table |= dict.fromkeys(("transpose", "swapaxes", "t"), _function("linear", _transpose))
    glu = _function(
        "mix", lambda n, r, v, _: _glu_axes(v, _dim_of(n, r, 1, -1)), lambda m, v, b, a: _glu_axes(v, m.dim)
    )  # type: ignore[arg-type]
    table |= {
        "Unflatten": _function("linear", _no_function, _unflatten_module),
        "permute": _function("linear", _permute),
        "stack": _function("linear", _stack),
        "chunk": _function("linear", _chunk),
        "split": _function("linear", _split),
        "getitem": _function("linear", _getitem),
        "expand": _function("linear", _expand),
        "pad": _function("zero", _pad),
        "glu": glu,
        "GLU": glu,
    }
    return table


def _no_function(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    return None


SHAPES = _table()
