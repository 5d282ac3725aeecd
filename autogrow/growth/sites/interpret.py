"""Runs a traced net on an example; for each node, the rule that says what it does to the widths of its tensors.

An operation that has no rule is opaque: the widths that go into it are refused, with its name. A tensor's value is a
tuple of axes, one per dimension, None where a dimension is not a width (batch, space, time).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from torch import Tensor, fx, nn

from autogrow.errors import GrowthError
from autogrow.growth.activations import ACTIVATION_FUNCTIONS, ACTIVATION_MODULES, activation_facts
from autogrow.growth.layers import layer_type, norm_type
from autogrow.growth.modes import quiet
from autogrow.growth.sites.axes import Axis, fix, new_axis
from autogrow.growth.sites.example import Example, call_arguments
from autogrow.growth.sites.rules.layers import through_activation, through_knots, through_layer, through_norm
from autogrow.growth.sites.rules.parts import DIV, ELEMENTWISE, MUL, elementwise, elementwise_kind
from autogrow.growth.sites.rules.table import SHAPES
from autogrow.growth.sites.trace import Call, Note, Trace, Use, Value, function_name, trace_graph
from autogrow.nets.knots import Knots

_LINEAR_MODULES = (
    nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout,
)  # fmt: skip
_LINEAR_FUNCTIONS = {
    "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "feature_dropout",
    "stochastic_depth", "contiguous", "clone", "detach", "float", "double", "half", "bfloat16", "to", "type", "cuda", "cpu",
    "positive", "neg", "type_as",
}  # fmt: skip
_METADATA = {"size", "dim", "numel", "getattr", "ndimension", "is_floating_point", "len", "get_device", "stride"}


def run_trace(net: nn.Module, example: Example | None) -> Trace:
    """Trace the net and interpret it on the example.

    Raises GrowthError where the net cannot be traced or does not run on the example.
    """
    args, kwargs = call_arguments(net, example)
    with quiet(net):  # in eval mode: a forward that branches on self.training is traced as it predicts
        names = [n for n in signature(type(net).forward).parameters if n != "self"]
        graph, opaque = trace_graph(net, {*names[: len(args)], *kwargs})
        trace = Trace(net, graph, opaque=opaque)
        try:
            Interpreter(trace).run(*_placeholders(graph, args, kwargs))
        except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
            reason = str(error).splitlines()[0]
            raise GrowthError(f"{type(net).__name__} does not run on the example: {reason}") from error
    return trace


def _placeholders(graph: fx.Graph, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
    """Arguments in the order of the graph's placeholders."""
    names = [str(n.target) for n in graph.nodes if n.op == "placeholder"]
    unknown = [k for k in kwargs if k not in names]
    if unknown:
        raise GrowthError(f"the example's argument {unknown[0]!r} is not one of the net's: {', '.join(names)}")
    if len(args) > len(names):
        raise GrowthError(f"the example has {len(args)} arguments, the net takes {len(names)}")
    missing = [name for name in names[len(args) :] if name not in kwargs]
    if missing:
        raise GrowthError(f"the example lacks the net's argument {missing[0]!r}")
    return [*args, *(kwargs[name] for name in names[len(args) :])]


class Interpreter(fx.Interpreter):
    """Runs the graph on real tensors, filling the trace as it goes."""

    def __init__(self, trace: Trace) -> None:
        super().__init__(trace.net, garbage_collect_values=False, graph=trace.graph)
        self.trace = trace

    def run_node(self, n: fx.Node) -> Any:
        """Compute the node's tensors, then the widths they are made of."""
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        result = getattr(self, n.op)(n.target, args, kwargs)
        values, shapes, read = self.trace.values, self.trace.shapes, n.all_input_nodes
        module = self.trace.net.get_submodule(str(n.target)) if n.op == "call_module" else None
        read_shapes = {source: shapes[source] for source in read if source in shapes}
        call = Call(n, args, kwargs, {source: values[source] for source in read}, read_shapes, result, module)
        if isinstance(result, Tensor):
            shapes[n] = result.shape
        rule: Callable[[Call], Value] = getattr(self, f"_{n.op}")
        value = rule(call)
        if isinstance(result, Tensor) and (not isinstance(value, tuple) or len(value) != result.ndim):
            value = self._opaque(call)
        values[n] = value
        return result

    # -- where tensors come from and go to

    def _placeholder(self, call: Call) -> Value:
        self._note(call, "mix")
        if not isinstance(call.result, Tensor):
            return None
        axes = [new_axis(size, "it is the net's input") for size in call.result.shape[1:]]
        self.trace.inputs.extend(axes)
        return (None, *axes)[: call.result.ndim]

    def _get_attr(self, call: Call) -> Value:
        """A parameter or buffer used as it is: each of its dimensions may lie along a width."""
        target = str(call.node.target)
        self._note(call, "param", target)
        if not isinstance(call.result, Tensor):
            return None
        axes = tuple(new_axis(size) if size > 1 else None for size in call.result.shape)
        owner, _, name = target.rpartition(".")
        registered = self.trace.net.get_submodule(owner)
        multiplied = any(function_name(user) in MUL | DIV for user in call.node.users if user.op != "output")
        for dim, axis in enumerate(axes):
            if axis is None:
                continue
            if name in registered._parameters or name in registered._buffers:
                self.trace.uses.append(Use(owner, name, dim, axis, "carry", 1.0 if multiplied else "mean"))
            else:
                fix(axis, f"it meets the tensor {target!r}, which is neither a parameter nor a buffer")
        return axes

    def _output(self, call: Call) -> Value:
        self._note(call, "mix")
        for value in call.values.values():
            for axis in _axes_in(value):
                fix(axis, "it is the net's output")
                self.trace.outputs.append(axis)
        return None

    # -- modules

    def _call_module(self, call: Call) -> Value:
        name, module, value = str(call.node.target), call.module, call.value
        assert module is not None
        rule = SHAPES.get(type(module).__name__)
        out = None
        if name in self.trace.opaque or not isinstance(call.result, Tensor) or not isinstance(value, tuple):
            pass
        elif (layer := layer_type(module)) is not None:
            out = through_layer(self.trace, call.node, module, layer, value)
        elif (norm := norm_type(module)) is not None:
            out = through_norm(self.trace, call.node, module, norm, value)
        elif isinstance(module, ACTIVATION_MODULES):
            out = through_activation(self.trace, call.node, module, value)
        elif isinstance(module, Knots):
            out = through_knots(self.trace, call.node, module, value)
        elif isinstance(module, _LINEAR_MODULES):
            self._note(call, "linear", name)
            out = value
        elif rule is not None:
            self._note(call, rule.kind, name)
            out = rule.of(call)
        return out if out is not None else self._opaque(call)

    # -- functions and methods

    def _call_method(self, call: Call) -> Value:
        return self._call_function(call)

    def _call_function(self, call: Call) -> Value:
        name, value, result = call.name, call.value, call.result
        bare, tensor = name.removesuffix("_"), isinstance(result, Tensor)
        if name in _METADATA or (not isinstance(result, (Tensor, tuple, list)) and name == "getitem"):
            return None
        if bare in ELEMENTWISE and tensor and call.shapes and result.ndim >= max(map(len, call.shapes.values())):
            self._note(call, elementwise_kind(call))
            return elementwise(call)
        if bare in SHAPES:
            rule = SHAPES[bare]
            self._note(call, rule.kind)
            out = rule.of(call)
            return out if out is not None or not tensor else self._opaque(call)
        if bare in _LINEAR_FUNCTIONS and isinstance(value, tuple) and tensor:
            self._note(call, "linear")
            return value
        if bare in ACTIVATION_FUNCTIONS and isinstance(value, tuple) and len(call.shapes) == 1:
            function = ACTIVATION_FUNCTIONS[bare]
            kwargs = {k: v for k, v in call.kwargs.items() if k not in ("inplace", "input", "self")}
            facts = activation_facts(lambda x: function(x, *call.args[1:], **kwargs))
            self._note(call, "activation").facts = facts
            return value
        return self._opaque(call)

    # -- the rest

    def _opaque(self, call: Call) -> Value:
        """Nothing is known of the node: no width that goes in may change, and none comes out."""
        self._note(call, "mix")
        called = f"{call.name}()"
        why = "which autogrow does not know how to grow through"
        if call.module is not None:
            called = f"{call.node.target!r} ({call.name})"
            why = self.trace.opaque.setdefault(str(call.node.target), why)
        for value in call.values.values():
            for axis in _axes_in(value):
                fix(axis, f"it goes through {called}: {why}")
        if isinstance(call.result, (tuple, list)):
            return [(None,) * r.ndim if isinstance(r, Tensor) else None for r in call.result]
        return (None,) * call.result.ndim if isinstance(call.result, Tensor) else None

    def _note(self, call: Call, kind: str, module: str | None = None) -> Note:
        self.trace.notes[call.node] = Note(kind, module)
        return self.trace.notes[call.node]


def _axes_in(value: Value) -> list[Axis]:
    if isinstance(value, tuple):
        return [axis for axis in value if axis is not None]
    return [axis for item in value for axis in _axes_in(item)] if isinstance(value, list) else []
