"""What new units that are computed from a batch (`gradmax`, `tiny`) have in common.

They need a width that one layer writes, with nothing but activations, dropouts and, for some of them, norms on the way
to its readers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from autogrow.errors import GrowthError
from autogrow.growth.activations import ACTIVATION_FUNCTIONS, ACTIVATION_MODULES
from autogrow.growth.bottleneck.patches import incoming_weight, outgoing_size, outgoing_weight
from autogrow.growth.bottleneck.problem import Batch, Loss
from autogrow.growth.draws import normal, own_std
from autogrow.growth.layers import norm_type
from autogrow.growth.neurons.drawn import Neurons, NewUnits, Request
from autogrow.growth.sites.find import WidthSite


@runtime_checkable
class Learned(Neurons, Protocol):
    """An initializer that computes new units from data, which may be given to it later than its settings."""

    def on(self, batches: Sequence[Batch], loss: Loss) -> Neurons:
        """The same initializer with batches (inputs, targets) to look at, and the mean loss of outputs and targets."""
        ...


class Computed(ABC):
    """Units computed from data; for a width that nothing can be computed for, `otherwise` (None: it is refused)."""

    batches: Sequence[Batch]
    loss: Loss | None
    otherwise: Neurons | None

    def propose(self, request: Request) -> NewUnits:
        """Fresh units at the end. Raises `GrowthError` without data, and where nothing can be computed."""
        batches, loss = data_given(type(self).__name__, self.batches, self.loss)
        try:
            return self._computed(request, batches, loss)
        except GrowthError:
            if self.otherwise is None:
                raise
            return self.otherwise.propose(request)

    @abstractmethod
    def _computed(self, request: Request, batches: Sequence[Batch], loss: Loss) -> NewUnits:
        """The units that the data asks for."""


def data_given(name: str, batches: Sequence[Batch], loss: Loss | None) -> tuple[Sequence[Batch], Loss]:
    """The data an initializer was given. Raises `GrowthError` where there are none."""
    if not batches or loss is None:
        raise GrowthError(
            f"{name} computes new units from data and was given none: {name}(batches=[(inputs, targets)], loss=…); ZeroOutgoing, "
            "Split and AntisymmetricPair need none"
        )
    return batches, loss


def refuse_normed(site: WidthSite) -> None:
    """Raise `GrowthError` for a width that LayerNorm or RMSNorm normalises: there new units have no choice."""
    if site.normed is not None:
        names = ", ".join(map(repr, site.normed.norms))
        raise GrowthError(
            f"units of {site.name!r} cannot be computed from data: {names} takes statistics over all of them, and only units at "
            "its mean keep the function; use ZeroOutgoing or Split"
        )


def is_norm(net: nn.Module, name: str) -> bool:
    """Whether what a width passes by this name is a norm module."""
    return name in dict(net.named_modules()) and norm_type(net.get_submodule(name)) is not None


def activations(net: nn.Module, site: WidthSite) -> list[Callable[[Tensor], Tensor]]:
    """The activations a width passes: modules by name, functions by their node's name (`relu_1`)."""
    modules = dict(net.named_modules())
    found: list[Callable[[Tensor], Tensor]] = []
    for name in site.through:
        module, function = modules.get(name), ACTIVATION_FUNCTIONS.get(name.rstrip("0123456789").rstrip("_"))
        if isinstance(module, ACTIVATION_MODULES):
            found.append(module)
        elif module is None and function is not None:
            found.append(function)
    return found


def drawn_rows(request: Request, writer: str, like: Tensor) -> Tensor:
    """Incoming rows as at initialisation, for units that the data has no direction for."""
    std = own_std(request.net.get_submodule(writer).get_parameter("weight"))
    return normal(like.shape, request.generator).to(like) * std


def new_units(request: Request, writer: str, readers: Sequence[str], incoming: Tensor, outgoing: Tensor) -> NewUnits:
    """Fresh units at the end with incoming weights (M, k, F) and outgoing weights (M, Σ O·K, k)."""
    net, old = request.net, request.site.units
    index = torch.cat([torch.arange(old), torch.full((request.units - old,), -1)])
    weights, offset = {}, 0
    for name in readers:
        layer = net.get_submodule(name)
        size = outgoing_size(layer)
        weights[f"{name}.weight"] = outgoing_weight(layer, outgoing[:, offset : offset + size])
        offset += size
    rows = {f"{writer}.weight": incoming_weight(net.get_submodule(writer), incoming)}
    return NewUnits(index, torch.ones(request.units), incoming=rows, outgoing=weights)
