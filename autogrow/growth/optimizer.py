"""Optimizer state follows a growth: the moments of old entries are carried through the same moves as the weights.

A state entry that is a k-th power of gradients scales by the k-th power of the gradient's factor: where a split makes
∂L/∂U' = λ ∂L/∂U, the momentum m becomes λ m and the second moment v becomes λ² v. Step counters stay. What is new starts
at zero (or at the mean of what is there). Under zero moments and an old step counter Adam moves a fresh entry by (1−β₁ᵏ)/√(1−β₂ᵏ)
learning rates at its k-th step under a constant gradient (at most 6.6 with the usual betas, 7.27 under any gradients), where
a new optimizer would move it by one: so re-warm the rate after a growth, or start over with `mode="reset"`.

Tensors are matched by identity (`carry`) or by name (`state_by_name`, `place_state`), never by position or value. Weight averages
(`torch.optim.swa_utils.AveragedModel`) follow by `surgery.replay(averaged.module)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from autogrow.errors import GrowthError, nearest
from autogrow.growth.surgery import Move, Surgery, move_tensor

Names = Mapping[nn.Parameter, str]
MODES, NEW_ENTRIES = ("carry", "fresh", "reset"), ("zero", "mean")

# Which power of the gradient a state entry is made of. A step already divided by its size is power 0.
_POWERS = {
    "momentum_buffer": 1,
    "exp_avg": 1,
    "grad_avg": 1,
    "exp_inf": 1,
    "prev": 1,
    "exp_avg_sq": 2,
    "max_exp_avg_sq": 2,
    "square_avg": 2,
    "sum": 2,
    "acc_delta": 0,
    "step_size": 0,
}
_POWERS_OF = {("RMSprop", "momentum_buffer"): 0, ("Muon", "momentum_buffer"): 1}


def carry(
    optimizer: Optimizer,
    surgery: Surgery,
    *,
    net: nn.Module | None = None,
    mode: str = "carry",
    new_entries: str = "zero",
    powers: Mapping[str, int] | None = None,
) -> None:
    """Make an optimizer go on with the grown net, in place: groups, state and gradients.

    Each old parameter gives its place in its group to the one that grew from it; parameters that did not exist go to the group
    of the parameter of their kind before them. With `net` their place is that of `net.parameters()`, so that an optimizer built
    anew from the grown net has the same order; without it they go to the end of the group.
    `mode`: 'carry' moves the state of old entries and starts new ones at `new_entries` ('zero', or 'mean' of the old entries
    for second moments: no spike, but it damps fresh units); 'fresh' drops the state of tensors that have new entries; 'reset'
    drops all of it. `powers`: for state that autogrow does not know, its power in the gradient.
    Raises `GrowthError`, with the optimizer as it was, for state that cannot be carried.
    """
    _check_choice("mode", mode, MODES)
    _check_choice("new_entries", new_entries, NEW_ENTRIES)
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    moved = [(m.old, m) for m in surgery.moves if m.old is not None and id(m.old) in known]
    if mode == "carry":
        for old, move in moved:
            _check_state(optimizer, move, optimizer.state.get(old, {}), powers or {})
    _replace(optimizer, {id(old): move for old, move in moved})
    _insert(optimizer, surgery.moves, net)
    for old, move in moved:
        new = move.new
        state = optimizer.state.pop(old, {})
        if state and (mode == "carry" or (mode == "fresh" and not _has_new(move))):
            optimizer.state[new] = _carried(optimizer, move, state, new_entries, powers or {})
        if old.grad is not None and new.grad is None:
            new.grad = _moved(move, old.grad, power=1)
    if mode == "reset":
        optimizer.state.clear()
    _start_state(optimizer)


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
) -> None:
    """Give an optimizer built anew for the grown net the state that was saved by name before the growth.

    `names`: the name of each parameter of the grown net. A parameter that no move names takes the state saved under its own name,
    so with no moves this restores a snapshot. Modes as in `carry`. State is copied.
    """
    _check_choice("mode", mode, MODES)
    _check_choice("new_entries", new_entries, NEW_ENTRIES)
    optimizer.state.clear()
    by_name = {m.new_name: m for m in moves}
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for parameter, name in names.items():
        move = by_name.get(name) or Move(parameter, parameter, name, name)
        state = saved.get(move.old_name or "", {})
        if not state or id(parameter) not in known or mode == "reset" or (mode == "fresh" and _has_new(move)):
            continue
        _check_state(optimizer, move, state, powers or {})
        optimizer.state[parameter] = _carried(optimizer, move, state, new_entries, powers or {})
    _start_state(optimizer)


def check_optimizer(optimizer: Optimizer | Sequence[Optimizer], net: nn.Module) -> None:
    """Raise `GrowthError` unless each trainable parameter is in exactly one group, and state has its parameter's shape."""
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
            if isinstance(value, Tensor) and value.ndim and value.shape != parameter.shape:
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


def _power(optimizer: Optimizer, key: str, powers: Mapping[str, int]) -> int | None:
    if key in powers:
        return powers[key]
    return _POWERS_OF.get((type(optimizer).__name__, key), _POWERS.get(key))


def _is_moment(value: Any, old: Tensor) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0 and value.shape == old.shape


def _check_state(optimizer: Optimizer, move: Move, state: Mapping[str, Any], powers: Mapping[str, int]) -> None:
    old = move.old
    assert old is not None
    for key, value in state.items():
        if isinstance(value, Tensor) and value.numel() > 1 and value.shape != old.shape:
            raise GrowthError(
                f"{type(optimizer).__name__} keeps {key!r} of shape {tuple(value.shape)} for {move.old_name} of shape "
                f"{tuple(old.shape)}: it cannot follow the growth; use mode='fresh' or mode='reset'"
            )
        if _is_moment(value, old) and move.grad and _power(optimizer, key, powers) is None:
            raise GrowthError(
                f"{type(optimizer).__name__} keeps {key!r}, whose power in the gradient is not known, and the gradient of "
                f"{move.old_name} is rescaled: pass powers={{{key!r}: 1}} (2 for a second moment), or mode='reset'"
            )


def _has_new(move: Move) -> bool:
    return any(bool((index < 0).any()) for index in move.index.values())


def _carried(
    optimizer: Optimizer, move: Move, state: Mapping[str, Any], new_entries: str, powers: Mapping[str, int]
) -> dict[str, Any]:
    old = move.old
    assert old is not None
    carried: dict[str, Any] = {}
    for key, value in state.items():
        if _is_moment(value, old):
            power = _power(optimizer, key, powers) or 0
            carried[key] = _moved(move, value, power=power, fill=_fill(optimizer, key, value, power, new_entries, move))
        else:
            carried[key] = value.clone() if isinstance(value, Tensor) else value
    return carried


def _fill(optimizer: Optimizer, key: str, value: Tensor, power: int, new_entries: str, move: Move) -> float:
    group = next(g for g in optimizer.param_groups if any(p is move.new for p in g["params"]))
    if key == "step_size":  # Rprop's steps start at the rate, and never leave zero
        return float(group["lr"])
    if key == "sum":
        return float(group.get("initial_accumulator_value", 0.0))
    return float(value.mean()) if power == 2 and new_entries == "mean" else 0.0


def _moved(move: Move, old: Tensor, *, power: int, fill: float = 0.0) -> Tensor:
    """Carry a tensor of `move.old`'s shape through the move; entry times the gradient's factor to `power`."""
    out = move_tensor(move, old, fill=fill)
    if power:
        for dim, factor in move.grad.items():
            shape = [1] * out.ndim
            shape[dim] = -1
            out *= factor.to(out).view(shape) ** power
    if out.stride() != move.new.stride():  # fused and foreach kernels want the parameter's memory format
        out = torch.empty_like(move.new, dtype=out.dtype).copy_(out)
    return out


def _replace(optimizer: Optimizer, successors: Mapping[int, Move]) -> None:
    for group in optimizer.param_groups:
        found = [successors.get(id(p)) for p in group["params"]]
        group["params"] = [m.new if m else p for m, p in zip(found, group["params"], strict=True)]
        if "param_names" in group:
            names = zip(found, group["param_names"], strict=True)
            group["param_names"] = [m.new_name if m else name for m, name in names]


def _insert(optimizer: Optimizer, moves: Sequence[Move], net: nn.Module | None) -> None:
    """Put parameters that did not exist into the group of their neighbour, at their canonical place."""
    fresh = [m for m in moves if m.old is None and isinstance(m.new, nn.Parameter) and m.new.requires_grad]
    order = list(net.parameters()) if net is not None else []
    place = {id(p): i for i, p in enumerate(order)}
    for move in sorted(fresh, key=lambda m: place.get(id(m.new), 0)):
        owner = {id(p): group for group in optimizer.param_groups for p in group["params"]}
        if id(move.new) in owner:
            continue
        before = [p for p in order[: place.get(id(move.new), 0)] if id(p) in owner]
        candidates = before[::-1] or [p for group in optimizer.param_groups for p in group["params"]]
        alike = [p for p in candidates if p.ndim == move.new.ndim]
        group = owner[id((alike or candidates)[0])]
        earlier = {id(p) for p in before}
        places = [i for i, p in enumerate(group["params"]) if id(p) in earlier]
        at = (max(places) + 1 if places else 0) if net is not None else len(group["params"])
        group["params"].insert(at, move.new)
        if "param_names" in group:
            group["param_names"].insert(at, move.new_name)


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
