"""Layers and norms called as functions on parameters that a module keeps: norm-act layers, padded convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import fx, nn

from autogrow.growth.layers import NormType, norm_of
from autogrow.growth.sites.axes import fix, new_axis, unify
from autogrow.growth.sites.rules.layers import through_norm_of
from autogrow.growth.sites.trace import Call, Note, Trace, Value

_CONVS = {"conv1d": 1, "conv2d": 2, "conv3d": 3}
_FUNCTIONAL_NORMS: dict[str, tuple[type[nn.Module], tuple[str, ...]]] = {
    "batch_norm": (nn.BatchNorm2d, ("running_mean", "running_var", "weight", "bias")),
    "layer_norm": (nn.LayerNorm, ("normalized_shape", "weight", "bias", "eps")),
    "rms_norm": (nn.RMSNorm, ("normalized_shape", "weight", "eps")),
    "group_norm": (nn.GroupNorm, ("num_groups", "weight", "bias", "eps")),
}


def functional_layer(call: Call, trace: Trace) -> Value | None:
    """`F.linear` or `F.conv*` with parameters of the net: as the layer would; None for anything else."""
    spatial = _CONVS.get(call.name, 0)
    weight, bias = call.given(1, "weight"), call.given(2, "bias")
    if not _is_parameter(weight) or not (bias is None or _is_parameter(bias)):
        return None
    if spatial and call.given(6, "groups", 1) != 1:
        return None
    matrix, value = call.values[weight], call.value
    feature = len(value) - 1 - spatial
    out, read = (axis if axis is not None else new_axis(1, "it is a single unit") for axis in matrix[:2])
    if value[feature] is None:
        fix(read, "what it reads is not a width")
    else:
        unify(value[feature], read)
    if bias is not None and call.values[bias][0] is not None:
        unify(out, call.values[bias][0])
        trace.roles[str(bias.target), 0] = ("write", 0.0)
    trace.roles[str(weight.target), 0] = ("write", "draw")
    trace.roles[str(weight.target), 1] = ("read", "draw")
    owner = str(weight.target).rpartition(".")[0]
    trace.notes[call.node] = Note("layer", owner)
    trace.layers.setdefault(owner, (read, out))
    module = trace.net.get_submodule(owner)
    kinds = (
        (("in_features", read), ("out_features", out))
        if not spatial
        else (("in_channels", read), ("out_channels", out))
    )
    for attribute, axis in kinds:
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
            trace.numbers.follow((owner, attribute), axis)
    return (*value[:feature], out, *(None,) * spatial)


def functional_norm(call: Call, trace: Trace) -> Value | None:
    """A norm called as a function on the parameters that a module keeps: carried as that module's; None otherwise."""
    kind, names = _FUNCTIONAL_NORMS[call.name]
    given: dict[str, Any] = {name: call.given(i + 1, name) for i, name in enumerate(names)}
    tensors = {name: node for name, node in given.items() if isinstance(node, fx.Node)}
    owners = {str(node.target).rpartition(".")[0] for node in tensors.values()}
    if len(owners) != 1 or not all(_is_parameter(node) for node in tensors.values()):
        return None
    (owner,) = owners
    module = trace.net.get_submodule(owner)
    row = norm_of(kind)
    if row.kind in ("layer", "rms") and len(given["normalized_shape"]) != 1:
        return None
    attribute = row.size_attribute if hasattr(module, row.size_attribute) else ""
    if row.kind == "group" and not hasattr(module, "num_groups"):
        return None
    value = through_norm_of(trace, call.node, owner, NormType(row.kind, attribute, row.features_last), call.value)
    axis = call.value[len(call.value) - 1 if row.features_last else 1]
    if axis is None:
        return value
    for name, node in tensors.items():
        if call.values[node][0] is not None:
            unify(axis, call.values[node][0])
        fill: float | str = "mean" if name == "running_var" else 1.0 if name == "weight" else 0.0
        trace.roles[str(node.target), 0] = ("carry", fill)
    if row.kind == "group":
        trace.numbers.link(given.get("num_groups"), trace.layers[owner][0])
    size = given.get("normalized_shape")
    if isinstance(size, (tuple, list)):
        trace.numbers.link(size[0], axis)
        trace.numbers.claim(size[0], axis, "a norm is given another size")
    passed = call.given(1 + names.index("eps"), "eps", None) if "eps" in names else None
    if row.kind in ("layer", "rms") and getattr(module, "eps", None) != passed:
        trace.bare_eps.add(owner)
    return value


def _is_parameter(value: object) -> bool:
    return isinstance(value, fx.Node) and value.op == "get_attr" and value.target != "made_in_the_forward"


FUNCTIONAL: dict[str, Callable[[Call, Trace], Value | None]] = {
    **dict.fromkeys(("linear", *_CONVS), functional_layer),
    **dict.fromkeys(_FUNCTIONAL_NORMS, functional_norm),
}
