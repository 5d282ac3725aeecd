"""A C file compiled on this machine and run: the answers it gives, and how long one row takes in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autogrow.errors import AutogrowError
from autogrow.train.record.files import write_bytes

COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-std=c99", "-O3", "-Wall", "-Wextra", "-Werror")

# reads rows, one behind another in binary, from stdin and writes their answers; or, given two numbers, calls it
# so often to warm up and so often again, the rows in turn, and writes the nanoseconds of each call of these
DRIVER = """
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "{header}"
int main(int argc, char **argv) {{
    static {row} x[{most}][NET_INPUTS];
    static {out} out[NET_OUTPUTS];
    if (argc < 3) {{
        while (fread(x[0], sizeof x[0], 1, stdin) == 1) {{
            net_predict(x[0], out);
            fwrite(out, sizeof out, 1, stdout);
        }}
        return 0;
    }}
    const long warm = atol(argv[1]), calls = atol(argv[2]);
    const size_t rows = fread(x, sizeof x[0], {most}, stdin);
    for (long i = 0; i < warm + calls; i++) {{
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        net_predict(x[(size_t)i % rows], out);
        clock_gettime(CLOCK_MONOTONIC, &b);
        const long long taken = (long long)(b.tv_sec - a.tv_sec) * 1000000000LL + (b.tv_nsec - a.tv_nsec);
        if (i >= warm) fwrite(&taken, sizeof taken, 1, stdout);
    }}
    return 0;
}}
"""
TIMED = 64  # rows, in turn


def compiler() -> str | None:
    """The C compiler of this machine: what CC names, as in a makefile, or one of the usual names; None without one."""
    return next((found for name in compilers() if (found := shutil.which(name))), None)


def compilers() -> tuple[str, ...]:
    """The names that are looked for."""
    return (os.environ["CC"],) if os.environ.get("CC") else COMPILERS


def compiler_version() -> str:
    """The first line of what it says of itself."""
    return _run([_there(), "--version"], b"").decode(errors="replace").splitlines()[0]


def _there() -> str:
    found = compiler()
    assert found is not None
    return found


@dataclass(frozen=True)
class Compiled:
    """A program of a file: `rows`, `outs`: the types of what net_predict takes and gives."""

    path: Path
    row: np.dtype
    out: np.dtype
    outputs: int

    def answers(self, rows: np.ndarray) -> np.ndarray:
        """Rows (n, I) to answers (n, O)."""
        given = _run([str(self.path)], rows.astype(self.row).tobytes())
        return np.frombuffer(given, self.out).reshape(-1, self.outputs)

    def nanoseconds(self, rows: np.ndarray, *, warm: int, calls: int) -> np.ndarray:
        """How long each of so many calls took, one row each, by the monotonic clock, whose own time is in it."""
        given = _run([str(self.path), str(warm), str(calls)], rows[:TIMED].astype(self.row).tobytes())
        return np.frombuffer(given, np.int64)


def compiled(header: Path, folder: Path, *, row: str, out: str, outputs: int) -> Compiled:
    """Compile a driver around a file. Raises AutogrowError, with the compiler's first error, where that fails."""
    source = folder / "driver.c"
    write_bytes(source, DRIVER.format(header=header.name, row=row, out=out, most=TIMED).encode())
    program = folder / "driver"
    _run([_there(), *FLAGS, "-I", str(header.parent), str(source), "-lm", "-o", str(program)], b"")
    types: dict[str, np.dtype] = {"float": np.dtype(np.float32), "double": np.dtype(np.float64)}
    return Compiled(program, types[row], types[out], outputs)


def _run(command: list[str], given: bytes) -> bytes:
    done = subprocess.run(command, input=given, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"})
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        first = next((line for line in said if " error: " in line), said[0])
        raise AutogrowError(f"{command[0]} ended with code {done.returncode}: {first}")
    return done.stdout
