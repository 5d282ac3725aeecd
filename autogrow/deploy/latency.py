"""How long a row takes through the file that a net is exported to, in what runs that file."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from autogrow.deploy.export import portable, target_of
from autogrow.deploy.export.rows import probe_rows
from autogrow.policy import Budget
from autogrow.train.fit.looks.device import Latency
from autogrow.train.fit.net.deliver import Delivered
from autogrow.train.record.files import write_bytes

WARM, CALLS = 50, 1000


def latency_of(budget: Budget) -> Latency | None:
    """How a budget's latency is measured; None where that is torch itself, or there is no such limit."""
    if budget.latency_p95_ms is None or budget.runtime == "torch":
        return None
    return partial(p95_ms, runtime=budget.runtime, int8=budget.int8)


def p95_ms(net: Delivered, *, runtime: str, int8: bool = False) -> float:
    """The 95th percentile of the milliseconds of one row."""
    return p50_p95(net, runtime=runtime, int8=int8)[1]


def p50_p95(net: Delivered, *, runtime: str, int8: bool = False) -> tuple[float, float]:
    """Median and 95th percentile of the milliseconds that one row takes in the file that a net is exported to: one
    thread, a thousand calls, after a warm-up.

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
    return float(np.percentile(taken, 50)), float(np.percentile(taken, 95))
