"""What a command costs before and after its training: CPU seconds of this checkout against another revision, in turn.

    .venv/bin/python scripts/start_bench.py [REVISION] [--repeats 5] [--only WORDS]

Each command is a process of its own; its user and system seconds are what the system says of it. `fit … max_epochs=1`
trains for two checks; what it takes outside training is what lies before its first optimizer step and behind its last.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
COMMANDS = {
    "--help": ["--help"],
    "fit --help": ["fit", "--help"],
    "fit --cfg job": ["fit", "--cfg", "job"],
    "an unknown key": ["fit", "dataa=iris"],
    "a missing file": ["fit", "data=csv", "data.path=nowhere.csv", "data.target=y"],
    "compare --help": ["compare", "--help"],
    "fit data=iris, two checks": ["fit", "data=iris", "trainer.max_epochs=1"],
}


OUTSIDE = "  outside training"
MARKED = Path(__file__).with_name("marked_run.py")


def cpu_seconds(checkout: Path, words: list[str]) -> tuple[float, float]:
    """User and system seconds of one command: all of them, and those outside training."""
    with tempfile.TemporaryDirectory() as folder:
        marks = Path(folder) / "marks"
        process = subprocess.Popen(
            [sys.executable, str(MARKED), str(marks), *words],
            cwd=folder,
            env=environment_of(checkout),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0  # it has been waited for
        whole = usage.ru_utime + usage.ru_stime
        first, last = map(float, marks.read_text().split()) if marks.is_file() else (0.0, 0.0)
    return whole, whole - (last - first)


def environment_of(checkout: Path) -> dict[str, str]:
    """In which `autogrow` is that of a checkout."""
    return {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}


@contextmanager
def at_revision(revision: str) -> Iterator[Path]:
    """A checkout of another revision, while the block runs."""
    git = ["git", "-C", str(HERE), "worktree"]
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder) / "before"
        subprocess.run([*git, "add", "--detach", "--quiet", str(checkout), revision], check=True)
        try:
            yield checkout
        finally:
            subprocess.run([*git, "remove", "--force", str(checkout)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision", nargs="?", default="HEAD~1")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default="", help="the rows whose names hold this")
    arguments = parser.parse_args()
    with at_revision(arguments.revision) as before:
        measure(before, arguments.repeats, {k: v for k, v in COMMANDS.items() if arguments.only in k})


def measure(before: Path, repeats: int, commands: dict[str, list[str]]) -> None:
    """Print the table: medians of both, and of the ratios of neighbours."""
    print(f"{'CPU seconds':28}{'before':>10}{'now':>10}{'ratio':>10}   n={repeats}, in turn")
    for name, words in commands.items():
        found = [(cpu_seconds(before, words), cpu_seconds(HERE, words)) for _ in range(repeats + 1)][1:]  # .pyc files
        show(name, [(then[0], now[0]) for then, now in found])
        if any(whole != outside for whole, outside in found[0]):
            show(OUTSIDE, [(then[1], now[1]) for then, now in found])


def show(name: str, pairs: list[tuple[float, float]]) -> None:
    """One row: medians, and the median of the ratios of neighbours."""
    old, new = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(now / then for then, now in pairs)
    print(f"{name:28}{old:10.2f}{new:10.2f}{ratio:10.2f}", flush=True)


if __name__ == "__main__":
    main()
