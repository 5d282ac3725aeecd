"""What a new unit's value is along the net: needed where a norm takes statistics over all units of a width.

A new unit leaves LayerNorm's statistics alone if it equals the mean of the old units, RMSNorm's if it is zero. So all layers
that write such a width write the mean row (or zeros), and this module follows that value through the graph: through what is linear
and the same for every channel the mean stays the mean; a norm turns it into zero; an activation with σ(0) = 0 keeps zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import fx

from autogrow.growth.structure_axes import Width, resolve

if TYPE_CHECKING:
    from autogrow.growth.structure_trace import Note, Trace

FREE, MEAN, ZERO, DEAD = "free", "mean", "zero", "dead"  # dead: zero, and no gradient comes back


@dataclass(frozen=True)
class Normed:
    """How a width that a LayerNorm or RMSNorm normalises is widened.

    `kind`: 'layer' or 'rms'. `obstacle`: why fresh units would change the statistics, or None. `alive`: outgoing weights may be drawn freely,
    for what they read is zero and passes gradients back. `scaled`: where each RMSNorm normalises one layer's output and
    nothing else reads that, these layers: their units can be split by scaling rows; else None.
    """

    kind: str
    norms: tuple[str, ...]
    alive: bool
    obstacle: str | None = None
    scaled: tuple[str, ...] | None = None


def carries(trace: Trace, node: fx.Node, width: Width) -> bool:
    """Whether one of the node's axes is made of the width."""
    return _holds(trace.values.get(node), width)


def _holds(value: object, width: Width) -> bool:
    if isinstance(value, tuple):
        return any(axis is not None and any(s.width is width for s in resolve(axis)) for axis in value)
    return isinstance(value, list) and any(_holds(item, width) for item in value)


def normed(trace: Trace, width: Width, readers: set[str]) -> Normed | None:
    """How LayerNorm and RMSNorm bind the new units of a width; None where there is neither."""
    nodes = [n for n in trace.graph.nodes if carries(trace, n, width)]
    kinds = {trace.notes[n].kind: n for n in nodes if trace.notes[n].kind in ("norm:layer", "norm:rms")}
    if not kinds:
        return None
    names = tuple(str(trace.notes[n].module) for n in nodes if trace.notes[n].kind in ("norm:layer", "norm:rms"))
    if len(kinds) > 1:
        return Normed("layer", names, alive=False, obstacle="both a LayerNorm and an RMSNorm normalise it")
    kind = next(iter(kinds)).removeprefix("norm:")
    start = MEAN if kind == "layer" else ZERO
    states: dict[fx.Node, str] = {}
    obstacle = None
    for node in nodes:
        note = trace.notes[node]
        if note.kind == f"norm:{kind}":
            before = states.get(node.all_input_nodes[0], FREE)
            if before not in ({MEAN} if kind == "layer" else {ZERO, DEAD}) and obstacle is None:
                obstacle = f"what {note.module!r} normalises is not simply a sum of layers' outputs"
        states[node] = _after(trace, node, note, states, width, start)
    read = [states.get(n.all_input_nodes[0], FREE) for n in trace.graph.nodes if _reads(trace, n, readers)]
    return Normed(kind, names, alive=all(s == ZERO for s in read), obstacle=obstacle, scaled=_scaled(trace, nodes))


def _reads(trace: Trace, node: fx.Node, readers: set[str]) -> bool:
    return node.op == "call_module" and str(node.target) in readers


def _scaled(trace: Trace, nodes: list[fx.Node]) -> tuple[str, ...] | None:
    """The layers whose output goes into an RMSNorm and nowhere else, if every RMSNorm has one."""
    layers = []
    for node in nodes:
        if trace.notes[node].kind == "norm:rms":
            source = node.all_input_nodes[0]
            if trace.notes[source].kind != "layer" or len(source.users) > 1 or trace.calls(str(source.target)) > 1:
                return None
            layers.append(str(source.target))
    return tuple(layers)


def _after(trace: Trace, node: fx.Node, note: Note, states: dict[fx.Node, str], width: Width, start: str) -> str:
    """A new unit's value behind a node."""
    inputs = [states[n] for n in node.all_input_nodes if n in states]
    others = [n for n in node.all_input_nodes if n not in states]
    kind = note.kind
    if kind in ("layer", "param"):
        return start
    if not inputs:
        return FREE
    first = inputs[0]
    if kind == "linear":
        return first if all(s == first for s in inputs) else FREE
    if kind == "add":
        return first if not others and all(s == first for s in inputs) else FREE
    if kind == "shift":
        return MEAN if first == MEAN else FREE
    if kind == "mul":
        return _product(inputs)
    if kind in ("zero", "carry", "norm:batch"):
        return first if first in (ZERO, DEAD) else FREE
    if kind in ("norm:layer", "norm:rms"):
        return DEAD if first == DEAD else ZERO
    if kind == "activation" and note.facts is not None and first in (ZERO, DEAD) and note.facts.at_zero == 0:
        return ZERO if first == ZERO and note.facts.slope_at_zero != 0 else DEAD
    return FREE


def _product(inputs: list[str]) -> str:
    """0 × anything is 0; its gradient is the other factor."""
    zeros = [s for s in inputs if s in (ZERO, DEAD)]
    if zeros:
        return ZERO if len(zeros) == 1 and zeros[0] == ZERO else DEAD
    return MEAN if inputs == [MEAN] else FREE
