"""A delivered net into an artefact: written, run, compared with the net that it is of, measured; only then named."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autogrow.data import DataSpec
from autogrow.deploy.export.encoder_file import encoder_files
from autogrow.deploy.export.inputs import UNITS
from autogrow.deploy.export.net import VALUES, PortableNet
from autogrow.deploy.export.receipt import ParityReceipt, answered, changes, judged
from autogrow.deploy.export.rows import OwnRows, Rows, own_rows, probe_rows
from autogrow.deploy.export.target import Running, Target, Written
from autogrow.deploy.export.torch_module import macs_of
from autogrow.errors import AutogrowError, DataError
from autogrow.train.fit.process import versions
from autogrow.train.record.files import write_bytes, write_json

EXPORT = "export.json"
WORST = 0.1  # of the answers, or of the error, that int8 may lose: beyond it something is wrong
CALIBRATED = 1000  # training rows that int8 is calibrated on
WARM, FEWEST, MOST_CALLS = 10, 50, 2000
SECONDS = 1.0  # that calls are timed for, roughly


class ReceiptError(AutogrowError):
    """An artefact that answers otherwise than the net that it was made of. It is not there."""


@dataclass(frozen=True)
class Exported:
    """What became of an export: the folder, the names of its files, what `export.json` says."""

    folder: Path
    files: tuple[str, ...]
    facts: Mapping[str, Any]


def export(
    net: PortableNet, target: Target, out: Path, *, data: DataSpec | None, checkpoint: Path, int8: bool = False
) -> Exported:
    """Write a net's artefact into the folder `out`, with its `export.json`. data, checkpoint: where the net's own rows
    are, and the marks that they are known by.

    Raises UsageError for what the target cannot express, ReceiptError where the artefact answers otherwise than the
    net: then none of its files is in `out`.
    """
    target.check(net, int8=int8)
    own = own_rows(net, data, checkpoint)
    if int8 and not len(own.train):
        raise DataError(f"int8 is calibrated on training rows, and there are none: {own.why}")
    calibration = own.train[:CALIBRATED] if int8 else own.train[:0]
    written = target.write(net, int8=int8, calibration=calibration)
    with tempfile.TemporaryDirectory() as name:
        draft = Path(name)
        for file, content in written.files.items():
            write_bytes(draft / file, content)
        with target.run(net, draft, int8=int8) as running:
            receipt, measured = _compared(net, target, running, own, int8=int8)
            latency = _latency(running, own.val or probe_rows(net))
    files = {**written.files, **encoder_files(net)}
    facts = _facts(net, target, written, int8=int8)
    facts |= {"receipt": receipt.to_plain(), "validation": measured, "latency": latency}
    fault = _fault(receipt, measured, int8=int8)
    if fault:
        for file in (*files, EXPORT):
            (out / file).unlink(missing_ok=True)
        raise ReceiptError(f"{out / target.file} {fault}; it is not written")
    out.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        write_bytes(out / file, content)
    write_json(out / EXPORT, facts)
    return Exported(out, (*files, EXPORT), facts)


def _compared(
    net: PortableNet, target: Target, running: Running, own: OwnRows, *, int8: bool
) -> tuple[ParityReceipt, dict[str, Any] | None]:
    probe = probe_rows(net)
    on_probe = changes(net, answered(running, probe), probe)
    unit = "of a target's standard deviation" if net.answer == VALUES else f"of its {net.answer}"
    promise = None if int8 else target.promise
    if own.val is None:
        return ParityReceipt(promise, on_probe, None, len(probe), 0, unit, own.why), None
    answers = answered(running, own.val)
    on_val = changes(net, answers, own.val)
    receipt = ParityReceipt(promise, on_probe, on_val, len(probe), len(own.val), unit, own.why)
    return receipt, judged(net, answers, own.val)


def _fault(receipt: ParityReceipt, measured: dict[str, Any] | None, *, int8: bool) -> str:
    """What is wrong with an artefact, in words; nothing where it may be used."""
    if receipt.broken:
        return (
            f"would answer otherwise than the net: by up to {receipt.max_abs_change:.2g} {receipt.unit}, where "
            f"{receipt.promise:g} is promised"
        )
    if int8 and measured is not None and not measured["lost"] <= WORST:
        name, before, after = (measured[key] for key in ("measure", "net", "artefact"))
        return f"would do too badly in int8: {name} {after:.4g} where the net's is {before:.4g}"
    return ""


def _latency(running: Running, rows: Rows) -> dict[str, Any]:
    """Microseconds of one call with one row, after warming up."""
    row = rows.x[:1]
    running.seconds(row, WARM)
    one = float(np.median(running.seconds(row, WARM)))
    calls = int(np.clip(SECONDS / max(one, 1e-9), FEWEST, MOST_CALLS))
    taken = running.seconds(row, calls) * 1e6
    found = {f"p{q}_us": round(float(np.percentile(taken, q)), 3) for q in (50, 95, 99)}
    return {"batch": 1, "threads": 1, "calls": calls, **found}


def _facts(net: PortableNet, target: Target, written: Written, *, int8: bool) -> dict[str, Any]:
    pipeline = net.delivered.pipeline
    classes = pipeline.task == "classification"
    inputs = [
        {
            "name": one.name,
            "kind": one.kind,
            "unit": UNITS[one.kind],
            **({"codes": list(one.codes)} if one.codes else {}),
        }
        for one in net.inputs
    ]
    return {
        "file": target.file,
        "int8": int8,
        "bytes": len(written.files[target.file]),
        "files": {name: len(content) for name, content in written.files.items()},
        "parameters": net.parameters,
        "macs": macs_of(net),
        "peak_activation_bytes": net.peak_activations * (1 if int8 else 4),
        "task": pipeline.task,
        "input_shape": list(net.input_shape),
        "input_type": "float64" if net.exact_inputs else "float32",
        "inputs": inputs,
        "answer": net.answer,
        "outputs": net.outputs,
        "classes": list(pipeline.labels) if classes else None,
        "threshold": net.delivered.threshold,
        "runtime": target.runtime,
        "host": {"cpu": _cpu(), "platform": platform.platform()},
        "versions": versions(),
        **written.facts,
    }


def _cpu() -> str:
    """The processor's name, as Linux gives it; else what Python knows of it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
