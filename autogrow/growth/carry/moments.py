"""How one entry of an optimizer's state is carried through a move.

An entry that is a k-th power of gradients scales by the k-th power of the gradient's factor: where a split makes
∂L/∂U' = λ ∂L/∂U, the momentum m becomes λ m and the second moment v becomes λ² v. Step counters stay. What is new
starts at zero (or at the mean of what is there). Under zero moments and an old step counter Adam moves a fresh entry by
(1−β₁ᵏ)/√(1−β₂ᵏ) learning rates at its k-th step under a constant gradient (at most 6.6 with the usual betas, 7.27 under
any gradients), where a new optimizer would move it by one: so re-warm the rate after a growth, or start over with
`mode="reset"`.

A second moment that is kept as the means of its rows and of its columns (Adafactor: Shazeer and Stern, arXiv
1804.04235) is carried as the matrix they stand for. What is kept in another basis, in blocks or as an integer (SOAP,
Shampoo, 8-bit optimizers) cannot follow, and its tensor starts anew.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from autogrow.errors import GrowthError
from autogrow.growth.surgery.moves import Move, move_tensor

# what is a value of the parameter itself, and follows as values do: ASGD's average, schedule-free's other sequence
_VALUES = {("ASGD", "ax"), ("ScheduleFree", "z")}
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
    "variance": 2,  # Adafactor, of vectors
    "exp_avg_var": 2,  # AdaBelief
    "hessian": 2,  # Sophia
    "exp_avg_diff": 1,  # Adan
    "neg_pre_grad": 1,
    "exp_avg_fast": 1,  # AdEMAMix
    "exp_avg_slow": 1,
    "state1": 1,  # bitsandbytes, in 32 bits
    "state2": 2,
}
_POWERS_OF = {("RMSprop", "momentum_buffer"): 0}
# second moments as means over the last dimension and over the one before: torch; fairseq, transformers and timm; CAME
_FACTORED = (("row_var", "col_var"), ("exp_avg_sq_row", "exp_avg_sq_col"), ("exp_avg_res_row", "exp_avg_res_col"))
# matrices that may happen to have their parameter's shape
_OTHER_BASIS = ("precond", "inv_precond", "GG", "Q", "statistics", "projector")


def _power(optimizer: Optimizer, key: str, powers: Mapping[str, int]) -> int | None:
    if key in powers:
        return powers[key]
    return _POWERS_OF.get((type(optimizer).__name__, key), _POWERS.get(key))


def is_moment(key: str) -> bool:
    """Whether a state entry of that name has its parameter's shape in every optimizer of torch."""
    return key in _POWERS or key in {name for _, name in _VALUES}


def _is_value(optimizer: Optimizer, key: str) -> bool:
    kinds = [kind.__name__ for kind in type(optimizer).__mro__]
    return any(key == name and any(owner in kind for kind in kinds) for owner, name in _VALUES)


def _factors_in(state: Mapping[str, Any], old: Tensor) -> list[tuple[str, str]]:
    """The pairs of entries that are the means of a matrix's rows and columns."""
    rows, columns = old.shape[:-1], (*old.shape[:-2], *old.shape[-1:])
    return [
        (row, column)
        for row, column in _FACTORED
        if old.ndim > 1
        and row in state
        and state[row].numel() == rows.numel()
        and state[column].numel() == math.prod(columns)
    ]


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
    factored = {key for pair in _factors_in(state, old) for key in pair}
    for key, value in state.items():
        if key in factored:
            continue
        shapes = [tuple(t.shape) for t in _tensors(value) if t.numel() > 1]
        stored = _fits(value, old) and value.is_floating_point() and not key.startswith(_OTHER_BASIS)
        if shapes and not stored:
            raise GrowthError(
                f"{type(optimizer).__name__} keeps {key!r} of shape {shapes[0]} for {move.old_name} of shape "
                f"{tuple(old.shape)}: it cannot follow the growth; use unknown='reset' (only what was touched starts anew), "
                "mode='fresh' or mode='reset'"
            )
        if _fits(value, old) and move.grad and not _is_value(optimizer, key) and _power(optimizer, key, powers) is None:
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
    for row, column in _factors_in(state, old):
        carried |= _means(move, state, row, column, new_entries)
    for key, value in state.items():
        if key in carried:
            continue
        if not _fits(value, old):
            carried[key] = value.clone() if isinstance(value, Tensor) else value
        elif _is_value(optimizer, key):
            carried[key] = _average(move, value)
        else:
            power = _power(optimizer, key, powers) or 0
            fill = _fill(optimizer, key, value, power, new_entries, move)
            carried[key] = carried_tensor(move, value, move.grad, power=power, fill=fill)
    return carried


def _means(move: Move, state: Mapping[str, Any], row: str, column: str, new_entries: str) -> dict[str, Tensor]:
    """Row and column means (R, 1) and (1, C) of a second moment, through the matrix (R, C) that they stand for."""
    assert move.old is not None
    kept = state[row].dim() == move.old.dim()  # torch keeps the dimension that was averaged over
    rows = state[row] if kept else state[row].unsqueeze(-1)
    columns = state[column] if kept else state[column].unsqueeze(-2)
    mean = rows.mean(-2, keepdim=True)
    whole = rows * columns / mean.where(mean > 0, torch.ones_like(mean))
    fill = float(whole.mean()) if new_entries == "mean" else 0.0
    moved = carried_tensor(move, whole, move.grad, power=2, fill=fill)
    return {row: moved.mean(-1, keepdim=kept), column: moved.mean(-2, keepdim=kept)}


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
