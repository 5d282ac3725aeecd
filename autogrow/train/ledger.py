"""The ledger on disk: one JSON line per check, written as it happens; `metrics.csv` is projected from it."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autogrow.errors import CheckpointError
from autogrow.policy.history import Row, action_name

LEDGER, METRICS = "ledger.jsonl", "metrics.csv"
COLUMNS = [
    "check",
    "step",
    "passes",
    "phase",
    "lineage",
    "train_loss",
    "val_loss",
    "train_error",
    "val_error",
    "score",
    "gap",
    "relative_gap",
    "lr",
    "parameters",
    "flops_per_sample",
    "train_flops",
    "eval_flops",
]


class Ledger:
    """Appends rows to `<folder>/ledger.jsonl`; with folder None it keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.path = None if folder is None else folder / LEDGER

    def append(self, row: Row) -> None:
        """Write one row as one line, in one write."""
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row.to_plain(), allow_nan=False) + "\n")

    def cut_back(self, rows: Sequence[Row]) -> None:
        """Make the file hold exactly these rows (a resume starts from its checkpoint's last row)."""
        if self.path is not None:
            write_atomically(self.path, "".join(json.dumps(r.to_plain(), allow_nan=False) + "\n" for r in rows))


def read_ledger(folder: Path) -> list[Row]:
    """The rows of a run folder. A torn last line (the process died while writing it) is left out.

    Raises CheckpointError, naming the line, for anything else that is not a row.
    """
    path = Path(folder) / LEDGER
    if not path.is_file():
        raise CheckpointError(f"{folder} holds no {LEDGER}: it is not a run folder")
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(Row.from_plain(json.loads(line)))
        except json.JSONDecodeError:
            if number == len(lines) and not line.endswith("\n"):
                break
            raise CheckpointError(f"{path}, line {number}, is not a ledger row: {line[:60]!r}") from None
    return rows


def write_metrics(folder: Path, rows: Sequence[Row]) -> None:
    """Project the rows to `metrics.csv`: the numbers of each check, widths as 64-64, and what was decided."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*COLUMNS, "widths", "action"])
    for row in rows:
        values = [getattr(row, name) for name in COLUMNS]
        writer.writerow([*values, "-".join(map(str, row.widths.values())), action_name(row.action)])
    write_atomically(folder / METRICS, out.getvalue())


def write_json(path: Path, value: Any) -> None:
    """Write plain values as indented JSON, atomically."""
    write_atomically(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """Write to a temporary name beside `path`, flush to disk, and rename: a reader sees the old file or the new one."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """`write_atomically`, for what is not text."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
