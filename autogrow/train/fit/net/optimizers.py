"""The optimizers of our own runs: torch's, taken as they are written.

torch lets its compiler pass over an optimizer's methods, and imports the compiler to say so: a second, at a run's first
step. Our runs never compile an optimizer, so the methods are taken from under what says it.
"""

from __future__ import annotations

from inspect import unwrap

import torch
from torch.optim import Optimizer


class _Plain(Optimizer):
    add_param_group = unwrap(Optimizer.add_param_group)
    state_dict = unwrap(Optimizer.state_dict)
    load_state_dict = unwrap(Optimizer.load_state_dict)
    zero_grad = unwrap(Optimizer.zero_grad)


class AdamW(_Plain, torch.optim.AdamW):
    """Adam with decoupled weight decay."""

    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))


class Adam(_Plain, torch.optim.Adam):
    """Adam."""

    step = torch.no_grad()(unwrap(torch.optim.Adam.step))


class SGD(_Plain, torch.optim.SGD):
    """Stochastic gradient descent, with momentum."""

    step = torch.no_grad()(unwrap(torch.optim.SGD.step))
