"""Weight averages that must grow with the net: Lightning's callbacks', the module's own, and those that are named.

An average is a copy of the net (or of the whole module) with the same structure and other values. It follows a growth
by replaying the same plan; one that stayed behind would end the run at its next update.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytorch_lightning as pl
from torch import nn
from torch.optim.swa_utils import AveragedModel

from autogrow.errors import GrowthError
from autogrow.train.guest.compiled import plain
from autogrow.train.rewire.both_lightnings import either


def averages_of(module: pl.LightningModule, path: str, names: Sequence[str] = ()) -> list[nn.Module]:
    """The copies of the net at `path` of `module` that follow its growth.

    Found: every `AveragedModel` of the module, those that the trainer's weight averaging callbacks hold, and the
    submodules called `names`. Raises GrowthError for a name whose structure is not the net's.
    """
    nets = [_net_in(copy, module, path) for copy in copies_of(module, path, names)]
    return list({id(net): net for net in nets}.values())


def copies_of(module: pl.LightningModule, path: str, names: Sequence[str] = ()) -> list[nn.Module]:
    """The same, each as a whole: a copy of the module is more than one of its net."""
    net = plain(module.get_submodule(path))
    shapes = _shapes(net)
    found = [module.get_submodule(name) for name in names]
    for name, copy in zip(names, found, strict=True):
        if _shapes(_net_in(copy, module, path)) != shapes:
            raise GrowthError(f"{name} is named as an average of {path or 'the module'}, but has another structure")
    candidates: list[nn.Module] = [m for m in module.modules() if isinstance(m, AveragedModel)]
    candidates += list(_held_by_callbacks(module))
    return found + [copy for copy in candidates if _shapes(_net_in(copy, module, path)) == shapes]


def averaging_started(trainer: pl.Trainer, epoch: int) -> bool:
    """Whether stochastic weight averaging has begun in `epoch`:
    it has then put its own schedule in place of the user's.
    """
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    stochastic = either("callbacks", "StochasticWeightAveraging")
    return any(epoch >= c.swa_start for c in callbacks if isinstance(c, stochastic))


def _held_by_callbacks(module: pl.LightningModule) -> Iterator[nn.Module]:
    averaging = either("callbacks", "WeightAveraging", "StochasticWeightAveraging")
    for callback in getattr(module._trainer, "callbacks", ()):
        if isinstance(callback, averaging) and callback._average_model is not None:
            yield callback._average_model
        else:
            yield from (value for value in vars(callback).values() if isinstance(value, AveragedModel))


def _net_in(copy: nn.Module, module: pl.LightningModule, path: str) -> nn.Module:
    """The copy's net: what it averages, and of a whole module the part at `path`."""
    if isinstance(copy, AveragedModel):
        copy = copy.module
    return plain(copy.get_submodule(path) if isinstance(copy, type(module)) else copy)


def _shapes(net: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, tuple(p.shape)) for name, p in net.named_parameters()]
