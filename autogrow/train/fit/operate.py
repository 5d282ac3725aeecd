"""Apply one decided action inside a running fit of ours: a growth, or the return to an earlier net.
Answers with its event.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn

from autogrow.growth.carry.optimizer import check_optimizer, place_state, state_by_name
from autogrow.growth.cost import counting
from autogrow.growth.neurons.learned import Learned
from autogrow.growth.surgery.moves import Surgery
from autogrow.growth.surgery.parity import Probe, Promise
from autogrow.policy.event import Event
from autogrow.policy.history import Action, Anneal, Refit, Regularize, Undo
from autogrow.train.fit.net.module import GrowingModule
from autogrow.train.fit.net.snapshot import Snapshot, place_optimizer_state
from autogrow.train.rewire.event import growth_event, perform, units_generator
from autogrow.train.rewire.invariants import check_ranks
from autogrow.train.rewire.rewire import rewire


def grow(trainer: pl.Trainer, module: GrowingModule, action: Action, *, events: int, decided_at: int) -> Event:
    """Widen, deepen or refine net and weight average by one plan, re-warm the rate, and carry or reset the optimizer.

    New units are drawn from a generator keyed by the run's seed and the number of events before this one.
    """
    before = module.size
    generator = units_generator(module.spec.seed, events)
    names: dict[nn.Parameter, str] = {p: n for n, p in module.net.named_parameters()}
    saved = state_by_name(trainer.optimizers[0], names)

    surgery, flops = rewire(trainer, lambda: applied(module, action, generator))
    if module.spec.optimizer_state != "reset":
        new_names: dict[nn.Parameter, str] = {p: n for n, p in module.net.named_parameters()}
        place_state(trainer.optimizers[0], new_names, saved, surgery.moves, module.spec.optimizer_state)
    check_optimizer(trainer.optimizers[0], module.net)
    check_ranks(trainer, [module])
    module.rate = module.rate.rewarmed(trainer.global_step, module.spec.schedule.rewarm)
    return growth_event(action, surgery, before, module.size, decided_at=decided_at, flops=flops)


def applied(module: GrowingModule, action: Action, generator: torch.Generator) -> tuple[Surgery, int]:
    """Grow the module's net and, by the same plan, its weight average; the recipe remembers it.

    Also answers with the FLOPs it took: of the receipt's probe before and after, and of what an initializer looks at.
    """
    with counting() as counted:
        surgery = perform(
            module.net,
            action,
            example=module.example,
            generator=generator,
            neurons=_neurons(module),
            calibration=module.calibration,
            columns=module.columns,
        )
        surgery.replay(module.ema)
    module.recipe.append(dict(surgery.entry))
    module.architecture_changed()
    return surgery, counted.flops


def _neurons(module: GrowingModule) -> Any:
    """What new units start as; an initializer that learns from data is given rows and loss."""
    neurons = module.spec.neurons
    if not isinstance(neurons, Learned):
        return neurons
    return neurons.on([(x.to(module.device), y.to(module.device)) for x, y in module.batches], module.loss)


def install(
    trainer: pl.Trainer,
    module: GrowingModule,
    action: Anneal | Refit | Regularize | Undo,
    snapshot: Snapshot,
    *,
    decided_at: int,
) -> Event:
    """Return to a snapshot (its architecture too): weights, average, moments, dropout; then anneal, or go on, with
    other dropout where that was decided.
    """
    before = module.size

    def change() -> None:
        module.restore(snapshot["recipe"], snapshot["net"], snapshot["ema"], snapshot.get("dropout"))

    rewire(trainer, change, lambda: place_optimizer_state(module, trainer.optimizers[0], snapshot["optimizer"]))
    check_optimizer(trainer.optimizers[0], module.net)
    check_ranks(trainer, [module])
    step = trainer.global_step
    if isinstance(action, (Anneal, Refit)):
        module.rate = module.rate.annealed(step, action.steps)
    else:
        module.rate = module.rate.rewarmed(step, 0)
    event = Event(action, before, module.size, decided_at=decided_at)
    return regularized(module, action, event) if isinstance(action, Regularize) else event


def regularized(module: GrowingModule, action: Regularize, event: Event) -> Event:
    """Set the dropout of the module's net, and prove that nothing which is measured has changed: in eval mode dropout
    passes its input on, so its receipt promises 0.
    """
    with counting() as counted:
        probe = Probe(module.net, module.example)
        module.dropout = action.dropout
        module.architecture_changed()
        receipt = probe.receipt(Promise(0.0))
    return dataclasses.replace(event, receipt=receipt.to_plain(), flops=counted.flops)
