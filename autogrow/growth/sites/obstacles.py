"""Why a norm sees new units that are not what it takes for nothing: in words, with the smallest rewrite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import fx

from autogrow.growth.sites.axes import Axis, Width, resolve
from autogrow.growth.sites.trace import Trace, function_name


def obstacle_at(trace: Trace, norm: fx.Node, states: Mapping[fx.Node, str], free: str) -> str:
    """The reason at the nearest node behind which a new unit is `free`, though what it was made of was not."""
    named = trace.notes[norm].module
    node = norm.all_input_nodes[0]
    if states.get(node, free) != free:
        return f"a new unit is zero behind {_last_norm(trace, node)!r}, and no mean of the others, and {named!r} normalises that"
    seen: set[fx.Node] = set()
    while node not in seen:
        seen.add(node)
        before = next((s for s in node.all_input_nodes if states.get(s) == free and s not in seen), None)
        if before is None or trace.notes[node].kind == "layer":
            break
        node = before
    return f"{_why(trace, node)}, and {named!r} normalises that"


def _why(trace: Trace, node: fx.Node) -> str:
    note = trace.notes[node]
    called = f"{note.module!r}" if note.module is not None else f"{function_name(node)}()"
    norms = [n for n in (_norm_before(trace, source) for source in node.all_input_nodes) if n is not None]
    if note.kind == "add" and norms:
        return f"the stream itself is normalised by {norms[0]!r} and added to (post-norm; a norm in front of each branch allows any width)"
    if note.kind == "carry":
        return f"{called} gives each channel weights of its own (depthwise), so that a new one's answer is no mean of the others'"
    if note.kind == "layer":
        return f"what {called} answers for a new unit is no mean of what it answers for the others"
    return f"{called} makes of a mean no mean"


def _last_norm(trace: Trace, node: fx.Node) -> str | None:
    """The nearest norm upstream."""
    while node.all_input_nodes and not trace.notes[node].kind.startswith("norm:"):
        node = node.all_input_nodes[0]
    return trace.notes[node].module


def _norm_before(trace: Trace, node: fx.Node) -> str | None:
    """The norm whose answer a node hands on, if it does."""
    while trace.notes[node].kind == "linear" and len(node.all_input_nodes) == 1:
        node = node.all_input_nodes[0]
    note = trace.notes[node]
    return note.module if note.kind in ("norm:layer", "norm:rms") else None


def side_by_side(trace: Trace, norms: Sequence[fx.Node], width: Width) -> str | None:
    """A LayerNorm over several parts of one width (patch merging), each of which has a mean of its own; or None."""
    written = [_parts(use.axis, width) for use in trace.uses if use.role in ("write", "tied")]
    least = min((parts for parts in written if parts), default=1)
    for norm in norms:
        name = str(trace.notes[norm].module)
        parts = _parts(trace.layers[name][0], width)
        if trace.notes[norm].kind == "norm:layer" and parts > least:
            return (
                f"{name!r} normalises {parts // least} parts of it side by side, each with a mean of its own; an RMSNorm "
                "allows any width"
            )
    return None


def _parts(axis: Axis, width: Width) -> int:
    """How many positions of an axis each unit of a width takes."""
    return sum(segment.block for segment in resolve(axis) if segment.width is width)


__all__ = ["obstacle_at", "side_by_side"]
