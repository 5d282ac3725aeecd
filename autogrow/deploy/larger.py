"""Knowledge transfer: a trained net into a larger one with the same outputs (Net2Net, arXiv 1511.05641),
proved in float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from autogrow.errors import CheckpointError, ConfigError
from autogrow.growth import Neurons, Receipt, ZeroOutgoing, grow_to, growth_sites
from autogrow.growth.cost import cost
from autogrow.growth.surgery.parity import Probe, Promise
from autogrow.train.fit.net.deliver import Delivered
from autogrow.train.fit.net.load import load
from autogrow.train.record.checkpoint import CHECKPOINT_KEY, read_checkpoint, save_atomically
from autogrow.train.record.files import copy_file
from autogrow.train.record.folder import SPLIT, checkpoint_of


@dataclass(frozen=True)
class Transferred:
    """A larger net: `net` ready for use, `content` what its checkpoint holds,
    `receipt` the proof over all its growths.
    """

    net: nn.Module
    content: dict[str, Any]
    receipt: Receipt
    before: tuple[int, ...]
    after: tuple[int, ...]


def transfer(
    source: str | Path,
    widths: Sequence[int],
    *,
    neurons: Neurons | None = None,
    generator: torch.Generator | None = None,
    out: str | Path | None = None,
) -> Transferred:
    """The net of a checkpoint of ours (`best.ckpt`, or the folder of its run) grown to `widths`, with the same outputs.

    Layers beyond the source's are inserted behind its last one. `neurons`: what new units start as (default: outgoing
    weights of zero). `out`: where its checkpoint is written; it loads with `autogrow.load` and is continued from like
    any other.

    Raises GrowthError for a target that is smaller or cannot be reached, CheckpointError for a file that is not one of
    ours.
    """
    path = checkpoint_of(source)
    content = read_checkpoint(path)
    delivered = load(path)
    if not isinstance(delivered, Delivered):
        raise CheckpointError(f"{path} holds a net of your own class: grow it with autogrow.grow_to(net, widths=[…])")
    ours = content[CHECKPOINT_KEY]
    net = delivered.net if ours["delivery"]["members"] == 1 else delivered.net.net
    assert isinstance(net, nn.Module)
    grown = grown_net(net, widths, ours["delivery"]["example"], neurons=neurons, generator=generator)
    content = {
        "state_dict": {k: v.detach().clone() for k, v in net.state_dict().items()},
        CHECKPOINT_KEY: {**ours, "recipe": [*ours["recipe"], *grown.entries]},
        "result": {**_facts(content.get("result", {}), net, ours["delivery"]["example"], grown.after)},
        "receipt": grown.receipt.to_plain(),
    }
    if out is not None:
        save_atomically(content, Path(out))
        if path.with_suffix(SPLIT).is_file() and path != Path(out):
            copy_file(path.with_suffix(SPLIT), Path(out).with_suffix(SPLIT))  # for those who go on from it
    return Transferred(delivered, content, grown.receipt, grown.before, grown.after)


@dataclass(frozen=True)
class Grown:
    """What `grown_net` did: recipe entries, the receipt over all of them, hidden widths before and after."""

    entries: tuple[Mapping[str, Any], ...]
    receipt: Receipt
    before: tuple[int, ...]
    after: tuple[int, ...]


def grown_net(
    net: nn.Module,
    widths: Sequence[int],
    example: Tensor | None,
    *,
    neurons: Neurons | None = None,
    generator: torch.Generator | None = None,
) -> Grown:
    """Grow `net` in place to `widths` and prove that it computes what it computed. `example`: a batch of its input."""
    check_widths(widths)
    before = tuple(site.size for site in growth_sites(net, example).widths.values())
    probe = Probe(net, example)
    surgeries = grow_to(net, list(widths), example=example, neurons=neurons or ZeroOutgoing(), generator=generator)
    after = tuple(site.size for site in growth_sites(net, example).widths.values())
    receipt = probe.receipt(_together([s.receipt.promise for s in surgeries], probe))
    return Grown(tuple(s.entry for s in surgeries), receipt, before, after)


def _together(promises: Sequence[float | None], probe: Probe) -> Promise:
    """What several growths promise together: the sum of their bounds, at least float64's rounding;
    nothing, where one promises nothing.
    """
    if any(p is None for p in promises):
        return Promise(None)
    size = max([1.0, *(float(o.abs().max()) for o in probe.before)])
    return Promise(max(1e-9, sum(p for p in promises if p is not None) / size))


def check_widths(widths: Sequence[int]) -> None:
    """Raises ConfigError for anything but whole numbers of at least 1."""
    if not widths:
        raise ConfigError("widths must name the larger net's hidden widths, such as widths=[128,128]")
    for width in widths:
        if not isinstance(width, int) or isinstance(width, bool) or width < 1:
            raise ConfigError(f"widths must hold whole numbers of at least 1, got {width!r}")


def _facts(result: Mapping[str, Any], net: nn.Module, example: Tensor, widths: Sequence[int]) -> dict[str, Any]:
    """The source's result with what has changed: the same errors, another size."""
    now = cost(net, example)
    return {
        **result,
        "widths": list(widths),
        "depth": len(widths),
        "parameters": now.parameters,
        "flops_per_sample": now.flops_per_sample,
        "transferred_from": list(result.get("widths", [])),
    }
