"""What the nets of a comparison take on a device, measured one behind another when all runs have ended, and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from autogrow.compare.read.comparison import machine
from autogrow.compare.read.runs import find_runs
from autogrow.train.record.contents import OnDevice
from autogrow.train.record.files import write_json
from autogrow.train.record.folder import DEVICE

Measure = Callable[[Path], OnDevice]
"""The folder of a run to what its delivered net takes."""


def measure_runs(folder: Path, device: Mapping[str, Any], measure: Measure) -> None:
    """Write `device.json`: what `device` is (to, int8), and what each finished run's net takes on it."""
    runs = {run.name: measure(run.folder) for run in find_runs(folder).runs}
    write_json(folder / DEVICE, {**device, "machine": machine(), "runs": runs})
