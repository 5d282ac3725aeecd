"""The residual block that deepening inserts where an identity layer would not be exact."""

from __future__ import annotations

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """x + outer(act(norm(inner(x)))): with `outer` zero it is the identity, whatever the activation.

    `inner` and `outer` map the features of x to a hidden width and back; that width can be widened like any other.
    """

    def __init__(self, inner: nn.Module, act: nn.Module, outer: nn.Module, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.inner = inner
        if norm is not None:
            self.norm = norm
        self.act, self.outer = act, outer

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x."""
        hidden = self.inner(x)
        if hasattr(self, "norm"):
            hidden = self.norm(hidden)
        out: Tensor = x + self.outer(self.act(hidden))
        return out
