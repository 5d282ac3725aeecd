"""The C that makes value 0 of a row: centred, filled, standardised, clipped; categories one-hot or embedded; ramps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from autogrow.deploy.export import inputs
from autogrow.deploy.export.c_source.program import Program
from autogrow.deploy.export.c_source.text import Constants, whole_type
from autogrow.deploy.export.inputs import CODE, PIXEL, VALUE, Column
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
                lines += _one_hot_code(program, constants, put, at, run)
    return [*lines, *_table_code(program, constants, put), *_ramp_code(program, constants, put)]


def _runs(columns: tuple[Column, ...]) -> Iterator[tuple[int, list[Column]]]:
    """Neighbours of a kind, with where they begin; of codes there is nothing to write yet."""
    at = 0
    for _, found in groupby(columns, lambda column: column.kind):
        run = list(found)
        if run[0].kind != CODE:
            yield at, run
        at += len(run)


def _one_hot_code(program: Program, constants: Constants, put: Put, at: int, run: list[Column]) -> list[str]:
    """A 1 in the place of each category's code, 0 in those of its others: of all categories in one loop."""
    _check_passed(run)
    sources = [column.source for column in run if column.code == 0]
    codes, begin = _code(program, constants, sources)
    return [
        begin.format(at=at),
        f"    const int code = {codes};",
        f"    for (int j = 0; j < {_of_each(constants, 'codes', [len(program.net.inputs[i].codes) for i in sources])}; j++)",
        "        " + put.flag("at++", "code == j"),
        "}",
    ]


def _table_code(program: Program, constants: Constants, put: Put) -> list[str]:
    """The rows of embedding tables, which lie one behind another."""
    tables, at = program.tables.tables, program.tables.numeric
    if not tables:
        return []
    columns = list(program.net.columns[at:])
    _check_passed(columns)
    codes, begin = _code(program, constants, [column.source for column in columns])
    rows = constants.array("float", "net_tables", np.concatenate([table.reshape(-1) for table in tables]))
    lengths = np.cumsum([0, *(table.size for table in tables[:-1])])
    start = constants.element(whole_type(lengths), "net_table", lengths, "k")
    size = _of_each(constants, "size", [table.shape[1] for table in tables])
    return [
        begin.format(at=at),
        f"    const float *row = {rows} + {start} + ({codes} + 1) * {size};",
        f"    for (int j = 0; j < {size}; j++)",
        "        " + put.number("at++", "row[j]"),
        "}",
    ]


def _code(program: Program, constants: Constants, sources: list[int]) -> tuple[str, str]:
    """The text of the code of category k, and the head of a loop over them that writes from `at` on."""
    of = [program.net.inputs[i] for i in sources]
    source = _of_each(constants, "category", sources)
    absent = _of_each(constants, "absent", [one.absent + 1 for one in of])  # from 0, with −1 as 0
    codes = _of_each(constants, "codes", [len(one.codes) for one in of])
    return f"net_code(x[{source}], {absent} - 1, {codes})", f"for (int k = 0, at = {{at}}; k < {len(of)}; k++) {{{{"


def _of_each(constants: Constants, name: str, values: list[int]) -> str:
    """One whole number of each category, by its number k."""
    numbers = np.asarray(values)
    return constants.element(whole_type(numbers), f"net_{name}", numbers, "k")


def _ramp_code(program: Program, constants: Constants, put: Put) -> list[str]:
    ramps, columns = program.ramps, program.net.columns
    if not len(ramps.column):
        return []
    if any(c >= len(columns) or columns[c].kind != VALUE for c in ramps.column):
        raise UsageError("to=c knows knots in columns of numbers alone, and this net has them in categories")
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


def _check_passed(columns: list[Column]) -> None:
    """What is no number is passed through, neither filled nor scaled."""
    assert all((c.mean, c.scale, c.clip) == (0.0, 1.0, np.inf) for c in columns)


def _plus(start: int, index: str) -> str:
    return f"{start} + {index}" if start else index
