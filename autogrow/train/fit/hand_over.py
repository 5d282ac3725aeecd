"""From a net as it was at a check to the net that is handed back: temperature and threshold by validation, then what
every split says of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from autogrow.data import Prepared
from autogrow.growth.modes import eval_mode
from autogrow.train.fit.looks.final import FinalLook, choose_threshold, take_final_look
from autogrow.train.fit.net.deliver import Delivered, deliver, scale_logits
from autogrow.train.fit.net.measure import best_inverse_temperature, outputs_of
from autogrow.train.fit.net.module import GrowingModule
from autogrow.train.fit.net.snapshot import Snapshot
from autogrow.train.fit.spec import FitSpec


@dataclass(frozen=True)
class Handed:
    """A net that is handed back, and what each split says of it (val, and test where there are test rows).

    temperature: what its logits were divided by, None where none was looked for. before_refit: its weights before
    validation rows were learned from, None where they were not: val speaks of those. looks: rows that were looked at.
    """

    net: Delivered
    found: dict[str, FinalLook]
    temperature: float | None
    before_refit: Mapping[str, Tensor] | None
    looks: int


def hand_over(module: GrowingModule, prepared: Prepared, spec: FitSpec, chosen: Snapshot, best: Snapshot) -> Handed:
    """Make the module's net that of `best`, ready for use. `chosen`: the net that validation judged; the same object
    where nothing has been learned since.
    """
    module.to("cpu")
    net = _as_of(module, chosen, prepared)
    factor = _best_factor(spec, net, prepared)
    if factor is not None:
        scale_logits(module, factor)
        net = deliver(module, prepared.pipeline)
    temperature = 1 / (factor or 1.0)
    net.threshold = choose_threshold(net, prepared, spec.metric)
    if net.threshold is not None:
        module.delivery["threshold"] = net.threshold
    found = {"val": take_final_look(net, prepared.val, prepared, spec.metrics, temperature=temperature)}
    before_refit = None
    if best is not chosen:  # validation rows have been learned from since; what they said of the net before stands
        before_refit = {name: value.clone() for name, value in module.ema.state_dict().items()}
        net = _as_of(module, best, prepared)
        if factor is not None:
            scale_logits(module, factor)
    if len(prepared.test):  # the trials of a search have none
        found["test"] = take_final_look(net, prepared.test, prepared, spec.metrics, temperature=temperature)
    val_looks = 1 + (factor is not None) + (net.threshold is not None)
    looks = val_looks * len(prepared.val) + len(prepared.test)
    return Handed(net, found, None if factor is None else temperature, before_refit, looks)


def _as_of(module: GrowingModule, snapshot: Snapshot, prepared: Prepared) -> Delivered:
    """The module's net as a snapshot has it, ready for use."""
    module.restore(snapshot["recipe"], snapshot["net"], snapshot["ema"], snapshot.get("dropout"))
    return deliver(module, prepared.pipeline)


def _best_factor(spec: FitSpec, net: Delivered, prepared: Prepared) -> float | None:
    """The factor on the logits that suits validation best; None where none is looked for."""
    if prepared.task != "classification" or not spec.trainer.temperature:
        return None
    with eval_mode(net):
        return best_inverse_temperature(outputs_of(net.net, prepared.val.x), prepared.val.y, prepared.val.weight)
