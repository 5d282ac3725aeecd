"""Optimizer state follows a growth: the moments of old entries are carried through the same moves as the weights.

How one state entry is carried is in `moments`; here is which parameter it belongs to, and the groups. Tensors are
matched by identity (`carry`) or by name (`state_by_name`, `place_state`), never by position or value. Weight averages
(`torch.optim.swa_utils.AveragedModel`) follow by `surgery.replay(averaged.module)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from autogrow.errors import GrowthError, nearest
from autogrow.growth.carry.moments import carried_state, carried_tensor, check_state, has_new, is_moment
from autogrow.growth.surgery.moves import Move, Surgery

Names = Mapping[nn.Parameter, str]
MODES, NEW_ENTRIES, UNKNOWN = ("carry", "fresh", "reset"), ("zero", "mean"), ("refuse", "reset")
_LBFGS = "LBFGS keeps its history as one vector over all parameters: build a new one after a growth"


def carry(
    optimizer: Optimizer,
    surgery: Surgery,
    *,
    mode: str = "carry",
    new_entries: str = "zero",
    powers: Mapping[str, int] | None = None,
    unknown: str = "refuse",
) -> list[str]:
    """Make an optimizer go on with the grown net, in place: groups, state and gradients.

    Each old parameter gives its place in its group to the one that grew from it; parameters that did not exist go to
    the group of the parameter of their kind next to them, at their place in the order of `net.parameters()`, so that an
    optimizer built anew from the grown net has the same order. With several optimizers each takes what is next to its
    own. `mode`: 'carry' moves the state of old entries and starts new ones at `new_entries` ('zero', or 'mean' of the
    old entries for second moments: no spike, but it damps fresh units); 'fresh' drops the state of tensors that have
    new entries; 'reset' drops all of it. `powers`: for state that autogrow does not know, its power in the gradient.
    `unknown`: what becomes of state that cannot be carried: 'refuse' raises `GrowthError`, with the optimizer as it
    was, 'reset' lets its tensor start anew. Answers with the names of the tensors that start anew because of that.
    """
    _check_choice("mode", mode, MODES)
    _check_choice("new_entries", new_entries, NEW_ENTRIES)
    _check_choice("unknown", unknown, UNKNOWN)
    if isinstance(optimizer, torch.optim.LBFGS):
        raise GrowthError(_LBFGS)
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    moved = [(m.old, m) for m in surgery.moves if m.old is not None and id(m.old) in known]
    started: dict[int, str] = {}
    if mode != "reset":
        for old, move in moved:
            if mode == "fresh" and has_new(move):
                continue
            if not _follows(optimizer, move, optimizer.state.get(old, {}), powers or {}, unknown):
                started[id(old)] = str(move.new_name)
    _replace(optimizer, {id(old): move for old, move in moved})
    _insert(optimizer, surgery)
    for old, move in moved:
        new = move.new
        state = optimizer.state.pop(old, {})
        kept = mode == "carry" or (mode == "fresh" and not has_new(move))
        if state and kept and id(old) not in started:
            optimizer.state[new] = carried_state(optimizer, move, state, new_entries, powers or {})
        if old.grad is not None and new.grad is None:
            new.grad = carried_tensor(move, old.grad, move.grad)
    if mode == "reset":
        optimizer.state.clear()
    _start_state(optimizer)
    return list(started.values())


def _follows(
    optimizer: Optimizer, move: Move, state: Mapping[str, Any], powers: Mapping[str, int], unknown: str
) -> bool:
    """Whether a tensor's state can be carried; where that is refused, GrowthError."""
    try:
        check_state(optimizer, move, state, powers)
    except GrowthError:
        if unknown == "refuse":
            raise
        return False
    return True


def state_by_name(optimizer: Optimizer, names: Names) -> dict[str, dict[str, Any]]:
    """The state of each named parameter that has one, by name; the tensors are shared, not copied.

    `names`: the name of each parameter the optimizer was built for, `{p: n for n, p in net.named_parameters()}`.
    """
    return {name: dict(optimizer.state[p]) for p, name in names.items() if optimizer.state.get(p)}


def place_state(
    optimizer: Optimizer,
    names: Names,
    saved: Mapping[str, Mapping[str, Any]],
    moves: Sequence[Move] = (),
    mode: str = "carry",
    *,
    new_entries: str = "zero",
    powers: Mapping[str, int] | None = None,
    unknown: str = "refuse",
) -> list[str]:
    """Give an optimizer built anew for the grown net the state that was saved by name before the growth.

    `names`: the name of each parameter of the grown net. A parameter that no move names takes the state saved under its
    own name, so with no moves this restores a snapshot. Modes as in `carry`. State is copied. `unknown`: what becomes
    of state that cannot be carried: 'refuse' raises `GrowthError`, 'reset' lets its tensor start anew. Answers with the
    names of the tensors that start anew because of that (all, where the optimizer keeps one history for them all).
    """
    _check_choice("mode", mode, MODES)
    _check_choice("new_entries", new_entries, NEW_ENTRIES)
    _check_choice("unknown", unknown, UNKNOWN)
    optimizer.state.clear()
    if isinstance(optimizer, torch.optim.LBFGS) and any(m.old is not m.new for m in moves):
        if unknown == "refuse" and mode == "carry":
            raise GrowthError(_LBFGS)
        return list(names.values()) if saved else []
    started: list[str] = []
    by_name = {m.new_name: m for m in moves}
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for parameter, name in names.items():
        move = by_name.get(name) or Move(parameter, parameter, name, name)
        state = saved.get(move.old_name or "", {})
        if not state or id(parameter) not in known or mode == "reset" or (mode == "fresh" and has_new(move)):
            continue
        if not _follows(optimizer, move, state, powers or {}, unknown):
            started.append(name)
            continue
        optimizer.state[parameter] = carried_state(optimizer, move, state, new_entries, powers or {})
    _start_state(optimizer)
    return started


def check_optimizer(optimizer: Optimizer | Sequence[Optimizer], net: nn.Module) -> None:
    """Raise `GrowthError` unless each trainable parameter is in just one group, and state has its parameter's shape."""
    optimizers = [optimizer] if isinstance(optimizer, Optimizer) else list(optimizer)
    names = {id(p): name for name, p in net.named_parameters()}
    groups = [(p, o) for o in optimizers for group in o.param_groups for p in group["params"]]
    times: dict[int, int] = {}
    for parameter, owner in groups:
        if id(parameter) not in names:
            raise GrowthError(
                f"the optimizer holds a tensor of shape {tuple(parameter.shape)} that is not in the net (any more): "
                "call carry(optimizer, surgery) after each growth"
            )
        times[id(parameter)] = times.get(id(parameter), 0) + 1
        for key, value in owner.state.get(parameter, {}).items():
            if is_moment(key) and isinstance(value, Tensor) and value.ndim and value.shape != parameter.shape:
                raise GrowthError(
                    f"state {key!r} of {names[id(parameter)]} has shape {tuple(value.shape)}, its parameter {tuple(parameter.shape)}"
                )
    for name, parameter in net.named_parameters():
        found = times.get(id(parameter), 0)
        if parameter.requires_grad and found != 1:
            raise GrowthError(f"{name} is in {found} optimizer groups and must be in exactly one")


def _check_choice(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise GrowthError(f"{name}={value!r} is not a way to treat optimizer state; {nearest(value, known)}")


def _replace(optimizer: Optimizer, successors: Mapping[int, Move]) -> None:
    for group in optimizer.param_groups:
        found = [successors.get(id(p)) for p in group["params"]]
        group["params"][:] = [m.new if m else p for m, p in zip(found, group["params"], strict=True)]
        if "param_names" in group:
            names = zip(found, group["param_names"], strict=True)
            group["param_names"] = [m.new_name if m else name for m, name in names]


def _insert(optimizer: Optimizer, surgery: Surgery) -> None:
    """Put parameters that did not exist into the group of their neighbour, at their canonical place."""
    fresh = {
        id(m.new): m for m in surgery.moves if m.old is None and isinstance(m.new, nn.Parameter) and m.new.requires_grad
    }
    owner = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    order = [p for p in surgery.order if p.requires_grad]
    for place, parameter in enumerate(order):
        if id(parameter) not in fresh or id(parameter) in owner:
            continue
        before, after = order[:place][::-1], order[place + 1 :]
        neighbours = [p for p in [*before, *after] if id(p) not in fresh]
        if not neighbours or id(neighbours[0]) not in owner:
            continue  # its neighbour learns from another optimizer, and so will it
        group = next(
            (owner[id(p)] for p in neighbours if id(p) in owner and p.ndim == parameter.ndim), owner[id(neighbours[0])]
        )
        earlier = {id(p) for p in before}
        at = max((i + 1 for i, p in enumerate(group["params"]) if id(p) in earlier), default=0)
        group["params"].insert(at, parameter)
        owner[id(parameter)] = group
        if "param_names" in group:
            group["param_names"].insert(at, fresh[id(parameter)].new_name)


def _start_state(optimizer: Optimizer) -> None:
    """Adagrad makes its state when it is built, so a parameter without any needs it now."""
    if not isinstance(optimizer, torch.optim.Adagrad):
        return
    for group in optimizer.param_groups:
        for p in group["params"]:
            if not optimizer.state.get(p):
                total = torch.full_like(p, group["initial_accumulator_value"], memory_format=torch.preserve_format)
                optimizer.state[p] = {"step": torch.tensor(0.0, dtype=torch.float32), "sum": total}


__all__ = ["carry", "check_optimizer", "place_state", "state_by_name"]
