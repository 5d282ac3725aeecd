"""Categories as learned vectors: columns of codes in, embedding vectors out, numeric columns passed through.

B batch, N numeric columns, K columns of codes, D_k embedding sizes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def embedding_size(codes: int) -> int:
    """How many numbers stand for a column of so many codes: half of them, rounded up, at most 16.

    >>> [embedding_size(n) for n in (2, 3, 10, 1000)]
    [1, 2, 5, 16]
    """
    return min(16, (codes + 1) // 2)


class ColumnEmbedding(nn.Module):
    """(B, N + K), the last K columns codes, to (B, N + ΣD_k)."""

    def __init__(self, numeric: int, codes: Sequence[int]) -> None:
        super().__init__()
        self.numeric = numeric
        self.tables = nn.ModuleList(nn.Embedding(n, embedding_size(n)) for n in codes)
        self.out_features = numeric + sum(embedding_size(n) for n in codes)

    def forward(self, x: Tensor) -> Tensor:
        """Numeric columns as they are, then the vectors of each column of codes."""
        parts = [x[:, : self.numeric]]
        parts += [table(x[:, self.numeric + k].long()) for k, table in enumerate(self.tables)]
        return torch.cat(parts, dim=1)
