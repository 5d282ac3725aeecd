"""Several nets side by side as one batched product: a linear layer with a leading member dimension.

M members, B batch, I inputs, O outputs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class MemberLinear(nn.Module):
    """M linear layers of one size in one batched matrix product.

    `weight` (M, O, I), `bias` (M, O); maps (M, B, I) to (M, B, O). Each member has its own draw of nn.Linear's
    initialisation. Members never mix: it is one layer of M·O units whose weight matrix is block-diagonal.
    """

    def __init__(self, members: int, in_features: int, out_features: int) -> None:
        super().__init__()
        self.members, self.in_features, self.out_features = members, in_features, out_features
        self.weight = nn.Parameter(torch.empty(members, out_features, in_features))
        self.bias = nn.Parameter(torch.empty(members, out_features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw anew: uniform in ±1/√I, as nn.Linear does."""
        bound = 1 / math.sqrt(self.in_features)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """(M, B, I) → (M, B, O)."""
        return torch.baddbmm(self.bias.unsqueeze(1), x, self.weight.transpose(1, 2))

    def extra_repr(self) -> str:
        """Sizes, for print(net)."""
        return f"members={self.members}, in_features={self.in_features}, out_features={self.out_features}"


class MeanOfMembers(nn.Module):
    """A member net as one predictor: the same input to every member, the mean of their outputs.

    Wraps a net that maps (M, B, I) to (M, B, O); maps (B, I) to (B, O). With `probabilities` the outputs are logits and
    the mean is that of the members' class probabilities, its logarithm times `sharpness` the answer: a member that is
    sure does not outshout the others, as it does in a mean of logits.
    """

    def __init__(self, net: nn.Module, members: int, *, probabilities: bool = False, sharpness: float = 1.0) -> None:
        super().__init__()
        self.net, self.members, self.probabilities, self.sharpness = net, members, probabilities, sharpness

    def forward(self, x: Tensor) -> Tensor:
        """(B, I) → (B, O)."""
        z: Tensor = self.net(x.unsqueeze(0).expand(self.members, *x.shape))
        if self.probabilities:
            return self.sharpness * (torch.logsumexp(z.log_softmax(-1), 0) - math.log(self.members))
        return z.mean(0)
