"""What lies along each width of a recording: dimensions of parameters, attributes that hold its size, nodes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx

from autogrow.growth.sites.axes import Axis, Width, resolve
from autogrow.growth.sites.site import Port, SizeAttribute, Span
from autogrow.growth.sites.trace import Trace, Use, Value


@dataclass
class Index:
    """What lies along each width, in the order of the graph."""

    ports: dict[Width, list[Port]]
    attributes: dict[Width, list[SizeAttribute]]
    nodes: dict[Width, list[fx.Node]]
    written: dict[str, set[Width]]  # module → the widths it writes


def index_of(trace: Trace) -> Index:
    """What lies along each width of a recording."""
    order = {str(n.target): i for i, n in enumerate(trace.graph.nodes) if n.op == "call_module"}
    index = Index({}, {}, {}, {})

    def called(use: Use) -> int:  # a parameter may lie in a part of the module that is called
        name = use.module
        while name and name not in order:
            name = name.rpartition(".")[0]
        return order.get(name, -1)

    for use in sorted(trace.uses, key=called):
        for width, spans in _spans(use.axis).items():
            index.ports.setdefault(width, []).extend(_ports(trace, use, width, spans))
            if use.role in ("write", "tied"):
                index.written.setdefault(use.module, set()).add(width)
    for sized in trace.sized:
        for width, spans in _spans(sized.axis).items():
            attribute = SizeAttribute(sized.module, sized.attribute, sum(span.block for span in spans))
            index.attributes.setdefault(width, []).append(attribute)
    for node in trace.graph.nodes:
        for width in _widths_of(trace.values.get(node)):
            index.nodes.setdefault(width, []).append(node)
    return index


def _ports(trace: Trace, use: Use, width: Width, spans: tuple[Span, ...]) -> list[Port]:
    """A width's port along one dimension of a tensor; several where some of its rows are queries or keys."""
    parts: dict[tuple[str, float], list[Span]] = {}
    for span in spans:
        role, power = use.role, 0.0
        for side in trace.sides.get(use.module, ()) if use.role == "write" else ():
            if span.offset in side.rows:
                role = "key" if width in side.keys else role
                power += side.powers.get(width, 0.0)
        parts.setdefault((role, power), []).append(span)
    named = (use.module, use.parameter, use.dim)
    return [Port(*named, role, tuple(of), use.fill, power) for (role, power), of in parts.items()]


def _spans(axis: Axis) -> dict[Width, tuple[Span, ...]]:
    """Where each width lies along an axis."""
    spans: dict[Width, tuple[Span, ...]] = {}
    offset = 0
    for segment in resolve(axis):
        spans[segment.width] = (*spans.get(segment.width, ()), Span(offset, segment.block))
        offset += segment.size
    return spans


def _widths_of(value: Value) -> set[Width]:
    """The widths that a node's tensors are made of."""
    if isinstance(value, list):
        return {width for item in value for width in _widths_of(item)}
    axes = value if isinstance(value, tuple) else ()
    return {segment.width for axis in axes if axis is not None for segment in resolve(axis)}


__all__ = ["Index", "index_of"]
