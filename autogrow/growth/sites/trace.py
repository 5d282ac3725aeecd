"""What a recording of a net holds: its calls as a graph, and node by node which widths its tensors are made of.

The net is run once on an example and its calls are written down (`record`); a rule, which says what a call does to the
axes of its tensors, is told of it by a `Call`. An `fx.Graph` holds the nodes, with the qualified names of modules; what
functions and methods are called is their bare name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from autogrow.growth.activations import ActivationFacts
from autogrow.growth.sites.axes import Axis, Width
from autogrow.growth.sites.numbers import SizeFloat, SizeInt
from autogrow.growth.sites.sizes import Sizes

# the axes of a tensor, one per dimension (None: not a width); of a list of tensors; None for anything else
Value = Any


@dataclass(frozen=True)
class Use:
    """One dimension of one parameter (or buffer) along which an axis lies. `role`: write, read, carry, or seen, where
    the forward only asks for its size.
    """

    module: str
    parameter: str
    dim: int
    axis: Axis
    role: str
    fill: float | str = 0.0  # what new entries of a carried tensor are: a number, 'draw' or 'mean'


@dataclass(frozen=True)
class Sized:
    """An attribute of a module that holds the length of an axis."""

    module: str
    attribute: str
    axis: Axis


@dataclass(frozen=True)
class Called:
    """A module made of others, as it was called: the first tensor it was given, and the one it answered with."""

    given: fx.Node
    answered: fx.Node


@dataclass
class Note:
    """What a node does, as far as a new unit's value is concerned (see `structure_state`)."""

    kind: str
    module: str | None = None
    facts: ActivationFacts | None = None


@dataclass(frozen=True)
class Scale:
    """A number, computed from sizes, by which a tensor is multiplied or divided."""

    number: SizeInt | SizeFloat
    divides: bool = False


@dataclass(frozen=True)
class Rows:
    """Rows of a layer, and the nodes that they went through from there."""

    module: str
    rows: frozenset[int]
    path: tuple[fx.Node, ...] = ()


@dataclass(frozen=True)
class Product:
    """A product of two tensors that sums over `axis`: of queries and keys, given as nodes or as rows of a layer.

    `scales`: what it multiplies by itself; then `query_is_scaled`, and its answer is no longer scores. `value`: what it
    weighs with the scores, if it does.
    """

    node: fx.Node
    query: fx.Node | Rows
    key: fx.Node | Rows
    axis: Axis | None
    scales: tuple[Scale, ...] = ()
    query_is_scaled: bool = False
    value: fx.Node | None = None


@dataclass(frozen=True)
class Side:
    """What some rows of a layer are to a product. `keys`: the widths that they read there, and do not write; `powers`:
    the powers of widths' sizes by which the scores of these queries are scaled.
    """

    rows: frozenset[int]
    keys: frozenset[Width] = frozenset()
    powers: Mapping[Width, float] = field(default_factory=dict)


@dataclass
class Trace:
    """A net's graph with everything that was learnt about it."""

    net: nn.Module
    graph: fx.Graph
    values: dict[fx.Node, Value] = field(default_factory=dict)
    notes: dict[fx.Node, Note] = field(default_factory=dict)
    shapes: dict[fx.Node, torch.Size] = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)
    sized: list[Sized] = field(default_factory=list)
    numbers: Sizes = field(default_factory=Sizes)  # what the forward does with sizes
    roles: dict[tuple[str, int], tuple[str, float | str]] = field(default_factory=dict)  # of parameters used directly
    direct: list[tuple[fx.Node, Value]] = field(default_factory=list)  # parameters that the forward uses itself
    layers: dict[str, tuple[Axis, Axis]] = field(default_factory=dict)  # module name → its input and output axis
    cells: dict[str, Axis] = field(default_factory=dict)  # recurrent layer → its hidden width
    products: list[Product] = field(default_factory=list)
    scales: dict[fx.Node, Scale] = field(default_factory=dict)
    sides: dict[str, list[Side]] = field(default_factory=dict)  # by the name of the layer
    answers: dict[str, str] = field(default_factory=dict)  # module → the part of it that writes what it answers
    bare_eps: set[str] = field(default_factory=set)  # modules whose norm is given an eps that is not their attribute
    tied: dict[str, str] = field(default_factory=dict)  # module that writes → module that reads the same parameter
    opaque: dict[str, str] = field(default_factory=dict)  # module name → why nothing is known of it
    called: dict[str, Called] = field(default_factory=dict)  # modules made of others that are called once
    inputs: list[Axis] = field(default_factory=list)
    outputs: list[Axis] = field(default_factory=list)

    def calls(self, module: str) -> int:
        """How often a module is called in one forward pass."""
        return sum(n.op == "call_module" and n.target == module for n in self.graph.nodes)


@dataclass(frozen=True)
class Call:
    """A node as a rule is told of it: what was called with what, what its inputs are made of, and what it answered.

    `args`, `kwargs`: as they were on the example; those of `node` are as they stand in the graph (a number there is
    written in the code, a node is computed). `values`, `shapes`: of the tensors that it reads, by their nodes.
    `module`: None for a function or method.
    """

    node: fx.Node
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    values: Mapping[fx.Node, Value]
    shapes: Mapping[fx.Node, torch.Size]
    result: Any
    module: nn.Module | None = None
    numbers: Sizes = field(default_factory=Sizes)  # where a rule notes what the call does with sizes
    products: list[Product] = field(default_factory=list)  # and where the products that it makes

    @property
    def name(self) -> str:
        """The bare name of what is called: of the function or method, or of the module's class."""
        return function_name(self.node) if self.module is None else type(self.module).__name__

    @property
    def value(self) -> Value:
        """The axes of the first tensor that it reads."""
        return next((self.values[s] for s in self.shapes), next(iter(self.values.values()), None))

    @property
    def before(self) -> torch.Size:
        """The shape of the first tensor that it reads."""
        return next(iter(self.shapes.values()))

    def given(self, position: int, name: str, default: Any = None) -> Any:
        """An argument as it stands in the graph: a node, or a number that is written in the code or was computed."""
        args = self.node.args
        return self.node.kwargs.get(name, args[position] if len(args) > position else default)

    def dim(self, position: int, default: int, name: str = "dim") -> int:
        """The dimension it runs along: given by name, by position, or left out; a module's own."""
        if self.module is not None:
            return int(getattr(self.module, name))
        return int(self.kwargs.get(name, self.args[position] if len(self.args) > position else default))


def function_name(node: fx.Node) -> str:
    """The bare name of the function or method a node calls."""
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
