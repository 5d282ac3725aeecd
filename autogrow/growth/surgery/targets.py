"""Growing a net to a whole target, and growing what it reads and what it answers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from autogrow.errors import GrowthError
from autogrow.growth.layers import norm_type
from autogrow.growth.neurons.drawn import Neurons, NewUnits, ZeroOutgoing
from autogrow.growth.sites.axes import resolve
from autogrow.growth.sites.example import Example
from autogrow.growth.sites.find import Sites, WidthSite, growth_sites, unwrapped
from autogrow.growth.surgery.deepen import deepened
from autogrow.growth.surgery.layout import Growth, widening
from autogrow.growth.surgery.moves import Surgery
from autogrow.growth.surgery.parity import EXACT, Probe
from autogrow.growth.surgery.widen import Undo, operate, seeded, widened

_ZERO_OUTGOING = ZeroOutgoing()


def grow_to(
    net: nn.Module,
    widths: Sequence[int] | None = None,
    depth: int | None = None,
    *,
    example: Example | None = None,
    kind: str = "auto",
    neurons: Neurons = _ZERO_OUTGOING,
    generator: torch.Generator | None = None,
) -> list[Surgery]:
    """Grow a net in place until it has these hidden widths, from input to output: knowledge transfer to a larger net.

    `widths`: one number for each width `growth_sites` lists, and one more for each layer to insert; layers are inserted
    behind the last one (`kind` as in `deepen`). `depth`: how many widths there shall be; alone, inserted layers keep
    the width they find. All of it happens or none: on an error the net is as it was.

    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> [s.entry["op"] for s in grow_to(net, [16, 32])]
    ['deepen', 'widen']
    """
    net = unwrapped(net)
    sites = growth_sites(net, example)
    now = [site.size for site in sites.widths.values()]
    insert = _insertions(sites, now, widths, depth)
    done: list[tuple[Surgery, Undo]] = []
    try:
        for _ in range(insert):
            places = list(growth_sites(net, example).depths)
            done.append(deepened(net, places[-1], kind, example, generator))
        if widths is not None:
            names = growth_sites(net, example).widths
            wanted = {n: w for (n, site), w in zip(names.items(), widths, strict=True) if w != site.size}
            if wanted:
                done.append(widened(net, wanted, example, neurons, generator))
    except BaseException:
        for _, undo in reversed(done):
            undo()
        raise
    return [surgery for surgery, _ in done]


def _insertions(sites: Sites, now: list[int], widths: Sequence[int] | None, depth: int | None) -> int:
    """How many layers to insert; GrowthError where the target cannot be reached."""
    if widths is None and depth is None:
        raise GrowthError("grow_to needs the target's widths, its depth or both")
    if widths is not None and depth is not None and len(widths) != depth:
        raise GrowthError(f"grow_to was given {len(widths)} widths and depth {depth}")
    target = len(widths) if widths is not None else int(depth or 0)
    insert = target - len(now)
    if insert < 0:
        raise GrowthError(f"the net has {len(now)} hidden widths, {now}, and cannot be grown to {target}")
    start = now + now[-1:] * insert
    wanted = list(widths) if widths is not None else start
    if any(want < have for have, want in zip(start, wanted, strict=False)):
        raise GrowthError(
            f"widths only grow: {start} (inserted layers start as wide as the last) cannot become {wanted}"
        )
    if insert and not sites.depths:
        reasons = "; ".join(f"{name}: {why}" for name, why in sites.refused.items())
        raise GrowthError(f"no layer can be inserted: {reasons or 'the net has no activation'}")
    return insert


@torch.inference_mode(False)
def extend_inputs(net: nn.Module, count: int, *, example: Example | None = None) -> Surgery:
    """Let a net read `count` more input features (columns, channels) behind those it has, in place.

    Their weights start at zero: the output does not depend on them at first, and they learn from the first step on.
    `example`: a batch of the inputs as they were. Raises GrowthError where the input is not read by layers along one
    axis.

    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> extend_inputs(net, 2).receipt.max_abs_change, net(torch.zeros(1, 6)).shape
    (0.0, torch.Size([1, 3]))
    """
    net = unwrapped(net)
    sites = growth_sites(net, example)
    site = _end(net, sites.inputs, count, "input")
    if sites.outputs is site:
        raise GrowthError("the net's input is carried to its output; it cannot be extended alone")
    argument, dim = _where(sites, site)
    plan = widening(net, [Growth(site, _appended(site, count))], seeded("extend_inputs", site.size, count))
    shape = getattr(net, "input_shape", None)
    if isinstance(shape, tuple) and shape and shape[-1] == site.size:  # a net that says what it takes says so on
        plan.attributes.setdefault("", {})["input_shape"] = (*shape[:-1], shape[-1] + count)  # type: ignore[attr-defined]
    probe = Probe(net, example)
    probe.extend(argument, dim, count)
    entry = {"op": "extend_inputs", "count": count, "before": site.size}
    return operate(net, plan, entry, probe, EXACT)[0]


@torch.inference_mode(False)
def extend_outputs(net: nn.Module, count: int, *, example: Example | None = None) -> Surgery:
    """Let a net answer with `count` more outputs (classes, targets) behind those it has, in place.

    The new ones answer 0 until they are trained; the old ones are unchanged. Raises GrowthError where the output is not
    written by a layer along one axis.

    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> extend_outputs(net, 1).receipt.max_abs_change < 1e-12, net[2].out_features
    (True, 4)
    """
    net = unwrapped(net)
    sites = growth_sites(net, example)
    site = _end(net, sites.outputs, count, "output")
    if sites.inputs is site:
        raise GrowthError("the net's input is carried to its output; it cannot be extended alone")
    plan = widening(
        net, [Growth(site, _appended(site, count), start="zero")], seeded("extend_outputs", site.size, count)
    )
    entry = {"op": "extend_outputs", "count": count, "before": site.size}
    return operate(net, plan, entry, Probe(net, example), EXACT, leading=True)[0]


def _appended(site: WidthSite, count: int) -> NewUnits:
    index = torch.cat([torch.arange(site.size), torch.full((count,), -1)])
    return NewUnits(index, torch.ones(len(index)))


def _end(net: nn.Module, site: WidthSite | None, count: int, which: str) -> WidthSite:
    """The width at an end of the net, if it can be extended."""
    if count < 1:
        raise GrowthError(f"the net's {which} can only grow; {count} was asked for")
    if site is None:
        raise GrowthError(f"the net's {which} is not one axis that layers {'read' if which == 'input' else 'write'}")
    if any(span.block > 1 for port in (*site.readers, *site.writers) for span in port.spans):
        raise GrowthError(f"the net's {which} is reshaped; new entries would not lie at its end")
    for name in site.through:
        module = dict(net.named_modules()).get(name)
        norm = norm_type(module) if module is not None else None
        if norm is not None and norm.kind != "batch":
            raise GrowthError(f"{name!r} normalises over the net's {which}: every old value would change")
    return site


def _where(sites: Sites, site: WidthSite) -> tuple[int, int]:
    """The argument and the dimension of it that the input width lies along."""
    placeholders = [n for n in sites.trace.graph.nodes if n.op == "placeholder"]
    for i, node in enumerate(placeholders):
        for dim, axis in enumerate(sites.trace.values[node] or ()):
            if axis is not None and any(sites.by_width.get(s.width) is site for s in resolve(axis)):
                return i, dim
    raise GrowthError("the net's input is not one axis that layers read")
