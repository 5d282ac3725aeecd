"""Recurrent layers: every gate writes the hidden width, and the hidden weights read it, in every layer and direction.

A new unit's column of hidden weights starts at zero, so no old unit ever hears of it, however many steps it runs.

Shape legend: B batch, T steps, I inputs, H hidden width, L layers, G gates (LSTM 4, GRU 3, RNN 1), R directions.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from autogrow.growth.layers import untouchable
from autogrow.growth.sites.axes import Axis, Segment, Width, fix, new_axis, unify
from autogrow.growth.sites.rules.reshape import fix_all
from autogrow.growth.sites.trace import Call, Note, Sized, Trace, Use, Value


def through_recurrent(trace: Trace, call: Call, module: nn.RNNBase) -> Value:
    """`nn.LSTM`, `nn.GRU` or `nn.RNN`: (B, T, I) or (T, B, I) to (…, R·H), and the last states (L·R, B, H)."""
    name = str(call.node.target)
    if module.proj_size or not isinstance(call.value, tuple) or not isinstance(call.result[0], Tensor):
        trace.opaque[name] = "it projects its hidden width, or reads packed sequences"
        return None
    if name not in trace.layers:
        _enter(trace, name, module)
    trace.notes[call.node] = Note("mix", name)
    read, hidden = trace.layers[name]
    if call.value[-1] is None:
        fix(read, "what it reads is not a width")
    else:
        unify(call.value[-1], read)
    for source, axes in call.values.items():
        if source is call.given(0, "input") or not isinstance(axes, tuple):
            continue
        fix_all(axes[:-1], f"it is a state that {name!r} starts from")
        if axes[-1] is None:
            fix(hidden, f"a state that {name!r} starts from is not of its width")
        else:
            unify(hidden, axes[-1])
    directions = 2 if module.bidirectional else 1
    return [(*call.value[:-1], hidden * directions), _states(call.result[1], hidden)]


def _states(states: Any, hidden: Axis) -> Value:
    if isinstance(states, Tensor):
        return (*(None,) * (states.ndim - 1), hidden)
    return [_states(state, hidden) for state in states]


def _enter(trace: Trace, name: str, module: nn.RNNBase) -> None:
    """Note what lies along the hidden width: one for all layers and directions, as the module has one size."""
    hidden: Axis = (Segment(Width(module.hidden_size)),)
    read = new_axis(module.input_size)
    trace.layers[name] = (read, hidden)
    above = hidden * (2 if module.bidirectional else 1)
    for parameter, tensor in module.named_parameters(recurse=False):
        gates = hidden * (tensor.shape[0] // module.hidden_size)
        fill: float | str = "draw" if parameter.startswith("weight") else 0.0
        trace.uses.append(Use(name, parameter, 0, gates, "write", fill))
        if parameter.startswith("weight_hh"):
            trace.uses.append(Use(name, parameter, 1, hidden, "read", fill))
        elif parameter.startswith("weight_ih"):
            first = "_l0" in parameter
            trace.uses.append(Use(name, parameter, 1, read if first else above, "read", fill))
    trace.sized += [Sized(name, "hidden_size", hidden), Sized(name, "input_size", read)]
    if reason := untouchable(module):
        fix((*read, *hidden), f"{name!r} cannot be changed: {reason}")


__all__ = ["through_recurrent"]
