"""The inner width of an attention head: queries write it, keys read it, and the scale of the scores depends on it.

A new inner unit has a row of queries, drawn, and one of keys, zero: the scores stay what they are, and the row of keys
learns. Where the scores are scaled by a power of a width (d ** -0.5, whoever writes it), the old rows of queries are
multiplied by what the scale loses. For both, the rows of the layers that queries and keys come from have to be known:
numbers are sent from the layer to the product, through what only moves them about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from autogrow.growth.sites.axes import Axis, Segment, Width, fix, resolve
from autogrow.growth.sites.numbers import plain_numbers
from autogrow.growth.sites.trace import Product, Rows, Scale, Side, Trace, Use, function_name

_MOVES = {
    "view", "reshape", "permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "T", "mT", "unbind", "chunk",
    "split", "split_with_sizes", "flatten", "unflatten", "squeeze", "unsqueeze", "getitem", "expand", "repeat_interleave",
    "contiguous",
}  # fmt: skip


class _NotRowsError(Exception):
    """What a product multiplies is not simply some rows of a layer."""


def settle_products(trace: Trace) -> None:
    """Say of every product what queries and keys are, and what its scale asks of them, or refuse the widths involved.

    A scale that belongs to no product is a size whose value enters the function.
    """
    used: set[fx.Node] = set()
    for product in trace.products:
        try:
            used |= _settle(trace, product)
        except _NotRowsError as error:
            if product.axis is not None:
                fix(product.axis, f"a product of two tensors sums over it (the inner width of a head), and {error}")
            _claim(trace, product.scales, "scaled_dot_product_attention")
    for node, scale in trace.scales.items():
        if node not in used:
            _claim(trace, [scale], function_name(node))


def _claim(trace: Trace, scales: Sequence[Scale], name: str) -> None:
    for scale in scales:
        trace.numbers.claim(scale.number, None, f"its size enters what {name}() computes")


def _settle(trace: Trace, product: Product) -> set[fx.Node]:
    """One product; answers with the nodes whose scale is taken care of."""
    summed = frozenset(_open(product.axis))
    after = [] if product.query_is_scaled else list(_scaled_after(trace, product.node))
    if not summed and not product.scales and not any(node in trace.scales for node in after):
        return set()
    query, key = (side if isinstance(side, Rows) else _rows(trace, side) for side in (product.query, product.key))
    if product.key is product.value or (query.module == key.module and query.rows & key.rows):
        raise _NotRowsError("queries, keys and values are not rows of their own")
    path = {*query.path, *key.path, *after}
    scales = [*product.scales, *(trace.scales[node] for node in path if node in trace.scales)]
    _lay(trace, query, Side(query.rows, powers=_powers(trace, scales)))
    _lay(trace, key, Side(key.rows, keys=summed))
    return path


def _open(axis: Axis | None) -> set[Width]:
    return {s.width for s in resolve(axis) if s.width.fixed is None} if axis is not None else set()


def _powers(trace: Trace, scales: Sequence[Scale]) -> Mapping[Width, float]:
    """The power of each width that the scores are multiplied by; widths they depend on otherwise are refused."""
    powers: dict[Width, float] = {}
    for scale in scales:
        for width in trace.numbers.involved(scale.number.count):
            power = trace.numbers.power(scale.number.count, scale.number.now, width)
            if power is None:
                fix((Segment(width),), "the scale of a product depends on its size, and not by a power of it")
            else:
                powers[width] = powers.get(width, 0.0) + (-power if scale.divides else power)
    return {width: power for width, power in powers.items() if abs(power) > 1e-9}


def _lay(trace: Trace, of: Rows, side: Side) -> None:
    """Note what some rows of a layer are, where each width that this matters for lies either in them or beside them."""
    uses = [use for use in trace.uses if use.module == of.module and use.role == "write"]
    if not uses:
        raise _NotRowsError(f"the weight of {of.module!r} is tied")
    for width in (*side.keys, *side.powers):
        if not _apart(uses[0], width, side.rows):
            fix((Segment(width),), f"the rows of {of.module!r} that a product multiplies are not whole units of it")
        elif width in side.powers and not side.rows <= set(_rows_along(uses[0], width)):
            fix((Segment(width),), f"the scale of a product depends on its size, and the rows of {of.module!r} do not")
    trace.sides.setdefault(of.module, []).append(side)


def _apart(use: Use, width: Width, rows: frozenset[int]) -> bool:
    """Whether every row of units of the width is one of `rows`, or none is, span by span."""
    offset = 0
    for segment in resolve(use.axis):
        span = range(offset, offset + segment.size)
        if segment.width is width and len(rows.intersection(span)) not in (0, len(span)):
            return False
        offset += segment.size
    return True


def _rows_along(use: Use, width: Width) -> Iterator[int]:
    offset = 0
    for segment in resolve(use.axis):
        if segment.width is width:
            yield from range(offset, offset + segment.size)
        offset += segment.size


def _scaled_after(trace: Trace, node: fx.Node) -> Iterator[fx.Node]:
    """What the scores go through before anything but a factor meets them."""
    while len(node.users) == 1:
        node = next(iter(node.users))
        if node not in trace.scales and not _kept(trace, node):
            return
        yield node


def _kept(trace: Trace, node: fx.Node) -> bool:
    """Whether a node hands on its one tensor as it is, or times a number."""
    sources = node.all_input_nodes
    return (
        len(sources) == 1
        and trace.notes[node].kind == "linear"
        and isinstance(trace.values[node], tuple)
        and trace.shapes.get(node) == trace.shapes.get(sources[0])
    )


def _rows(trace: Trace, node: fx.Node) -> Rows:
    """The rows of a layer that a tensor consists of. Raises _NotRowsError where it is anything else."""
    path = [node]
    while trace.notes[node].kind != "layer":
        named = function_name(node) if node.op == "call_method" else str(node.target)
        if not isinstance(trace.values[node], list) and len(node.users) > 1 and not _taken_apart(node):
            raise _NotRowsError(f"what {named}() answers on the way there is used elsewhere as well")
        moves = node.op == "call_method" and named in _MOVES and len(node.all_input_nodes) == 1
        if not moves and not _kept(trace, node):
            turned = " (a rotation by position has its frequencies from it)" if trace.notes[node].kind == "add" else ""
            raise _NotRowsError(f"on its way there it goes through {named}(){turned}")
        node = node.all_input_nodes[0]
        path.append(node)
    module = str(trace.notes[node].module)
    if len(node.users) > 1 or sum(n.op == node.op and n.target == node.target for n in trace.graph.nodes) > 1:
        raise _NotRowsError(f"{module!r} is used elsewhere as well")
    return Rows(module, _sent(trace, path[::-1]), tuple(path))


def _taken_apart(node: fx.Node) -> bool:
    """Whether everybody who reads a tensor takes another entry of its first dimension, as unbind would."""
    taken = [user.args[1] for user in node.users if function_name(user) == "getitem" and len(user.args) > 1]
    return len(taken) == len(node.users) == len(set(map(str, taken))) and all(type(at) is int for at in taken)


def _sent(trace: Trace, path: Sequence[fx.Node]) -> frozenset[int]:
    """The rows of the layer at the beginning of a path that reach its end."""
    layer, shape = path[0], trace.shapes[path[0]]
    written = trace.layers[str(trace.notes[layer].module)][1]
    feature = next((d for d, axis in enumerate(trace.values[layer]) if axis is written), None)
    if feature is None:
        raise _NotRowsError(f"{trace.notes[layer].module!r} is no plain layer")
    numbers = torch.arange(shape[feature], dtype=torch.int32)
    sent: Any = numbers.view(-1, *[1] * (len(shape) - 1 - feature)).expand(shape).contiguous()
    for node in path[1:]:
        if node.op == "call_method" and function_name(node) in _MOVES:
            sent = _moved(function_name(node), sent, node)
    return frozenset(sent.unique().tolist())


def _moved(name: str, value: Any, node: fx.Node) -> Any:
    args, kwargs = plain_numbers(node.args[1:]), plain_numbers(dict(node.kwargs))
    if not node.args or not isinstance(node.args[0], fx.Node):
        raise _NotRowsError(f"{name}() is given its tensor by name")
    if name in ("T", "mT"):
        return getattr(value, name)
    if name == "getitem":
        return value[args[0]]
    moved: Tensor | tuple[Tensor, ...] = getattr(value, "reshape" if name == "view" else name)(*args, **kwargs)
    return moved
