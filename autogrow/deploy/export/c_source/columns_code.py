"""The C that makes value 0 of a row: centred, filled, standardised, clipped; categories one-hot or embedded; ramps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from autogrow.deploy.export import inputs
from autogrow.deploy.export.c_source.program import Program
from autogrow.deploy.export.c_source.text import Constants, whole_type
from autogrow.deploy.export.inputs import CODE, IS, PIXEL, VALUE, Column
from autogrow.errors import UsageError


@dataclass(frozen=True)
class Put:
    """How value 0 is written: the statement for a number, and for a condition that is to be 1 or 0, at a place."""

    number: Callable[[str, str], str]
    flag: Callable[[str, str], str]


def row_type(program: Program) -> str:
    """What a row is given in."""
    return "double" if program.net.exact_inputs else "float"


def value_function(program: Program, constants: Constants) -> str:
    """`net_value(x, j)`: number j of those columns that hold numbers, standardised.

    In 64 bits where the row is, and where ramps are made of it: between close knots 32 bits lose what tells values
    apart, and there are few columns beside the many weights.
    """
    columns = [column for column in program.net.columns if column.kind == VALUE]
    if not columns:
        return ""
    exact = program.net.exact_inputs
    real = "double" if exact or len(program.ramps.column) else "float"
    block = int(np.prod(program.net.input_shape[1:])) if program.net.inputs[0].kind == PIXEL else 1

    def number(kind: str, name: str, values: list[float]) -> str:
        return constants.element(kind, f"net_{name}", np.asarray(values), "j", block=block)

    source = np.asarray([column.source for column in columns])
    place = "j"
    if (source != np.arange(len(source))).any():
        place = constants.element(whole_type(source), "net_source", source, "j")
    lines = [f"    {real} v = x[{place}];"]
    if exact:
        given = [program.net.inputs[column.source] for column in columns]
        spread = [one.spread or np.inf for one in given]  # a constant column says 0
        origin = number("double", "origin", [one.origin for one in given])
        lines.append(f"    v = (v - {origin}) / {number('double', 'spread', spread)};")
    fill, mean, scale = (
        number("float", name, [getattr(c, name) for c in columns]) for name in ("fill", "mean", "scale")
    )
    lines += [f"    if (v != v) v = {fill};", f"    v = (v - {mean}) * {scale};"]
    if np.isfinite([column.clip for column in columns]).any():
        lines.append(f"    const float most = {number('float', 'clip', [c.clip for c in columns])};")
        lines.append("    if (v > most) v = most;\n    if (v < -most) v = -most;")
    return (
        f"\nstatic {real} net_value(const {row_type(program)} *x, int j) {{\n"
        + "\n".join(lines)
        + "\n    return v;\n}\n"
    )


def columns_code(program: Program, constants: Constants, put: Put) -> list[str]:
    """The statements that write value 0 of the row x."""
    columns, numbers = program.net.columns, 0
    lines: list[str] = []
    for at, run in _runs(columns):
        n = len(run)
        match run[0].kind:
            case inputs.VALUE:
                lines += [
                    f"for (int j = 0; j < {n}; j++)",
                    "    " + put.number(_plus(at, "j"), f"net_value(x, {_plus(numbers, 'j')})"),
                ]
                numbers += n
            case inputs.MISSING:
                _check_passed(run)
                source = np.asarray([column.source for column in run])
                x = f"x[{constants.element(whole_type(source), 'net_maybe_missing', source, 'j')}]"
                lines += [f"for (int j = 0; j < {n}; j++)", "    " + put.flag(_plus(at, "j"), f"{x} != {x}")]
            case inputs.IS:
                _check_passed(run)
                lines += [f"code = {_code(program, run[0])};", f"for (int j = 0; j < {n}; j++)"]
                lines.append("    " + put.flag(_plus(at, "j"), f"code == {_plus(run[0].code, 'j')}"))
    return [*lines, *_table_code(program, constants, put), *_ramp_code(program, constants, put)]


def _runs(columns: tuple[Column, ...]) -> Iterator[tuple[int, list[Column]]]:
    """Neighbours that one loop can write, with where they begin; of codes there is nothing to write yet."""
    at = 0
    for _, found in groupby(columns, lambda column: (column.kind, column.source if column.kind == IS else None)):
        run = list(found)
        if run[0].kind != CODE:
            yield at, run
        at += len(run)


def _table_code(program: Program, constants: Constants, put: Put) -> list[str]:
    """The rows of embedding tables."""
    lines, at = [], program.tables.numeric
    for k, table in enumerate(program.tables.tables):
        column = program.net.columns[program.tables.numeric + k]
        _check_passed([column])
        name = constants.array("float", f"net_table{k + 1}", table.reshape(-1))
        size = table.shape[1]
        lines += [f"code = {_code(program, column)} + 1;", f"for (int j = 0; j < {size}; j++)"]
        lines.append("    " + put.number(_plus(at, "j"), f"{name}[code * {size} + j]"))
        at += size
    return lines


def _ramp_code(program: Program, constants: Constants, put: Put) -> list[str]:
    ramps, columns = program.ramps, program.net.columns
    if not len(ramps.column):
        return []
    if any(c >= len(columns) or columns[c].kind != VALUE for c in ramps.column):
        raise UsageError("export.to=c knows knots in columns of numbers alone, and this net has them in categories")
    number = np.cumsum([column.kind == VALUE for column in columns]) - 1
    of = number[ramps.column]
    column = constants.element(whole_type(of), "net_ramp_of", of, "j")
    low, high = (constants.element("float", f"net_{n}", v, "j") for n, v in (("low", ramps.low), ("high", ramps.high)))
    at = program.layers[0].inputs - len(of)
    return [
        f"for (int j = 0; j < {len(of)}; j++) {{",
        f"    double v = (net_value(x, {column}) - {low}) / ((double){high} - {low});",
        "    v = v < 0.0 ? 0.0 : v > 1.0 ? 1.0 : v;",
        "    " + put.number(_plus(at, "j"), "v"),
        "}",
    ]


def _code(program: Program, column: Column) -> str:
    source = program.net.inputs[column.source]
    return f"net_code(x[{column.source}], {source.absent}, {len(source.codes)})"


def _check_passed(columns: list[Column]) -> None:
    """What is no number is passed through, neither filled nor scaled."""
    assert all((c.mean, c.scale, c.clip) == (0.0, 1.0, np.inf) for c in columns)


def _plus(start: int, index: str) -> str:
    return f"{start} + {index}" if start else index
