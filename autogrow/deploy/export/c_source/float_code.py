"""A program as C in 32-bit floats."""

from __future__ import annotations

from autogrow.deploy.export.c_source.buffers import added_first, places_of
from autogrow.deploy.export.c_source.columns_code import Put, columns_code
from autogrow.deploy.export.c_source.operations import activation_call, normed
from autogrow.deploy.export.c_source.program import Add, Layer, Program
from autogrow.deploy.export.c_source.text import Constants
from autogrow.deploy.export.c_source.written import Written, answer_code, answers_in_place, array_of
from autogrow.deploy.export.layers import Normalise


def float_code(program: Program) -> Written:
    """Constants, buffers and statements; the values of a member are where `member` leaves them."""
    constants = Constants()
    places = places_of(program, last=not answers_in_place(program))
    buffers = [f"net_{chr(ord('a') + i)}" for i in range(len(places.widths))]
    names = [buffers[i] for i in places.of]
    names += ["out"] * (len(program.layers) + 1 - len(names))
    put = Put(
        lambda place, what: f"{names[0]}[{place}] = (float){what};",
        lambda place, condition: f"{names[0]}[{place}] = {condition} ? 1.0f : 0.0f;",
    )
    lines = columns_code(program, constants, put)
    for k, layer in enumerate(program.layers):
        lines += _layer_code(program, k, layer, names, constants)
    return Written(
        constants,
        [f"NET_STORAGE float {name}[{width}];" for name, width in zip(buffers, places.widths, strict=True)],
        4 * sum(places.widths),
        lines,
        answer_code(program, constants, names[-1]),
    )


def _layer_code(program: Program, k: int, layer: Layer, names: list[str], constants: Constants) -> list[str]:
    read, write, n = names[layer.reads], names[k + 1], layer.outputs
    weight = array_of(constants, "float", f"net_w{k + 1}", layer.weight.transpose(0, 2, 1))
    bias = array_of(constants, "float", f"net_b{k + 1}", layer.bias)
    onto = added_first(program, k)
    add = onto is not None and names[onto] == write
    lines = [f"/* layer {k + 1}: {layer.inputs} -> {n} */"]
    lines.append(f"net_dense({weight}, {bias}, {read}, {layer.inputs}, {write}, {n}, {int(add)});")
    for operation in layer.then[int(add) :]:
        match operation:
            case Add():
                lines.append(f"for (int j = 0; j < {n}; j++) {write}[j] += {names[operation.value]}[j];")
            case Normalise():
                lines.append(normed(operation, f"{k + 1}", write, constants))
            case _:
                lines.append(f"for (int j = 0; j < {n}; j++) {write}[j] = {activation_call(operation, f'{write}[j]')};")
    return lines
