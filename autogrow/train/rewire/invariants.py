"""What must hold after a growth inside a running fit, so that nothing trains wrongly in silence."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from autogrow.errors import GrowthError, TrainingError
from autogrow.growth.carry.moments import is_moment
from autogrow.growth.surgery.moves import Move

_ASK_AGAIN = "let it ask self.parameters() each time it is called"


def check_same_layout(what: str, before: int, after: int) -> None:
    """Raise GrowthError unless `configure_optimizers` made as many of `what` (optimizers, groups,
    schedulers) as before.
    """
    if before != after:
        raise GrowthError(
            f"configure_optimizers made {before} {what} before the growth and {after} after it: build groups by the kind of "
            "parameter (decayed or not, backbone or head), not one per layer"
        )


def check_reconnected(
    module: pl.LightningModule, optimizers: Sequence[Optimizer], moves: Sequence[Move], trained: Mapping[str, int]
) -> None:
    """Raise GrowthError unless what trained before still trains, what is new does, and no state has a wrong shape.

    `trained`: in how many groups each parameter was before the growth, by its name then.
    """
    names = {id(p): name for name, p in module.named_parameters()} | {id(m.new): m.new_name for m in moves}
    stale = {id(m.old): m.old_name for m in moves if m.old is not None and m.old is not m.new}
    times: Counter[str] = Counter()
    for optimizer in optimizers:
        for parameter in (p for group in optimizer.param_groups for p in group["params"]):
            if id(parameter) in stale:
                raise GrowthError(
                    f"configure_optimizers still hands out {stale[id(parameter)]} as it was before the growth: {_ASK_AGAIN}"
                )
            name = names.get(id(parameter), "a tensor that is not in the module")
            times[name] += 1
            _check_state(name, parameter, optimizer.state.get(parameter, {}))
    by_name = {m.new_name: m for m in moves}
    for parameter in module.parameters():
        name = names[id(parameter)]
        move = by_name.get(name)
        wanted = 1 if move is not None and move.old is None else trained.get((move.old_name if move else name) or "", 0)
        if parameter.requires_grad and wanted and times[name] != wanted:
            raise GrowthError(
                f"after the growth {name} is in {times[name]} groups of what configure_optimizers made, and must be in {wanted}: "
                f"{_ASK_AGAIN}"
            )


def _check_state(name: str, parameter: Tensor, state: Mapping[str, Any]) -> None:
    for key, value in state.items():
        if is_moment(key) and isinstance(value, Tensor) and value.ndim and value.shape != parameter.shape:
            raise GrowthError(
                f"state {key!r} of {name} has shape {tuple(value.shape)}, its parameter {tuple(parameter.shape)}"
            )


def check_ranks(trainer: pl.Trainer, nets: Sequence[nn.Module]) -> None:
    """Raise TrainingError unless DDP wraps the module as it is, and every rank holds the same parameters, bit for bit.

    `nets`: the module, and the averages outside it.
    """
    wrapper = trainer.strategy.model
    if isinstance(wrapper, DistributedDataParallel):
        reduced = {id(p) for p in wrapper._module_parameters}
        left_out = [name for name, p in nets[0].named_parameters() if p.requires_grad and id(p) not in reduced]
        if left_out:
            raise TrainingError(f"DDP still wraps the module as it was: gradients of {left_out[0]} would not be shared")
    if trainer.world_size > 1:
        digests: list[Any] = [None] * trainer.world_size
        torch.distributed.all_gather_object(digests, parameter_hash(nets))
        if len(set(digests)) > 1:
            listed = ", ".join(digest[:8] for digest in digests)
            raise TrainingError(f"the ranks hold different parameters after a growth (hashes {listed})")


def parameter_hash(nets: Sequence[nn.Module]) -> str:
    """A hash of names and values of all parameters."""
    digest = hashlib.sha256()
    for name, parameter in (named for net in nets for named in net.named_parameters()):
        digest.update(name.encode())
        digest.update(parameter.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
