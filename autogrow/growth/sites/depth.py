"""Where a layer can be inserted: behind every activation, its dropout, and every residual block of ours; and where a
whole block can: behind every block of a residual stream (`stream`).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import fx, nn

from autogrow.errors import GrowthError
from autogrow.growth.activations import activation_facts
from autogrow.growth.blocks import ResidualBlock
from autogrow.growth.layers import layer_type, norm_type
from autogrow.growth.sites.axes import Axis, Width, length, resolve
from autogrow.growth.sites.site import DepthSite, Sites, WidthSite
from autogrow.growth.sites.stream import block_sites, check_stream
from autogrow.growth.sites.trace import Trace, function_name


def depth_sites(trace: Trace, sites: Mapping[Width, WidthSite]) -> tuple[dict[str, DepthSite], dict[str, str]]:
    """The insertion sites by name, and the places where nothing can be inserted, with the reason."""
    found: dict[str, tuple[fx.Node, DepthSite]] = {}
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
            found[name] = (node, _site_behind(trace, sites, name))
        except GrowthError as error:
            refused[name] = str(error)
    blocks, no_blocks = block_sites(trace)
    order = {node: i for i, node in enumerate(trace.graph.nodes)} if blocks else {}
    placed = sorted((blocks | found).items(), key=lambda item: order[item[1][0]]) if blocks else list(found.items())
    return {name: site for name, (_, site) in placed}, no_blocks | refused


def _end_of_stage(trace: Trace, node: fx.Node) -> fx.Node:
    """The dropout behind an activation if that is all that reads it, else the activation."""
    users = list(node.users)
    return users[0] if len(users) == 1 and _is_dropout(trace, users[0]) else node


def _end_of_block(trace: Trace, block: str) -> fx.Node:
    """The sum that a residual block answers with."""
    outer = next(n for n in trace.graph.nodes if n.op == "call_module" and n.target == f"{block}.outer")
    end: fx.Node = next(iter(outer.users))
    return end


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


def site_behind(sites: Sites, name: str) -> DepthSite:
    """The insertion site behind any module of the net, listed or not; GrowthError where there is none."""
    return sites.depths.get(name) or _site_behind(sites.trace, sites.by_width, name)


def _site_behind(trace: Trace, sites: Mapping[Width, WidthSite], name: str) -> DepthSite:
    module = trace.net.get_submodule(name)
    block = isinstance(module, ResidualBlock)
    called = f"{name}.outer" if block else name
    node = next((n for n in trace.graph.nodes if n.op == "call_module" and n.target == called), None)
    if node is None:
        check_stream(trace, name)
        raise GrowthError(f"{name!r} is not called on its own, so nothing can be inserted behind it")
    if trace.calls(called) > 1:
        raise GrowthError(f"{name!r} is called {trace.calls(called)} times; give each place a module of its own")
    activation = node
    while _is_dropout(trace, activation) and activation.all_input_nodes:
        activation = activation.all_input_nodes[0]
    plain = activation.op == "call_module" and trace.notes[activation].kind == "activation"
    origin, norm = _origin(trace, node)
    act: str | None
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
    if layer is None or layer.build is None:
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
        if note.kind.startswith("norm:") and norm is None and norm_type(trace.net.get_submodule(str(note.module))):
            norm = note.module  # a norm that is part of another module cannot be made again
        sources = [n for n in node.all_input_nodes if n in trace.notes]
        if not sources:
            return None, norm
        node = sources[0]
