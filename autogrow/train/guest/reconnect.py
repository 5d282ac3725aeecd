"""Grow the net of somebody else's module inside their running fit: their optimizers, their schedulers, their groups.

`configure_optimizers` is called again, so that groups and their order are the ones a resume will build. What the old
optimizers and schedulers had come to goes over by name, through the moves of the growth; learning rates last, because a
scheduler's constructor touches them.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_info
from torch import nn

from autogrow.errors import GrowthError, ParityError
from autogrow.growth import Sites, growth_sites
from autogrow.growth.cost import NetCost, cost, counting
from autogrow.growth.surgery.moves import Move, Surgery
from autogrow.policy.history import Action
from autogrow.train.guest.architecture import GrowthRecord
from autogrow.train.guest.averages import averages_of, averaging_started
from autogrow.train.guest.compiled import eagerly, forget_compiled
from autogrow.train.guest.wiring import Wiring, groups_of, place_all
from autogrow.train.rewire.columns import Columns
from autogrow.train.rewire.event import perform, units_generator
from autogrow.train.rewire.invariants import check_ranks, check_reconnected, check_same_layout
from autogrow.train.rewire.rewire import rewire


class SiteRefusedError(GrowthError):
    """A growth that failed at its site: net, averages and optimizers are exactly as they were."""


def grow_hot(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    record: GrowthRecord,
    action: Action,
    *,
    seed: int,
    neurons: Any = None,
    mode: str = "carry",
    columns: Columns | None = None,
) -> tuple[Surgery, int]:
    """Widen, deepen or refine the net, its averages by the same plan, and reconnect trainer, optimizers and schedulers;
    with the FLOPs it took.

    `mode`: what becomes of the optimizer state ('carry', 'fresh', 'reset'). Raises GrowthError where
    `configure_optimizers` leaves the grown parameters out or stochastic weight averaging has started, SiteRefusedError
    where the net does not allow the growth and nothing has happened, and TrainingError where the ranks of a distributed
    run no longer agree.
    """
    if averaging_started(trainer, trainer.current_epoch):
        raise GrowthError(
            "stochastic weight averaging has started: its schedule and its average would be lost by a growth"
        )
    net = record.net(module)
    before = [Wiring.of(optimizer, names_in(module, net)) for optimizer in trainer.strategy.optimizers]
    schedules = [copy.deepcopy(c.scheduler.state_dict()) for c in trainer.strategy.lr_scheduler_configs]
    done: list[tuple[Surgery, int]] = []

    def change() -> None:
        done.append(grow_net(module, record, action, seed=seed, neurons=neurons, columns=columns))
        forget_compiled(module)

    def place() -> None:
        names = names_in(module, net)
        moves = named_moves(done[0][0].moves, module, net)
        optimizers = trainer.strategy.optimizers
        check_same_layout("schedulers", len(schedules), len(trainer.strategy.lr_scheduler_configs))
        started = place_all(before, optimizers, names, moves, mode)
        if started:
            rank_zero_info(
                f"autogrow: the optimizer's state of {', '.join(started)} cannot be carried through the growth and starts anew"
            )
        for schedule, config in zip(schedules, trainer.strategy.lr_scheduler_configs, strict=True):
            config.scheduler.load_state_dict(schedule)
        for wiring, optimizer in zip(before, optimizers, strict=True):
            wiring.put_back_groups(optimizer)
        check_reconnected(module, optimizers, moves, groups_of(before))

    rewire(trainer, change, place)
    check_ranks(trainer, [module, *averages_of(module, record.path, record.averages)])
    return done[0]


def grow_net(
    module: pl.LightningModule,
    record: GrowthRecord,
    action: Action,
    *,
    seed: int,
    neurons: Any = None,
    copies: Sequence[nn.Module] = (),
    columns: Columns | None = None,
) -> tuple[Surgery, int]:
    """Grow the net, its averages and further `copies`, and write the growth into the record;
    with the FLOPs it took (the receipt's probe).

    New units are drawn by `seed` and the number of growths before this one.
    """
    copies = [*averages_of(module, record.path, record.averages), *copies]
    net, generator = record.net(module), units_generator(seed, len(record.recipe))
    with eagerly(), counting() as counted:
        try:
            surgery = perform(
                net, action, example=record.inputs(net), generator=generator, neurons=neurons, columns=columns
            )
        except (GrowthError, ParityError) as error:
            raise SiteRefusedError(str(error)) from error
        for other in copies:
            surgery.replay(other)
    record.recipe.append(dict(surgery.entry))
    return surgery, counted.flops


def look_at(net: nn.Module, record: GrowthRecord) -> tuple[Sites, NetCost]:
    """Where the net can grow (of the parts that may), and what it costs as it is."""
    inputs = record.inputs(net)
    with eagerly():
        sites, spent = growth_sites(net, inputs), cost(net, inputs)
    return _those_within(sites, record.within), spent


def _those_within(sites: Sites, parts: Sequence[str]) -> Sites:
    def inside(name: str) -> bool:
        return not parts or any(name == part or name.startswith((f"{part}.", f"{part}[")) for part in parts)

    return dataclasses.replace(
        sites,
        widths={name: site for name, site in sites.widths.items() if inside(name)},
        depths={name: site for name, site in sites.depths.items() if inside(name)},
    )


def names_in(module: pl.LightningModule, net: nn.Module) -> dict[nn.Parameter, str]:
    """The name of each parameter of the module; those of the net by where the net is, whatever aliases it has."""
    prefix = prefix_of(module, net)
    names = {p: name for name, p in module.named_parameters()}
    return names | {p: prefix + name for name, p in net.named_parameters()}


def named_moves(moves: Sequence[Move], module: pl.LightningModule, net: nn.Module) -> list[Move]:
    """The net's moves by the module's names."""
    prefix = prefix_of(module, net)

    def full(name: str | None) -> str | None:
        return None if name is None else prefix + name

    return [dataclasses.replace(m, old_name=full(m.old_name), new_name=prefix + m.new_name) for m in moves]


def prefix_of(module: pl.LightningModule, net: nn.Module) -> str:
    """What stands before the net's own names in the module's."""
    name = next(name for name, m in module.named_modules() if m is net)
    return f"{name}." if name else ""
