"""Operations that rearrange axes: pooling, reshapes, permutations, reductions; and the table of them all.

`SHAPES` maps a module's class name or a function's name to its rule. A rule is told of the call and returns the axes of
the output; where an operation would mix a width with something else, or writes its size into the code, the width is
fixed with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from autogrow.growth.sites.axes import fix, new_axis
from autogrow.growth.sites.numbers import Count, SizeInt
from autogrow.growth.sites.rules.attention import einsum, matmul, scaled_dot_product
from autogrow.growth.sites.rules.parts import cat, expand, expand_as, meet, stack
from autogrow.growth.sites.rules.pieces import chunk, extreme, glu, repeated, rolled, split, unbind
from autogrow.growth.sites.rules.recurrent import packed, padded
from autogrow.growth.sites.rules.reshape import fix_all, reshaped, shuffled
from autogrow.growth.sites.rules.taken import getitem, selected
from autogrow.growth.sites.trace import Call, Value

KIND_ALONE = ("new_zeros", "new_ones", "new_full", "new_empty", "new_tensor")
MADE_HERE = "it meets a tensor that the forward makes: neither a parameter nor a buffer"

Rule = Callable[[Call], Value]


@dataclass(frozen=True)
class ShapeRule:
    """`kind`: what it does to a new unit's value ('linear' across channels, 'zero' keeps zeros, 'mix' neither)."""

    kind: str
    of: Rule


# -- pooling, padding, resizing: channels stay, what lies behind them is space


def _spatial(dims: int) -> Rule:
    def keep(call: Call) -> Value:
        value = call.value
        if not isinstance(value, tuple) or not isinstance(call.result, Tensor):
            return None
        for axis in value[len(value) - dims :]:
            if axis is not None:
                fix(axis, "it is pooled over")
        return (*value[: len(value) - dims], *(None,) * dims)

    return keep


def _resize(call: Call) -> Value:
    value = call.value
    return (*value[:2], *(None,) * (len(value) - 2)) if isinstance(value, tuple) else None


def _pad(call: Call) -> Value:
    value, pad = call.value, call.kwargs.get("pad", call.args[1] if len(call.args) > 1 else ())
    out = list(value)
    for back in range(len(pad) // 2):  # from the last dimension on; one that gets nothing stays
        if pad[2 * back] or pad[2 * back + 1]:
            fix_all((out[-1 - back],), "it is padded")
            out[-1 - back] = None
    return tuple(out)


# -- reshapes


def _view(call: Call) -> Value:
    if not isinstance(call.value, tuple):
        return None
    sizes = call.node.args[1:] or tuple(call.node.kwargs.values())[-1:]
    flat = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    given: list[Any] = list(flat) if isinstance(flat, (tuple, list)) else []
    if len(given) != call.result.ndim or not all(isinstance(s, int) for s in given):  # view(dtype), view_as(y)
        given = [None] * call.result.ndim
    return reshaped(call.numbers, call.value, call.before, call.result.shape, _followed(given))


def _followed(given: Sequence[Any]) -> list[Any]:
    """Sizes with None for what follows from the rest (-1)."""
    return [None if type(size) is int and size == -1 else size for size in given]


def _same_elements(call: Call) -> Value:
    """flatten, squeeze, unsqueeze: sizes follow from the input."""
    if not isinstance(call.value, tuple):
        return None
    return reshaped(call.numbers, call.value, call.before, call.result.shape, [None] * call.result.ndim)


def _unflatten(call: Call) -> Value:
    given: Any = call.given(2, "sizes") if call.module is None else _kept_sizes(call, call.module)
    sizes: list[Any] = [None] * call.result.ndim
    dim = call.dim(1, 0) % len(call.before)
    sizes[dim : dim + len(given)] = _followed(given)
    return reshaped(call.numbers, call.value, call.before, call.result.shape, sizes)


def _kept_sizes(call: Call, module: nn.Module) -> Sequence[Any]:
    """Of `nn.Unflatten`: the first of the sizes that it keeps grows with what is cut."""
    first, *rest = module.unflattened_size  # type: ignore[misc]
    if first == -1 or -1 in rest:
        return (first, *rest)
    attribute = (str(call.node.target), "unflattened_size[0]")
    call.numbers.attributes[attribute] = first
    return (SizeInt.made(first, Count.of_attribute(attribute)), *rest)


# -- orders of dimensions


def _permute(call: Call) -> Value:
    dims = call.kwargs.get("dims", call.args[1:])
    order = dims[0] if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims
    return tuple(call.value[d] for d in order) if isinstance(call.value, tuple) else None


def _transpose(call: Call) -> Value:
    given = (call.kwargs[k] for k in ("dim0", "dim1") if k in call.kwargs)
    one, other = (*call.args[1:], *given) or (0, 1)  # t() has neither
    order = list(range(len(call.value)))
    order[one], order[other] = order[other], order[one]
    return tuple(call.value[d] for d in order)


# -- reductions


def _reduce(call: Call) -> Value:
    value = call.value
    if not isinstance(value, tuple) or not isinstance(call.result, Tensor):
        return None
    dims = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else None)
    over = range(len(value)) if dims is None else [d % len(value) for d in ([dims] if isinstance(dims, int) else dims)]
    fix_all(tuple(value[d] for d in over), f"{call.name} runs over it")
    if call.result.ndim == len(value):
        return tuple(None if d in over else a for d, a in enumerate(value))
    return tuple(a for d, a in enumerate(value) if d not in over)


def _softmax(call: Call) -> Value:
    chosen = call.module is None or call.module.dim is not None
    dim = call.dim(1, -1) if chosen else 1  # what a module that was given no dimension takes for matrices
    fix_all((call.value[dim],), f"{call.name} runs over it")
    return call.value


def _normalize(call: Call) -> Value:
    value, dim = call.value, call.dim(2, 1)
    fix_all((value[dim],), "normalize runs over it")
    return value


def _made(call: Call) -> Value:
    """A tensor of another one's kind alone."""
    return tuple(new_axis(int(size), MADE_HERE) if size > 1 else None for size in call.result.shape)


def _alike(call: Call) -> Value:
    """A tensor of another one's shape."""
    return call.value


def _masked(call: Call) -> Value:
    return meet(call.result.shape, call.shapes, call.values)


def _whole_transpose(call: Call) -> Value:
    value = call.value
    return (*value[:-2], value[-1], value[-2]) if call.name == "mT" else tuple(reversed(value))


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
            table[f"{title}{dims}d"] = table[f"{snake}{dims}d"] = ShapeRule(kind, _spatial(dims))
    for kind, rule, names in (
        ("linear", _resize, "interpolate upsample Upsample UpsamplingNearest2d UpsamplingBilinear2d"),
        ("linear", _same_elements, "flatten squeeze unsqueeze Flatten"),
        ("linear", _unflatten, "Unflatten unflatten"),
        ("linear", _view, "view reshape"),
        ("linear", _permute, "permute"),
        ("linear", _transpose, "transpose swapaxes t"),
        ("mix", _softmax, "softmax log_softmax Softmax LogSoftmax Softmin"),
        ("linear", _reduce, "mean sum"),
        ("zero", _reduce, "amax amin"),
        ("mix", _reduce, "var std prod norm"),
        ("linear", cat, "cat concat concatenate"),
        ("linear", stack, "stack"),
        ("linear", chunk, "chunk"),
        ("linear", split, "split split_with_sizes"),
        ("linear", unbind, "unbind"),
        ("linear", repeated, "repeat_interleave"),
        ("linear", expand_as, "expand_as"),
        ("linear", rolled, "roll flip tril triu"),
        ("linear", shuffled, "PixelShuffle PixelUnshuffle pixel_shuffle pixel_unshuffle"),
        ("linear", selected, "index_select"),
        ("linear", packed, "_pack_padded_sequence"),
        ("linear", padded, "_pad_packed_sequence"),
        ("linear", _whole_transpose, "T mT"),
        ("mix", matmul, "matmul bmm"),
        ("mix", einsum, "einsum"),
        ("mix", scaled_dot_product, "scaled_dot_product_attention"),
        ("mix", _masked, "masked_fill"),
        ("mix", _made, " ".join(KIND_ALONE)),
        ("mix", _alike, "zeros_like ones_like full_like empty_like rand_like randn_like"),
        ("mix", _normalize, "normalize"),
        ("linear", getitem, "getitem"),
        ("linear", expand, "expand"),
        ("zero", _pad, "pad"),
        ("mix", glu, "glu GLU"),
    ):
        table |= dict.fromkeys(names.split(), ShapeRule(kind, rule))
    return table


SHAPES = _table()
# along one dimension these answer with the largest or smallest, and with where it is
EXTREMES = dict.fromkeys(("max", "min"), ShapeRule("zero", extreme))
