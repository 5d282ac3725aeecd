"""For each call of a recorded forward, the rule that says what it does to the widths of its tensors.

An operation that has no rule is opaque: the widths that go into it are refused, with its name. A tensor's value is a
tuple of axes, one per dimension, None where a dimension is not a width (batch, space, time).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor, fx, nn

from autogrow.growth.activations import ACTIVATION_FUNCTIONS, ACTIVATION_MODULES, activation_facts
from autogrow.growth.layers import layer_type, norm_type
from autogrow.growth.sites.axes import fix, new_axis
from autogrow.growth.sites.direct import axes_in
from autogrow.growth.sites.numbers import SizeFloat, SizeInt
from autogrow.growth.sites.rules.attention import through_attention
from autogrow.growth.sites.rules.functional import FUNCTIONAL
from autogrow.growth.sites.rules.layers import through_activation, through_knots, through_layer, through_norm
from autogrow.growth.sites.rules.parts import DIV, ELEMENTWISE, MUL, elementwise, elementwise_kind
from autogrow.growth.sites.rules.recurrent import through_recurrent
from autogrow.growth.sites.rules.table import EXTREMES, MADE_HERE, SHAPES
from autogrow.growth.sites.trace import Call, Note, Scale, Trace, Value
from autogrow.growth.written_norms import written_norm
from autogrow.nets.knots import Knots

_LINEAR_MODULES = (
    nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout,
)  # fmt: skip
_LINEAR_FUNCTIONS = {
    "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "feature_dropout",
    "stochastic_depth", "contiguous", "clone", "detach", "float", "double", "half", "bfloat16", "to", "type", "cuda", "cpu",
    "positive", "neg", "type_as",
}  # fmt: skip


# what takes sizes as sizes; everywhere else a size is a value
_TAKE_SIZES = {
    "view",
    "reshape",
    "expand",
    "unflatten",
    "split",
    "split_with_sizes",
    "repeat_interleave",
    "scaled_dot_product_attention",
    "getitem",
    *FUNCTIONAL,
}


class Interpreter:
    """The rule for each call, filling the trace as it goes."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __call__(self, call: Call) -> Value:
        """The axes of what a call answered."""
        call = dataclasses.replace(call, numbers=self.trace.numbers, products=self.trace.products)
        rule: Callable[[Call], Value] = getattr(self, f"_{call.node.op}")
        if call.node.op in ("call_method", "call_module") and call.name.removesuffix("_") not in _TAKE_SIZES:
            numbers = list(_numbers_in((call.node.args, call.node.kwargs)))
            if len(numbers) == 1 and (divides := _scaled(call)) is not None:
                self.trace.scales[call.node] = Scale(numbers[0], divides=divides)
                numbers = []
            for number in numbers:
                self.trace.numbers.claim(number, None, f"its size enters what {call.name}() computes")
        value = rule(call)
        result = call.result
        if isinstance(result, Tensor) and (not isinstance(value, tuple) or len(value) != result.ndim):
            value = self._opaque(call)
        return value

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
        axes = tuple(new_axis(int(size)) if size > 1 else None for size in call.result.shape)
        known = {name for name, _ in (*self.trace.net.named_parameters(), *self.trace.net.named_buffers())}
        if target in known:
            self.trace.direct.append((call.node, axes))
        else:
            for axis in axes:
                if axis is not None:
                    fix(axis, MADE_HERE)
        return axes

    def _output(self, call: Call) -> Value:
        self._note(call, "mix")
        for value in call.values.values():
            for axis in axes_in(value):
                fix(axis, "it is the net's output")
                self.trace.outputs.append(axis)
        return None

    # -- modules

    def _call_module(self, call: Call) -> Value:
        name, module, value = str(call.node.target), call.module, call.value
        assert module is not None
        rule = SHAPES.get(type(module).__name__)
        out = None
        if name in self.trace.opaque or not isinstance(value, tuple):
            pass
        elif type(module) is nn.MultiheadAttention:
            out = through_attention(self.trace, call, module)
        elif type(module) in (nn.LSTM, nn.GRU, nn.RNN):
            assert isinstance(module, nn.RNNBase)
            out = through_recurrent(self.trace, call, module)
        elif not isinstance(call.result, Tensor):
            pass
        elif (layer := layer_type(module)) is not None:
            out = through_layer(self.trace, call.node, module, layer, value)
        elif (norm := norm_type(module) or written_norm(module)) is not None:
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
        if bare in ELEMENTWISE and tensor and call.shapes and result.ndim >= max(map(len, call.shapes.values())):
            self._note(call, elementwise_kind(call))
            return elementwise(call)
        layer = FUNCTIONAL[name](call, self.trace) if name in FUNCTIONAL and isinstance(value, tuple) else None
        if layer is not None:
            return layer
        rule = EXTREMES.get(name) if isinstance(result, tuple) else SHAPES.get(bare)
        rule = SHAPES.get(bare) if rule is None else rule
        if rule is not None and isinstance(value, (tuple, list)):
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
            for axis in axes_in(value):
                fix(axis, f"it goes through {called}: {why}")
        if isinstance(call.result, (tuple, list)):
            return [(None,) * r.ndim if isinstance(r, Tensor) else None for r in call.result]
        return (None,) * call.result.ndim if isinstance(call.result, Tensor) else None

    def _note(self, call: Call, kind: str, module: str | None = None) -> Note:
        self.trace.notes[call.node] = Note(kind, module)
        return self.trace.notes[call.node]


def _scaled(call: Call) -> bool | None:
    """Whether a call multiplies (False) or divides (True) its one tensor by a number; None where it does neither."""
    name, args = call.name.removesuffix("_"), call.node.args
    if len(call.shapes) != 1 or len(args) != 2 or call.node.kwargs or call.module is not None:
        return None
    if name in MUL:
        return False
    return True if name in DIV and isinstance(args[0], fx.Node) else None


def _numbers_in(value: Any) -> Iterator[Any]:
    """The sizes among the arguments of a call."""
    if isinstance(value, (SizeInt, SizeFloat)):
        yield value
    elif isinstance(value, slice):
        yield from _numbers_in([value.start, value.stop, value.step])
    elif isinstance(value, (tuple, list, Mapping)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _numbers_in(item)
