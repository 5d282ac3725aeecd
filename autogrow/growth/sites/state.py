"""What a new unit's value is along the net: needed where a norm takes statistics over all units of a width.

A new unit leaves LayerNorm's statistics alone if it equals the mean of the old units, RMSNorm's if it is zero. So all
layers that write such a width write the mean row (or zeros), and this module follows that value through the graph:
through what is linear and the same for every channel the mean stays the mean; a norm turns it into zero; an activation
with σ(0) = 0 keeps zeros.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from torch import fx

from autogrow.growth.sites.axes import Width, resolve
from autogrow.growth.sites.obstacles import obstacle_at, side_by_side
from autogrow.growth.sites.trace import Note, Trace

FREE, MEAN, ZERO, DEAD = "free", "mean", "zero", "dead"  # dead: zero, and no gradient comes back


@dataclass(frozen=True)
class Normed:
    """How a width that a LayerNorm or RMSNorm normalises can be widened.

    `kind`: 'layer' or 'rms'. `obstacle`: why fresh units cannot be added without changing the statistics, or None.
    `drawn`: the layers whose outgoing weights may be drawn freely, for what they read of a new unit is zero and passes
    gradients back. `scaled`: where each RMSNorm normalises one layer's output and nothing else reads that, these
    layers: their units can be split by scaling rows; else None. `reads_zero`: the layers that read zero of a new unit.
    `summed`: the layers whose output a norm sees, each with the gains (layer scale) that it is multiplied by on its
    way; the others' new rows are free.
    """

    kind: str
    norms: tuple[str, ...]
    drawn: frozenset[str]
    obstacle: str | None
    scaled: tuple[str, ...] | None
    reads_zero: frozenset[str] = frozenset()
    summed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Whether some layer gives a new unit a gradient from the start."""
        return bool(self.drawn)

    @property
    def any_width(self) -> bool:
        """Whether the width can be grown to any number of units; otherwise only to a multiple, by equal copies."""
        return self.obstacle is None or self.scaled is not None


def normed(trace: Trace, width: Width, nodes: Sequence[fx.Node], readers: set[str]) -> Normed | None:
    """How LayerNorm and RMSNorm bind the new units of a width; None where there is neither.

    `nodes`: those whose tensors are made of the width; `readers`: the layers that read it.
    """
    norms = [n for n in nodes if _normalises(trace, n, width)]
    if not norms:
        return None
    kind = trace.notes[norms[0]].kind.removeprefix("norm:")
    names = tuple(dict.fromkeys(str(trace.notes[n].module) for n in norms))
    obstacle = None
    if any(trace.notes[n].kind != f"norm:{kind}" for n in norms):
        obstacle = "both a LayerNorm and an RMSNorm normalise it"
    obstacle = obstacle or side_by_side(trace, norms, width)
    bare = [n for n in names if getattr(trace.net.get_submodule(n), "weight", None) is None]
    if bare:
        return Normed(kind, names, frozenset(), f"{bare[0]!r} has no weight that could keep its scale", None)
    hidden = [n for n in names if n in trace.bare_eps]
    if hidden:
        why = (
            f"the eps of {hidden[0]!r} is a number in its forward, and has to grow with the width: keep it as self.eps"
        )
        return Normed(kind, names, frozenset(), why, None)
    try:
        summed = _summed(trace, norms, set(nodes), width)
    except _UnlikeError as error:
        return Normed(kind, names, frozenset(), str(error), None)
    states: dict[fx.Node, str] = {}
    for node in nodes:
        states[node] = _after(trace, node, width, states, MEAN if kind == "layer" else ZERO, summed)
        wanted = {MEAN} if kind == "layer" else {ZERO, DEAD}
        if node in norms and states.get(node.all_input_nodes[0], FREE) not in wanted:
            obstacle = obstacle or obstacle_at(trace, node, states, FREE)
    read: dict[str, set[str]] = {}
    for node in trace.graph.nodes:
        if _reads(
            trace, node, readers
        ):  # a module's inputs are all read (queries, keys, values), of a function the first
            sources = node.all_input_nodes if node.op == "call_module" else node.all_input_nodes[:1]
            found = {states[source] for source in sources if source in states}
            if found:
                read.setdefault(str(trace.notes[node].module), set()).update(found)
    # behind a ReLU a unit that is zero is dead, whatever the columns: then biases bring life, and columns are zero
    dead = any(DEAD in found for found in read.values())
    drawn = frozenset() if dead else frozenset(name for name, found in read.items() if found == {ZERO})
    zero = frozenset(name for name, found in read.items() if found <= {ZERO, DEAD})
    if kind == "rms" and not drawn:
        obstacle = obstacle or f"a unit that is zero in front of {names[0]!r} gets no gradient behind it"
    ends = {trace.answers.get(name, name): gains for name, gains in summed.items()}
    return Normed(kind, names, drawn, obstacle, _scaled(trace, norms) if kind == "rms" else None, zero, ends)


def _normalises(trace: Trace, node: fx.Node, width: Width) -> bool:
    """Whether a node is a LayerNorm or RMSNorm over this width; one over another axis takes each unit alone."""
    note = trace.notes[node]
    if note.kind not in ("norm:layer", "norm:rms") or str(note.module) not in trace.layers:
        return False
    return any(segment.width is width for segment in resolve(trace.layers[str(note.module)][0]))


class _UnlikeError(Exception):
    """A layer's output is multiplied by different gains on its way to different norms."""


def _summed(trace: Trace, norms: Sequence[fx.Node], nodes: set[fx.Node], width: Width) -> dict[str, tuple[str, ...]]:
    """The layers that write what a norm of the width sees, and the gains that it is multiplied by in between."""
    found: dict[str, tuple[str, ...]] = {}
    seen: dict[fx.Node, tuple[str, ...]] = {}
    ahead: list[tuple[fx.Node, tuple[str, ...]]] = [(norm.all_input_nodes[0], ()) for norm in norms]
    while ahead:
        node, gains = ahead.pop()
        if node not in nodes:
            continue
        if seen.setdefault(node, gains) != gains or (gains and trace.notes[node].kind == "param"):
            raise _UnlikeError(f"what is multiplied by {(gains or seen[node])[0]!r} is used without that, too")
        if _written(trace, trace.notes[node], width):
            found[str(trace.notes[node].module)] = gains
            continue
        scaled = _scaled_by(trace, node)
        if scaled is not None and scaled[0] in nodes:
            ahead.append((scaled[0], (*gains, scaled[1])))
        else:
            ahead.extend((source, gains) for source in node.all_input_nodes)
    return found


def _scaled_by(trace: Trace, node: fx.Node) -> tuple[fx.Node, str] | None:
    """Of a product of a tensor and a parameter (a layer scale): the tensor, and the parameter's name."""
    if trace.notes[node].kind != "mul" or len(node.all_input_nodes) != 2:
        return None
    one, other = node.all_input_nodes
    for tensor, gain in ((one, other), (other, one)):
        while trace.notes[gain].kind == "linear" and len(gain.all_input_nodes) == 1:  # a reshape
            gain = gain.all_input_nodes[0]
        if trace.notes[gain].kind == "param" and gain.target != "made_in_the_forward":
            return tensor, str(gain.target)
    return None


def _reads(trace: Trace, node: fx.Node, readers: set[str]) -> bool:
    note = trace.notes.get(node)
    return note is not None and note.kind in ("layer", "carry") and note.module in readers


def _scaled(trace: Trace, norms: list[fx.Node]) -> tuple[str, ...] | None:
    """The layers whose output goes into an RMSNorm and nowhere else, if every RMSNorm has one."""
    sources = [n.all_input_nodes[0] for n in norms]
    for source in sources:
        if trace.notes[source].kind != "layer" or len(source.users) > 1 or trace.calls(str(source.target)) > 1:
            return None
    return tuple(str(source.target) for source in sources)


def _after(
    trace: Trace, node: fx.Node, width: Width, states: dict[fx.Node, str], start: str, summed: Collection[str]
) -> str:
    """A new unit's value behind a node."""
    note = trace.notes[node]
    inputs = [states[n] for n in node.all_input_nodes if n in states]
    if note.kind == "param":
        return start
    if _written(trace, note, width):
        return start if note.module in summed else FREE
    if not inputs:
        return FREE
    if (scaled := _scaled_by(trace, node)) is not None and scaled[0] in states:
        return states[scaled[0]]
    alone = len(inputs) == len(node.all_input_nodes)
    if note.kind in ("norm:layer", "norm:rms") and not _normalises(trace, node, width):
        inputs = [FREE]
    same = inputs[0] if all(s == inputs[0] for s in inputs) else FREE
    zero = same if same in (ZERO, DEAD) else FREE
    passed = {
        "linear": same,
        "add": same if alone else FREE,
        "shift": same if same == MEAN else FREE,
        "layer": same if same == MEAN else FREE,  # along another axis: the same map, and the same bias, for every unit
        "mul": _product(inputs),
        "zero": zero,
        "carry": zero,
        "norm:batch": zero,
        "norm:layer": DEAD if same == DEAD else ZERO,
        "norm:rms": DEAD if same == DEAD else ZERO,
    }
    if note.kind == "activation" and note.facts is not None and note.facts.at_zero == 0:
        return DEAD if zero == ZERO and note.facts.slope_at_zero == 0 else zero
    return passed.get(note.kind, FREE)


def _written(trace: Trace, note: Note, width: Width) -> bool:
    """Whether the node is a layer that writes the width."""
    return note.kind == "layer" and any(s.width is width for s in resolve(trace.layers[str(note.module)][1]))


def _product(inputs: list[str]) -> str:
    """0 × anything is 0; its gradient is the other factor."""
    zeros = [s for s in inputs if s in (ZERO, DEAD)]
    if zeros:
        return ZERO if len(zeros) == 1 and zeros[0] == ZERO else DEAD
    return MEAN if inputs == [MEAN] else FREE
