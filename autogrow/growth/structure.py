"""Where a net can grow: its hidden widths and the places where a layer can be inserted, found by tracing.

Works on any supported `nn.Module`, not only on ours. Which widths are one (a residual stream, a gate, the channels in front of and behind a
depthwise convolution) follows from what the tensors meet on their way (`structure_axes`); a width touched by something growth does not
know is refused, by name and with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import fx, nn
from torch.optim.swa_utils import AveragedModel

from autogrow.errors import GrowthError, nearest
from autogrow.growth.activations import activation_facts
from autogrow.growth.blocks import ResidualBlock
from autogrow.growth.layers import layer_type
from autogrow.growth.structure_axes import Axis, Width, fix, length, resolve
from autogrow.growth.structure_rules import function_name
from autogrow.growth.structure_state import Normed, carries, normed
from autogrow.growth.structure_trace import Example, Trace, run_trace


@dataclass(frozen=True)
class Span:
    """Where a width lies within a dimension: unit i takes positions offset + i·block … offset + (i + 1)·block − 1."""

    offset: int
    block: int


@dataclass(frozen=True)
class Port:
    """A parameter (or buffer) of a module that a width lies along, in dimension `dim`, at `spans`.

    `role`: 'write' (the layer's rows), 'read' (its columns) or 'carry' (norms, depthwise weights, gains); `fill`: what a
    carried tensor's new entries are (a number, 'mean' of the old ones, or 'draw').
    """

    module: str
    parameter: str
    dim: int
    role: str
    spans: tuple[Span, ...]
    fill: float | str = 0.0

    @property
    def name(self) -> str:
        """The parameter's qualified name."""
        return f"{self.module}.{self.parameter}" if self.module else self.parameter


@dataclass(frozen=True)
class SizeAttribute:
    """A module's attribute that counts `per_unit` for every unit of a width (out_features, num_groups, …)."""

    module: str
    attribute: str
    per_unit: int


@dataclass(frozen=True)
class WidthSite:
    """A width: the layers that write it, carry it and read it. They grow together.

    `name`: the first layer that writes it. `size`: its channels; it grows in steps of `unit` channels (1, or a group's size).
    `through`: the modules and functions it passes on its way. `refused`: why it cannot be grown, or None.
    """

    name: str
    size: int
    unit: int
    writers: tuple[Port, ...]
    readers: tuple[Port, ...]
    carried: tuple[Port, ...]
    attributes: tuple[SizeAttribute, ...]
    through: tuple[str, ...]
    normed: Normed | None = None
    refused: str | None = None

    @property
    def units(self) -> int:
        """How many units (single channels, or groups of `unit` channels) the width has."""
        return self.size // self.unit

    @property
    def only_multiples(self) -> str:
        """Why it can be widened by whole multiples only, by equal copies; empty where any width will do."""
        if self.normed is None or self.normed.any_width:
            return ""
        return f"{self.normed.obstacle}; only a multiple of {self.size}, by Split, is exact"

    def __str__(self) -> str:
        def listed(ports: Sequence[Port]) -> str:
            names = dict.fromkeys(p.module or p.parameter for p in ports)
            return ", ".join(names) or "—"

        steps = f" in steps of {self.unit}" if self.unit > 1 else ""
        lines = [
            f"{self.name}: {self.size}{steps}" + (f"   refused: {self.refused}" if self.refused else ""),
            f"  written by {listed(self.writers)}",
            f"  through    {', '.join(self.through) or '—'}",
            f"  read by    {listed(self.readers)}",
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class DepthSite:
    """A place where a layer can be inserted: behind module `name`.

    `width`: the name of the width there, `size` its channels; `like`: the layer whose kind the inserted one will have;
    `activation`: the activation module that is repeated behind it (None: there is none), `dropout` likewise; `norm`: the norm of the
    stage, if any; `kinds`: the insertions that are exact there.
    """

    name: str
    width: str | None
    size: int
    like: str
    activation: str | None
    norm: str | None
    dropout: str | None
    kinds: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.size} channels, {' or '.join(self.kinds)}"


@dataclass(frozen=True)
class Sites:
    """Everything that can grow in a net, from input to output, and what cannot, with the reason.

    `widths`: growable hidden widths by name; `depths`: insertion sites by name; `fixed`: widths that cannot be grown;
    `refused`: name → reason, for widths, insertion places and modules nothing is known of. `inputs`, `outputs`: the width the
    net reads and the one it answers with, where there is exactly one.
    """

    widths: Mapping[str, WidthSite]
    depths: Mapping[str, DepthSite]
    fixed: Mapping[str, WidthSite]
    refused: Mapping[str, str]
    inputs: WidthSite | None
    outputs: WidthSite | None
    trace: Trace = field(repr=False, compare=False)
    by_width: Mapping[Width, WidthSite] = field(repr=False, compare=False)

    def width(self, name: str) -> WidthSite:
        """The growable width of that name; GrowthError with the reason or the nearest names otherwise.

        A width that grows by whole multiples only is found, too.
        """
        if name in self.widths:
            return self.widths[name]
        if name in self.fixed and self.fixed[name].refused is None:
            return self.fixed[name]
        for site in self.widths.values():
            if any(port.module == name for port in site.writers):
                return site
        if name in self.refused:
            raise GrowthError(f"the width {name!r} cannot be grown: {self.refused[name]}")
        raise GrowthError(f"no width is called {name!r}; {nearest(name, self.widths)}")

    def __str__(self) -> str:
        parts = [str(site) for site in self.widths.values()]
        if self.depths:
            parts.append("layers can be inserted behind\n" + "\n".join(f"  {site}" for site in self.depths.values()))
        if self.refused:
            parts.append("refused\n" + "\n".join(f"  {name}: {why}" for name, why in self.refused.items()))
        return "\n".join(parts)


def growth_sites(net: nn.Module, example: Example | None = None) -> Sites:
    """Find every hidden width and every insertion site of a net.

    `example`: a batch of inputs (a tensor, a sequence of arguments or a mapping of them); left out, its shape is inferred from the first
    layer. The net is run once on it, in eval mode, and left as it was. Raises GrowthError where the net cannot be traced.

    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> print(growth_sites(net))
    0: 8
      written by 0
      through    1
      read by    2
    layers can be inserted behind
      1: 8 channels, identity or residual
    refused
      2: it is the net's output
    """
    net = unwrapped(net)
    trace = run_trace(net, example)
    _fix_tied(trace)
    found = _widths(trace)
    sites = {w: _site(trace, w) for w in found}
    named = {s.name: s for s in sites.values() if s.writers}
    widths = {n: s for n, s in named.items() if s.refused is None and (s.normed is None or s.normed.any_width)}
    fixed = {n: s for n, s in named.items() if n not in widths}
    depths, no_depths = _depths(trace, sites)
    refused = {n: s.refused or s.only_multiples for n, s in fixed.items()} | no_depths | dict(trace.opaque)
    return Sites(widths, depths, fixed, refused, _only(trace.inputs, sites), _only(trace.outputs, sites), trace, sites)


def unwrapped(net: nn.Module) -> nn.Module:
    """The module itself, behind torch.compile or a weight average."""
    inner = getattr(net, "_orig_mod", None)
    if isinstance(net, AveragedModel):
        inner = net.module
    return unwrapped(inner) if isinstance(inner, nn.Module) else net


def _fix_tied(trace: Trace) -> None:
    """A parameter that belongs to two modules cannot be replaced in one of them."""
    owners: dict[int, list[str]] = {}
    for name, module in trace.net.named_modules():
        for parameter, value in module.named_parameters(recurse=False):
            owners.setdefault(id(value), []).append(f"{name}.{parameter}".lstrip("."))
    names = {name: same for same in owners.values() if len(same) > 1 for name in same}
    for use in trace.uses:
        same = names.get(f"{use.module}.{use.parameter}".lstrip("."))
        if same:
            fix(use.axis, f"its weight is tied: {' and '.join(map(repr, same))} are one parameter")


def _widths(trace: Trace) -> list[Width]:
    """All widths, in the order of the nodes that first carry them."""
    found: dict[Width, None] = {}
    for node in trace.graph.nodes:
        _collect(trace.values.get(node), found)
    for use in trace.uses:
        _collect((use.axis,), found)
    return list(found)


def _collect(value: object, found: dict[Width, None]) -> None:
    for item in value if isinstance(value, (tuple, list)) else ():
        if isinstance(item, tuple) and item and hasattr(item[0], "width"):
            found.update(dict.fromkeys(s.width for s in resolve(item)))
        elif isinstance(item, (tuple, list)):
            _collect(item, found)


def _spans(axis: Axis, width: Width) -> tuple[Span, ...]:
    spans, offset = [], 0
    for segment in resolve(axis):
        if segment.width is width:
            spans.append(Span(offset, segment.block))
        offset += segment.size
    return tuple(spans)


def _site(trace: Trace, width: Width) -> WidthSite:
    """Everything that lies along one width."""
    ports = []
    for use in trace.uses:
        spans = _spans(use.axis, width)
        if spans:
            ports.append(Port(use.module, use.parameter, use.dim, use.role, spans, use.fill))
    attributes = tuple(
        SizeAttribute(s.module, s.attribute, sum(span.block for span in _spans(s.axis, width)))
        for s in trace.sized
        if _spans(s.axis, width)
    )
    order = {str(n.target): i for i, n in enumerate(trace.graph.nodes) if n.op == "call_module"}
    ports.sort(key=lambda p: order.get(p.module, -1))
    writers = tuple(p for p in ports if p.role == "write")
    readers = tuple(p for p in ports if p.role == "read")
    carried = tuple(p for p in ports if p.role == "carry")
    ends = {p.module for p in (*writers, *readers)}
    first = next(iter(writers), None)
    unit = first.spans[0].block if first else 1
    through = dict.fromkeys(
        str(n.target) if n.op == "call_module" else n.name
        for n in trace.graph.nodes
        if n.op in ("call_module", "call_function", "call_method")
        and str(n.target) not in ends
        and carries(trace, n, width)
    )
    name = "" if first is None else _name(trace, first, width)
    refused = width.fixed if width.fixed or readers else "no layer that growth knows reads it"
    state = normed(trace, width, {p.module for p in readers}) if refused is None else None
    return WidthSite(
        name, width.size * unit, unit, writers, readers, carried, attributes, tuple(through), state, refused
    )


def _name(trace: Trace, port: Port, width: Width) -> str:
    """The writing layer's name; where it writes several widths, with the rows."""
    (axis,) = (
        u.axis for u in trace.uses if u.module == port.module and u.role == "write" and u.parameter == port.parameter
    )
    if {s.width for s in resolve(axis)} == {width}:
        return port.module
    span = port.spans[0]
    return f"{port.module}[{span.offset}:{span.offset + width.size * span.block}]"


def _only(axes: Sequence[Axis], sites: Mapping[Width, WidthSite]) -> WidthSite | None:
    """The one width of the net's inputs (or outputs) that layers read (write); None if there are several."""
    ends = {s.width for axis in axes for s in resolve(axis)}
    used = [sites[w] for w in ends if w in sites and (sites[w].readers or sites[w].writers)]
    return used[0] if len(used) == 1 else None


# -- where a layer can be inserted


def _depths(trace: Trace, sites: Mapping[Width, WidthSite]) -> tuple[dict[str, DepthSite], dict[str, str]]:
    """Behind every activation (behind its dropout, if it has one), and behind every residual block of ours."""
    depths: dict[str, DepthSite] = {}
    refused: dict[str, str] = {}
    for node in trace.graph.nodes:
        if node not in trace.notes or trace.notes[node].kind != "activation":
            continue
        if node.op != "call_module":
            refused[node.name] = (
                f"{function_name(node)}() is a function and cannot be wrapped; in the module's __init__ write "
                f"self.act = nn.<the module of {function_name(node)}>() and call that"
            )
            continue
        block = _block_of(trace, node)
        end = _end_of_block(trace, block) if block is not None else _end_of_stage(trace, node)
        if any(_block_of(trace, user) not in (None, block) for user in end.users):
            continue  # a residual block of ours follows: the place behind that is the stage's end
        name = block or str(end.target)
        try:
            depths[name] = _site_behind(trace, sites, name)
        except GrowthError as error:
            refused[name] = str(error)
    return depths, refused


def _end_of_stage(trace: Trace, node: fx.Node) -> fx.Node:
    """The dropout behind an activation if that is all that reads it, else the activation."""
    users = list(node.users)
    return users[0] if len(users) == 1 and _is_dropout(trace, users[0]) else node


def _end_of_block(trace: Trace, block: str) -> fx.Node:
    """The sum that a residual block answers with."""
    outer = next(n for n in trace.graph.nodes if n.op == "call_module" and n.target == f"{block}.outer")
    return next(iter(outer.users))


def _block_of(trace: Trace, node: fx.Node) -> str | None:
    """The residual block of ours a module call is part of."""
    if node.op != "call_module":
        return None
    owner = str(node.target).rpartition(".")[0]
    return owner if isinstance(trace.net.get_submodule(owner), ResidualBlock) else None


def _is_dropout(trace: Trace, node: fx.Node) -> bool:
    return node.op == "call_module" and isinstance(
        trace.net.get_submodule(str(node.target)), nn.modules.dropout._DropoutNd
    )


def depth_site(trace: Trace, sites: Mapping[Width, WidthSite], node: fx.Node, activation: fx.Node | None) -> DepthSite:
    """The insertion site behind a node; GrowthError where nothing can be inserted."""
    name = str(node.target)
    if trace.calls(name) > 1:
        raise GrowthError(f"{name!r} is called {trace.calls(name)} times; give each place a module of its own")
    origin, norm = _origin(trace, node)
    if origin is None:
        raise GrowthError(f"no layer that growth knows comes before {name!r}")
    like = trace.net.get_submodule(origin)
    layer = layer_type(like)
    assert layer is not None
    if layer.build is None:
        raise GrowthError(
            f"{origin!r}, the layer before {name!r}, is of a kind that cannot be inserted ({type(like).__name__})"
        )
    value = trace.values[node]
    feature = len(value) - 1 - layer.spatial
    axis = value[feature] if isinstance(value, tuple) and 0 <= feature < len(value) else None
    if axis is None or any(a is not None for a in value[feature + 1 :]):
        raise GrowthError(f"the output of {name!r} does not have its features where {origin!r} wants them")
    if any(s in trace.outputs for s in (axis,)) and any(u.op == "output" for u in node.users):
        raise GrowthError(f"{name!r} is the net's output")
    widths = {s.width for s in resolve(axis)}
    site = sites.get(next(iter(widths))) if len(widths) == 1 else None
    kinds = ["residual"]
    act = str(activation.target) if activation is not None else None
    if act is not None:
        module = trace.net.get_submodule(act)
        if isinstance(module, ACTIVATION_MODULES) and activation_facts(module).idempotent:
            kinds.insert(0, "identity")
    dropout = name if _is_dropout(trace, node) else None
    return DepthSite(name, site.name if site else None, length(axis), origin, act, norm, dropout, tuple(kinds))


def site_behind(sites: Sites, name: str) -> DepthSite:
    """The insertion site behind any module of the net, listed or not; GrowthError where there is none."""
    return sites.depths.get(name) or _site_behind(sites.trace, sites.by_width, name)


def _site_behind(trace: Trace, sites: Mapping[Width, WidthSite], name: str) -> DepthSite:
    module = trace.net.get_submodule(name)
    block = isinstance(module, ResidualBlock)
    called = f"{name}.outer" if block else name
    node = next((n for n in trace.graph.nodes if n.op == "call_module" and n.target == called), None)
    if node is None:
        raise GrowthError(f"{name!r} is not called on its own, so nothing can be inserted behind it")
    if trace.calls(called) > 1:
        raise GrowthError(f"{name!r} is called {trace.calls(called)} times; give each place a module of its own")
    activation = node
    while _is_dropout(trace, activation) and activation.all_input_nodes:
        activation = activation.all_input_nodes[0]
    plain = activation.op == "call_module" and trace.notes[activation].kind == "activation"
    origin, norm = _origin(trace, node)
    if block:
        node, act = _end_of_block(trace, name), f"{name}.act"
        norm = f"{name}.norm" if hasattr(module, "norm") else None
    else:
        act = str(activation.target) if plain else None
    if origin is None:
        raise GrowthError(f"no layer that growth knows comes before {name!r}")
    if any(user.op == "output" for user in node.users):
        raise GrowthError(f"{name!r} is the net's output")
    axis = _features(trace, node, origin, name)
    width = next(iter({s.width for s in axis})) if len({s.width for s in axis}) == 1 else None
    site = sites.get(width) if width is not None else None
    exact = plain and not block and act is not None and activation_facts(trace.net.get_submodule(act)).idempotent
    return DepthSite(
        name, site.name if site else None, length(axis), origin, act, norm,
        name if _is_dropout(trace, node) else None,
        ("identity", "residual") if exact else ("residual",),
    )  # fmt: skip


def _features(trace: Trace, node: fx.Node, origin: str, name: str) -> Axis:
    """The axis that a layer like `origin` would read behind a node."""
    like = trace.net.get_submodule(origin)
    layer = layer_type(like)
    assert layer is not None
    if layer.build is None:
        raise GrowthError(
            f"{origin!r}, the layer before {name!r}, is of a kind that cannot be inserted ({type(like).__name__})"
        )
    value = trace.values[node]
    feature = len(value) - 1 - layer.spatial if isinstance(value, tuple) else -1
    axis = value[feature] if feature > 0 else None
    if axis is None or any(a is not None for a in value[feature + 1 :]):
        raise GrowthError(f"the output of {name!r} does not have its features where {origin!r} wants them")
    return resolve(axis)


def _origin(trace: Trace, node: fx.Node) -> tuple[str | None, str | None]:
    """The nearest layer upstream, and the norm passed on the way."""
    norm = None
    while True:
        note = trace.notes[node]
        if note.kind in ("layer", "carry"):
            return note.module, norm
        if note.kind.startswith("norm:") and norm is None:
            norm = note.module
        sources = [n for n in node.all_input_nodes if n in trace.notes]
        if not sources:
            return None, norm
        node = sources[0]
