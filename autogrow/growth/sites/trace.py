"""Run a net once on an example and note, node by node, which widths its tensors are made of.

torch.fx, not torch.export: a symbolic trace of a small net takes 4 ms (an export 2 s), keeps the qualified names of
modules and the calls of them as they are, and leaves shapes open. What fx cannot trace (control flow on data) becomes
one opaque node, and the widths that touch it are refused by name. The graph is then interpreted on real tensors
(`structure_rules`); a rule, which says what a node does to the axes of its tensors, is told of the node by a `Call`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import Parameter, signature
from typing import Any

import torch
from torch import fx, nn

from autogrow.errors import GrowthError
from autogrow.growth.activations import ActivationFacts
from autogrow.growth.layers import layer_type, norm_type
from autogrow.growth.sites.axes import Axis
from autogrow.nets.knots import Knots

# what an untraceable forward raises: bool() or iteration of a proxy, len(), a proxy where a number is needed
_TRACE_ERRORS = (fx.proxy.TraceError, TypeError, RuntimeError, ValueError, AttributeError)

# the axes of a tensor, one per dimension (None: not a width); of a list of tensors; None for anything else
Value = Any


@dataclass(frozen=True)
class Use:
    """One dimension of one parameter (or buffer) along which an axis lies. `role`: write, read or carry."""

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


@dataclass
class Note:
    """What a node does, as far as a new unit's value is concerned (see `structure_state`)."""

    kind: str
    module: str | None = None
    facts: ActivationFacts | None = None


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
    layers: dict[str, tuple[Axis, Axis]] = field(default_factory=dict)  # module name → its input and output axis
    opaque: dict[str, str] = field(default_factory=dict)  # module name → why nothing is known of it
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

    @property
    def name(self) -> str:
        """The bare name of what is called: of the function or method, or of the module's class."""
        return function_name(self.node) if self.module is None else type(self.module).__name__

    @property
    def value(self) -> Value:
        """The axes of the first tensor that it reads."""
        return next(iter(self.values.values()), None)

    @property
    def before(self) -> torch.Size:
        """The shape of the first tensor that it reads."""
        return self.shapes[self.node.all_input_nodes[0]]

    def dim(self, position: int, default: int, name: str = "dim") -> int:
        """The dimension it runs along: given by name, by position, or left out; a module's own."""
        if self.module is not None:
            return int(getattr(self.module, name))
        return int(self.kwargs.get(name, self.args[position] if len(self.args) > position else default))


def function_name(node: fx.Node) -> str:
    """The bare name of the function or method a node calls."""
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


class _Tracer(fx.Tracer):
    """Knows our layers as leaves, gives optional arguments that the example leaves out their defaults."""

    def __init__(self, opaque: Mapping[str, str], given: Collection[str]) -> None:
        super().__init__()
        self.opaque, self.given, self.failed = opaque, given, ""

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        function, args = super().create_args_for_root(root_fn, is_module, concrete_args)
        defaults = {n: p.default for n, p in signature(root_fn).parameters.items() if p.default is not Parameter.empty}
        for i, arg in enumerate(args):
            name = str(arg.node.target) if isinstance(arg, fx.Proxy) else None
            if name in defaults and name not in self.given:
                args[i] = defaults[name]
                self.graph.erase_node(arg.node)
        return function, args

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = layer_type(m) is not None or norm_type(m) is not None or isinstance(m, Knots)
        return known or module_qualified_name in self.opaque or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return super().call_module(m, forward, args, kwargs)
        except _TRACE_ERRORS:
            self.failed = self.failed or self.path_of_module(m)  # the innermost one
            raise


def trace_graph(net: nn.Module, given: Collection[str]) -> tuple[fx.Graph, dict[str, str]]:
    """The symbolic graph of a net called with the given arguments, and what could not be traced in it, with the reason.

    Raises GrowthError where the net's own forward cannot be traced.
    """
    opaque: dict[str, str] = {}
    while True:
        tracer = _Tracer(opaque, given)
        try:
            with _without_hooks(net):
                return tracer.trace(net), opaque
        except _TRACE_ERRORS as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            if not tracer.failed or tracer.failed in opaque:
                raise GrowthError(
                    f"the forward of {type(net).__name__} cannot be traced: {reason}. Control flow that depends on data has to "
                    "go into a submodule of its own"
                ) from error
            opaque[tracer.failed] = f"its forward cannot be traced: {reason}"


@contextmanager
def _without_hooks(net: nn.Module) -> Iterator[None]:
    """Hooks would be called with symbols in place of tensors."""
    tables = [(m, m._forward_hooks, m._forward_pre_hooks) for m in net.modules()]
    for module, _, _ in tables:
        module._forward_hooks, module._forward_pre_hooks = OrderedDict(), OrderedDict()
    try:
        yield
    finally:
        for module, hooks, pre_hooks in tables:
            module._forward_hooks, module._forward_pre_hooks = hooks, pre_hooks
