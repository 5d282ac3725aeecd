"""The one file: comment, constants, functions, `net_predict`, and a self-test compiled where it is asked for."""

from __future__ import annotations

import numpy as np

from autogrow.deploy.export.c_source.columns_code import row_type, value_function
from autogrow.deploy.export.c_source.kernels import used_in
from autogrow.deploy.export.c_source.program import Program
from autogrow.deploy.export.c_source.text import comment_text, double_text, indented
from autogrow.deploy.export.c_source.written import Written, out_type
from autogrow.deploy.export.inputs import UNITS
from autogrow.version import __version__


def file_text(program: Program, written: Written, rows: np.ndarray, answers: np.ndarray, tolerance: np.ndarray) -> str:
    """The text of `net.h`. rows (n, I), answers (n, O), tolerance (O,): of the self-test."""
    function = value_function(program, written.constants)
    predict = _predict(program, written)
    called = used_in([*predict, *([function] if function else [])])
    return "\n".join(
        [
            *_comment(program, written),
            "#ifndef NET_H",
            "#define NET_H",
            "#include <math.h>",
            "#include <stdint.h>",
            "",
            f"#define NET_INPUTS {len(program.net.inputs)}",
            f"#define NET_OUTPUTS {program.layers[-1].outputs}",
            "",
            "#ifndef NET_API",
            "#define NET_API static inline",
            "#endif",
            "#ifndef NET_STORAGE",
            "#define NET_STORAGE static",
            "#endif",
            "",
            *written.constants.lines,
            called + function,
            *predict,
            "",
            *_selftest(program, rows, answers, tolerance),
            "#endif",
            "",
        ]
    )


def _predict(program: Program, written: Written) -> list[str]:
    each, behind = written.answer
    member = [*written.member, *each]
    if program.members > 1:
        member = [f"for (int m = 0; m < {program.members}; m++) {{", *indented(member), "}"]
    return [
        f"NET_API void net_predict(const {row_type(program)} *x, {out_type(program)} *out) {{",
        *indented([*written.buffers, *member, *behind]),
        "}",
    ]


def _comment(program: Program, written: Written) -> list[str]:
    net = program.net
    what = "values, in the units of the targets" if net.answer == "values" else net.answer
    lines = [
        f"A net grown by autogrow {__version__}, as plain C99.",
        "",
        f"    void net_predict(const {row_type(program)} *x, {out_type(program)} *out);",
        "",
        f"x, {len(net.inputs)} numbers of one row, NAN where one is missing; what is done to them is inside:",
        *(f"    {i:3}  {one.name}: {UNITS[one.kind]}" for i, one in enumerate(net.inputs) if one.kind != "pixel"),
        *([f"    pixels in the order {net.input_shape}, as in the image"] if net.inputs[0].kind == "pixel" else []),
        f"out, {len(net.outputs)} {what}:",
        *(f"    {i:3}  {name}" for i, name in enumerate(net.outputs)),
        "",
        *written.says,
        f"{written.constants.bytes} bytes of constants, {written.ram_bytes} bytes of buffers, no heap; of libm only what is called.",
        "#define NET_API       what net_predict is declared as; static inline if nothing is said, so that a file that does",
        "                      not call it holds nothing of it; define it as nothing in one file to link against.",
        "#define NET_STORAGE   how its buffers are kept; static if nothing is said, so it is not reentrant; define it as",
        "                      nothing for the stack, or as static _Thread_local.",
        "Do not compile it with -ffast-math: missing values are NANs. It tests itself:",
        "    cc -std=c99 -DNET_SELFTEST -x c net.h -lm -o selftest && ./selftest",
    ]
    return ["/*", *(f" * {comment_text(line)}".rstrip() for line in lines), " */"]


def _selftest(program: Program, rows: np.ndarray, answers: np.ndarray, tolerance: np.ndarray) -> list[str]:
    """`main`: rows whose answers are known; exit code 1 where the compiled net answers otherwise."""

    def table(values: np.ndarray) -> str:
        return ",\n".join(
            "    {" + ", ".join("NAN" if np.isnan(v) else double_text(v) for v in row) + "}" for row in values
        )

    n = len(rows)
    return [
        "#ifdef NET_SELFTEST",
        "#include <stdio.h>",
        f"static const {row_type(program)} net_rows[{n}][NET_INPUTS] = {{\n{table(rows)}}};",
        f"static const double net_answers[{n}][NET_OUTPUTS] = {{\n{table(answers)}}};",
        f"static const double net_tolerance[NET_OUTPUTS] = {{{', '.join(map(double_text, tolerance))}}};",
        "int main(void) {",
        "    int wrong = 0;",
        f"    for (int i = 0; i < {n}; i++) {{",
        f"        {out_type(program)} out[NET_OUTPUTS];",
        "        net_predict(net_rows[i], out);",
        "        for (int j = 0; j < NET_OUTPUTS; j++) {",
        "            const double apart = fabs(out[j] - net_answers[i][j]);",
        "            if (!(apart <= net_tolerance[j])) {",
        '                printf("row %d, output %d: %.9g, should be %.9g\\n", i, j, (double)out[j], net_answers[i][j]);',
        "                wrong++;",
        "            }",
        "        }",
        "    }",
        f'    printf("%d of %d answers as they should be\\n", {n} * NET_OUTPUTS - wrong, {n} * NET_OUTPUTS);',
        "    return wrong != 0;",
        "}",
        "#endif",
    ]
