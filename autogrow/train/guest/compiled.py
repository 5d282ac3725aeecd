"""Nets under `torch.compile`: the net inside, how to look at it, and how to keep it compiled while it changes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn


def plain(net: nn.Module) -> nn.Module:
    """The net inside a compiled wrapper; any other as it is."""
    inner = getattr(net, "_orig_mod", net)
    assert isinstance(inner, nn.Module)
    return inner


def eagerly() -> AbstractContextManager[Any]:
    """Run a net that was compiled in place eagerly: run compiled under a tracer or a counter it would never compile
    again.
    """
    stance: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return stance


def forget_compiled(module: nn.Module) -> None:
    """Let compiled code be compiled anew: growth after growth would use up the recompile limit,
    and run eager in silence.
    """
    if any(m._compiled_call_impl is not None or hasattr(m, "_orig_mod") for m in module.modules()):
        torch._dynamo.reset()
