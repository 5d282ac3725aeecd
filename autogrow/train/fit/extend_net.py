"""A net follows its data: updated statistics, new columns, new classes, with the same answers on the rows there were.

M members, I inputs, O outputs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from autogrow.data.continued.extend import Extension
from autogrow.errors import CheckpointError, GrowthError, ParityError
from autogrow.growth import Receipt, extend_inputs, extend_outputs
from autogrow.nets import MeanOfMembers, MemberLinear

PROMISE = 1e-4  # relative to the largest output: the first layer's weights are stored rescaled, in float32


def extend_net(net: nn.Module, extension: Extension, example: Tensor) -> list[dict[str, Any]]:
    """Extend `net` in place by what is new and fold the statistics into its first layer; the entries of the recipe.

    example: a batch of the net's input as it was. Raises CheckpointError for a net that cannot be extended.
    """
    entries: list[dict[str, Any]] = []
    try:
        if extension.inputs:
            entries.append(dict(extend_inputs(net, extension.inputs, example=example).entry))
        if extension.outputs:
            wider = torch.cat([example, example.new_zeros(*example.shape[:-1], extension.inputs)], -1)
            entries.append(
                dict(extend_outputs(net, extension.outputs, example=wider if extension.inputs else example).entry)
            )
    except GrowthError as error:
        raise CheckpointError(f"the net cannot follow its data: {error}") from None
    if extension.source:
        _fold(_first_layer(net), extension, net)
    return entries


def _first_layer(net: nn.Module) -> nn.Linear | MemberLinear:
    return next(m for m in net.modules() if isinstance(m, (nn.Linear, MemberLinear)))


def _fold(layer: nn.Linear | MemberLinear, extension: Extension, net: nn.Module) -> None:
    """Write the columns of the first layer in their new order, rescaled: W·z before = W'·z' + shift now."""
    codes = len(net.embed.tables) if getattr(net, "embedded", False) else 0  # type: ignore[union-attr,arg-type]
    numeric = len(extension.source) - codes
    old = sum(i >= 0 for i in extension.source)
    weight = layer.weight.detach().double()  # (O, I) or (M, O, I); codes come last, and then their learned vectors
    folded, fresh = weight.clone(), old
    for j, i in enumerate(extension.source[:numeric]):
        if i < 0:
            folded[..., j] = weight[..., fresh]
            fresh += 1
        else:
            folded[..., j] = weight[..., i] * float(extension.factor[j])
    kept = [(j, i) for j, i in enumerate(extension.source[:numeric]) if i >= 0]
    moved = sum((weight[..., i] * float(extension.shift[j]) for j, i in kept), torch.zeros_like(weight[..., 0]))
    with torch.no_grad():
        layer.weight.copy_(folded)
        if bool(moved.any()):
            if layer.bias is None:
                raise CheckpointError("the net's first layer has no bias to take up a shift of its inputs")
            layer.bias.add_(moved)


def shrink_and_perturb(net: nn.Module, shrink: float, perturb: float) -> None:
    """w ← shrink·w + perturb·(a fresh draw of its initialisation), Ash & Adams 2020 (arXiv 1910.08475).
    Changes the function.
    """
    for module in net.modules():
        reset = getattr(module, "reset_parameters", None)
        own = dict(module.named_parameters(recurse=False))
        if reset is None or not own:
            continue
        kept = {name: p.detach().clone() for name, p in own.items()}
        reset()
        with torch.no_grad():
            for name, p in own.items():
                p.mul_(perturb).add_(kept[name], alpha=shrink)


def outputs64(net: nn.Module, x: Tensor, members: int) -> Tensor:
    """(P, O) outputs in float64, in eval mode."""
    import copy

    own = copy.deepcopy(net).double().eval()
    with torch.no_grad():
        out: Tensor = own(x.double()) if members == 1 else MeanOfMembers(own, members)(x.double())
    return out


def receipt(before: Tensor, after: Tensor, *, exact: bool) -> Receipt:
    """Old outputs (P, O) against the same ones now (P, O + new).
    Raises ParityError where they differ by more than was promised.
    """
    change = float((after[:, : before.shape[1]] - before).abs().max())
    if not exact:
        return Receipt(None, change)
    bound = PROMISE * max(1.0, float(before.abs().max()))
    if not change <= bound:
        raise ParityError(f"the continued net's answers on old rows differ by {change:.3g} (promised {bound:.3g})")
    return Receipt(bound, change)
