"""The ledger on disk: one JSON line per check, written as it happens; `metrics.csv` is projected from it."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from pathlib import Path

from autogrow.errors import CheckpointError
from autogrow.policy.history import Row, action_name
from autogrow.train.record.files import open_to_append, write_atomically
from autogrow.train.record.folder import LEDGER, METRICS

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
_NEEDED = [f.name for f in dataclasses.fields(Row) if {f.default, f.default_factory} == {dataclasses.MISSING}]


class Ledger:
    """Appends rows to `<folder>/ledger.jsonl`; with folder None it keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.path = None if folder is None else folder / LEDGER

    def append(self, row: Row) -> None:
        """Write one row as one line, in one write."""
        if self.path is not None:
            with open_to_append(self.path) as file:
                file.write(f"{json.dumps(row.to_plain(), allow_nan=False)}\n".encode())

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
    lines = path.read_bytes().splitlines(keepends=True)
    rows = []
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number},"
        try:
            plain = json.loads(line)
        except ValueError:
            if number == len(lines) and not line.endswith(b"\n"):
                break
            plain = None
        if not isinstance(plain, dict):
            raise CheckpointError(f"{where} is not a ledger row: {line[:60].decode(errors='replace')!r}")
        missing = [name for name in _NEEDED if name not in plain]
        if missing:
            raise CheckpointError(f"{where} is not a ledger row: it has no {missing[0]!r}")
        try:
            rows.append(Row.from_plain(plain))
        except (CheckpointError, KeyError, TypeError) as error:
            raise CheckpointError(f"{where} is not a ledger row: {error}") from None
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
