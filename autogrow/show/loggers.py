"""The checks of a run for experiment trackers: any Lightning logger gets each row's numbers,
beside what a person sees.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, final

from pytorch_lightning.loggers import Logger

from autogrow.policy.history import History, Row
from autogrow.train.fit.view import View
from autogrow.train.record.ledger import COLUMNS


@final
class LoggingView(View):
    """Shows what `view` shows and sends it to `loggers`:
    a step is an optimizer step, `config` are the hyper-parameters.
    """

    def __init__(self, view: View, loggers: Sequence[Logger], config: Mapping[str, Any]) -> None:
        self.view, self.loggers, self.config = view, list(loggers), dict(config)
        self._status = "failed"

    def start(self, title: str, card: Mapping[str, Any]) -> None:
        """The run begins."""
        self.view.start(title, card)
        for logger in self.loggers:
            logger.log_hyperparams(self.config)

    def check(self, row: Row) -> None:
        """Log the row's finite numbers, every width under its name, and what a growth changed."""
        self.view.check(row)
        for logger in self.loggers:
            logger.log_metrics(scalars(row), step=row.step)

    def finish(self, result: Mapping[str, Any], folder: str, rows: History | None = None) -> None:
        """Log what was delivered, at the last step: `delivered/val_error`, `delivered/test_error`, …."""
        found = {f"delivered/{split}_{name}": v for split in ("val", "test") for name, v in result[split].items()}
        found |= {f"delivered/{name}": result[name] for name in ("parameters", "train_flops", "seconds", "best_epoch")}
        for logger in self.loggers:
            logger.log_metrics({name: float(v) for name, v in found.items()}, step=rows[-1].step if rows else None)
        self._status = "success"
        self.view.finish(result, folder, rows)

    def close(self) -> None:
        """Let every logger write what it holds."""
        for logger in self.loggers:
            logger.finalize(self._status)
        self.view.close()


def scalars(row: Row) -> dict[str, float]:
    """The finite numbers of a row, by name; where a growth was applied, how much it changed the net's answers."""
    named = {name: getattr(row, name) for name in COLUMNS if name not in ("check", "step", "phase")}
    named |= {f"width/{name}": size for name, size in row.widths.items()}
    receipt = row.event.receipt if row.event is not None else None
    if receipt is not None:
        named["growth/max_abs_change"] = receipt["max_abs_change"]
    return {name: float(v) for name, v in named.items() if v is not None and math.isfinite(v)}
