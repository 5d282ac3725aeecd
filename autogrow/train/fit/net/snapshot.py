"""A net as it was at the end of a check: what a return to the best, or an undo, installs."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from autogrow.train.fit.net.module import GrowingModule

Snapshot = dict[str, Any]


def take(module: GrowingModule, optimizer: torch.optim.Optimizer) -> Snapshot:
    """Copy the module's weights, its average, its recipe, its rate, dropout that was decided, and the optimizer's state
    by name. Plain containers.
    """
    names: dict[Any, str] = {p: n for n, p in module.net.named_parameters()}
    return {
        "recipe": copy.deepcopy(module.recipe),
        "net": _copy(module.net.state_dict()),
        "ema": _copy(module.ema.state_dict()),
        "optimizer": {names[p]: _copy(state) for p, state in optimizer.state.items()},
        "rate": module.rate.to_plain(),
        **({} if module.dropout is None else {"dropout": module.dropout}),
    }


def place_optimizer_state(
    module: GrowingModule, optimizer: torch.optim.Optimizer, state: dict[str, dict[str, Any]]
) -> None:
    """Give a fresh optimizer over `module.net` the state that a snapshot holds."""
    parameters = dict(module.net.named_parameters())
    for name, values in state.items():
        optimizer.state[parameters[name]] = _copy(values)


def _copy(values: Any) -> dict[str, Any]:
    return {k: v.detach().clone() if isinstance(v, Tensor) else copy.deepcopy(v) for k, v in values.items()}
