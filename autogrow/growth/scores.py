"""What growing each place would gain, measured on a batch before anything is grown: comparable, per added FLOP.

A candidate is scored by the best first-order move it could make and its readers cannot. For a width: TINY's new units
(`bottleneck`; Verbockhaven et al. 2024, arXiv 2405.19816). For an insertion: what the readers want of the place and
cannot get by their own weights, pulled back through them, and fitted by the new layer's weights (an identity layer
moves the place by σ′(h) ⊙ D h, a residual block with a closed gate by W₂ σ(W₁ h)). Of either move the part that the
readers' weights could do is taken off; to first order what is left decreases the loss by Σ σ_k² where it was fitted.

A functional gradient's norm depends on the scale of a layer, which a net is free to choose (doubling a ReLU layer and
halving the next one changes nothing). So moves are compared by what they would do to the loss: `gain` is the decrease
at the best amplitude, on rows that the move was not fitted to. Directions that only fit noise gain nothing there.

Shape legend: M members, N rows, F features, O outputs, k units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn

from autogrow.errors import GrowthError
from autogrow.growth.bottleneck.linear_algebra import fit
from autogrow.growth.bottleneck.patches import check_layer, from_rows, pulled_back, written_rows
from autogrow.growth.bottleneck.problem import Batch, Loss, unless_rounding, unreachable, with_ones
from autogrow.growth.bottleneck.scene import Moves, Scene
from autogrow.growth.bottleneck.trial import Trial
from autogrow.growth.cost import cost, dry_run
from autogrow.growth.sites.find import DepthSite, Sites, WidthSite, growth_sites

_PASSING = (nn.Identity, nn.modules.dropout._DropoutNd)  # in eval mode they hand on what they get


@dataclass(frozen=True)
class Score:
    """What one growth promises.

    `action`: the growth as plain data. `slope`: first-order decrease of the loss per unit of the move's amplitude;
    `gain`: decrease of the loss at the best amplitude; `train_flops`: what it adds per sample and step.
    """

    action: Mapping[str, Any]
    slope: float
    gain: float
    train_flops: int

    @property
    def per_flop(self) -> float:
        """Gain per added training FLOP and sample."""
        return self.gain / max(1, self.train_flops)


@dataclass(frozen=True)
class Scores:
    """A score for each place, and the places that cannot be scored, with the reason."""

    found: Mapping[str, Score] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    def per_flop(self) -> dict[str, float]:
        """Gain per added training FLOP by place: what a policy is shown."""
        return {name: score.per_flop for name, score in self.found.items()}


def score_sites(
    net: nn.Module,
    batches: Sequence[Batch],
    loss: Loss,
    *,
    sites: Sites | None = None,
    widths: Mapping[str, int] | None = None,
) -> Scores:
    """Score every width (grown to `widths[name]`, by default by half) and every insertion.

    `batches`: pairs (inputs, targets). Moves are fitted on all but the last and measured on the last; with a single
    batch both are done on it, and scores are then too high where it has few rows for the layers' features (use several
    times as many rows as features). `loss(outputs, targets)`: the mean loss. Cost: one forward and backward pass per
    batch, then three forward passes per place. The net, its gradients and the global random state are left as they are.
    """
    if not batches:
        raise GrowthError("scores need at least one batch")
    example = batches[0][0]
    sites = sites or growth_sites(net, example)
    asked = {
        name: (widths or {}).get(name, site.size + -(-site.units // 2) * site.unit)
        for name, site in sites.widths.items()
    }
    scene = Scene(net, [name for name in sites.trace.layers if _can_be_rows(net, name)], batches, loss)
    before = cost(net, example).train_flops_per_sample
    found: dict[str, Score] = {}
    refused: dict[str, str] = {}

    def add(name: str, action: dict[str, Any], trial: Trial) -> None:
        added = dry_run(net, example, action).train_flops_per_sample - before
        found[name] = Score(action, trial.slope, trial.gain, added)

    for name, site in sites.widths.items():
        try:
            add(name, {"do": "widen", "widths": {name: asked[name]}}, _widened(scene, site, asked[name] - site.size))
        except GrowthError as error:
            refused[name] = str(error)
    for name, place in sites.depths.items():
        try:
            add(name, {"do": "deepen", "after": name, "kind": place.kinds[0]}, _deepened(scene, sites, place))
        except GrowthError as error:
            refused[name] = str(error)
    return Scores(found, refused)


def _can_be_rows(net: nn.Module, name: str) -> bool:
    try:
        check_layer(name, net.get_submodule(name))
    except GrowthError:
        return False
    return True


def _widened(scene: Scene, site: WidthSite, count: int) -> Trial:
    """The trial of the best new units of a width."""
    units = scene.units(site, count)
    return _beyond_readers(scene, scene.answers(site, units, scene.fitted), scene.answers(site, units, scene.held))


def _deepened(scene: Scene, sites: Sites, place: DepthSite) -> Trial:
    """The trial of the best move of an inserted layer."""
    if place.zeroed:
        raise GrowthError(f"what a whole block behind {place.name!r} could gain is not known")
    readers = _direct_readers(sites, place)
    layers = {name: scene.net.get_submodule(name) for name in readers}
    for name, layer in layers.items():
        check_layer(name, layer)
        if isinstance(layer, nn.Conv2d):
            raise GrowthError(
                f"nothing can be computed from data for a layer behind {place.name!r}: convolutions read it"
            )
        if name not in scene.fitted:
            raise GrowthError(f"the loss does not depend on {name!r}")
    wanted = torch.stack([pulled_back(layer, unreachable(scene.fitted[name])) for name, layer in layers.items()]).sum(0)
    features, slope = _place(scene.net, place, scene.fitted[readers[0]].read)
    weight = fit(features, wanted * slope)
    weight = weight if bool(unless_rounding(features @ weight, wanted).any()) else torch.zeros_like(weight)

    def read(moved: Tensor, at: Mapping[str, torch.Size]) -> Moves:
        weights = {name: layer.get_parameter("weight").detach().double() for name, layer in layers.items()}
        return {name: from_rows(layer, moved @ weights[name].mT, at[name]) for name, layer in layers.items()}

    fitted = read(features @ weight * slope, {name: scene.fitted[name].at for name in readers})
    features, slope = _place(scene.net, place, scene.held[readers[0]].read)
    held = read(features @ weight * slope, {name: scene.held[name].at for name in readers})
    return _beyond_readers(scene, fitted, held)


def _place(net: nn.Module, place: DepthSite, here: Tensor) -> tuple[Tensor, Tensor]:
    """Features that an inserted layer's weights see at a place (M, N, F), and the slope with which they move it."""
    act = net.get_submodule(place.activation) if place.activation else nn.ReLU()
    if place.kinds[0] == "identity":
        with torch.enable_grad():
            point = here.clone().requires_grad_()
            (slope,) = torch.autograd.grad(act(point + 0).sum(), point)
        return here, slope
    size = here.shape[-1]
    drawn = torch.randn(here.shape[0], size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        return act(here @ drawn.to(here.device) * (2 / size) ** 0.5).double(), torch.ones_like(here)


def _beyond_readers(scene: Scene, fitted: Moves, held: Moves) -> Trial:
    """The trial of a move less what the readers' own weights could do of it (fitted where the move was)."""
    beyond = {}
    for name, move in held.items():
        layer = scene.net.get_submodule(name)
        own = fit(with_ones(scene.fitted[name].read), written_rows(layer, fitted[name]))
        rows = written_rows(layer, move)
        rows = unless_rounding(rows - with_ones(scene.held[name].read) @ own, rows)
        beyond[name] = from_rows(layer, rows, scene.held[name].at)
    return scene.trial(beyond)


def _direct_readers(sites: Sites, place: DepthSite) -> tuple[str, ...]:
    """The layers that read a place as it is (but for dropouts); `GrowthError` if anything else happens to it."""
    notes, graph = sites.trace.notes, sites.trace.graph
    readers: dict[str, None] = {}
    todo: list[fx.Node] = [next(n for n in graph.nodes if n.op == "call_module" and n.target == place.name)]
    while todo:
        for user in todo.pop().users:
            if user.op == "call_module" and notes[user].kind == "layer":
                readers[str(user.target)] = None
            elif user.op == "call_module" and isinstance(sites.trace.net.get_submodule(str(user.target)), _PASSING):
                todo.append(user)
            else:
                raise GrowthError(
                    f"what a layer behind {place.name!r} could gain is not known: {user.name} reads it as well as layers do"
                )
    return tuple(readers)


__all__ = ["Score", "Scores", "score_sites"]
