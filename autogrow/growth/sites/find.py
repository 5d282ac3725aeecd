"""Where a net can grow: its hidden widths and the places where a layer can be inserted, found by tracing.

Works on any supported `nn.Module`, not only on ours. Which widths are one (a residual stream, a gate, the channels in
front of and behind a depthwise convolution) follows from what the tensors meet on their way (`structure_axes`); a width
touched by something growth does not know is refused, by name and with the reason.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import nn
from torch.optim.swa_utils import AveragedModel

from autogrow.errors import GrowthError
from autogrow.growth.sites.along import Index, index_of
from autogrow.growth.sites.axes import Axis, Width, fix, resolve, unify
from autogrow.growth.sites.depth import depth_sites, site_behind
from autogrow.growth.sites.example import Example
from autogrow.growth.sites.finer import column_sites, columns_read
from autogrow.growth.sites.products import settle_products
from autogrow.growth.sites.run import run_trace
from autogrow.growth.sites.site import ColumnSite, ColumnsRead, DepthSite, Port, Sites, SizeAttribute, Span, WidthSite
from autogrow.growth.sites.state import normed
from autogrow.growth.sites.trace import Trace, Use


def unwrapped(net: nn.Module) -> nn.Module:
    """The module itself, behind torch.compile or a weight average."""
    inner = getattr(net, "_orig_mod", None)
    if isinstance(net, AveragedModel):
        inner = net.module
    return unwrapped(inner) if isinstance(inner, nn.Module) else net


def growth_sites(net: nn.Module, example: Example | None = None) -> Sites:
    """Find every hidden width and every insertion site of a net.

    `example`: a batch of inputs (a tensor, a sequence of arguments or a mapping of them); left out, its shape is
    inferred from the first layer. The net is run once on it, in eval mode, and left as it was. Raises GrowthError where
    the net cannot be traced.

    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> print(growth_sites(net))
    0: 8
      written by 0
      through    1
      read by    2
    layers can be inserted behind
      1: 8 channels, identity or residual
    columns can be refined
      inputs[0], …, inputs[3]
    refused
      2: it is the net's output
    """
    net = unwrapped(net)
    trace, sites = _looked_at(net, example)
    named = {s.name: s for s in sites.values() if s.writers}
    widths = {n: s for n, s in named.items() if s.refused is None and (s.normed is None or s.normed.any_width)}
    fixed = {n: s for n, s in named.items() if n not in widths}
    if trace.numbers.either:
        alone, inner, closed = _inner(net, example, widths)
        widths, fixed = widths | alone, {n: s for n, s in fixed.items() if n not in alone} | closed
    else:
        inner = {}
    depths, no_depths = depth_sites(trace, sites)
    refused = {n: s.refused or s.only_multiples for n, s in fixed.items()} | no_depths | dict(trace.opaque)
    inputs, outputs = _only(trace.inputs, sites), _only(trace.outputs, sites)
    found = Sites(widths, depths, fixed, refused, inputs, outputs, trace, sites, inner)
    try:
        read, count = columns_read(trace)
    except GrowthError as error:
        return replace(found, not_finer=str(error))
    return replace(found, finer=column_sites(trace, count, read.knots), columns=read)


def _looked_at(net: nn.Module, example: Example | None, *, inner: bool = False) -> tuple[Trace, dict[Width, WidthSite]]:
    """The net run once, and every width found."""
    trace = run_trace(net, example, inner=inner)
    trace.uses[:] = _tied_as_one(trace)
    _fix_normed_together(trace)
    settle_products(trace)
    trace.numbers.refuse_broken()
    index = index_of(trace)
    return trace, {width: _site(trace, index, width) for width in index.ports}


def _inner(
    net: nn.Module, example: Example | None, widths: Mapping[str, WidthSite]
) -> tuple[dict[str, WidthSite], dict[str, WidthSite], dict[str, WidthSite]]:
    """The widths that only the other choice finds, where heads are cut so that their size can grow.

    Those that grow what no other width does, the rest, and those that are refused where the number of heads can grow.
    """
    _, sites = _looked_at(net, example, inner=True)
    known = {_lying(site) for site in widths.values()}
    found = [s for s in sites.values() if s.writers and s.refused is None and (s.normed is None or s.normed.any_width)]
    other = [s for s in found if _lying(s) not in known]
    taken = {place for site in widths.values() for place in _touched(site)}
    alone = {s.name: s for s in other if taken.isdisjoint(_touched(s))}
    rest = [replace(s, name=f"{s.name}[inner]") for s in other if s.name not in alone]
    heads = {site.name for site in widths.values() if site.unit > 1}
    closed = [replace(s, name=f"{s.name}[inner]") for s in sites.values() if s.name in heads and s.refused]
    return alone, {s.name: s for s in rest}, {s.name: s for s in closed}


def _touched(site: WidthSite) -> set[tuple[str, object]]:
    """The dimensions of tensors and the attributes that a width's growth changes."""
    ports: set[tuple[str, object]] = {(p.name, p.dim) for p in (*site.writers, *site.readers, *site.carried)}
    return ports | {(a.module, a.attribute) for a in site.attributes}


def _lying(site: WidthSite) -> tuple[tuple[str, int, tuple[Span, ...]], ...]:
    return tuple((port.name, port.dim, port.spans) for port in site.writers)


def _tied_as_one(trace: Trace) -> list[Use]:
    """The uses with one for each dimension of a parameter that several modules hold: its widths are one.

    A dimension that is written by one of them and read by another (an embedding that is the head's weight too) is
    'tied': its new entries have to be right for both.
    """
    same = {name: id(tensor) for name, tensor in trace.net.named_parameters(remove_duplicate=False)}
    kept: dict[tuple[int | str, int], Use] = {}
    for use in sorted(trace.uses, key=lambda use: use.role == "seen"):
        name = f"{use.module}.{use.parameter}".lstrip(".")
        place = (same.get(name, name), use.dim)
        known = kept.setdefault(place, use if use.role != "seen" else dataclasses.replace(use, role="carry"))
        if known.axis is use.axis:
            continue
        unify(known.axis, use.axis)
        if use.role not in (known.role, "seen"):
            reader = use if use.role == "read" else known
            trace.tied[known.module] = reader.module
            kept[place] = dataclasses.replace(known, role="tied", fill=0.0)
    return list(kept.values())


def _fix_normed_together(trace: Trace) -> None:
    """LayerNorm or RMSNorm over several widths side by side: none grows without changing the others' statistics."""
    for note in trace.notes.values():
        if note.kind in ("norm:layer", "norm:rms") and note.module in trace.layers:
            axis = resolve(trace.layers[note.module][0])
            if len({segment.width for segment in axis}) > 1:
                fix(axis, f"{note.module!r} normalises it together with others")


def _site(trace: Trace, index: Index, width: Width) -> WidthSite:
    """Everything that lies along one width."""
    ports, nodes = index.ports[width], index.nodes.get(width, [])
    writers = tuple(p for p in ports if p.role in ("write", "tied"))
    readers = tuple(p for p in ports if p.role in ("read", "tied", "key"))
    carried = tuple(p for p in ports if p.role == "carry")
    ends = {p.module for p in (*writers, *readers)}
    unit = writers[0].spans[0].block * min(len(p.spans) for p in (*writers, *readers)) if writers else 1
    through = dict.fromkeys(
        str(n.target) if n.op == "call_module" else n.name
        for n in nodes
        if n.op in ("call_module", "call_function", "call_method") and str(n.target) not in ends
    )
    refused = width.fixed if width.fixed or readers else "no layer that growth knows reads it"
    reading = {trace.tied[p.module] if p.role == "tied" else p.module for p in readers if p.role != "key"}
    state = normed(trace, width, nodes, reading) if refused is None else None
    tied = [trace.tied[p.module] for p in readers if p.role == "tied"]
    if tied and state is not None and not state.reads_zero.issuperset(tied):
        refused = f"its weight is tied, and what {tied[0]!r} reads of a new unit is not zero"
    name, attributes = _name(index, writers, width), tuple(index.attributes.get(width, ()))
    return WidthSite(
        name, width.size * unit, unit, writers, readers, carried, attributes, tuple(through), state, refused
    )


def _name(index: Index, writers: Sequence[Port], width: Width) -> str:
    """The first writing layer's name; where it writes several widths, with the rows."""
    if not writers:
        return ""
    first = writers[0]
    if index.written[first.module] == {width}:
        return first.module
    span = first.spans[0]
    return f"{first.module}[{span.offset}:{span.offset + width.size * span.block}]"


def _only(axes: Sequence[Axis], sites: Mapping[Width, WidthSite]) -> WidthSite | None:
    """The one width of the net's inputs (or outputs) that layers read (write); None if there are several."""
    ends = {s.width for axis in axes for s in resolve(axis)}
    used = [sites[w] for w in ends if w in sites and (sites[w].readers or sites[w].writers)]
    return used[0] if len(used) == 1 else None


__all__ = [
    "ColumnSite",
    "ColumnsRead",
    "DepthSite",
    "Port",
    "Sites",
    "SizeAttribute",
    "Span",
    "WidthSite",
    "growth_sites",
    "site_behind",
    "unwrapped",
]
