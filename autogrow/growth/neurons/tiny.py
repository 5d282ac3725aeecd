"""TINY: new units that decrease the loss most, beyond what the old weights can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from autogrow.errors import GrowthError
from autogrow.growth.bottleneck.patches import has_members, incoming_size
from autogrow.growth.bottleneck.problem import Batch, Loss, Units, width_layers
from autogrow.growth.bottleneck.scene import Scene
from autogrow.growth.neurons.drawn import Neurons, NewUnits, Request
from autogrow.growth.neurons.learned import Computed, activations, drawn_rows, is_norm, new_units, refuse_normed
from autogrow.growth.sites.find import WidthSite

_HALVINGS = 6  # of the amplitude that a parabola likes, until real units decrease the loss


@dataclass(frozen=True)
class Tiny(Computed):
    """New units that decrease the loss most, to first order, beyond what the readers' weights can do: not exact.

    TINY (Verbockhaven et al. 2024, arXiv 2405.19816): incoming √σ S^{-1/2} u, outgoing √σ ω (see `bottleneck`).
    `amplitude` γ multiplies what they add to the readers' outputs; None: the best one measured on the last batch (the
    others, if any, are what the units are fitted to). Where the slope of the activation has two sides at 0 (ReLU) their
    mean counts, and each unit gets the sign with which its curved part helps as well. Where units that look beyond the
    readers do not decrease the loss by themselves, those that do not look beyond are taken. Units that the data has no
    direction for, and all where no amplitude helps, are drawn as ZeroOutgoing's. Refused through norms, which would
    rescale the units, and where σ(0) ≠ 0; with `otherwise` such widths start as that.
    """

    batches: Sequence[Batch] = field(default=(), repr=False)
    loss: Loss | None = field(default=None, repr=False)
    amplitude: float | None = None
    otherwise: Neurons | None = None
    exact: ClassVar[bool] = False

    def on(self, batches: Sequence[Batch], loss: Loss) -> Tiny:
        """The same with data to look at: pairs (inputs, targets), and the mean loss of outputs and targets."""
        return replace(self, batches=batches, loss=loss)

    def _computed(self, request: Request, batches: Sequence[Batch], loss: Loss) -> NewUnits:
        """Fresh units at the end."""
        net, site = request.net, request.site
        refuse_normed(site)
        norms = [name for name in site.through if is_norm(net, name)]
        if norms:
            raise GrowthError(
                f"Tiny cannot widen {site.name!r}: {norms[0]!r} would rescale its units; GradMax(side='incoming') can"
            )
        acts = activations(net, site)
        slope = _slope(acts, site)
        writer, readers = width_layers(net, site)
        scene = Scene(net, (writer, *readers), batches, loss)
        units = self._units(scene, site, request.units - site.units, acts, slope)
        size = incoming_size(net.get_submodule(writer))
        dead = ~units.outgoing.any(-2).unsqueeze(-1)
        rows = units.incoming[..., :size]
        proposed = new_units(
            request, writer, readers, torch.where(dead, drawn_rows(request, writer, rows), rows), units.outgoing
        )
        if units.incoming.shape[-1] == size:
            return proposed
        bias = units.incoming[..., -1]
        bias = bias if has_members(net.get_submodule(writer)) else bias[0]
        return replace(proposed, incoming={**proposed.incoming, f"{writer}.bias": bias})

    def _units(self, scene: Scene, site: WidthSite, count: int, acts: Sequence[Act], slope: float) -> Units:
        units = scene.units(site, count)
        if self.amplitude is not None:
            return _signed(scene, site, _scaled(units, self.amplitude / abs(slope)), acts)
        start = scene.loss_after({})
        for project in (True, False):
            units = scene.units(site, count, project=project)
            first = scene.trial(scene.answers(site, units, scene.held)).amplitude / abs(slope)
            tried = {}
            for halved in range(_HALVINGS):
                grown = _signed(scene, site, _scaled(units, first / 2**halved), acts)
                tried[scene.loss_after(scene.answers(site, grown, scene.held, lambda v: _through(acts, v)))] = grown
            if min(tried) < start:
                return tried[min(tried)]
        return _scaled(units, 0.0)

    def to_plain(self) -> dict[str, Any]:
        """Name and settings as plain data (the batches are not)."""
        plain = {"name": "Tiny", "amplitude": self.amplitude}
        return plain if self.otherwise is None else {**plain, "otherwise": self.otherwise.to_plain()}


Act = Callable[[Tensor], Tensor]


def _through(acts: Sequence[Act], values: Tensor) -> Tensor:
    with torch.no_grad():
        for act in acts:
            values = act(values)
    return values


def _scaled(units: Units, amplitude: float) -> Units:
    root = amplitude**0.5
    return Units(units.incoming * root, units.outgoing * root, units.values)


def _signed(scene: Scene, site: WidthSite, units: Units, acts: Sequence[Act]) -> Units:
    """Each unit with the sign (of incoming and outgoing weights together) with which it decreases the loss more.

    To first order both are the same; what differs is the even part of the activation.
    """
    features, goal = scene.problem(site, scene.fitted, project=False)
    values, wanted = features @ units.incoming.mT, goal @ units.outgoing
    plus, minus = (wanted * _through(acts, values)).sum(-2), -(wanted * _through(acts, -values)).sum(-2)
    sign = torch.where(minus > plus, -1.0, 1.0).to(plus)
    return Units(units.incoming * sign.unsqueeze(-1), units.outgoing * sign.unsqueeze(-2), units.values)


def _slope(acts: Sequence[Act], site: WidthSite) -> float:
    """Mean of both one-sided derivatives at 0 of what lies between a width's writer and its readers.

    Raises `GrowthError` where small units would not be small, or nothing.
    """
    slope, step = 1.0, 1e-6
    for act in acts:
        with torch.no_grad():
            low, zero, high = act(torch.tensor([[-step, 0.0, step]], dtype=torch.float64)).flatten().tolist()
        if zero != 0:
            raise GrowthError(
                f"Tiny cannot widen {site.name!r}: its activation is {zero:.3g} at 0, so small units would add a constant"
            )
        slope *= (high - low) / (2 * step)
    if slope == 0:
        raise GrowthError(f"Tiny cannot widen {site.name!r}: its activation is flat at 0 on both sides")
    return slope


__all__ = ["Tiny"]
