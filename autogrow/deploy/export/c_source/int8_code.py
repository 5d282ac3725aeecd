"""A program as C in 8-bit weights and activations, with sums of 32 bits; what is done once for each unit, in floats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autogrow.deploy.export.c_source.buffers import places_of
from autogrow.deploy.export.c_source.columns_code import Put, columns_code
from autogrow.deploy.export.c_source.operations import activation_call, normed
from autogrow.deploy.export.c_source.program import Add, Operation
from autogrow.deploy.export.c_source.quantise import Grid, Int8Program
from autogrow.deploy.export.c_source.text import Constants, float_text, indented
from autogrow.deploy.export.c_source.written import Written, answer_code, answers_in_place, array_of
from autogrow.deploy.export.layers import Normalise

SAYS = (
    "Weights and activations in 8 bits, sums in 32, activations and the step back to 8 bits in floats, once a unit.",
    "The grids of activations come from training rows: what lies far outside of these ends at a grid's end.",
)


def int8_code(int8: Int8Program) -> Written:
    """Constants, buffers and statements; the values of a member are where `member` leaves them."""
    program = int8.program
    constants = Constants()
    places = places_of(program, last=False)
    first = program.sizes[0]
    names = [f"net_{chr(ord('a') + i)}" for i in range(len(places.widths))]
    # the columns take two bytes each, and lie where later values of one byte each do
    later = max([0, *(program.sizes[v] for v, place in enumerate(places.of) if v and place == 0)])
    buffers = [f"NET_STORAGE union {{ int16_t columns[{first}]; int8_t v[{max(1, later)}]; }} net_a;"]
    buffers += [f"NET_STORAGE int8_t {name}[{n}];" for name, n in zip(names[1:], places.widths[1:], strict=True)]
    values = ["net_a.columns", *("net_a.v" if place == 0 else names[place] for place in places.of[1:])]
    last = "out" if answers_in_place(program) else "net_row"
    row = _row_width(int8, last)
    buffers += [f"NET_STORAGE float net_row[{row}];"] if row else []
    one = int(int8.grids[0].whole(np.ones(1))[0])
    put = Put(
        lambda place, what: f"{values[0]}[{place}] = (int16_t){_whole(f'(float){what}', int8.grids[0])};",
        lambda place, condition: f"{values[0]}[{place}] = {condition} ? {one} : 0;",
    )
    lines = columns_code(program, constants, put)
    for k in range(len(program.layers)):
        lines += _layer_code(int8, k, [*values, last], constants)
    ram = max(2 * first, later) + sum(places.widths[1:]) + 4 * row
    return Written(constants, buffers, ram, lines, answer_code(program, constants, last), SAYS)


def _row_width(int8: Int8Program, last: str) -> int:
    """How many floats are needed at once: a norm looks at a whole row before it is in 8 bits."""
    layers = int8.program.layers
    normed_ones = [layer.outputs for layer in layers if any(isinstance(op, Normalise) for op in layer.then)]
    return max([0, *normed_ones, *([layers[-1].outputs] if last == "net_row" else [])])


def _layer_code(int8: Int8Program, k: int, values: Sequence[str], constants: Constants) -> list[str]:
    layer, q = int8.program.layers[k], int8.layers[k]
    n, size, read = layer.outputs, layer.inputs, values[layer.reads]
    weight = array_of(constants, "int8_t", f"net_w{k + 1}", q.weight)
    factor = array_of(constants, "float", f"net_f{k + 1}", q.factor)
    bias = array_of(constants, "float", f"net_b{k + 1}", q.bias)
    dot = "net_dot8" if layer.reads else "net_dot16"
    last = k + 1 == len(int8.program.layers)
    lines = [f"/* layer {k + 1}: {size} -> {n} */", f"for (int j = 0; j < {n}; j++) {{"]
    lines.append(f"    float v = (float){dot}({weight} + j * {size}, {read}, {size}) * {factor}[j] + {bias}[j];")
    for operation in layer.then:
        if isinstance(operation, Normalise):
            lines += ["    net_row[j] = v;", "}", normed(operation, f"{k + 1}", "net_row", constants)]
            lines += [f"for (int j = 0; j < {n}; j++) {{", "    float v = net_row[j];"]
        else:
            lines += indented([_elementwise(operation, int8.grids, values)])
    store = "v" if last else f"(int8_t){_whole('v', int8.grids[k + 1])}"
    return [*lines, f"    {values[k + 1]}[j] = {store};", "}"]


def _elementwise(operation: Operation, grids: Sequence[Grid], values: Sequence[str]) -> str:
    if isinstance(operation, Add):
        grid = grids[operation.value]
        return f"v += (float)({values[operation.value]}[j] - {_signed(grid.zero)}) * {float_text(grid.step)};"
    assert not isinstance(operation, Normalise)
    return f"v = {activation_call(operation, 'v')};"


def _whole(value: str, grid: Grid) -> str:
    shift = f" + {float_text(grid.zero)}" if grid.zero else ""
    return f"net_whole({value} * {float_text(1 / grid.step)}{shift}, {grid.low}, {grid.high})"


def _signed(number: int) -> str:
    return f"({number})" if number < 0 else str(number)
