"""What a finer resolution of a column would bring, measured on a batch before any knot is there.

The only thing that a net whose first layer bends at a further knot can do and could not do before is the hat: 0 at the
neighbouring knots, 1 at the new one. With δ the gradient of the loss with respect to what that layer answers, and h the
hats of a column's new knots, centred over the rows, the score is ‖E[h δ]‖² over what noise alone would give, E[h² δ²]/N
summed: signal over noise, with 1 where there is nothing to gain.

M members, N rows, W units of the layer that reads, H hats of some columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from autogrow.errors import GrowthError
from autogrow.growth.bottleneck.problem import Batch, Loss
from autogrow.growth.modes import quiet
from autogrow.growth.sites.find import ColumnSite, Sites

_ENTRIES = 2**22  # of hats held at a time


def score_columns(
    net: nn.Module, batch: Batch, loss: Loss, sites: Sites, finer: Mapping[str, Sequence[float]]
) -> dict[str, float]:
    """The score of each column that `finer` names, were it refined by the knots that stand there.

    `batch`: inputs ([M,] N, D) and targets; `loss(outputs, targets)`: the mean loss. Cost: one forward and backward
    pass, and a product of all hats with the gradient. The net and its gradients are left as they are.
    """
    if sites.columns is None:
        raise GrowthError(f"the columns of this net cannot be refined: {sites.not_finer}")
    x, y = batch
    delta = _gradient(net, x, y, loss, sites.columns.reader)  # (N, M·W)
    rows = x[0] if x.ndim > 2 else x
    found: dict[str, float] = {}
    waiting: list[tuple[str, Tensor]] = []
    for i, (name, knots) in enumerate(finer.items()):
        site = sites.finer[name]
        hats = _hats(rows[:, site.column], site, knots)
        if hats.shape[1]:
            waiting.append((name, hats))
        if waiting and (i == len(finer) - 1 or sum(h.shape[1] for _, h in waiting) * len(rows) > _ENTRIES):
            found |= _signal_over_noise(waiting, delta)
            waiting = []
    return found


def _gradient(net: nn.Module, x: Tensor, y: Tensor, loss: Loss, reader: str) -> Tensor:
    """The loss's gradient with respect to what a layer answers, row by row; its scale does not matter."""
    answered: list[Tensor] = []

    def note(_module: nn.Module, _args: Any, output: Tensor) -> Tensor:
        answered.append(output.detach().requires_grad_())
        return answered[0]

    handle = net.get_submodule(reader).register_forward_hook(note)
    try:
        with quiet(net), torch.enable_grad():
            (gradient,) = torch.autograd.grad(loss(net(x), y), answered)
    finally:
        handle.remove()
    return gradient if gradient.ndim == 2 else gradient.movedim(0, 1).flatten(1)


def _hats(values: Tensor, site: ColumnSite, knots: Sequence[float]) -> Tensor:
    """(N, H): for each knot that is not there yet, the hat over its neighbours, centred. Outer knots have none."""
    edges = sorted({*site.knots, *knots})
    new = [i for i in range(1, len(edges) - 1) if edges[i] not in site.knots]
    low, at, high = (
        torch.tensor([edges[i + k] for i in new], dtype=values.dtype).to(values.device) for k in (-1, 0, 1)
    )
    x = values[:, None]
    hats = torch.minimum((x - low) / (at - low), (high - x) / (high - at)).clamp_(min=0)
    return hats - hats.mean(0)


def _signal_over_noise(columns: Sequence[tuple[str, Tensor]], delta: Tensor) -> dict[str, float]:
    hats = torch.cat([h for _, h in columns], 1)
    signal = (hats.T @ delta).square().sum(1)
    noise = (hats.square().T @ delta.square()).sum(1)
    sizes = [h.shape[1] for _, h in columns]
    scores = [
        float(s.sum() / n.sum().clamp(min=torch.finfo(n.dtype).tiny))
        for s, n in zip(signal.split(sizes), noise.split(sizes), strict=True)
    ]
    return dict(zip((name for name, _ in columns), scores, strict=True))
