"""What a net is run on: a batch somebody gives, or one whose shape follows from the net's first layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from autogrow.errors import GrowthError
from autogrow.growth.layers import layer_type
from autogrow.nets.knots import Knots

EXAMPLE_ROWS = 16  # enough to see any row or column go wrong, small against a training step

Example = Tensor | Sequence[Any] | Mapping[str, Any]


def call_arguments(
    net: nn.Module, example: Example | None, *, rows: int | None = EXAMPLE_ROWS
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """An example as positional and keyword arguments for the net, on its device and, if floating, in its dtype.

    `example`: a tensor, a sequence of positional arguments, a mapping of keyword arguments; None: the shape is inferred
    from the first layer. `rows`: how many of its first rows are taken (None: all). Raises GrowthError where it cannot
    be.
    """
    like = next((p for p in net.parameters() if p.is_floating_point()), None)
    if example is None:
        example = _inferred_example(net)
    given = example.values() if isinstance(example, Mapping) else (example,) if isinstance(example, Tensor) else example
    lengths = {len(value) for value in given if isinstance(value, Tensor) and value.ndim}

    def fit(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        value = value.detach()
        if value.ndim and len(lengths) == 1:
            value = value[:rows]
        return value if like is None else value.to(like.device, like.dtype if value.is_floating_point() else None)

    if isinstance(example, Mapping):
        return (), {name: fit(value) for name, value in example.items()}
    if isinstance(example, Tensor):
        return (fit(example),), {}
    return tuple(fit(value) for value in example), {}


def _inferred_example(net: nn.Module) -> Tensor:
    knots = next((m for m in net.modules() if isinstance(m, Knots)), None)
    components = 0 if knots is None else len(knots.column)  # the first layer reads them behind the columns
    for module in net.modules():
        layer = layer_type(module)
        if layer is None:
            continue
        weight = module.get_parameter("weight")
        generator = torch.Generator().manual_seed(0)
        if isinstance(module, nn.Embedding):
            return torch.randint(module.num_embeddings, (8, 4), generator=generator)
        if layer.spatial == 0 and weight.ndim == 2:
            return torch.randn(8, weight.shape[1] - components, generator=generator)
        if layer.spatial == 0 and weight.ndim == 3:  # members side by side
            return torch.randn(weight.shape[0], 8, weight.shape[2] - components, generator=generator)
        break
    raise GrowthError(
        f"the input shape of {type(net).__name__} cannot be inferred from its first layer; pass example=<a batch of inputs>"
    )
