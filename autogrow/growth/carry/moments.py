"""How one entry of an optimizer's state is carried through a move.

An entry that is a k-th power of gradients scales by the k-th power of the gradient's factor: where a split makes
∂L/∂U' = λ ∂L/∂U, the momentum m becomes λ m and the second moment v becomes λ² v. Step counters stay. What is new
starts at zero (or at the mean of what is there). Under zero moments and an old step counter Adam moves a fresh entry by
(1−β₁ᵏ)/√(1−β₂ᵏ) learning rates at its k-th step under a constant gradient (at most 6.6 with the usual betas, 7.27 under
any gradients), where a new optimizer would move it by one: so re-warm the rate after a growth, or start over with
`mode="reset"`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from autogrow.errors import GrowthError
from autogrow.growth.surgery.moves import Move, move_tensor

_VALUE = "ax"  # ASGD's average of the parameter itself: it follows as values do
# Which power of the gradient every other entry is made of. A step already divided by its size is power 0.
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
_POWERS_OF = {("RMSprop", "momentum_buffer"): 0}


def _power(optimizer: Optimizer, key: str, powers: Mapping[str, int]) -> int | None:
    if key in powers:
        return powers[key]
    return _POWERS_OF.get((type(optimizer).__name__, key), _POWERS.get(key))


def is_moment(key: str) -> bool:
    """Whether a state entry of that name has its parameter's shape in every optimizer of torch."""
    return key in _POWERS or key == _VALUE


def _fits(value: Any, old: Tensor) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0 and value.shape == old.shape


def check_state(optimizer: Optimizer, move: Move, state: Mapping[str, Any], powers: Mapping[str, int]) -> None:
    """Raise `GrowthError` for state that cannot follow the move: of another shape, or of unknown power.

    A tensor that was not touched keeps its state, whatever that is.
    """
    old = move.old
    assert old is not None
    if not move.index:
        return
    for key, value in state.items():
        shapes = [tuple(t.shape) for t in _tensors(value) if t.numel() > 1]
        if shapes and (not isinstance(value, Tensor) or value.shape != old.shape):
            raise GrowthError(
                f"{type(optimizer).__name__} keeps {key!r} of shape {shapes[0]} for {move.old_name} of shape "
                f"{tuple(old.shape)}: it cannot follow the growth; use mode='fresh' or mode='reset'"
            )
        if _fits(value, old) and move.grad and key != _VALUE and _power(optimizer, key, powers) is None:
            raise GrowthError(
                f"{type(optimizer).__name__} keeps {key!r}, whose power in the gradient is not known, and the gradient of "
                f"{move.old_name} is rescaled: pass powers={{{key!r}: 1}} (2 for a second moment), or mode='reset'"
            )


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in a state entry: Shampoo and SOAP keep lists of them."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple, Mapping)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(item)


def has_new(move: Move) -> bool:
    """Whether the tensor has entries that did not come from anywhere."""
    return any(bool((index < 0).any()) for index in move.index.values())


def carried_state(
    optimizer: Optimizer, move: Move, state: Mapping[str, Any], new_entries: str, powers: Mapping[str, int]
) -> dict[str, Any]:
    """The state of `move.new` from that of `move.old`; every tensor of it is new."""
    old = move.old
    assert old is not None
    if not move.index:
        return copy.deepcopy(dict(state))
    carried: dict[str, Any] = {}
    for key, value in state.items():
        if not _fits(value, old):
            carried[key] = value.clone() if isinstance(value, Tensor) else value
        elif key == _VALUE:
            carried[key] = _average(move, value)
        else:
            power = _power(optimizer, key, powers) or 0
            fill = _fill(optimizer, key, value, power, new_entries, move)
            carried[key] = carried_tensor(move, value, move.grad, power=power, fill=fill)
    return carried


def _average(move: Move, value: Tensor) -> Tensor:
    out = carried_tensor(move, value, move.value)
    for dim, index in move.index.items():
        fresh = (index < 0).nonzero().flatten().to(out.device)
        out.index_copy_(dim, fresh, move.new.detach().index_select(dim, fresh).to(out))
    return out


def _fill(optimizer: Optimizer, key: str, value: Tensor, power: int, new_entries: str, move: Move) -> float:
    group = next(g for g in optimizer.param_groups if any(p is move.new for p in g["params"]))
    if key == "step_size":  # Rprop's steps start at the rate, and never leave zero
        return float(group["lr"])
    if key == "sum":
        return float(group.get("initial_accumulator_value", 0.0))
    return float(value.mean()) if power == 2 and new_entries == "mean" else 0.0


def carried_tensor(
    move: Move, old: Tensor, factors: Mapping[int, Tensor], *, power: int = 1, fill: float = 0.0
) -> Tensor:
    """Carry a tensor of `move.old`'s shape through the move; entries times the factors to `power`."""
    out = _appended(move, old, fill) if _only_appends(move, old) else move_tensor(move, old, fill=fill)
    if power:
        for dim, factor in factors.items():
            shape = [1] * out.ndim
            shape[dim] = -1
            out *= factor.to(out).view(shape) ** power
    if out.stride() != move.new.stride():  # fused and foreach kernels want the parameter's memory format
        out = torch.empty_like(move.new, dtype=out.dtype).copy_(out)
    return out


def _only_appends(move: Move, old: Tensor) -> bool:
    """Whether old entries keep their places and new ones come behind them, in every dimension: the usual growth."""
    for dim, index in move.index.items():
        size = old.shape[dim]
        if not (torch.equal(index[:size].cpu(), torch.arange(size)) and bool((index[size:] < 0).all())):
            return False
    return True


def _appended(move: Move, old: Tensor, fill: float) -> Tensor:
    """One allocation and one copy, where gathering every dimension would make several."""
    out = torch.full_like(move.new, fill, dtype=old.dtype)
    out[tuple(slice(size) for size in old.shape)] = old
    return out
