"""Products of tensors, as attention makes them: what they sum over, and what they keep side by side.

Shape legend: B batch, H heads, T tokens, D the size of a head, E the width of the stream. The number of heads passes
through: a new head answers zero until its output weights learn. The size of a head is summed over, in a product of two
tensors that both grow, and sets the scale of the scores: `products` says how.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, fx, nn

from autogrow.growth.layers import untouchable
from autogrow.growth.sites.axes import Axis, Segment, Width, blocked, fix, length, unify
from autogrow.growth.sites.numbers import Count, SizeFloat, SizeInt
from autogrow.growth.sites.rules.parts import meet
from autogrow.growth.sites.rules.reshape import fix_all
from autogrow.growth.sites.trace import Call, Note, Product, Rows, Scale, Sized, Trace, Use, Value


def matmul(call: Call) -> Value:
    """(…, n, k) @ (…, k, m): the leading dimensions meet, k is summed over."""
    sources: list[Any] = [source for source in call.node.args[:2] if source in call.shapes]
    if len(sources) != 2 or min(len(call.shapes[s]) for s in sources) < 2:
        return None
    left, right = (call.values[s] for s in sources)
    if not isinstance(left, tuple) or not isinstance(right, tuple):
        return None
    if any(not call.shapes[s][:-2] for s in sources):  # a matrix: it would be a layer's weight
        return None
    query, key = sources
    call.products.append(Product(call.node, query, key, _summed(left[-1], right[-2])))
    shapes, values = {s: call.shapes[s][:-2] for s in sources}, {s: call.values[s][:-2] for s in sources}
    lead = meet(call.result.shape[:-2], shapes, values)
    return (*lead, left[-2], right[-1])


def einsum(call: Call) -> Value:
    """A sum of products by letters: equal letters meet; one that both of two tensors have and the sum has not is summed
    over.
    """
    equation, *given = call.node.args
    operands: list[Any] = list(given[0]) if len(given) == 1 and isinstance(given[0], (list, tuple)) else list(given)
    if not isinstance(equation, str) or "." in equation or "->" not in equation or not operands:
        return None
    inputs, output = equation.replace(" ", "").split("->")
    named: dict[str, list[tuple[fx.Node, Axis | None]]] = {}
    for letters, source in zip(inputs.split(","), operands, strict=True):
        if len(set(letters)) < len(letters) or not isinstance(call.values[source], tuple):
            return None
        for letter, axis in zip(letters, call.values[source], strict=True):
            named.setdefault(letter, []).append((source, axis))
    for letter, met in named.items():
        if letter not in output and len(met) == 2 == len(operands):
            query, key = (source for source, _ in met)
            call.products.append(Product(call.node, query, key, _summed(met[0][1], met[1][1])))
        elif letter not in output:
            fix_all(tuple(axis for _, axis in met), "einsum sums over it")
    return tuple(_joined([axis for _, axis in named[letter]]) for letter in output)


def _joined(axes: Sequence[Axis | None]) -> Axis | None:
    """The axis of a letter that stays."""
    known = [axis for axis in axes if axis is not None]
    if len(known) < len(axes):
        fix_all(tuple(known), "it meets a tensor along an axis that is not a width")
        return None
    for axis in known[1:]:
        unify(known[0], axis)
    return known[0]


def _summed(one: Axis | None, other: Axis | None) -> Axis | None:
    """The axis that a product sums over; where it is a width in one tensor alone it cannot grow."""
    if one is None or other is None:
        fix_all((one, other), "a product of two tensors sums over it, and it is a width in one of them alone")
        return None
    unify(one, other)
    return one


def _scale_of(axis: Axis | None) -> tuple[Scale, ...]:
    """What torch scales the scores by: the size of a head to the power of −1/2."""
    if axis is None:
        return ()
    return (Scale(SizeInt.made(length(axis), Count.of_axis(axis)) ** -0.5),)


def scaled_dot_product(call: Call) -> Value:
    """Queries (B, H, T, D), keys and values (B, H or fewer, T, D): answers (B, H, T, D of the values)."""
    given = [call.given(i, name) for i, name in enumerate(("query", "key", "value"))]
    query, key, value = (call.values[source] for source in given)
    if not all(isinstance(v, tuple) for v in (query, key, value)):
        return None
    axis, scale = _summed(query[-1], key[-1]), call.given(6, "scale")
    asked = (Scale(scale),) if isinstance(scale, (SizeInt, SizeFloat)) else ()
    scales = _scale_of(axis) if scale is None else asked
    call.products.append(Product(call.node, given[0], given[1], axis, scales, query_is_scaled=True, value=given[2]))
    for source in call.values:
        if source not in given:
            fix_all(call.values[source], "an attention mask lies along it")
    lead: list[Axis | None] = list(query[:-2])
    for mine, *others in zip(lead, key[:-2], value[:-2], strict=True):
        for theirs in others:
            if mine is None or theirs is None:
                fix_all((mine, theirs), "its heads meet a tensor whose heads are not a width")
            else:  # grouped queries: some heads share their keys
                unify(blocked(theirs, length(mine) // length(theirs)), mine)
    return (*lead, query[-2], value[-1])


def _enter(trace: Trace, node: fx.Node, name: str, module: nn.MultiheadAttention) -> None:
    """Note what lies along its width: heads as units, or where `numbers.inner` the entries of each."""
    trace.numbers.either = True
    inner: Axis = (Segment(Width(module.head_dim)),)
    heads: Axis = (Segment(Width(module.num_heads), module.head_dim),)
    if trace.numbers.inner:
        heads = inner * module.num_heads
        trace.sized.append(Sized(name, "head_dim", inner))
        query, key = (Rows(name, frozenset(range(i * length(heads), (i + 1) * length(heads)))) for i in (0, 1))
        trace.products.append(Product(node, query, key, inner, _scale_of(inner), query_is_scaled=True))
    else:
        trace.sized.append(Sized(name, "num_heads", (Segment(heads[0].width),)))
    trace.layers[name] = (heads, heads)
    trace.answers[name] = f"{name}.out_proj"
    lying = [
        ("in_proj_weight", 0, heads * 3, "write"), ("in_proj_bias", 0, heads * 3, "write"),
        ("in_proj_weight", 1, heads, "read"), ("out_proj.weight", 1, heads, "read"),
        ("out_proj.weight", 0, heads, "write"), ("out_proj.bias", 0, heads, "write"),
    ]  # fmt: skip
    for parameter, dim, axis, role in lying:
        owner, _, last = f"{name}.{parameter}".rpartition(".")
        if getattr(trace.net.get_submodule(owner), last) is not None:
            trace.uses.append(Use(owner, last, dim, axis, role, "draw" if last.endswith("weight") else 0.0))
    trace.sized += [Sized(name, attribute, heads) for attribute in ("embed_dim", "kdim", "vdim")]
    trace.sized += [Sized(f"{name}.out_proj", attribute, heads) for attribute in ("in_features", "out_features")]
    if reason := untouchable(module.out_proj):
        fix(heads, f"{name!r} cannot be changed: {reason}")


def through_attention(trace: Trace, call: Call, module: nn.MultiheadAttention) -> Value:
    """`nn.MultiheadAttention`: its width is heads × the size of a head, so it grows by whole heads, with the stream, or
    by the same for each head.
    """
    name = str(call.node.target)
    trace.notes[call.node] = Note("layer", name)
    given = [call.given(i, name) for i, name in enumerate(("query", "key", "value"))]
    values = [call.values.get(source) for source in given]
    fused = module._qkv_same_embed_dim and module.bias_k is None and all(isinstance(v, tuple) for v in values)
    if not fused or not isinstance(call.result, tuple):
        trace.opaque[name] = "its keys or values have widths of their own, or biases of their own"
        return None
    if name not in trace.layers:
        _enter(trace, call.node, name, module)
    heads = trace.layers[name][0]
    for value in values:
        if isinstance(value, tuple) and value[-1] is not None:
            unify(heads, value[-1])
        else:
            fix(heads, f"what {name!r} reads is not a width")
    for source in call.values:  # masks
        if source not in given:
            fix_all(call.values[source], "an attention mask lies along it")
    first: Value = values[0]
    weights = (None,) * call.result[1].ndim if isinstance(call.result[1], Tensor) else None
    return [(*first[:-1], heads), weights]


__all__ = ["matmul", "scaled_dot_product", "through_attention"]
