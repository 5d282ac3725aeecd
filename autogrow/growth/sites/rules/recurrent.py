"""Recurrent layers: every gate writes the hidden width, and the hidden weights read it, in every layer and direction.

A new unit's column of hidden weights starts at zero, so no old unit ever hears of it, however many steps it runs. Where
a layer projects what is hidden, that is a width of its own, which the gates read and the cells are.

Shape legend: B batch, T steps, N steps of all sentences, I inputs, H hidden width, P projected width (H where there is
none), L layers, G gates (LSTM 4, GRU 3, RNN 1), R directions.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx, nn
from torch.nn.utils.rnn import PackedSequence

from autogrow.growth.layers import untouchable
from autogrow.growth.sites.axes import Axis, Segment, Width, fix, new_axis, unify
from autogrow.growth.sites.rules.reshape import fix_all
from autogrow.growth.sites.trace import Call, Note, Sized, Trace, Use, Value


def through_recurrent(trace: Trace, call: Call, module: nn.RNNBase) -> Value:
    """`nn.LSTM`, `nn.GRU` or `nn.RNN`: (B, T, I), (T, B, I) or packed (N, I) to (…, R·P), and the last states
    (L·R, B, P), of an LSTM's cells (L·R, B, H).
    """
    name = str(call.node.target)
    if not isinstance(call.value, tuple) or not isinstance(call.result, tuple):
        return None
    if name not in trace.layers:
        _enter(trace, name, module)
    trace.notes[call.node] = Note("mix", name)
    read, answered = trace.layers[name]
    cells = trace.cells[name]
    if call.value[-1] is None:
        fix(read, "what it reads is not a width")
    else:
        unify(call.value[-1], read)
    for place, source in enumerate(_states_given(call)):
        _starts_from(call.values[source], (answered, cells)[place], name)
    directions = 2 if module.bidirectional else 1
    answer: Value = (*call.value[:-1], answered * directions)
    if isinstance(call.result[0], PackedSequence):
        answer = [answer, *(None if part is None else (None,) * part.ndim for part in call.result[0][1:])]
    return [answer, _states(call.result[1], answered, cells)]


def _states_given(call: Call) -> list[fx.Node]:
    """The tensors that it starts from: the hidden state, and of an LSTM the cells."""
    given = call.given(1, "hx")
    if given is None:
        return []
    return [given] if isinstance(given, fx.Node) else list(given)


def _starts_from(axes: Value, axis: Axis, name: str) -> None:
    if isinstance(axes, tuple):
        fix_all(axes[:-1], f"it is a state that {name!r} starts from")
    if not isinstance(axes, tuple) or axes[-1] is None:
        fix(axis, f"a state that {name!r} starts from is not of its width")
    else:
        unify(axis, axes[-1])


def _states(states: Any, answered: Axis, cells: Axis) -> Value:
    if isinstance(states, Tensor):
        return (*(None,) * (states.ndim - 1), answered)
    return [(*(None,) * (state.ndim - 1), axis) for state, axis in zip(states, (answered, cells), strict=True)]


def _enter(trace: Trace, name: str, module: nn.RNNBase) -> None:
    """Note what lies along the hidden width: one for all layers and directions, as the module has one size."""
    hidden: Axis = (Segment(Width(module.hidden_size)),)
    answered: Axis = (Segment(Width(module.proj_size)),) if module.proj_size else hidden
    read = new_axis(module.input_size)
    trace.layers[name], trace.cells[name] = (read, answered), hidden
    above = answered * (2 if module.bidirectional else 1)
    for parameter, tensor in module.named_parameters(recurse=False):
        gates = hidden * (tensor.shape[0] // module.hidden_size)
        fill: float | str = "draw" if parameter.startswith("weight") else 0.0
        written = answered if parameter.startswith("weight_hr") else gates
        trace.uses.append(Use(name, parameter, 0, written, "write", fill))
        columns = {"weight_hh": answered, "weight_hr": hidden, "weight_ih": read if "_l0" in parameter else above}
        if parameter[:9] in columns:
            trace.uses.append(Use(name, parameter, 1, columns[parameter[:9]], "read", fill))
    trace.sized += [Sized(name, "hidden_size", hidden), Sized(name, "input_size", read)]
    if module.proj_size:
        trace.sized.append(Sized(name, "proj_size", answered))
    if reason := untouchable(module):
        fix((*read, *hidden, *answered), f"{name!r} cannot be changed: {reason}")


def packed(call: Call) -> Value:
    """Sentences (B, T, I) or (T, B, I) without their ends, (N, I), and how many go on at each step."""
    value = call.value
    fix_all(value[:2], "sentences are packed along it")
    return [(None, *value[2:]), (None,)]


def padded(call: Call) -> Value:
    """Packed (N, I) back to (B, T, I) or (T, B, I), and the lengths."""
    value = call.value
    fix_all(value[:1], "sentences are packed along it")
    return [(None, None, *value[1:]), (None,)]


__all__ = ["packed", "padded", "through_recurrent"]
