"""What a job of a sweep costs beside its training: this checkout against another revision, in turn.

    .venv/bin/python scripts/jobs_bench.py [REVISION] [--repeats 3] [--jobs 6]

A sweep of one job and one of `--jobs` more are run by each; the difference, divided, is a job's. A job trains for two
checks, so nearly all that it takes is what every job takes beside its training. CPU seconds are those of the sweep and
of all its jobs, seconds those of the clock.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from start_bench import HERE, at_revision, environment_of

SWEEP = ["fit", "-m", "data=iris", "trainer.max_epochs=1", "hydra.sweep.dir=sweep"]


def sweep(checkout: Path, jobs: int) -> tuple[float, float]:
    """CPU seconds and seconds of a sweep over so many seeds."""
    command = [sys.executable, "-m", "autogrow", *SWEEP, f"seed={','.join(map(str, range(jobs)))}"]
    with tempfile.TemporaryDirectory() as folder:
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, cwd=folder, env=environment_of(checkout), check=True, stdout=subprocess.DEVNULL)
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision", nargs="?", default="HEAD~1")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=6)
    arguments = parser.parse_args()
    with at_revision(arguments.revision) as before:
        found: dict[Path, list[tuple[float, ...]]] = {before: [], HERE: []}
        for _ in range(arguments.repeats):
            for checkout, rows in found.items():
                one, more = sweep(checkout, 1 + 1), sweep(checkout, 1 + 1 + arguments.jobs)
                each = [(b - a) / arguments.jobs for a, b in zip(one, more, strict=True)]
                rows.append((*each, one[0] - 2 * each[0]))
                print(
                    f"{'now' if checkout == HERE else 'before':8}" + "".join(f"{x:10.2f}" for x in rows[-1]), flush=True
                )
        print(f"{'':8}{'CPU s/job':>10}{'s/job':>10}{'CPU s once':>12}   medians, n={arguments.repeats}, in turn")
        for checkout, rows in found.items():
            cpu, seconds, once = (statistics.median(column) for column in zip(*rows, strict=True))
            print(f"{'now' if checkout == HERE else 'before':8}{cpu:10.2f}{seconds:10.2f}{once:12.2f}")


if __name__ == "__main__":
    main()
