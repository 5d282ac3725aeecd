"""What each node of a traced net does to the widths of its tensors.

One method per family of operations. An operation that is not here is opaque: the widths that go into it are refused, with its
name. A tensor's value is a tuple of axes, one per dimension, None where a dimension is not a width (batch, space, time).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, fx, nn

from autogrow.growth.activations import ACTIVATION_FUNCTIONS, ACTIVATION_MODULES, activation_facts
from autogrow.growth.layers import layer_type, norm_type
from autogrow.growth.structure_axes import Axis, fix, new_axis, unify
from autogrow.growth.structure_layers import through_activation, through_layer, through_norm
from autogrow.growth.structure_shapes import SHAPES
from autogrow.growth.structure_trace import Note, Trace, Use, Value

_LINEAR_MODULES = (
    nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout,
)  # fmt: skip
_LINEAR_FUNCTIONS = {
    "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "feature_dropout",
    "stochastic_depth", "contiguous", "clone", "detach", "float", "double", "half", "bfloat16", "to", "type", "cuda", "cpu",
    "positive", "neg", "type_as",
}  # fmt: skip
_ADD = {"add", "sub", "iadd", "isub", "add_", "sub_", "radd", "rsub"}
_MUL = {"mul", "multiply", "imul", "mul_"}
_DIV = {"truediv", "div", "itruediv", "div_", "true_divide", "divide"}
_MIX = {"maximum", "minimum", "max", "min", "pow", "where", "lerp"}
_METADATA = {"size", "dim", "numel", "getattr", "ndimension", "is_floating_point", "len", "get_device", "stride"}


def function_name(node: fx.Node) -> str:
    """The bare name of the function or method a node calls."""
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


class Interpreter(fx.Interpreter):
    """Runs the graph on real tensors, filling the trace as it goes."""

    def __init__(self, trace: Trace) -> None:
        super().__init__(trace.net, garbage_collect_values=False, graph=trace.graph)
        self.trace = trace

    def run_node(self, n: fx.Node) -> Any:
        """Compute the node's tensors, then the widths they are made of."""
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.trace.shapes[n] = result.shape
        rule: Callable[[fx.Node, Any], Value] = getattr(self, f"_{n.op}")
        value = rule(n, result)
        if isinstance(result, Tensor) and (not isinstance(value, tuple) or len(value) != result.ndim):
            value = self._opaque(n, result)
        self.trace.values[n] = value
        return result

    # -- where tensors come from and go to

    def _placeholder(self, node: fx.Node, result: Any) -> Value:
        self._note(node, "mix")
        if not isinstance(result, Tensor):
            return None
        axes = [new_axis(size, "it is the net's input") for size in result.shape[1:]]
        self.trace.inputs.extend(axes)
        return (None, *axes)[: result.ndim]

    def _get_attr(self, node: fx.Node, result: Any) -> Value:
        """A parameter or buffer used as it is: each of its dimensions may lie along a width."""
        self._note(node, "param", str(node.target))
        if not isinstance(result, Tensor):
            return None
        axes = tuple(new_axis(size) if size > 1 else None for size in result.shape)
        owner, _, name = str(node.target).rpartition(".")
        registered = self.trace.net.get_submodule(owner)
        multiplied = any(function_name(user) in _MUL | _DIV for user in node.users if user.op != "output")
        for dim, axis in enumerate(axes):
            if axis is None:
                continue
            if name in registered._parameters or name in registered._buffers:
                self.trace.uses.append(Use(owner, name, dim, axis, "carry", 1.0 if multiplied else "mean"))
            else:
                fix(axis, f"it meets the tensor {node.target!r}, which is neither a parameter nor a buffer")
        return axes

    def _output(self, node: fx.Node, result: Any) -> Value:
        self._note(node, "mix")
        for source in node.all_input_nodes:
            for axis in _axes_in(self.trace.values[source]):
                fix(axis, "it is the net's output")
                self.trace.outputs.append(axis)
        return None

    # -- modules

    def _call_module(self, node: fx.Node, result: Any) -> Value:
        name = str(node.target)
        module = self.trace.net.get_submodule(name)
        source = node.all_input_nodes[0] if node.all_input_nodes else None
        value = self.trace.values[source] if source is not None else None
        rule = SHAPES.get(type(module).__name__)
        out = None
        if name in self.trace.opaque or not isinstance(result, Tensor) or not isinstance(value, tuple):
            pass
        elif (layer := layer_type(module)) is not None:
            out = through_layer(self.trace, node, module, layer, value)
        elif (norm := norm_type(module)) is not None:
            out = through_norm(self.trace, node, module, norm, value)
        elif isinstance(module, ACTIVATION_MODULES):
            out = through_activation(self.trace, node, module, value)
        elif isinstance(module, _LINEAR_MODULES):
            self._note(node, "linear", name)
            out = value
        elif rule is not None and source is not None:
            self._note(node, rule.kind, name)
            out = rule.of_module(module, value, self.trace.shapes[source], result.shape)
        return out if out is not None else self._opaque(node, result)

    # -- functions and methods

    def _call_method(self, node: fx.Node, result: Any) -> Value:
        return self._call_function(node, result)

    def _call_function(self, node: fx.Node, result: Any) -> Value:
        name = function_name(node)
        bare = name.removesuffix("_")
        if name in _METADATA or (not isinstance(result, (Tensor, tuple, list)) and name == "getitem"):
            return None
        sources = [n for n in node.all_input_nodes if n in self.trace.shapes]
        widest = max((len(self.trace.shapes[n]) for n in sources), default=1)
        if bare in _ADD | _MUL | _DIV | _MIX and isinstance(result, Tensor) and result.ndim >= widest and sources:
            return self._elementwise(node, bare, sources, result)
        source = node.all_input_nodes[0] if node.all_input_nodes else None
        value = self.trace.values.get(source) if source is not None else None
        if bare in SHAPES:
            rule = SHAPES[bare]
            self._note(node, rule.kind)
            out = rule.of_function(node, self, value, result)
            return out if out is not None or not isinstance(result, Tensor) else self._opaque(node, result)
        if bare in _LINEAR_FUNCTIONS and isinstance(value, tuple) and isinstance(result, Tensor):
            self._note(node, "linear")
            return value
        if bare in ACTIVATION_FUNCTIONS and isinstance(value, tuple) and len(sources) == 1:
            function = ACTIVATION_FUNCTIONS[bare]
            args, kwargs = self.fetch_args_kwargs_from_env(node)
            kwargs = {k: v for k, v in kwargs.items() if k not in ("inplace", "input", "self")}
            self._note(node, "activation").facts = activation_facts(lambda x: function(x, *args[1:], **kwargs))
            return value
        return self._opaque(node, result)

    def _elementwise(self, node: fx.Node, name: str, sources: Sequence[fx.Node], result: Tensor) -> Value:
        """Tensors that meet element by element: where both have a width it is the same one."""
        kind = "add" if name in _ADD else "mul" if name in _MUL else "mix"
        if len(sources) == 1:
            first = node.args and node.args[0] is sources[0]
            kind = "shift" if name in _ADD else "linear" if name in _MUL or (name in _DIV and first) else "mix"
        self._note(node, kind)
        axes: list[Axis | None] = []
        for back in range(result.ndim, 0, -1):
            met: list[tuple[int, Axis | None]] = []
            for source in sources:
                value, shape = self.trace.values[source], self.trace.shapes[source]
                if isinstance(value, tuple) and len(shape) >= back:
                    met.append((shape[-back], value[-back]))
            axes.append(_meet(result.shape[-back], met))
        return tuple(axes)

    # -- the rest

    def _opaque(self, node: fx.Node, result: Any) -> Value:
        """Nothing is known of the node: no width that goes in may change, and none comes out."""
        self._note(node, "mix")
        called = f"{function_name(node)}()"
        why = "which autogrow does not know how to grow through"
        if node.op == "call_module":
            called = f"{node.target!r} ({type(self.trace.net.get_submodule(str(node.target))).__name__})"
            why = self.trace.opaque.setdefault(str(node.target), why)
        for source in node.all_input_nodes:
            for axis in _axes_in(self.trace.values[source]):
                fix(axis, f"it goes through {called}: {why}")
        if isinstance(result, (tuple, list)):
            return [(None,) * r.ndim if isinstance(r, Tensor) else None for r in result]
        return (None,) * result.ndim if isinstance(result, Tensor) else None

    def _note(self, node: fx.Node, kind: str, module: str | None = None) -> Note:
        self.trace.notes[node] = Note(kind, module)
        return self.trace.notes[node]


def _meet(size: int, met: Sequence[tuple[int, Axis | None]]) -> Axis | None:
    """One axis out of several that meet in a dimension of `size`."""
    tracked = [axis for _, axis in met if axis is not None]
    for extent, axis in met:
        if extent != size and axis is not None:
            fix(axis, "it is a single unit that is spread over a whole axis")
    whole = [axis for extent, axis in met if extent == size and axis is not None]
    if any(axis is None for extent, axis in met if extent == size and size > 1):
        for axis in tracked:
            fix(axis, "it meets a tensor along an axis that is not a width")
    for axis in whole[1:]:
        unify(whole[0], axis)
    return whole[0] if whole else None


def _axes_in(value: Value) -> list[Axis]:
    if isinstance(value, tuple):
        return [axis for axis in value if axis is not None]
    return [axis for item in value for axis in _axes_in(item)] if isinstance(value, list) else []
