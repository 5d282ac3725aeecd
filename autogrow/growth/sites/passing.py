"""How a block of a residual stream hands its input on: what of it is zero then, and which norms stand on the stream.

A block is looked at from its output back to its input: sums lead to the stream on one side and to a branch on the
other; the branch is nothing once the layer (or norm) that it ends with is zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import fx, nn
from torch.nn.modules.dropout import _DropoutNd

from autogrow.errors import GrowthError
from autogrow.growth.blocks import ResidualBlock
from autogrow.growth.sites.trace import Note, Trace, function_name

# what leaves the stream as it is, or lays it out in another way and back
_HANDED_ON = {
    "dropout", "dropout1d", "dropout2d", "dropout3d", "stochastic_depth", "contiguous", "clone", "to", "float", "double",
    "view", "reshape", "flatten", "unflatten", "permute", "transpose", "movedim", "swapaxes", "squeeze", "unsqueeze",
}  # fmt: skip
_NONE = Note("nothing")
_PASSING = (nn.Identity, _DropoutNd, nn.Flatten, nn.Unflatten)


@dataclass(frozen=True)
class Passing:
    """How a block hands its input on: its parameters that are zero then, and its norms on the stream, in order."""

    zeros: tuple[str, ...]
    norms: tuple[str, ...]


class PostNormError(GrowthError):
    """A block that normalises the stream itself."""


def passing_of(trace: Trace, name: str) -> Passing:
    """The parameters of a block (by their names in it) that make it hand its input on when they are zero.

    Raises GrowthError, with the reason, for a module that is no such block.
    """
    called = trace.called.get(name)
    if called is None:
        raise GrowthError(f"{name!r} is not called on its own with one tensor to answer with")
    if trace.shapes.get(called.given) != trace.shapes.get(called.answered):
        raise GrowthError(f"{name!r} answers with another shape than it is given")
    walk = _Walk(trace, name, called.given)
    zeros = tuple(dict.fromkeys(walk.through(called.answered)))
    if not zeros:
        raise GrowthError(f"{name!r} has no layer that adds to what it is given")
    if all(isinstance(trace.net.get_submodule(f"{name}.{zero}".rsplit(".", 2)[0]), ResidualBlock) for zero in zeros):
        raise GrowthError(f"what {name!r} adds to what it is given growth put there, and what follows that is a layer")
    outside = {id(p) for n, p in trace.net.named_parameters(remove_duplicate=False) if not n.startswith(f"{name}.")}
    tied = [zero for zero in zeros if id(trace.net.get_submodule(name).get_parameter(zero)) in outside]
    if tied:
        raise GrowthError(f"{tied[0]} of {name!r} is held by another module too, and cannot be zero in one of them")
    norms = tuple(norm.removeprefix(f"{name}.") for norm in reversed(walk.norms))
    if norms and not _ends_with(trace, called.answered, walk.norms[0]):
        raise PostNormError(_POST_NORM.format(f"in {walk.norms[0]!r}, which is not what it answers with"))
    return Passing(zeros, norms)


_POST_NORM = (
    "it normalises the stream itself, behind its sum (post-norm, {}), so that no weights of it hand their input on; a norm "
    "in front of each branch (pre-norm) allows it"
)


_BATCH_NORM = (
    "{!r} normalises the stream itself by what it has learnt of each channel, so that no weights of the block hand their "
    "input on; the stream as it is beside its branches allows it"
)


def _ends_with(trace: Trace, node: fx.Node, norm: str) -> bool:
    """Whether a block answers with what a norm of it answers, and nobody else reads that."""
    while trace.notes[node].module != norm:
        sources = node.all_input_nodes
        dropped = node.op == "call_module" and isinstance(trace.net.get_submodule(str(node.target)), _DropoutNd)
        if len(sources) != 1 or trace.notes[node].kind != "linear" or dropped or len(sources[0].users) > 1:
            return False
        node = sources[0]
    return True


@dataclass(frozen=True)
class _Walk:
    """From a block's output back to its input."""

    trace: Trace
    name: str
    start: fx.Node
    norms: list[str] = field(default_factory=list)  # on the stream, from the last to the first

    def through(self, node: fx.Node) -> list[str]:
        """What has to be zero so that `node` is the block's input. Raises GrowthError where nothing does that."""
        if node is self.start:
            return []
        note = self.trace.notes.get(node)
        sources = node.all_input_nodes
        if note is None or not sources:
            raise GrowthError(f"{self.name!r} does not add to what it is given")
        if note.kind == "add" and function_name(node).removesuffix("_").removeprefix("i") in ("add", "radd"):
            return self._sum(sources)
        if note.kind.startswith("norm:"):
            return self._normalised(node, str(note.module))
        idempotent = note.kind == "activation" and note.facts is not None and note.facts.idempotent
        if idempotent or self._hands_on(node):  # what was rectified before is not changed by it; the receipt tells
            return self.through(sources[0])
        raise GrowthError(f"{self.name!r} puts {node.name} between what it is given and what it answers")

    def _sum(self, sources: list[fx.Node]) -> list[str]:
        problem: GrowthError | None = None
        norms = list(self.norms)
        for stream in sources:
            self.norms[:] = norms
            try:
                passed = self.through(stream)
                return passed + [zero for other in sources if other is not stream for zero in self.nothing(other)]
            except GrowthError as error:
                problem = error if problem is None or isinstance(error, PostNormError) else problem
        raise problem or GrowthError(f"{self.name!r} adds nothing to what it is given")

    def _normalised(self, node: fx.Node, norm: str) -> list[str]:
        """Through a norm on the stream: norms of one kind in a row can answer as the first of them."""
        zeros = _Walk(self.trace, self.name, self.start, later := [*self.norms, norm]).through(node.all_input_nodes[0])
        kinds = {
            self.trace.notes[n].kind for n in self.trace.graph.nodes if self.trace.notes.get(n, _NONE).module in later
        }
        own = dict(self.trace.net.get_submodule(norm).named_parameters(recurse=False))
        if not zeros and not norm.startswith(f"{self.name}."):
            raise GrowthError(f"{self.name!r} is a norm, and adds nothing to what it is given")
        plain = norm.startswith(f"{self.name}.") and self.trace.calls(norm) == 1 and "weight" in own
        if not kinds <= {"norm:layer", "norm:rms"}:
            raise PostNormError(_BATCH_NORM.format(norm))
        if not plain or kinds not in ({"norm:layer"}, {"norm:rms"}) or norm in self.trace.bare_eps:
            raise PostNormError(_POST_NORM.format(f"in {norm!r}"))
        self.norms[:] = later
        return zeros

    def _hands_on(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            return isinstance(self.trace.net.get_submodule(str(node.target)), _PASSING)
        return function_name(node).removesuffix("_") in _HANDED_ON and len(node.all_input_nodes) == 1

    def nothing(self, node: fx.Node) -> list[str]:
        """What has to be zero so that `node` is zero, whatever the block is given."""
        note = self.trace.notes.get(node)
        if note is None or node is self.start:
            raise GrowthError(f"a branch of {self.name!r} ends with the stream itself")
        sources = [s for s in node.all_input_nodes if s.op != "get_attr"]
        given = [s for s in node.all_input_nodes if s.op == "get_attr"]
        if note.kind in ("layer", "carry") or (note.kind.startswith("norm:") and self._own(node, given)):
            return self._own(node, given)
        if note.kind in ("norm:layer", "norm:rms"):
            return self.nothing(sources[0])
        if note.kind == "mul":
            return self._product(sources, given)
        at_zero = 0.0 if note.facts is None else note.facts.at_zero
        if note.kind in ("linear", "zero", "add", "activation") and sources and not given and at_zero == 0:
            return self._attended(node) or [zero for source in sources for zero in self.nothing(source)]
        raise GrowthError(f"nothing is known to make {node.name}, the end of a branch of {self.name!r}, zero")

    def _product(self, sources: list[fx.Node], given: list[fx.Node]) -> list[str]:
        """One factor is enough; a gate that is closed already stays the one that opens."""
        if any(self._closed(gate) for gate in given):
            return []
        problem: GrowthError | None = None
        for factor in sources:
            try:
                return self.nothing(factor)
            except GrowthError as error:
                problem = error
        raise problem or GrowthError(f"a branch of {self.name!r} is a product of parameters")

    def _closed(self, gate: fx.Node) -> bool:
        named = dict(self.trace.net.named_parameters(remove_duplicate=False))
        parameter = named.get(str(gate.target))
        return parameter is not None and not bool(parameter.detach().any())

    def _attended(self, node: fx.Node) -> list[str]:
        """Of what `nn.MultiheadAttention` answers: its last projection."""
        source = node.args[0] if function_name(node) == "getitem" and node.args else None
        if not isinstance(source, fx.Node) or source.op != "call_module" or node.args[1] != 0:
            return []
        module = self.trace.net.get_submodule(str(source.target))
        if not isinstance(module, nn.MultiheadAttention):
            return []
        return self._named([f"{source.target}.out_proj.{n}" for n, _ in module.out_proj.named_parameters()])

    def _own(self, node: fx.Node, given: list[fx.Node]) -> list[str]:
        """The parameters of a layer or norm, or those that a function is given."""
        if node.op != "call_module":
            learned = {n for n, _ in self.trace.net.named_parameters(remove_duplicate=False)}
            return self._named([str(parameter.target) for parameter in given if parameter.target in learned])
        module = self.trace.net.get_submodule(str(node.target))
        return self._named([f"{node.target}.{n}" for n, _ in module.named_parameters(recurse=False)])

    def _named(self, names: list[str]) -> list[str]:
        inside = [n.removeprefix(f"{self.name}.") for n in names if n.startswith(f"{self.name}.")]
        if len(inside) != len(names):
            raise GrowthError(f"a branch of {self.name!r} ends with a layer that is not its own")
        return inside


__all__ = ["Passing", "PostNormError", "passing_of"]
