"""`to=c`: one file of C99, proved by compiling it and running it on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from autogrow.deploy.export.c_source.columns_code import row_type
from autogrow.deploy.export.c_source.compiled import FLAGS, Compiled, compiled, compiler, compiler_version, compilers
from autogrow.deploy.export.c_source.file import file_text
from autogrow.deploy.export.c_source.float_code import float_code
from autogrow.deploy.export.c_source.int8_code import int8_code
from autogrow.deploy.export.c_source.program import Program, program_of
from autogrow.deploy.export.c_source.quantise import quantised, reckoned
from autogrow.deploy.export.c_source.reckon import answered, values_of
from autogrow.deploy.export.c_source.written import out_type
from autogrow.deploy.export.net import VALUES, PortableNet
from autogrow.deploy.export.rows import probe_rows
from autogrow.deploy.export.target import Written
from autogrow.errors import UsageError
from autogrow.nets.c_bytes import CODE

TESTED = 10  # rows of the self-test
WARM = 50  # calls before those that are timed: each time another process


class CFile:
    """`net.h`: weights, buffers, `net_predict`, and a self-test. There is no artefact here that was not seen to answer
    as the net does, so a machine without a C compiler is told so, and gets none.
    """

    file = "net.h"
    runtime = "C99, compiled here"
    promise = 1e-4

    def check(self, net: PortableNet, *, int8: bool) -> None:
        """Dense nets alone; a C compiler is needed to prove the file."""
        program_of(net)
        if compiler() is None:
            names = " or ".join(compilers())
            raise UsageError(f"to=c proves its file by compiling it, and there is no {names} here; install one")

    def write(self, net: PortableNet, *, int8: bool, calibration: np.ndarray) -> Written:
        """The one file."""
        program = program_of(net)
        rows = net.as_given(_flat(probe_rows(net).x[:TESTED]))
        if int8:
            small = quantised(program, net.as_given(_flat(calibration)))
            written, last = int8_code(small), reckoned(small, rows)
        else:
            written, last = float_code(program), values_of(program, rows)[-1]
        answers = answered(net, last)
        text = file_text(program, written, rows, answers, _tolerance(net, answers, int8=int8))
        facts = {
            "compiler": compiler_version(),
            "flags": list(FLAGS),
            "flash_bytes": written.constants.bytes + CODE,
            "ram_bytes": written.ram_bytes,
            "row_type": row_type(program),
            "answer_type": out_type(program),
        }
        return Written({self.file: text.encode("ascii")}, facts)

    @contextmanager
    def run(self, net: PortableNet, folder: Path, *, int8: bool) -> Iterator[CRunning]:
        """A program around the file, which reads rows and writes answers."""
        with tempfile.TemporaryDirectory() as name:
            yield CRunning(net, program_of(net), folder / self.file, Path(name))


class CRunning:
    """A compiled file that is asked."""

    def __init__(self, net: PortableNet, program: Program, file: Path, folder: Path) -> None:
        self.net = net
        self.program: Compiled = compiled(
            file, folder, row=row_type(program), out=out_type(program), outputs=len(net.outputs)
        )

    def answers(self, rows: np.ndarray) -> np.ndarray:
        """Rows → answers, one row after another."""
        return self.program.answers(_flat(rows)).astype(np.float64)

    def seconds(self, row: np.ndarray, calls: int) -> np.ndarray:
        """Of one call each, by the clock in the compiled program."""
        return self.program.nanoseconds(_flat(row), warm=WARM, calls=calls) * 1e-9


def _flat(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(len(rows), -1)


def _tolerance(net: PortableNet, answers: np.ndarray, *, int8: bool) -> np.ndarray:
    """What another compiler and libm may make of the answers (n, O), by output. In int8 a number that lies between two
    may be rounded to the other one.
    """
    unit = net.target_std if net.answer == VALUES else np.ones(answers.shape[1])
    tolerance: np.ndarray = (2e-2 if int8 else CFile.promise) * unit + 1e-6 * np.abs(answers).max(0)
    return tolerance
