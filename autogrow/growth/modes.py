"""A net put in another mode for a moment: to look at it, or to run it without leaving a trace."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def eval_mode(net: nn.Module) -> Iterator[None]:
    """The net in eval mode without gradients; each module's own mode is put back afterwards."""
    with _modes_put_back(net):
        net.eval()
        yield


@contextmanager
def quiet(net: nn.Module, *, train: bool = False, dropout: bool = True) -> Iterator[None]:
    """The net in eval or train mode (with or without dropout, drop paths and the like); modes, buffers and the global
    random state are put back afterwards.

    Without gradients, unless they are enabled inside. Only modes are set: a `train` method of the net's own is not
    called. Buffers are put back in place: running statistics and counters are as they were.
    """
    buffers = [(b, b.detach().clone()) for b in net.buffers()]
    with _modes_put_back(net), draws_put_back(net):
        for module in net.modules():
            module.training = train and (dropout or not _drops(module))
        try:
            yield
        finally:
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)


def _drops(module: nn.Module) -> bool:
    """Whether a module is a dropout, or one of somebody's own that holds nothing (a stochastic depth, a drop path)."""
    own = not type(module).__module__.startswith("torch.")
    held = (next(module.parameters(), None), next(module.buffers(), None), next(module.children(), None))
    return isinstance(module, nn.modules.dropout._DropoutNd) or (own and all(one is None for one in held))


@contextmanager
def draws_put_back(net: nn.Module) -> Iterator[None]:
    """What is drawn inside (a forward may draw in eval mode too) leaves the global random state as it was: torch's, on
    every device of the net, and Python's.
    """
    devices = list({p.device for p in net.parameters() if p.device.type == "cuda"})
    python = random.getstate()
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python)


@contextmanager
def _modes_put_back(net: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in net.modules()}
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def without_hooks(net: nn.Module) -> Iterator[None]:
    """The net without its hooks: people's hooks count calls and keep what they see."""
    tables = [(m, m._forward_hooks, m._forward_pre_hooks) for m in net.modules()]
    for module, _, _ in tables:
        module._forward_hooks, module._forward_pre_hooks = OrderedDict(), OrderedDict()
    try:
        yield
    finally:
        for module, hooks, pre_hooks in tables:
            module._forward_hooks, module._forward_pre_hooks = hooks, pre_hooks
