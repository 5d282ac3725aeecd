"""Operations that rearrange axes: pooling, reshapes, permutations, reductions; and the table of them all.

`SHAPES` maps a module's class name or a function's name to its rule. A rule gets the axes of the input and returns those of the
output; where an operation would mix a width with something else, or writes its size into the code, the width is fixed with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Size, Tensor, fx, nn

from autogrow.growth.structure_axes import fix
from autogrow.growth.structure_parts import cat, chunk, dim_of, expand, getitem, glu, halves, split, stack
from autogrow.growth.structure_reshape import fix_all, reshaped

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


# -- pooling, padding, resizing: channels stay, what lies behind them is space


def _spatial(dims: int) -> ShapeRule:
    def keep(value: Value) -> Value:
        for axis in value[len(value) - dims :]:
            if axis is not None:
                fix(axis, "it is pooled over")
        return (*value[: len(value) - dims], *(None,) * dims)

    def of_function(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
        return keep(value) if isinstance(value, tuple) and isinstance(result, Tensor) else None

    return ShapeRule("", lambda module, value, before, after: keep(value), of_function)


def _resize(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    return (*value[:2], *(None,) * (len(value) - 2)) if isinstance(value, tuple) else None


def _pad(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    args, kwargs = run.fetch_args_kwargs_from_env(node)
    touched = len(kwargs.get("pad", args[1] if len(args) > 1 else ())) // 2
    fix_all(value[len(value) - touched :], "it is padded")
    return (*value[: len(value) - touched], *(None,) * touched)


# -- reshapes


def _view(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    sizes = node.args[1:] or tuple(node.kwargs.values())[-1:]
    flat = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    constant = [isinstance(s, int) and s != -1 for s in flat] if isinstance(flat, (tuple, list)) else []
    if len(constant) != result.ndim:  # a size computed as a whole, such as y.shape
        constant = [False] * result.ndim
    before = run.trace.shapes[node.all_input_nodes[0]]
    return reshaped(value, before, result.shape, constant) if isinstance(value, tuple) else None


def _same_elements(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    """flatten, squeeze, unsqueeze: sizes follow from the input."""
    if not isinstance(value, tuple):
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
    return tuple(value[d] for d in order) if isinstance(value, tuple) else None


def _transpose(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    args, kwargs = run.fetch_args_kwargs_from_env(node)
    one, other = (*args[1:], *(kwargs[k] for k in ("dim0", "dim1") if k in kwargs)) or (0, 1)  # t() has neither
    order = list(range(len(value)))
    order[one], order[other] = order[other], order[one]
    return tuple(value[d] for d in order)


# -- reductions


def _reduce(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    if not isinstance(value, tuple) or not isinstance(result, Tensor):
        return None
    args, kwargs = run.fetch_args_kwargs_from_env(node)
    dims = kwargs.get("dim", args[1] if len(args) > 1 else None)
    over = range(len(value)) if dims is None else [d % len(value) for d in ([dims] if isinstance(dims, int) else dims)]
    fix_all(tuple(value[d] for d in over), f"{_name(node)} runs over it")
    if result.ndim == len(value):
        return tuple(None if d in over else a for d, a in enumerate(value))
    return tuple(a for d, a in enumerate(value) if d not in over)


def _softmax(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    dim = dim_of(node, run, 1, -1)
    fix_all((value[dim],), f"{_name(node)} runs over it")
    return value


def _softmax_module(module: nn.Module, value: Value, before: Size, after: Size) -> Value:
    dim: Any = getattr(module, "dim", None)
    fix_all((value[1 if dim is None else dim],), f"{type(module).__name__} runs over it")
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
    table |= dict.fromkeys(("mean", "sum"), _function("linear", _reduce))
    table |= dict.fromkeys(("amax", "amin"), _function("zero", _reduce))
    table |= dict.fromkeys(("var", "std", "prod", "norm"), _function("mix", _reduce))
    table |= dict.fromkeys(("cat", "concat", "concatenate"), _function("linear", cat))
    table |= dict.fromkeys(("transpose", "swapaxes", "t"), _function("linear", _transpose))
    halved = _function("mix", glu, lambda module, value, before, after: halves(value, int(getattr(module, "dim"))))  # noqa: B009
    table |= {
        "Unflatten": _function("linear", _no_function, _unflatten_module),
        "permute": _function("linear", _permute),
        "stack": _function("linear", stack),
        "chunk": _function("linear", chunk),
        "split": _function("linear", split),
        "getitem": _function("linear", getitem),
        "expand": _function("linear", expand),
        "pad": _function("zero", _pad),
        "glu": halved,
        "GLU": halved,
    }
    return table


def _no_function(node: fx.Node, run: Interpreter, value: Value, result: Any) -> Value:
    return None


SHAPES = _table()
