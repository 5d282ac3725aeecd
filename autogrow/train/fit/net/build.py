"""From a config or a checkpoint to a net: the starting net, and the net that a recipe of growths makes of it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any, get_type_hints

import torch
from torch import Tensor, nn

from autogrow import nets
from autogrow.data import Prepared
from autogrow.errors import CheckpointError, ConfigError, nearest
from autogrow.growth import replay
from autogrow.plain import fault
from autogrow.train.fit.spec import AUTO, TINY, NetSpec

BUILDABLE = ("DenseNet", "ConvNet")


def start_widths(inputs: int, rule: str = AUTO) -> list[int]:
    """One hidden layer. 'auto', the recipe's: the power of two at or above 4·√inputs, within 32 … 128 (a growth policy
    may then start at its cap, where a narrower start would save too little).

    'tiny': that at or above 2·√inputs, within 16 … 64, where the size of the net is all that counts.

    >>> [start_widths(d) for d in (2, 64, 784)], start_widths(64, "tiny")
    ([[32], [32], [128]], [16])
    """
    factor, least, most = (2, 16, 64) if rule == TINY else (4, 32, 128)
    return [int(min(most, max(least, 2 ** math.ceil(math.log2(factor * math.sqrt(inputs))))))]


def builder_for(spec: NetSpec, prepared: Prepared, widths: Sequence[int]) -> dict[str, Any]:
    """A net of these widths as plain data: a name and its arguments, from which `build_net` makes it."""
    shape = list(prepared.input_shape)
    arguments: dict[str, Any] = {
        "widths": list(widths),
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
    kind, arguments = getattr(nets, name), builder["arguments"]
    found = fault_of_call(arguments, kind.__init__)
    if found:
        raise CheckpointError(f"its {name} is not as it was written: {found}")
    net: nn.Module = kind(**arguments)
    return net


def fault_of_call(arguments: Mapping[str, Any], function: Any) -> str:
    """What is wrong with arguments by name, by the annotations of what they are for."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    kinds = get_type_hints(function)
    for name in arguments:
        if name not in kinds:
            return f"it has the unknown argument {name!r}; {nearest(name, [p.name for p in parameters])}"
    for parameter in parameters:
        if parameter.name in arguments:
            found = fault(arguments[parameter.name], kinds[parameter.name], parameter.name)
            if found:
                return found
        elif parameter.default is inspect.Parameter.empty:
            return f"it has no {parameter.name!r}"
    return ""


def rebuild(
    builder: Mapping[str, Any],
    recipe: Sequence[Mapping[str, Any]],
    example: Tensor,
    *,
    net: nn.Module | None = None,
    holds: int | None = None,
) -> nn.Module:
    """The net that a recipe makes of the builder's starting net: its architecture; weights are to be loaded.

    `net`, where given, is a fresh starting net to use in place of the builder's. `holds`: how many numbers those
    weights hold; a net that needs more is refused before it is made. Draws nothing from the global generator.
    """
    with torch.random.fork_rng(devices=[]):
        if net is None and holds is not None:
            _check_size(builder, holds)
        net = build_net(builder) if net is None else net
        replay(net, list(recipe), example, holds=holds)
    return net


def _check_size(builder: Mapping[str, Any], holds: int) -> None:
    """Raise CheckpointError for a starting net larger than the weights that it is built for."""
    try:
        with torch.device("meta"):  # shapes alone
            needed = sum(p.numel() for p in build_net(builder).parameters())
    except (RuntimeError, OverflowError, TypeError):  # sizes whose product is beyond what torch can count
        needed = 2**63
    if needed > holds:
        raise CheckpointError(f"its starting net has {needed:,} numbers, and its weights hold {holds:,}")
