"""Run a net once on an example and write down, call by call, what it does: a graph of modules and functions.

The net really runs, on real tensors, so any Python is followed: asserts and ifs on shapes, `isinstance`, `*x.shape`,
`**kwargs`. What it takes from a tensor's shape is a number that knows which width it measures (`sizes`). A forward that
asks for a tensor's values (`if x.sum() > 0`, `.item()`) would be another one on other data: its module becomes one
opaque node, and the widths that touch it are refused by name.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode

from autogrow.growth.layers import layer_type, norm_type
from autogrow.growth.modes import without_hooks
from autogrow.growth.sites.called import ASKS_VALUES, MEASURES, name_of, plainly, tensors_in
from autogrow.growth.sites.numbers import Count, SizeInt, plain_numbers
from autogrow.growth.sites.trace import Call, Called, Trace, Value
from autogrow.growth.written_norms import written_norm
from autogrow.nets.knots import Knots

_TRANSPARENT = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.TransformerEncoder, nn.TransformerEncoderLayer,
                nn.TransformerDecoder, nn.TransformerDecoderLayer, nn.Transformer)  # fmt: skip
_CALL = nn.Module.__call__
_ONE_AT_A_TIME = threading.RLock()


class NotFollowedError(Exception):
    """The forward asks for values of tensors. `module`: the innermost that does, '' for the net itself."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.module = ""


class Interpret(Protocol):
    """Says what a call does to the axes of its tensors."""

    def __call__(self, call: Call) -> Value:
        """The axes of what it answered."""


class Recorder(TorchFunctionMode):
    """Writes the calls of one forward into a trace, and asks `interpret` about each."""

    def __init__(self, trace: Trace, interpret: Interpret) -> None:
        super().__init__()
        self.trace, self.interpret = trace, interpret
        self.modules = {id(module): name for name, module in trace.net.named_modules() if name}
        self.owned = {id(t): name for name, t in [*trace.net.named_buffers(), *trace.net.named_parameters()]}
        self.nodes: dict[int, fx.Node] = {}
        self.kept: list[Any] = []  # an id is only worth something while its tensor lives
        self.asleep = False
        self.twice: set[str] = set()  # a module that is called again is no stage of one stream
        self.inside: list[nn.Module] = []  # the modules whose forward runs

    # -- what goes in and comes out

    def place(self, name: str, value: Any) -> Any:
        """An argument of the net."""
        with self._asleep():
            return self._answered(Call(self.trace.graph.placeholder(name), (), {}, {}, {}, value))

    def output(self, result: Any) -> None:
        """What the net answered with."""
        with self._asleep():
            node = self.trace.graph.create_node("output", "output", (self._as_nodes(result),))
            self._interpreted(node, (result,), {}, None)

    @contextmanager
    def _asleep(self) -> Iterator[None]:
        """Inside, nothing is written down: what a leaf does within itself, and what the rules compute."""
        before, self.asleep = self.asleep, True
        try:
            yield
        finally:
            self.asleep = before

    # -- modules

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Inside, calls of the net's modules are written down. No hook is called: it would see calls nobody made."""
        mine = threading.get_ident()

        def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            name = self.modules.get(id(module))
            if self.asleep or name is None or threading.get_ident() != mine:
                return _CALL(module, *args, **kwargs)
            return self._module(name, module, args, kwargs)

        with _ONE_AT_A_TIME, without_hooks(self.trace.net):
            nn.Module.__call__ = call  # type: ignore[method-assign]
            try:
                with self:
                    yield
            finally:
                nn.Module.__call__ = _CALL  # type: ignore[method-assign]

    def _module(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> Any:
        if not self._is_leaf(name, module):
            given = self._first_of(args, kwargs)
            self.inside.append(module)
            try:
                answer = module.forward(*args, **kwargs)
            except NotFollowedError as error:
                error.module = error.module or name  # the innermost one
                raise
            finally:
                self.inside.pop()
            self._note_called(name, given, answer)
            return answer
        given, named = plain_numbers(args), plain_numbers(kwargs)
        with self._asleep():
            node = self.trace.graph.create_node("call_module", name, self._as_nodes(args), self._as_nodes(kwargs))
            before = self._interpretable(node)
            result = module(*given, **named)
            return self._answered(Call(node, given, named, *before, result, module))

    def _torchs_own(self) -> bool:
        """Whether torch itself asks, whose transformers look at masks to choose a faster way to the same answer."""
        return bool(self.inside) and isinstance(self.inside[-1], _TRANSPARENT) and _of_torch(self.inside[-1])

    def _first_of(self, args: Any, kwargs: Any) -> fx.Node | None:
        first = next(tensors_in((args, kwargs)), None)
        return None if first is None else self.nodes.get(id(first))

    def _note_called(self, name: str, given: fx.Node | None, answer: Any) -> None:
        """What a module made of others does to a tensor, as far as it is called once and answers with one."""
        answered = self.nodes.get(id(answer)) if isinstance(answer, Tensor) else None
        if name in self.twice or given is None or answered is None:
            self.trace.called.pop(name, None)
        else:
            self.trace.called[name] = Called(given, answered)
        self.twice.add(name)

    def _is_leaf(self, name: str, module: nn.Module) -> bool:
        if name in self.trace.opaque or layer_type(module) is not None or norm_type(module) is not None:
            return True
        if isinstance(module, (torch.jit.ScriptModule, Knots)):
            return True
        if written_norm(module) is not None:
            return True
        return _of_torch(module) and not isinstance(module, _TRANSPARENT)

    # -- functions

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.asleep:
            return func(*args, **kwargs)
        name = name_of(func)
        known = [t for t in tensors_in((args, kwargs)) if id(t) in self.nodes or id(t) in self.owned]
        asks = getattr(func, "__name__", "") in ASKS_VALUES and any(id(t) in self.nodes for t in known)
        if asks and not self._torchs_own():
            raise NotFollowedError(f"it asks for the values of a tensor ({name})")
        result = func(*plain_numbers(args), **plain_numbers(kwargs))
        if known and name in MEASURES:
            return self._measured(name, *args, **kwargs)
        if not known or (name != "setitem" and not any(True for _ in tensors_in(result))):
            return result
        with self._asleep():
            return self._written(name, args, kwargs, result)

    def _written(self, name: str, args: Any, kwargs: Any, result: Any) -> Any:
        name, args = plainly(name, args)
        node = self.trace.graph.create_node("call_method", name, self._as_nodes(args), self._as_nodes(kwargs))
        return self._interpreted(node, plain_numbers(args), plain_numbers(kwargs), result)

    def _measured(self, name: str, tensor: Tensor, dim: int | None = None) -> Any:
        """A tensor's sizes, each of which knows the axis that it measures."""
        value = self.trace.values.get(self._node_of(tensor))
        axes = value if isinstance(value, tuple) else (None,) * tensor.ndim
        sizes = [n if a is None else SizeInt.made(n, Count.of_axis(a)) for n, a in zip(tensor.shape, axes, strict=True)]
        if name == "numel":
            return math.prod(sizes)
        return sizes[dim] if dim is not None else sizes[0] if name == "len" else torch.Size(sizes)

    # -- nodes

    def _interpretable(self, node: fx.Node) -> tuple[Mapping[fx.Node, Value], Mapping[fx.Node, torch.Size]]:
        """Axes and shapes of what a node reads, as they are before it runs."""
        values, shapes, read = self.trace.values, self.trace.shapes, node.all_input_nodes
        return {source: values[source] for source in read}, {s: shapes[s] for s in read if s in shapes}

    def _interpreted(self, node: fx.Node, args: Any, kwargs: Any, result: Any) -> Any:
        return self._answered(Call(node, args, kwargs, *self._interpretable(node), result))

    def _answered(self, call: Call) -> Any:
        if isinstance(call.result, Tensor):
            self.trace.shapes[call.node] = call.result.shape
        self.trace.values[call.node] = self.interpret(call)
        self._register(call.node, call.result)
        return call.result

    def _register(self, node: fx.Node, result: Any) -> None:
        """From here on these tensors are what the node answered; of several each is taken out of it."""
        if isinstance(result, Tensor):
            if id(result) not in self.owned or node.op == "get_attr":
                self.nodes[id(result)] = node
                self.kept.append(result)
        elif isinstance(result, (tuple, list, Mapping)):
            items = result.items() if isinstance(result, Mapping) else enumerate(result)
            for key, item in items:
                if any(True for _ in tensors_in(item)):
                    taken = self.trace.graph.create_node("call_method", "getitem", (node, key))
                    self._answered(Call(taken, (result, key), {}, *self._interpretable(taken), item))

    def _node_of(self, tensor: Tensor) -> fx.Node:
        if id(tensor) not in self.nodes:
            name = self.owned.get(id(tensor), "")
            node = self.trace.graph.create_node("get_attr", name or "made_in_the_forward")
            self.kept.append(tensor)
            self.nodes[id(tensor)] = node
            self._answered(Call(node, (), {}, {}, {}, tensor))
        return self.nodes[id(tensor)]

    def _as_nodes(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self._node_of(value)
        if isinstance(value, (tuple, list)):  # named ones too: a PackedSequence
            listed = [self._as_nodes(v) for v in value]
            return listed if isinstance(value, list) else tuple(listed)
        if type(value) is dict:
            return {k: self._as_nodes(v) for k, v in value.items()}
        return value


def _of_torch(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.")


__all__ = ["NotFollowedError", "Recorder"]
