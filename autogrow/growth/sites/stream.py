"""Whole blocks of a residual stream: which of a net's blocks hand their input on once their last projections are zero.

Blocks are the modules of a `ModuleList` or `Sequential`.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import fx, nn

from autogrow.errors import GrowthError
from autogrow.growth.sites.axes import resolve
from autogrow.growth.sites.passing import Passing, PostNormError, passing_of
from autogrow.growth.sites.site import DepthSite
from autogrow.growth.sites.trace import Trace

BLOCK_KINDS = ("block", "copy")


def block_sites(trace: Trace) -> tuple[dict[str, tuple[fx.Node, DepthSite]], dict[str, str]]:
    """The places behind which a whole block can be put, with the node where each ends; and blocks of a residual stream
    that cannot be passed through, with the reason.
    """
    found: dict[str, tuple[fx.Node, DepthSite]] = {}
    refused: dict[str, str] = {}
    for names in _lists(trace.net):
        passing: dict[str, Passing] = {}
        for name in names:
            try:
                passing[name] = passing_of(trace, name)
            except PostNormError as error:
                refused[name] = str(error)
            except GrowthError:
                continue  # most modules in a list are no blocks of a residual stream
        for name, behind in zip(names, [*names[1:], ""], strict=True):
            like = name if name in passing else behind
            if like not in passing or (like != name and passing[like].norms):
                continue  # behind something else no norm is there that could be opened
            end, of = trace.called[like].answered if like == name else trace.called[like].given, passing[like]
            size = _size(trace, end)
            site = DepthSite(name, None, size, like, None, None, None, BLOCK_KINDS, of.zeros, of.norms)
            found[name] = end, site
    return found, {name: why for name, why in refused.items() if name not in found}


def _lists(net: nn.Module) -> Iterator[list[str]]:
    """The names of the modules in each list of the net."""
    for name, module in net.named_modules():
        if isinstance(module, (nn.ModuleList, nn.Sequential)) and len(module):
            yield [f"{name}.{child}".lstrip(".") for child in module._modules]


def _size(trace: Trace, node: fx.Node) -> int:
    """The channels of the stream."""
    value = trace.values[node]
    axes = [a for a in value[1:] if a is not None] if isinstance(value, tuple) else []
    widths = [sum(segment.size for segment in resolve(axis)) for axis in axes]
    return widths[-1] if widths else int(trace.shapes[node][-1])


def check_stream(trace: Trace, name: str) -> None:
    """Raise GrowthError, with the reason, for a block of a residual stream that cannot be passed through."""
    if name in trace.called:
        try:
            passing_of(trace, name)
        except PostNormError:
            raise
        except GrowthError:
            return  # it is no block of a residual stream
