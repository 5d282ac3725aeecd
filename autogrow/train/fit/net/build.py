"""From a config or a checkpoint to a net: the starting net, and the net that a recipe of growths makes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from autogrow import nets
from autogrow.data import Prepared
from autogrow.errors import CheckpointError, ConfigError, nearest
from autogrow.growth import replay
from autogrow.train.fit.spec import AUTO, TINY, NetSpec

BUILDABLE = ("DenseNet", "ConvNet")


def start_widths(inputs: int, rule: str = AUTO) -> list[int]:
    """One hidden layer. 'auto', the recipe's: the power of two at or above 4·√inputs, within 32 … 128.

    'tiny': that at or above 2·√inputs, within 16 … 64, where the size of the net is all that counts.

    >>> [start_widths(d) for d in (2, 64, 784)], start_widths(64, "tiny")
    ([[32], [32], [128]], [16])
    """
    factor, least, most = (2, 16, 64) if rule == TINY else (4, 32, 128)
    return [int(min(most, max(least, 2 ** math.ceil(math.log2(factor * math.sqrt(inputs))))))]


def builder_for(spec: NetSpec, prepared: Prepared) -> dict[str, Any]:
    """The starting net as plain data: a name and its arguments, from which `build_net` makes it."""
    shape = list(prepared.input_shape)
    named = isinstance(spec.widths, str)
    widths = start_widths(math.prod(shape), spec.widths) if named else [int(w) for w in spec.widths]
    arguments: dict[str, Any] = {
        "widths": widths,
        "outputs": prepared.outputs,
        "activation": spec.activation,
        "norm": spec.norm,
        "dropout": 0.0 if spec.dropout == AUTO else spec.dropout,
    }
    if spec.kind == "conv":
        if len(shape) != 3:
            raise ConfigError(
                f"net=conv needs images (channels, height, width), and data={prepared.name} has inputs {shape}"
            )
        if spec.members > 1 or spec.residual:
            raise ConfigError("net=conv goes with net.members=1 and net.residual=false")
        return {"net": "ConvNet", "arguments": {"input_shape": shape, **arguments}}
    extra = {"residual": spec.residual, "members": spec.members, "embeddings": list(prepared.embeddings)}
    return {"net": "DenseNet", "arguments": {"inputs": shape, **arguments, **extra}}


def build_net(builder: Mapping[str, Any]) -> nn.Module:
    """The starting net of a builder. Only nets of `autogrow.nets` are built by name.

    Raises CheckpointError for any other: a checkpoint must not decide which code is imported.
    """
    name = builder["net"]
    if name not in BUILDABLE:
        raise CheckpointError(
            f"the net {name!r} is not one of autogrow's, so it cannot be built from the checkpoint alone; "
            f"give a fresh instance: load(path, net=…); {nearest(name, BUILDABLE)}"
        )
    net: nn.Module = getattr(nets, name)(**builder["arguments"])
    return net


def rebuild(
    builder: Mapping[str, Any], recipe: Sequence[Mapping[str, Any]], example: Tensor, *, net: nn.Module | None = None
) -> nn.Module:
    """The net that a recipe makes of the builder's starting net: its architecture; weights are to be loaded.

    `net`, where given, is a fresh starting net to use in place of the builder's. Draws nothing from the global
    generator.
    """
    with torch.random.fork_rng(devices=[]):
        net = build_net(builder) if net is None else net
        replay(net, list(recipe), example)
    return net
