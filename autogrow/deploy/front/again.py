"""A finished run, with its data, taken up again to make smaller nets of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autogrow.data import Prepared, prepare
from autogrow.policy.history import Anneal, Row
from autogrow.policy.signals import refitting
from autogrow.train.fit.continue_from import FinishedNet, continuing, read_finished
from autogrow.train.fit.looks.final import training_prior
from autogrow.train.fit.net.module import GrowingModule
from autogrow.train.fit.setup import begun_run, module_of
from autogrow.train.fit.spec import FitSpec
from autogrow.train.record.folder import check_same_data, read_result
from autogrow.train.record.ledger import read_ledger


@dataclass(frozen=True)
class FinishedRun:
    """A run folder's spec, data, history, result and delivered net.

    source: the net as it was before it learned from validation rows.
    """

    folder: Path
    spec: FitSpec
    prepared: Prepared
    rows: Sequence[Row]
    result: Mapping[str, Any]
    source: FinishedNet

    @property
    def anneal_steps(self) -> int:
        """The optimizer steps of the run's own anneal; 0 for a run without one."""
        return next((row.action.steps for row in self.rows if isinstance(row.action, Anneal)), 0)

    @property
    def refits(self) -> bool:
        """Whether the run has learned from validation rows in the end."""
        return refitting(self.rows) is not None

    @property
    def metric(self) -> str:
        """What the error is called: 'error', or of values 'rmse'."""
        return "error" if self.prepared.task == "classification" else "rmse"

    def module(self) -> GrowingModule:
        """A module of its own with the delivered net, as it was before the refit, ready to be trained on."""
        module = module_of(self.spec, self.prepared, self.source)
        module.dropout = self.source.ours.get("dropout")
        module.architecture_changed()
        for net in (module.net, module.ema):
            net.load_state_dict(dict(self.source.weights))
        kept = {k: v for k, v in self.source.ours["delivery"].items() if k not in ("threshold", "sharpness")}
        module.delivery = {"prior": training_prior(self.prepared), **copy.deepcopy(kept)}
        return module


def take_up(folder: Path, spec: FitSpec) -> FinishedRun:
    """The finished run of a folder, by the spec that its config describes. Its data are read and encoded again.

    Raises CheckpointError for a folder that holds no finished run, DataError where the data have changed.
    """
    result, rows, source = read_result(folder), read_ledger(folder), read_finished(folder)
    spec = replace(
        spec, out=None, trainer=replace(spec.trainer, accelerator="cpu", devices=1, precision="32-true", compile=False)
    )
    before = None
    if spec.continue_from is not None:
        origin = read_finished(spec.continue_from)
        spec, before = continuing(spec, origin), origin.before
    prepared = prepare(spec.data, before, begun=begun_run(folder).pipeline)
    check_same_data(folder, prepared.card, key="run")
    return FinishedRun(folder, spec, prepared, rows, result, source)
