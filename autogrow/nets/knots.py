"""Numeric inputs in finer resolution: columns in, columns and the ramps between their knots out.

B batch, M members, D columns, K components.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Knots(nn.Module):
    """(…, B, D) to (…, B, D + K): the columns as they are, then K components of some of them.

    Component k is a ramp of its column x between two knots: clip((x − low_k) / (high_k − low_k), 0, 1). A layer that is
    linear in x and in the ramps between neighbouring knots of x is piecewise linear in x, with a slope of its own in
    each piece (Gorishniy et al. 2022, arXiv 2203.05556, section 3.2); outside the outer knots it goes on with the slope
    of x. Nothing here is trained: `column` (K,), `low` and `high` (K,) are buffers.

    >>> knots = Knots(2, torch.tensor([1, 1]), torch.tensor([0.0, 1.0]), torch.tensor([1.0, 3.0]))
    >>> knots(torch.tensor([[5.0, 2.0]]))
    tensor([[5.0000, 2.0000, 1.0000, 0.5000]])
    """

    column: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, columns: int, column: Tensor, low: Tensor, high: Tensor) -> None:
        super().__init__()
        self.columns = columns
        for name, value in (("column", column), ("low", low), ("high", high)):
            self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        """(…, B, D) → (…, B, D + K)."""
        # in place on a copy: three times as fast
        ramps = x.index_select(-1, self.column).sub_(self.low).div_(self.high - self.low).clamp_(0, 1)
        return torch.cat([x, ramps], -1)

    def places(self) -> dict[int, list[float]]:
        """Where the knots of each column that has any lie, the outer ones too, in order."""
        found: dict[int, set[float]] = {}
        for column, low, high in zip(self.column.tolist(), self.low.tolist(), self.high.tolist(), strict=True):
            found.setdefault(column, set()).update((low, high))
        return {column: sorted(places) for column, places in found.items()}

    def extra_repr(self) -> str:
        """Sizes, for print(net)."""
        return f"columns={self.columns}, components={len(self.column)}"
