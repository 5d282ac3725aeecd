"""The ledger on disk: one JSON line per check, written as it happens; `metrics.csv` is projected from it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from autogrow.errors import CheckpointError
from autogrow.plain import NotPlainError, read_json
from autogrow.policy.history import RETURNS, Row, action_name
from autogrow.train.record.files import open_to_append, read_bytes, write_atomically
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


def read_ledger(folder: Path, *, may_be_empty: bool = False) -> list[Row]:
    """The rows of a run folder. A torn last line (the process died while writing it) is left out.

    Raises CheckpointError, naming the line, for anything else that is not the row that was written there.
    """
    path = Path(folder) / LEDGER
    try:
        lines = read_bytes(path).splitlines(keepends=True)
    except FileNotFoundError:
        raise CheckpointError(f"{folder} holds no {LEDGER}: it is not a run folder") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror})") from None
    rows: list[Row] = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(_row(line, rows))
        except (CheckpointError, NotPlainError) as error:
            if number == len(lines) and not line.endswith(b"\n"):
                break
            raise CheckpointError(f"{path}, line {number}, is not a ledger row: {error}") from None
    if not rows and not may_be_empty:
        raise CheckpointError(f"{path} holds no check yet")
    return rows


def _row(line: bytes, before: Sequence[Row]) -> Row:
    """The row in a line; `before`: those in the lines before it."""
    row = Row.from_plain(read_json(line))
    if row.check != len(before):
        raise CheckpointError(f"it is check {row.check} in the place of check {len(before)}")
    decided = row.action.back_to if isinstance(row.action, RETURNS) else None
    returns = (row.event.back_to if row.event is not None else None, decided)
    for back_to in returns:
        if back_to is not None and back_to > row.check:
            raise CheckpointError(f"it returns to check {back_to}, which is still to come")
    return row


def write_metrics(folder: Path, rows: Sequence[Row]) -> None:
    """Project the rows to `metrics.csv`: the numbers of each check, widths as 64-64, and what was decided."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*COLUMNS, "widths", "action"])
    for row in rows:
        values = [getattr(row, name) for name in COLUMNS]
        writer.writerow([*values, "-".join(map(str, row.widths.values())), action_name(row.action)])
    write_atomically(folder / METRICS, out.getvalue())
