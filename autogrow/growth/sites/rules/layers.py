"""What layers, norms and activations that are modules do to the widths of what goes through them.

A module has one input and one output axis, however often it is called: a second call unifies.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import fx, nn

from autogrow.growth.activations import activation_facts
from autogrow.growth.layers import LayerType, NormType, untouchable
from autogrow.growth.sites.axes import Axis, Segment, Width, fix, length, new_axis, unify
from autogrow.growth.sites.numbers import plain_numbers
from autogrow.growth.sites.trace import Note, Sized, Trace, Use, Value
from autogrow.nets.knots import Knots

_NORM_FILL: dict[str, float | str] = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": "mean"}


def through_layer(trace: Trace, node: fx.Node, module: nn.Module, layer: LayerType, value: Value) -> Value:
    """A layer reads the axis along its feature dimension and writes a new one there."""
    name = str(node.target)
    feature = len(value) - 1 - layer.spatial
    if name not in trace.layers:
        _enter(trace, name, module, layer)
    read, written = trace.layers[name]
    trace.notes[node] = Note("carry" if _groups(module, layer) > 1 else "layer", name)
    if not layer.reads:
        return (*value, written)
    if value[feature] is not None:
        unify(value[feature], read)
    else:
        fix(read, "what it reads is not a width")
    return (*value[:feature], written, *(None,) * layer.spatial)


def _enter(trace: Trace, name: str, module: nn.Module, layer: LayerType) -> None:
    """Note the layer's axes, and the parameters and attributes that lie along them."""
    groups = _groups(module, layer)
    read: Axis = new_axis(_length_along(module, layer.reads)) if layer.reads else ()
    written = new_axis(_length_along(module, layer.writes))
    lying = [("write", layer.writes, written), ("read", layer.reads, read)]
    if groups > 1:  # channels come in groups that do not mix: the group is the unit, and the layer carries it
        group = Width(groups)
        read = (Segment(group, plain_numbers(module.in_channels) // groups),)
        written = (Segment(group, plain_numbers(module.out_channels) // groups),)
        trace.sized.append(Sized(name, "groups", (Segment(group),)))
        if layer.writes["weight"] == 0:
            lying = [("carry", layer.writes, written)]
        else:  # transposed: the weight lies along its inputs
            lying = [("carry", {"weight": 0}, read), ("carry", {"bias": 0}, written)]
    reason = untouchable(module)
    if isinstance(module, nn.Embedding) and module.max_norm is not None:
        reason = "max_norm rescales its rows as a whole; set max_norm=None"
    if reason:
        fix((*read, *written), f"{name!r} cannot be changed: {reason}")
    for role, dims, axis in lying:
        for parameter, dim in dims.items():
            if getattr(module, parameter, None) is not None:
                fill = "draw" if parameter in layer.reads or not layer.reads else 0.0  # weights are drawn, biases 0
                trace.uses.append(Use(name, parameter, dim, axis, role, fill))
    for attributes, axis in ((layer.out_attributes, written), (layer.in_attributes, read)):
        for attribute in attributes:
            trace.numbers.follow((name, attribute), axis)
    trace.layers[name] = (read, written)


def through_norm(trace: Trace, node: fx.Node, module: nn.Module, norm: NormType, value: Value) -> Value | None:
    """A norm carries its axis, and its parameters grow with it; None where it runs over several dimensions at once."""
    name = str(node.target)
    shape = getattr(module, norm.size_attribute) if norm.size_attribute else 0
    if not isinstance(shape, int) and len(shape) > 1:
        trace.notes[node] = Note(f"norm:{norm.kind}", name)
        trace.opaque[name] = "it normalises over several dimensions at once"
        return None
    first = name not in trace.layers
    value = through_norm_of(trace, node, name, norm, value)
    if first and name in trace.layers:
        for parameter in norm.carried:
            if getattr(module, parameter, None) is not None:
                trace.uses.append(Use(name, parameter, 0, trace.layers[name][0], "carry", _NORM_FILL[parameter]))
    return value


def through_norm_of(trace: Trace, node: fx.Node, name: str, norm: NormType, value: Value) -> Value:
    """What a module's norm, called or computed as a function, does to the axis that it normalises."""
    trace.notes[node] = Note(f"norm:{norm.kind}", name)
    module = trace.net.get_submodule(name)
    feature = len(value) - 1 if norm.features_last else 1
    if value[feature] is None:
        return value
    first = name not in trace.layers
    axis = _of_module(trace, name, value[feature])
    if norm.kind == "group":
        group = Width(int(module.num_groups))  # type: ignore[arg-type]
        unify((Segment(group, length(axis) // group.size),), axis)
        if first:
            trace.sized.append(Sized(name, "num_groups", (Segment(group),)))
    reason = untouchable(module)
    if reason:
        fix(axis, f"{name!r} cannot be changed: {reason}")
    if first and norm.size_attribute:
        trace.sized.append(Sized(name, norm.size_attribute, axis))
    return value


def through_activation(trace: Trace, node: fx.Node, module: nn.Module, value: Value) -> Value:
    """An activation acts on each element alone; PReLU may have a slope for each channel."""
    name = str(node.target)
    trace.notes[node] = Note("activation", name, activation_facts(module))
    if isinstance(module, nn.PReLU) and module.num_parameters > 1 and value[1] is not None:
        first = name not in trace.layers
        axis = _of_module(trace, name, value[1])
        if first:
            trace.uses.append(Use(name, "weight", 0, axis, "carry", "mean"))
            trace.sized.append(Sized(name, "num_parameters", axis))
    return value


def through_knots(trace: Trace, node: fx.Node, module: Knots, value: Value) -> Value | None:
    """Columns pass, and behind them come their components; None where it reads no width."""
    name = str(node.target)
    trace.notes[node] = Note("mix", name)
    columns = value[-1]
    if columns is None:
        return None
    if name not in trace.layers:
        components = new_axis(len(module.column), "its entries are ramps between knots")
        trace.layers[name] = (columns, (*columns, *components))
        trace.sized.append(Sized(name, "columns", columns))
    unify(trace.layers[name][0], columns)
    return (*value[:-1], trace.layers[name][1])


def _of_module(trace: Trace, name: str, axis: Axis) -> Axis:
    """The axis a module's parameters lie along: the same at every call of it."""
    if name in trace.layers:
        unify(trace.layers[name][0], axis)
    else:
        trace.layers[name] = (axis, axis)
    return axis


def _groups(module: nn.Module, layer: LayerType) -> int:
    return int(getattr(module, "groups", 1)) if layer.grouped else 1


def _length_along(module: nn.Module, dims: Mapping[str, int]) -> int:
    parameter, dim = next(iter(dims.items()))
    return int(getattr(module, parameter).shape[dim])
