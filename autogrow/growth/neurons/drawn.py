"""What new units start as. Each kind is a small value with the promise it makes.

An initializer answers a `Request` (the net, the width, how many units it shall have, a generator) with `NewUnits`: for
each unit, the old one it copies or −1, and how its outgoing weights are shared out. The engine does the rest: it lays
that out over every parameter along the width, draws what is to be drawn, and follows the rules of the norms on the way.

An initializer that learns from data (GradMax, TINY) is written against the same interface: it holds its batch and loss
itself (where a config names it, `on` gives them to it later), finds the layers in `request.net` by
`request.site.writers[0].module` and `request.site.readers[0].module`, gets h and δ there by hooks and
`torch.autograd.grad` (never `backward`: gradients are not its own), and returns `incoming` and `outgoing`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from autogrow.errors import GrowthError, nearest
from autogrow.growth.sites.find import WidthSite


@dataclass(frozen=True)
class Request:
    """What an initializer is told: which width of which net shall have how many units.

    `units`: single channels, or groups of `site.unit`.
    """

    net: nn.Module
    site: WidthSite
    units: int
    generator: torch.Generator


@dataclass(frozen=True)
class NewUnits:
    """How the q units of a grown width come about.

    `index` (q,): the old unit each comes from, −1 for a fresh one; old units keep their places. `share` (q,): factor of
    its outgoing weights (the shares of one old unit's copies sum to 1 where the function is kept). `incoming`,
    `outgoing`: values of the fresh entries by parameter name, shaped like the parameter but with as many entries along
    the width's dimension as are fresh; where a parameter is missing, incoming weights are drawn with `draw_in` times
    the layer's own std (biases are 0), outgoing ones with `draw_out` times theirs. `paired`: the second half of the
    fresh units repeats the first half's draw, with opposite outgoing weights. `outgoing_noise`: std, relative to the
    weights', of noise on the outgoing weights of copies that sums to zero over the copies of one unit;
    `incoming_noise`: the same on the incoming weights of new copies (that changes the function). `shrink`, `perturb`:
    what the weights of the grown layers are multiplied by in the end, and the share of a fresh initialisation that is
    added.
    """

    index: Tensor
    share: Tensor
    incoming: Mapping[str, Tensor] = field(default_factory=dict)
    outgoing: Mapping[str, Tensor] = field(default_factory=dict)
    draw_in: float = 1.0
    draw_out: float = 0.0
    paired: bool = False
    outgoing_noise: float = 0.0
    incoming_noise: float = 0.0
    shrink: float = 1.0
    perturb: float = 0.0

    @property
    def fresh(self) -> int:
        """Number of units that come from no old one."""
        return int((self.index < 0).sum())


@runtime_checkable
class Neurons(Protocol):
    """An initializer of new units. `exact`: whether it promises to keep the function."""

    @property
    def exact(self) -> bool:
        """Whether the function is kept."""
        ...

    def propose(self, request: Request) -> NewUnits:
        """The units of the grown width."""
        ...

    def to_plain(self) -> dict[str, Any]:
        """Name and fields as plain data."""
        ...


class _Plain:
    def to_plain(self) -> dict[str, Any]:
        """Name and fields as plain data."""
        return {"name": type(self).__name__} | {
            f.name: v.to_plain() if isinstance(v := getattr(self, f.name), _Plain) else v
            for f in dataclasses.fields(self)  # type: ignore[arg-type]
        }


def _appended(old: int, units: int) -> tuple[Tensor, Tensor]:
    return torch.cat([torch.arange(old), torch.full((units - old,), -1)]), torch.ones(units)


@dataclass(frozen=True)
class ZeroOutgoing(_Plain):
    """Fresh incoming weights with the layer's own std, bias 0, outgoing weights 0: exact for every activation."""

    exact: ClassVar[bool] = True

    def propose(self, request: Request) -> NewUnits:
        """Fresh units at the end."""
        return NewUnits(*_appended(request.site.units, request.units))


@dataclass(frozen=True)
class SmallOutgoing(_Plain):
    """As ZeroOutgoing, with outgoing weights at `scale` times the usual std: a faster start, not exact."""

    scale: float = 0.2
    exact: ClassVar[bool] = False

    def propose(self, request: Request) -> NewUnits:
        """Fresh units at the end."""
        return NewUnits(*_appended(request.site.units, request.units), draw_out=self.scale)


@dataclass(frozen=True)
class AntisymmetricPair(_Plain):
    """Fresh units in pairs, equal incoming and opposite outgoing weights: exact for every activation.

    Outgoing weights are drawn at `scale` times the usual std. An odd one out gets outgoing weights 0.
    """

    scale: float = 1.0
    exact: ClassVar[bool] = True

    def propose(self, request: Request) -> NewUnits:
        """Fresh units at the end, paired."""
        return NewUnits(*_appended(request.site.units, request.units), draw_out=self.scale, paired=True)


@dataclass(frozen=True)
class VarianceTransfer(_Plain):
    """Fresh units as at initialisation, old outgoing weights × √(n/q): keeps variances, not the function.

    Yuan et al., NeurIPS 2023.
    """

    exact: ClassVar[bool] = False

    def propose(self, request: Request) -> NewUnits:
        """Fresh units at the end, old shares scaled."""
        old, units = request.site.units, request.units
        index, share = _appended(old, units)
        factor = math.sqrt(old / units)
        share[:old] = factor
        return NewUnits(index, share, draw_out=factor)


@dataclass(frozen=True)
class Split(_Plain):
    """Copies of old units that share their outgoing weights: Net2Net (Chen et al., arXiv 1511.05641), any sharing.

    Units are copied in random order, none twice more than another. `shares`: 'equal' (1/r each: copies stay equal for
    ever unless noise or dropout parts them), 'dirichlet' (drawn, sums to 1) or 'antisymmetric' (equal, plus noise on
    the outgoing weights that sums to zero, at `outgoing_noise` times their std). These keep the function. `noise`: std,
    relative to the incoming weights', of noise on the new copies' incoming weights; above 0 the function changes.

    Gradients of a split (without noise): incoming λ times the source's, outgoing equal to the source's.
    """

    shares: str = "antisymmetric"
    outgoing_noise: float = 0.1
    noise: float = 0.0

    def __post_init__(self) -> None:
        known = ("equal", "dirichlet", "antisymmetric")
        if self.shares not in known:
            raise GrowthError(f"Split(shares={self.shares!r}) is unknown; {nearest(self.shares, known)}")

    @property
    def exact(self) -> bool:
        """Whether the function is kept: it is without noise on incoming weights."""
        return self.noise == 0

    def propose(self, request: Request) -> NewUnits:
        """Old units, then copies."""
        old, units = request.site.units, request.units
        rounds = [
            torch.randperm(old, generator=request.generator, device=request.generator.device)
            for _ in range(-(-(units - old) // old))
        ]
        index = torch.cat([torch.arange(old), *(r.cpu() for r in rounds)])[:units]
        copies = torch.bincount(index, minlength=old)[index]
        share = 1.0 / copies.double()
        if self.shares == "dirichlet":
            drawn = (
                -torch.rand(units, generator=request.generator, device=request.generator.device)
                .cpu()
                .double()
                .clamp_min(1e-6)
                .log()
            )
            total = torch.zeros(old, dtype=torch.float64).index_add_(0, index, drawn)
            share = drawn / total[index]
        noise = self.outgoing_noise if self.shares == "antisymmetric" else 0.0
        return NewUnits(index, share, outgoing_noise=noise, incoming_noise=self.noise)


@dataclass(frozen=True)
class ShrinkPerturb(_Plain):
    """Another initializer, the grown layers' old weights shrunk: θ ← λθ + γθ_init (Ash & Adams 2020). Not exact."""

    neurons: Neurons = field(default_factory=ZeroOutgoing)
    shrink: float = 0.5
    perturb: float = 0.1
    exact: ClassVar[bool] = False

    def propose(self, request: Request) -> NewUnits:
        """The wrapped initializer's units; the weights they are laid into are shrunk and perturbed."""
        return dataclasses.replace(self.neurons.propose(request), shrink=self.shrink, perturb=self.perturb)
