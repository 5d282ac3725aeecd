"""What the nets of a comparison take on a device, where that was measured: by run, and by arm as medians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from autogrow.compare.read.runs import Run
from autogrow.train.record.contents import Measured, OnDevices
from autogrow.train.record.folder import DEVICE, read_plain

_NAMES = {"c": "C file", "onnx": "ONNX file"}
_OF_FILE = {"c": "code and constants", "onnx": "the file"}


def read_device(folder: Path) -> dict[str, Any] | None:
    """What was measured on a device; None for a comparison that did not ask for one."""
    path = folder / DEVICE
    return read_plain(path, kind=OnDevices) if path.is_file() else None


def of_runs(device: Mapping[str, Any] | None, runs: Sequence[Run]) -> Measured | None:
    """Medians over an arm's runs: `bytes`, `p50_us`, `p95_us`; None where none of them was measured."""
    held = {} if device is None else device["runs"]
    found = [held[run.name] for run in runs if run.name in held]
    return {key: median(one[key] for one in found) for key in found[0]} if found else None


def of_run(device: Mapping[str, Any] | None, run: Run) -> dict[str, Any]:
    """The same of one run, as columns of rows.csv."""
    held = {} if device is None else device["runs"].get(run.name, {})
    return {f"device_{key}": value for key, value in held.items()}


def about_device(device: Mapping[str, Any]) -> dict[str, Any]:
    """What was measured on, and in words what the columns of a table say."""
    bits = " in 8 bits" if device["int8"] else ""
    words = (
        f"µs on device: one row in the {_NAMES[device['to']]}{bits} of each net, one thread, {device['machine']}; "
        f"kB: {_OF_FILE[device['to']]}. Medians over seeds"
    )
    return {"to": device["to"], "int8": device["int8"], "machine": device["machine"], "about": words}
