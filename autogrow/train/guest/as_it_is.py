"""The net of somebody else's module as it is: its record, what can grow in it, what it costs, its size."""

from __future__ import annotations

from collections.abc import Sequence

import pytorch_lightning as pl
from torch import Tensor

from autogrow.errors import ConfigError
from autogrow.growth import Sites
from autogrow.growth.cost import NetCost
from autogrow.policy.event import Size
from autogrow.train.guest.architecture import GrowthRecord, record_of
from autogrow.train.guest.reconnect import look_at
from autogrow.train.guest.rows import GivenRows
from autogrow.train.rewire.event import size_of


class AsItIs:
    """Sites and cost of a net, looked at when they are asked for, and again after a growth."""

    def __init__(self, given: GivenRows) -> None:
        self.given = given
        self._known: tuple[Sites, NetCost] | None = None

    def forget(self) -> None:
        """The net has changed."""
        self._known = None

    def known(self, module: pl.LightningModule) -> tuple[Sites, NetCost]:
        """Sites and cost."""
        if self._known is None:
            record = recorded(module)
            self._known = look_at(record.net(module), record)
        return self._known

    def size(self, module: pl.LightningModule) -> Size:
        """The net's size."""
        sites, spent = self.known(module)
        return size_of(sites, spent, self.given.columns(sites))


def recorded(module: pl.LightningModule) -> GrowthRecord:
    """The record that `keep_record` made."""
    record = record_of(module)
    assert record is not None
    return record


def inputs_of(module: pl.LightningModule, example: Tensor | Sequence[Tensor] | None) -> tuple[Tensor, ...]:
    """The net's inputs: those given, or the module's own. Raises ConfigError where they are no tensors."""
    given = module.example_input_array if example is None else example
    if isinstance(given, Tensor):
        return (given,)
    if not isinstance(given, Sequence) or not all(isinstance(t, Tensor) for t in given):
        raise ConfigError(
            f"example must be a tensor or a sequence of tensors (the net's inputs, with a batch dimension), got {given!r}"
        )
    return tuple(given)


__all__ = ["AsItIs", "inputs_of", "recorded"]
