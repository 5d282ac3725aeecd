"""A growth, whoever trains the net: do what an action stands for, say what it did,
and show a policy what it may choose from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from autogrow.errors import GrowthError
from autogrow.growth import Sites, deepen, growth_sites, refine, widen
from autogrow.growth.cost import NetCost, cost, dry_net
from autogrow.growth.sites.example import Example
from autogrow.growth.surgery.moves import Surgery
from autogrow.policy.event import Event, Size
from autogrow.policy.history import (
    Action,
    Column,
    Cost,
    Deepen,
    Options,
    Refine,
    Widen,
    action_name,
    action_to_plain,
    no_columns,
)
from autogrow.train.rewire.columns import Columns


def size_of(sites: Sites, spent: NetCost, columns: Columns | None = None) -> Size:
    """The size of a net with these sites and this cost."""
    knots = (columns or Columns()).pieces(sites)
    return Size(sites.sizes, spent.parameters, spent.flops_per_sample, knots)


def in_steps(action: Action, sites: Sites) -> Action:
    """The action with each width rounded up to a whole number of the net's units there (groups of channels, heads)."""
    if not isinstance(action, Widen):
        return action
    widths = dict(action.widths)
    for name, width in widths.items():
        site = sites.widths.get(name)
        if site is not None and width > site.size:
            widths[name] = site.size - (site.size - width) // site.unit * site.unit
    return Widen(widths)


def no_device(_net: nn.Module) -> Mapping[str, Any]:
    """No budget asks what a net takes on a device."""
    return {}


def options_of(
    net: nn.Module,
    example: Example,
    sites: Sites,
    *,
    steps_per_check: int,
    max_steps: int | None,
    scores: Mapping[str, float] | None = None,
    measured: Mapping[str, float] | None = None,
    within: Callable[[], AbstractContextManager[Any]] = nullcontext,
    columns: Columns | None = None,
    look: Callable[[int], dict[str, Column]] = no_columns,
    device: Callable[[nn.Module], Mapping[str, Any]] = no_device,
) -> Options:
    """What a policy may choose from, with the net as it is. `within`: what a dry run happens in. `columns`: those that
    can be refined, `look`: how a policy is shown them. `device`: what a net of these shapes takes on a device, as far
    as a budget asks for it.
    """

    def dry(action: Action) -> Cost:
        plain = action_to_plain(in_steps(action, sites))
        if isinstance(action, Refine):
            plain["knots"] = (columns or Columns()).placed(action, sites)
        with within():
            after = dry_net(net, example, plain, sites=sites)
            spent = cost(after, example)
            return Cost(spent.parameters, spent.flops_per_sample, **device(after))

    return Options(
        widths=sites.sizes,
        depths={name: tuple(site.kinds) for name, site in sites.depths.items()},
        cost=dry,
        scores=scores or {},
        steps_per_check=steps_per_check,
        max_steps=max_steps,
        measured=measured or {},
        columns=look,
    )


def units_generator(seed: int, before: int) -> torch.Generator:
    """What the new units of a growth are drawn from: keyed by the run's seed and by how many growths (or events) came
    before.
    """
    return torch.Generator().manual_seed(seed * 1_000_003 + before)


def perform(
    net: nn.Module,
    action: Action,
    *,
    example: Example,
    generator: torch.Generator | None,
    neurons: Any = None,
    calibration: Tensor | None = None,
    columns: Columns | None = None,
) -> Surgery:
    """Do to `net` what an action stands for. `neurons`: what new units start as, None for the default. `columns`: where
    knots lie that an action gives the number of.

    Raises GrowthError for an action that is no growth of a running net.
    """
    if isinstance(action, Widen):
        more = {} if neurons is None else {"neurons": neurons}
        return widen(net, dict(action.widths), example=example, generator=generator, **more)
    if isinstance(action, Deepen):
        return deepen(
            net, action.after, kind=action.kind, example=example, generator=generator, calibration=calibration
        )
    if isinstance(action, Refine):
        placed = (columns or Columns()).placed(action, growth_sites(net, example))
        return refine(net, placed, example=example)
    raise GrowthError(f"a running net can be widened, deepened and refined, not {action_name(action)!r}")


def growth_event(action: Action, surgery: Surgery, before: Size, after: Size, *, decided_at: int, flops: int) -> Event:
    """What the next row says of a growth: what was done, sizes before and after, the receipt, which check decided it,
    what it took.
    """
    receipt = surgery.receipt.to_plain()
    return Event(action, before, after, receipt=receipt, decided_at=decided_at, flops=flops)
