"""Apply one decided action inside a running fit: a growth, or the return to an earlier net. Answers with its event.

An event says what was applied at a check's start: operation, sizes and cost before and after, and for a growth its receipt.
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn

from autogrow.errors import GrowthError
from autogrow.growth import deepen, widen
from autogrow.growth.cost import counting
from autogrow.growth.neurons_data import Learned
from autogrow.growth.optimizer import check_optimizer, place_state, state_by_name
from autogrow.growth.surgery import Surgery
from autogrow.policy.history import Action, Anneal, Deepen, Undo, Widen, action_name, action_to_plain
from autogrow.train.invariants import check_ranks
from autogrow.train.module import GrowingModule
from autogrow.train.reconnect import size_of
from autogrow.train.rewire import rewire
from autogrow.train.snapshot import Snapshot, place_optimizer_state

Event = dict[str, Any]


def grow(trainer: pl.Trainer, module: GrowingModule, action: Action, *, events: int, decided_at: int) -> Event:
    """Widen or deepen net and weight average by one plan, re-warm the rate, and carry or reset the optimizer.

    New units are drawn from a generator keyed by the run's seed and the number of events before this one.
    """
    before = size_of(module.sites, module.cost)
    generator = torch.Generator().manual_seed(module.spec.seed * 1_000_003 + events)
    names: dict[nn.Parameter, str] = {p: n for n, p in module.net.named_parameters()}
    saved = state_by_name(trainer.optimizers[0], names)

    surgery, flops = rewire(trainer, lambda: applied(module, action, generator))
    if module.spec.optimizer_state != "reset":
        new_names: dict[nn.Parameter, str] = {p: n for n, p in module.net.named_parameters()}
        place_state(trainer.optimizers[0], new_names, saved, surgery.moves, module.spec.optimizer_state)
    check_optimizer(trainer.optimizers[0], module.net)
    check_ranks(trainer, [module])
    module.rate = module.rate.rewarmed(trainer.global_step, module.spec.schedule.rewarm)
    return {
        **action_to_plain(action),
        "before": before,
        "after": size_of(module.sites, module.cost),
        "receipt": surgery.receipt.to_plain(),
        "flops": flops,
    }


def applied(module: GrowingModule, action: Action, generator: torch.Generator) -> tuple[Surgery, int]:
    """Grow the module's net and, by the same plan, its weight average; the recipe remembers it.

    Also answers with the FLOPs it took: of the receipt's probe before and after, and of what an initializer looks at.
    """
    with counting() as counted:
        surgery = operate(module, module.net, action, generator)
        surgery.replay(module.ema)
    module.recipe.append(dict(surgery.entry))
    module.architecture_changed()
    return surgery, counted.flops


def operate(module: GrowingModule, net: nn.Module, action: Action, generator: torch.Generator) -> Surgery:
    """Do to `net` (the module's, or a copy of it) what an action stands for."""
    if isinstance(action, Widen):
        neurons = module.spec.neurons
        if isinstance(neurons, Learned):
            here = [(x.to(module.device), y.to(module.device)) for x, y in module.batches]
            neurons = neurons.on(here, module.loss)
        more = {} if neurons is None else {"neurons": neurons}
        return widen(net, dict(action.widths), example=module.example, generator=generator, **more)
    if isinstance(action, Deepen):
        return deepen(
            net,
            action.after,
            kind=action.kind,
            example=module.example,
            generator=generator,
            calibration=module.calibration,
        )
    raise GrowthError(f"a run cannot apply {action_name(action)!r} on its own; it can widen and deepen")


def install(trainer: pl.Trainer, module: GrowingModule, action: Anneal | Undo, snapshot: Snapshot) -> Event:
    """Return to a snapshot (its architecture too): weights, average, moments; then anneal, or train on."""
    before = size_of(module.sites, module.cost)

    def change() -> None:
        module.restore(snapshot["recipe"], snapshot["net"], snapshot["ema"])

    rewire(trainer, change, lambda: place_optimizer_state(module, trainer.optimizers[0], snapshot["optimizer"]))
    check_optimizer(trainer.optimizers[0], module.net)
    check_ranks(trainer, [module])
    step = trainer.global_step
    if isinstance(action, Anneal):
        module.rate = module.rate.annealed(step, action.steps)
    else:
        module.rate = module.rate.rewarmed(step, 0)
    return {**action_to_plain(action), "before": before, "after": size_of(module.sites, module.cost)}
