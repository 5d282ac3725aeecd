"""What a growth returns: its moves, and the receipt that proves it.

Weights, optimizer moments and weight averages all follow the same moves. Parameters are matched by identity or by name,
never by value and never by position.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Move:
    """How one parameter (or buffer) came about.

    `old`/`new` are the tensors before and after (`old` is None for a tensor that did not exist), the names are their
    qualified names before and after. `index[d]` gives, for each position along dimension d of `new`, the position in
    `old` it came from, −1 for a new entry; a dimension that is not in `index` is unchanged. `value[d]` and `grad[d]`
    are factors along dimension d: what values were multiplied by, and what the loss gradient is multiplied by because
    of it.
    """

    old: Tensor | None
    new: Tensor
    old_name: str | None
    new_name: str
    index: Mapping[int, Tensor] = field(default_factory=dict)
    value: Mapping[int, Tensor] = field(default_factory=dict)
    grad: Mapping[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Receipt:
    """Proof of one growth, measured on a float64 copy of the net with a fixed probe, dropout off.

    `promise`: the largest change of the output that the operation allows itself (None: it promises nothing).
    `max_abs_change`: largest absolute change of the pre-softmax output in eval mode; `max_abs_change_train` the same in
    train mode where there is a norm, else None; `loss_change` of the loss where a target was given, else None.
    """

    promise: float | None
    max_abs_change: float
    max_abs_change_train: float | None = None
    loss_change: float | None = None
    dtype: str = "float64"

    def to_plain(self) -> dict[str, Any]:
        """The receipt as plain values, for ledgers and checkpoints."""
        return dict(vars(self))


@dataclass(frozen=True)
class Surgery:
    """One growth that was applied.

    `moves`: every parameter and buffer that changed (others are as they were). `receipt`: its proof. `entry`: the
    growth as plain data, one line of a recipe: replayed on the net as it was it gives the same architecture.
    `replay(copy)` applies the same plan, with the same drawn values, to a structurally equal net (a weight average) and
    returns its moves. `order`: the grown net's parameters in canonical order, for optimizers whose groups shall keep
    it.
    """

    moves: Sequence[Move]
    receipt: Receipt
    entry: Mapping[str, Any]
    replay: Callable[[nn.Module], Sequence[Move]]
    order: Sequence[Tensor] = ()


def move_tensor(move: Move, old: Tensor, *, fill: float = 0.0) -> Tensor:
    """Carry a tensor of `move.old`'s shape (a moment, a gradient) through the move's index, without factors.

    New entries get `fill`. Returns a new tensor of `move.new`'s shape, with `old`'s dtype and device.
    """
    out = old
    for dim, index in move.index.items():
        index = index.to(old.device)
        out = out.index_select(dim, index.clamp(min=0))
        fresh = index < 0
        if bool(fresh.any()):
            shape = [1] * out.ndim
            shape[dim] = -1
            out = out.masked_fill(fresh.view(shape), fill)
    return out.clone() if out is old else out


__all__ = ["Move", "Receipt", "Surgery", "move_tensor"]
