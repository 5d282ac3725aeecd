"""Grow the net of somebody else's module inside their running fit: their optimizers, their schedulers, their groups.

`configure_optimizers` is called again, so that groups and their order are the ones a resume will build. What the old
optimizers and schedulers had come to goes over by name, through the moves of the growth; learning rates last, because a
scheduler's constructor touches them.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from autogrow.errors import GrowthError, TrainingError
from autogrow.growth import Sites, deepen, growth_sites, widen
from autogrow.growth.cost import NetCost, cost
from autogrow.growth.optimizer import place_state, state_by_name
from autogrow.growth.surgery import Move, Surgery
from autogrow.policy.history import Action, Deepen, Widen, action_to_plain
from autogrow.train.averages import averages_of, averaging_started
from autogrow.train.compiled import eagerly, forget_compiled
from autogrow.train.growth_record import GrowthRecord
from autogrow.train.rewire import rewire


def grow_hot(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    record: GrowthRecord,
    action: Action,
    *,
    seed: int,
    neurons: Any = None,
    mode: str = "carry",
) -> Surgery:
    """Widen or deepen the net, its averages by the same plan, and reconnect trainer, optimizers and schedulers.

    `mode`: what becomes of the optimizer state ('carry', 'fresh', 'reset'). Raises GrowthError where `configure_optimizers`
    leaves the grown parameters out or stochastic weight averaging has started, and TrainingError where the ranks of a distributed run no longer agree.
    """
    if averaging_started(trainer, trainer.current_epoch):
        raise GrowthError(
            "stochastic weight averaging has started: its schedule and its average would be lost by a growth"
        )
    net = record.net(module)
    before = [Wiring.of(optimizer, names_in(module, net)) for optimizer in trainer.strategy.optimizers]
    schedules = [copy.deepcopy(c.scheduler.state_dict()) for c in trainer.strategy.lr_scheduler_configs]
    done: list[Surgery] = []

    def change() -> None:
        done.append(grow_net(module, record, action, seed=seed, neurons=neurons))
        forget_compiled(module)

    def place() -> None:
        names = names_in(module, net)
        moves = named_moves(done[0].moves, module, net)
        optimizers = trainer.strategy.optimizers
        check_same_layout(before, optimizers, schedules, trainer.strategy.lr_scheduler_configs)
        for wiring, optimizer in zip(before, optimizers, strict=True):
            wiring.place(optimizer, names, moves, mode)
        for schedule, config in zip(schedules, trainer.strategy.lr_scheduler_configs, strict=True):
            config.scheduler.load_state_dict(schedule)
        for wiring, optimizer in zip(before, optimizers, strict=True):
            wiring.put_back_groups(optimizer)
        check_reconnected(module, optimizers, moves, before)

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
) -> Surgery:
    """Grow the net, its averages and further `copies`, and write the growth into the record.

    New units are drawn by `seed` and the number of growths before this one.
    """
    copies = [*averages_of(module, record.path, record.averages), *copies]
    generator = torch.Generator().manual_seed(seed * 1_000_003 + len(record.recipe))
    with eagerly():
        surgery = _operate(record.net(module), action, record, generator, neurons)
        for other in copies:
            surgery.replay(other)
    record.recipe.append(dict(surgery.entry))
    return surgery


def _operate(net: nn.Module, action: Action, record: GrowthRecord, generator: torch.Generator, neurons: Any) -> Surgery:
    inputs = record.inputs(net)
    if isinstance(action, Widen):
        more = {} if neurons is None else {"neurons": neurons}
        return widen(net, dict(action.widths), example=inputs, generator=generator, **more)
    if isinstance(action, Deepen):
        return deepen(net, action.after, kind=action.kind, example=inputs, generator=generator)
    raise GrowthError(f"a running module can be widened and deepened, not {action_to_plain(action)['do']!r}")


def look_at(net: nn.Module, record: GrowthRecord) -> tuple[Sites, NetCost]:
    """Where the net can grow, and what it costs as it is."""
    inputs = record.inputs(net)
    with eagerly():
        return growth_sites(net, inputs), cost(net, inputs)


def size_of(sites: Sites, spent: NetCost) -> dict[str, Any]:
    """Widths by site, parameters and FLOPs per sample, plain."""
    return {
        "widths": {name: site.size for name, site in sites.widths.items()},
        "parameters": spent.parameters,
        "flops_per_sample": spent.flops_per_sample,
    }


def growth_event(
    action: Action, surgery: Surgery, before: Mapping[str, Any], after: Mapping[str, Any], *, decided_at: int
) -> dict[str, Any]:
    """What the next row says of a growth: what was done, sizes before and after, the receipt."""
    receipt = surgery.receipt.to_plain()
    return {**action_to_plain(action), "before": before, "after": after, "receipt": receipt, "decided_at": decided_at}


@dataclass(frozen=True)
class Wiring:
    """An optimizer as it was before a growth: state by name, and the values of its groups."""

    state: Mapping[str, Mapping[str, Any]]
    groups: Sequence[Mapping[str, Any]]
    members: frozenset[str]

    @staticmethod
    def of(optimizer: Optimizer, names: Mapping[nn.Parameter, str]) -> Wiring:
        """What `optimizer` holds for the named parameters."""
        groups = [
            {k: v for k, v in group.items() if k not in ("params", "param_names")} for group in optimizer.param_groups
        ]
        members = frozenset(names[p] for group in optimizer.param_groups for p in group["params"] if p in names)
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


def check_same_layout(
    before: Sequence[Wiring], optimizers: Sequence[Optimizer], schedules: Sequence[Any], configs: Sequence[Any]
) -> None:
    """Raise GrowthError unless `configure_optimizers` made as many optimizers, groups and schedulers as before."""
    made = {
        "optimizers": (len(before), len(optimizers)),
        "parameter groups": (sum(len(w.groups) for w in before), sum(len(o.param_groups) for o in optimizers)),
        "schedulers": (len(schedules), len(configs)),
    }
    for what, (old, new) in made.items():
        if old != new:
            raise GrowthError(
                f"configure_optimizers made {old} {what} before the growth and {new} after it: build groups by the kind of "
                "parameter (decayed or not, backbone or head), not one per layer"
            )


def check_reconnected(
    module: pl.LightningModule, optimizers: Sequence[Optimizer], moves: Sequence[Move], before: Sequence[Wiring]
) -> None:
    """Raise GrowthError unless what trained before still trains, what is new does, and no state has a wrong shape."""
    net_names = {m.new_name: m for m in moves}
    trained = frozenset().union(*(wiring.members for wiring in before))
    names = {id(p): name for name, p in module.named_parameters()} | {id(m.new): m.new_name for m in moves}
    stale = {id(m.old): m.old_name for m in moves if m.old is not None and m.old is not m.new}
    times: dict[str, int] = {}
    for optimizer in optimizers:
        for parameter in (p for group in optimizer.param_groups for p in group["params"]):
            if id(parameter) in stale:
                raise GrowthError(
                    f"configure_optimizers still hands out {stale[id(parameter)]} as it was before the growth: let it ask "
                    "self.parameters() each time it is called"
                )
            name = names.get(id(parameter), "a tensor that is not in the module")
            times[name] = times.get(name, 0) + 1
            for key, value in optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor) and value.ndim and value.shape != parameter.shape:
                    raise GrowthError(
                        f"state {key!r} of {name} has shape {tuple(value.shape)}, its parameter {tuple(parameter.shape)}"
                    )
    for name, parameter in ((names[id(p)], p) for p in module.parameters()):
        move = net_names.get(name)
        must = (move.old is None or move.old_name in trained) if move is not None else name in trained
        if parameter.requires_grad and must and times.get(name, 0) != 1:
            raise GrowthError(
                f"after the growth {name} is in {times.get(name, 0)} groups of what configure_optimizers made, and must be in "
                "exactly one: let it ask self.parameters() each time it is called"
            )


def check_ranks(trainer: pl.Trainer, nets: Sequence[nn.Module]) -> None:
    """Raise TrainingError unless DDP wraps the module as it is, and every rank holds the same parameters, bit for bit.

    `nets`: the module, and the averages outside it.
    """
    wrapper = trainer.strategy.model
    if isinstance(wrapper, DistributedDataParallel):
        reduced = {id(p) for p in wrapper._module_parameters}
        left_out = [name for name, p in nets[0].named_parameters() if p.requires_grad and id(p) not in reduced]
        if left_out:
            raise TrainingError(f"DDP still wraps the module as it was: gradients of {left_out[0]} would not be shared")
    if trainer.world_size > 1:
        digests: list[Any] = [None] * trainer.world_size
        torch.distributed.all_gather_object(digests, parameter_hash(nets))
        if len(set(digests)) > 1:
            listed = ", ".join(digest[:8] for digest in digests)
            raise TrainingError(f"the ranks hold different parameters after a growth (hashes {listed})")


def parameter_hash(nets: Sequence[nn.Module]) -> str:
    """A hash of names and values of all parameters."""
    digest = hashlib.sha256()
    for name, parameter in (named for net in nets for named in net.named_parameters()):
        digest.update(name.encode())
        digest.update(parameter.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
