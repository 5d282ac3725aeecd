"""Grow the net of somebody else's module inside their running fit: their optimizers, their schedulers, their groups.

`configure_optimizers` is called again, so that groups and their order are the ones a resume will build. What the old
optimizers and schedulers had come to goes over by name, through the moves of the growth; learning rates last, because a
scheduler's constructor touches them.
"""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
from torch import nn
from torch.optim import Optimizer

from autogrow.errors import GrowthError
from autogrow.growth import Sites, growth_sites
from autogrow.growth.carry.optimizer import place_state, state_by_name
from autogrow.growth.cost import NetCost, cost, counting
from autogrow.growth.surgery.moves import Move, Surgery
from autogrow.policy.history import Action
from autogrow.train.guest.architecture import GrowthRecord
from autogrow.train.guest.averages import averages_of, averaging_started
from autogrow.train.guest.compiled import eagerly, forget_compiled
from autogrow.train.rewire.event import perform, units_generator
from autogrow.train.rewire.invariants import check_ranks, check_reconnected, check_same_layout
from autogrow.train.rewire.rewire import rewire


def grow_hot(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    record: GrowthRecord,
    action: Action,
    *,
    seed: int,
    neurons: Any = None,
    mode: str = "carry",
) -> tuple[Surgery, int]:
    """Widen or deepen the net, its averages by the same plan, and reconnect trainer, optimizers and schedulers;
    with the FLOPs it took.

    `mode`: what becomes of the optimizer state ('carry', 'fresh', 'reset'). Raises GrowthError where
    `configure_optimizers` leaves the grown parameters out or stochastic weight averaging has started, and TrainingError
    where the ranks of a distributed run no longer agree.
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
        done.append(grow_net(module, record, action, seed=seed, neurons=neurons))
        forget_compiled(module)

    def place() -> None:
        names = names_in(module, net)
        moves = named_moves(done[0][0].moves, module, net)
        optimizers = trainer.strategy.optimizers
        check_same_layout("schedulers", len(schedules), len(trainer.strategy.lr_scheduler_configs))
        place_all(before, optimizers, names, moves, mode)
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
) -> tuple[Surgery, int]:
    """Grow the net, its averages and further `copies`, and write the growth into the record;
    with the FLOPs it took (the receipt's probe).

    New units are drawn by `seed` and the number of growths before this one.
    """
    copies = [*averages_of(module, record.path, record.averages), *copies]
    net, generator = record.net(module), units_generator(seed, len(record.recipe))
    with eagerly(), counting() as counted:
        surgery = perform(net, action, example=record.inputs(net), generator=generator, neurons=neurons)
        for other in copies:
            surgery.replay(other)
    record.recipe.append(dict(surgery.entry))
    return surgery, counted.flops


def look_at(net: nn.Module, record: GrowthRecord) -> tuple[Sites, NetCost]:
    """Where the net can grow, and what it costs as it is."""
    inputs = record.inputs(net)
    with eagerly():
        return growth_sites(net, inputs), cost(net, inputs)


@dataclass(frozen=True)
class Wiring:
    """An optimizer as it was before a growth: state by name, and the values of its groups."""

    state: Mapping[str, Mapping[str, Any]]
    groups: Sequence[Mapping[str, Any]]
    members: Sequence[str]

    @staticmethod
    def of(optimizer: Optimizer, names: Mapping[nn.Parameter, str]) -> Wiring:
        """What `optimizer` holds for the named parameters."""
        groups = [
            {k: v for k, v in group.items() if k not in ("params", "param_names")} for group in optimizer.param_groups
        ]
        members = [names[p] for group in optimizer.param_groups for p in group["params"] if p in names]
        return Wiring(state_by_name(optimizer, names), copy.deepcopy(groups), members)

    def place(self, optimizer: Optimizer, names: Mapping[nn.Parameter, str], moves: Sequence[Move], mode: str) -> None:
        """Give an optimizer that was made anew the group values and, through the moves, the state."""
        self.put_back_groups(optimizer)
        mine = {p for group in optimizer.param_groups for p in group["params"]}
        place_state(optimizer, {p: n for p, n in names.items() if p in mine}, self.state, moves, mode)

    def put_back_groups(self, optimizer: Optimizer) -> None:
        """Learning rate, momentum, … as they were: by the group's `name` where groups have one, else in order."""
        by_name = {group.get("name"): group for group in self.groups}
        named = len(by_name) == len(self.groups) and None not in by_name
        for group, kept in zip(optimizer.param_groups, self.groups, strict=True):
            group.update(copy.deepcopy(dict(by_name[group["name"]] if named else kept)))


def place_all(
    before: Sequence[Wiring],
    optimizers: Sequence[Optimizer],
    names: Mapping[nn.Parameter, str],
    moves: Sequence[Move],
    mode: str,
) -> None:
    """Give optimizers that were made anew what the ones before had. Raises GrowthError where they are not as many."""
    check_same_layout("optimizers", len(before), len(optimizers))
    for wiring, optimizer in zip(before, optimizers, strict=True):
        check_same_layout("parameter groups", len(wiring.groups), len(optimizer.param_groups))
        wiring.place(optimizer, names, moves, mode)


def groups_of(before: Sequence[Wiring]) -> Counter[str]:
    """In how many groups each parameter was."""
    return Counter(name for wiring in before for name in wiring.members)


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
    return f"{next(name for name, m in module.named_modules() if m is net)}."
