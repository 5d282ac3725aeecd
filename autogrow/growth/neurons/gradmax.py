"""GradMax: new units that get the largest gradient for their size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from autogrow.errors import GrowthError, nearest
from autogrow.growth.activations import activation_facts
from autogrow.growth.bottleneck.linear_algebra import leading_svd_of_product
from autogrow.growth.bottleneck.patches import has_members
from autogrow.growth.bottleneck.problem import Batch, Loss, record, width_layers, width_problem
from autogrow.growth.neurons.drawn import Neurons, NewUnits, Request
from autogrow.growth.neurons.learned import Computed, activations, drawn_rows, is_norm, new_units, refuse_normed
from autogrow.growth.sites.find import WidthSite

_RANK = 1e-6  # of the largest singular value: below it a float32 net's moments hold only rounding
SIDES = ("auto", "incoming", "outgoing")


@dataclass(frozen=True)
class GradMax(Computed):
    """New units that get the largest gradient for their size (Evci et al. 2022, arXiv 2201.05125): exact.

    With M = E[δ φᵀ] of what the width's readers want and what its writer reads: side 'outgoing' is the paper's,
    incoming weights 0 and outgoing ones the leading left singular vectors of M, each at `scale` times the mean norm of
    the old units' outgoing weights; unit i's incoming gradient then has norm σ′(0)·σ_i·(that norm). It is dead where
    σ′(0) = 0 (nn.ReLU, as PyTorch has it) and not exact where σ(0) ≠ 0. Side 'incoming' turns it round: outgoing
    weights 0, incoming ones the leading right singular vectors, at `scale` times the mean norm of the old incoming
    weights: alive and exact for every activation, and through BatchNorm. 'auto' takes 'outgoing' where it works.

    A width that LayerNorm normalises, or that several layers write, starts as `otherwise`; None: it is refused.

    Units beyond the rank of M have nothing to gain and are drawn as ZeroOutgoing's.
    """

    batches: Sequence[Batch] = field(default=(), repr=False)
    loss: Loss | None = field(default=None, repr=False)
    side: str = "auto"
    scale: float = 0.5
    otherwise: Neurons | None = None

    @property
    def exact(self) -> bool:
        """Whether the function is kept: it is, unless `otherwise` does not."""
        return self.otherwise is None or self.otherwise.exact

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise GrowthError(f"GradMax(side={self.side!r}) is unknown; {nearest(self.side, SIDES)}")

    def on(self, batches: Sequence[Batch], loss: Loss) -> GradMax:
        """The same with data to look at: pairs (inputs, targets), and the mean loss of outputs and targets."""
        return replace(self, batches=batches, loss=loss)

    def _computed(self, request: Request, batches: Sequence[Batch], loss: Loss) -> NewUnits:
        """Fresh units at the end. Raises `GrowthError` where the wanted side cannot work."""
        net, site = request.net, request.site
        refuse_normed(site)
        writer, readers = width_layers(net, site)
        obstacle = _outgoing_obstacle(net, site)
        if self.side == "outgoing" and obstacle is not None:
            raise GrowthError(f"GradMax(side='outgoing') cannot widen {site.name!r}: {obstacle}; use side='incoming'")
        outgoing_side = self.side == "outgoing" or (self.side == "auto" and obstacle is None)
        passed = record(net, (writer, *readers), batches, loss)
        # a bias is no direction to look into: it would be the mean of what the readers want
        features, goal = width_problem(net, writer, readers, passed, bias=False, project=False)
        count = request.units - site.units
        left, values, right = leading_svd_of_product(goal / goal.shape[-2], features, count)
        drawn = drawn_rows(request, writer, right.mT)
        alive = (values > _RANK * values.amax(-1, keepdim=True)).unsqueeze(-1)
        if outgoing_side:
            incoming = torch.where(alive, 0.0, drawn)
            outgoing = torch.where(alive.mT, left, 0.0) * self.scale * _mean_norm(net, readers, dim=1)
            return new_units(request, writer, readers, incoming, outgoing)
        incoming = torch.where(alive, right.mT * self.scale * _mean_norm(net, (writer,), dim=0), drawn)
        return new_units(request, writer, readers, incoming, torch.zeros_like(left))

    def to_plain(self) -> dict[str, Any]:
        """Name and settings as plain data (the batches are not)."""
        plain = {"name": "GradMax", "side": self.side, "scale": self.scale}
        return plain if self.otherwise is None else {**plain, "otherwise": self.otherwise.to_plain()}


def _outgoing_obstacle(net: nn.Module, site: WidthSite) -> str | None:
    """Why units with incoming weights 0 would be dead, or would not be exact."""
    norms = [name for name in site.through if is_norm(net, name)]
    if norms:
        return f"units that are 0 everywhere have no variance for {norms[0]!r} to normalise"
    for act in activations(net, site):
        facts = activation_facts(act)
        if facts.at_zero != 0:
            return f"its activation is {facts.at_zero:.3g} at 0, so units with incoming weights 0 would change the function"
        if facts.slope_at_zero == 0:
            return "its activation's derivative at 0 is 0 in PyTorch (as relu′(0) is), so units with incoming weights 0 would never learn"
    return None


def _mean_norm(net: nn.Module, names: Sequence[str], *, dim: int) -> float:
    """Mean norm of the old units' outgoing (`dim` 1) or incoming (`dim` 0) weights in the named layers."""
    squares: Tensor | float = 0.0
    for name in names:
        layer = net.get_submodule(name)
        weight = layer.get_parameter("weight").detach().double()
        if has_members(layer):
            squares = squares + weight.square().sum(2 - dim)  # (M, units)
        else:
            squares = squares + weight.square().movedim(dim, 0).flatten(1).sum(1)
    assert isinstance(squares, Tensor)
    return float(squares.sqrt().mean())


__all__ = ["GradMax"]
