"""Growing a net in place: wider. Each call is traced, planned, applied and proved, or leaves the net as it was."""

from __future__ import annotations

import operator
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from autogrow.errors import GrowthError
from autogrow.growth.neurons.drawn import Neurons, Request, ZeroOutgoing
from autogrow.growth.sites.example import Example
from autogrow.growth.sites.find import Sites, WidthSite, growth_sites, unwrapped
from autogrow.growth.surgery.layout import Growth, normed_units, widening
from autogrow.growth.surgery.moves import Surgery
from autogrow.growth.surgery.parity import EXACT, Probe, Promise, rounded
from autogrow.growth.surgery.plan import Plan

_ZERO_OUTGOING = ZeroOutgoing()
Undo = Callable[[], None]


def widen(
    net: nn.Module,
    name: str | Mapping[str, int],
    width: int | None = None,
    *,
    example: Example | None = None,
    neurons: Neurons = _ZERO_OUTGOING,
    generator: torch.Generator | None = None,
) -> Surgery:
    """Widen a hidden width in place to `width` channels; several at once with `widen(net, {name: width, …})`.

    `name`: the layer that writes the width (see `growth_sites`). `example`: a batch of inputs, for tracing and for the
    receipt; left out, its shape is inferred from the first layer. `neurons`: what new units start as; the default keeps
    the function exactly. `generator`: where drawn values come from; the default is seeded by the names and sizes. The
    global random state is not touched.

    Raises GrowthError where the width cannot be grown, ParityError where the function changed; the net is then as it
    was. (Net2WiderNet: Chen et al., arXiv 1511.05641, section 2.1.)

    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> surgery = widen(net, "0", 12)
    >>> net[0].out_features, net[2].in_features, surgery.receipt.max_abs_change < 1e-9
    (12, 12, True)
    """
    return widened(net, _asked(name, width), example, neurons, generator)[0]


@torch.inference_mode(False)  # a callback may be under it; what is made there could never be trained
def widened(
    net: nn.Module,
    widths: Mapping[str, int],
    example: Example | None,
    neurons: Neurons,
    generator: torch.Generator | None,
) -> tuple[Surgery, Undo]:
    """`widen`, and how to take it back."""
    net = unwrapped(net)
    sites = growth_sites(net, example)
    chosen = _chosen(sites, widths)
    before = {site.name: site.size for site, _ in chosen}
    after = {site.name: size for site, size in chosen}
    generator = generator if generator is not None else seeded("widen", *before.items(), *after.items())
    growths = []
    for site, size in chosen:
        request = Request(net, site, size // site.unit, generator)
        growths.append(normed_units(request, neurons.propose(request)))
    plan = widening(net, growths, generator)
    entry = {"op": "widen", "widths": after, "before": before, "neurons": neurons.to_plain()}
    return operate(net, plan, entry, Probe(net, example), promise_of(net, growths, exact=neurons.exact))


def _asked(name: str | Mapping[str, int], width: int | None) -> dict[str, int]:
    if isinstance(name, str):
        if width is None:
            raise GrowthError(f"widen({name!r}) needs the new width")
        return {name: width}
    if width is not None:
        raise GrowthError("widen(net, {name: width, …}) takes no further width")
    if not name:
        raise GrowthError("widen was given no width to grow")
    return dict(name)


def _chosen(sites: Sites, widths: Mapping[str, int]) -> list[tuple[WidthSite, int]]:
    chosen: dict[str, tuple[WidthSite, int]] = {}
    for name, size in widths.items():
        site = sites.width(name)
        if site.name in chosen:
            raise GrowthError(f"{name!r} and {site.name!r} are one width; name it once")
        size = _whole(name, size)
        if size <= site.size:
            raise GrowthError(f"{name!r} has {site.size} channels and can only grow; {size} was asked for")
        if (size - site.size) % site.unit:
            nearest_size = site.size + -(-(size - site.size) // site.unit) * site.unit
            raise GrowthError(
                f"{name!r} grows in steps of {site.unit} channels; {size} was asked for, {nearest_size} would do"
            )
        chosen[site.name] = (site, size)
    return list(chosen.values())


def _whole(name: str, size: int) -> int:
    """The size as an `int`: also NumPy's, and a tensor's of one whole number."""
    try:
        return operator.index(size)
    except TypeError:
        raise GrowthError(f"the new width of {name!r} must be a whole number, got {size!r}") from None


def seeded(*words: Any) -> torch.Generator:
    """A generator whose seed is made of words: the same growth always draws the same, another one something else."""
    return torch.Generator().manual_seed(zlib.crc32(repr(words).encode()))


def promise_of(net: nn.Module, growths: Sequence[Growth], *, exact: bool) -> Promise:
    """What a widening may change: nothing, or the rounding of the values it rescales, or (not exact) anything."""
    if not exact:
        return Promise(None)
    rescaled = any(
        g.gain is not None
        or g.start == "mean"
        or bool((g.units.share != 1).any())
        or any(p.power for p in g.site.writers)
        for g in growths
    )
    dtype = next((p.dtype for p in net.parameters() if p.is_floating_point()), torch.float32)
    return rounded(dtype) if rescaled else EXACT


def operate(
    net: nn.Module,
    plan: Plan,
    entry: Mapping[str, Any],
    probe: Probe,
    promise: Promise,
    *,
    leading: bool = False,
    called: nn.Module | None = None,
) -> tuple[Surgery, Undo]:
    """Apply a plan and prove it; on any failure put the net back. Also returns how to put it back later.

    `leading`: outputs may have grown at their ends; the part that was there before is compared. `called`: a module that
    the forward must reach now.
    """
    moves, undo = plan.apply(net)
    reached: list[bool] = []
    handle = called.register_forward_hook(lambda *_: reached.append(True)) if called is not None else None
    try:
        receipt = probe.receipt(promise, leading=leading)
        if called is not None and not reached:
            raise GrowthError(
                f"the forward does not call what was put behind {plan.wrap!r}: it holds that module by another name as well"
            )
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        undo()
        reason = str(error).splitlines()[0]
        raise GrowthError(f"the grown net does not run: {reason}. Is a size written into its forward?") from error
    except BaseException:
        undo()
        raise
    finally:
        if handle is not None:
            handle.remove()
    shapes = {m.new_name: list(m.new.shape) for m in moves if m.index}
    attributes = {
        name: {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
        for name, values in plan.attributes.items()
    }
    recorded = {**entry, "shapes": shapes, "attributes": attributes}
    order = tuple(net.parameters())
    return Surgery(moves, receipt, recorded, lambda copy: plan.apply(unwrapped(copy))[0], order), undo
