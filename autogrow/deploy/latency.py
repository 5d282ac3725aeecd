"""What the file that a net is exported to takes on this host: bytes, and how long a row is in what runs that file."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autogrow.deploy.export import portable, target_of
from autogrow.deploy.export.rows import probe_rows
from autogrow.train.fit.net.deliver import Delivered
from autogrow.train.record.files import write_bytes

WARM, CALLS = 50, 1000


@dataclass(frozen=True)
class Taken:
    """What a file takes: `bytes` (of C what it takes in flash, else the file's own), and of one row, on one thread,
    median and 95th percentile of the milliseconds.
    """

    bytes: int
    p50_ms: float
    p95_ms: float


def p95_ms(net: Delivered, *, runtime: str, int8: bool = False) -> float:
    """The 95th percentile of the milliseconds of one row."""
    return taken_by_file(net, runtime=runtime, int8=int8).p95_ms


def taken_by_file(net: Delivered, *, runtime: str, int8: bool = False) -> Taken:
    """What the file takes that a net is exported to, by a thousand calls after a warm-up.

    Raises UsageError, in one line, where the runtime is not installed or the target cannot express the net.
    """
    target, whole = target_of(runtime), portable(net)
    target.check(whole, int8=int8)
    rows = probe_rows(whole).x
    written = target.write(whole, int8=int8, calibration=rows if int8 else rows[:0])
    with tempfile.TemporaryDirectory() as name:
        for file, content in written.files.items():
            write_bytes(Path(name) / file, content)
        with target.run(whole, Path(name), int8=int8) as running:
            running.seconds(rows[:1], WARM)
            taken = running.seconds(rows[:1], CALLS) * 1e3
    found = written.facts.get("flash_bytes", len(written.files[target.file]))
    return Taken(found, float(np.percentile(taken, 50)), float(np.percentile(taken, 95)))
