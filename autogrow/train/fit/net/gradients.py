"""Gradients of a plain stack of linear layers, ReLUs and dropouts, written out: the bits that autograd finds, without
its graph.

A step of a small net is Python and bookkeeping more than arithmetic. What is written here calls the same kernels in the
same order, so that a run may change between the two at any growth, and a law holds them equal bit for bit.

B batch, I inputs, W width, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autogrow.nets import DenseNet
from autogrow.nets.knots import Knots


@dataclass(frozen=True)
class WrittenGradients:
    """Sets the gradient of each parameter of a dense net, as `loss.backward()` would.

    layers: the linear layers from input to head.  rectified: whether a ReLU stands behind each.  dropped: the share
    that a dropout behind that leaves out; masks are drawn from torch's global random state, as its own are.
    """

    net: DenseNet
    layers: tuple[nn.Linear, ...]
    rectified: tuple[bool, ...]
    dropped: tuple[float, ...]
    of_loss: Callable[[Tensor, Tensor], Tensor]

    @torch.no_grad()
    def __call__(self, x: Tensor, y: Tensor) -> None:
        """From the inputs (B, …) and the targets (B,) or (B, O) of one batch."""
        if len(self.net.input_shape) > 1:
            x = self.net.flatten(x)
        read, answered = [self.net.columns(x)], []
        masks: list[Tensor | None] = []
        for layer, rectified, share in zip(self.layers, self.rectified, self.dropped, strict=True):
            z = F.linear(read[-1], layer.weight, layer.bias)
            answered.append(torch.relu(z) if rectified else z)
            mask = torch.empty_like(z).bernoulli_(1 - share).div_(1 - share) if share else None
            masks.append(mask)
            read.append(answered[-1] if mask is None else answered[-1] * mask)
        delta = self.of_loss(read[-1], y)
        for i in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[i]
            mask = masks[i]
            if mask is not None:
                delta = delta * mask
            if self.rectified[i]:
                delta = torch.ops.aten.threshold_backward(delta, answered[i], 0)
            layer.weight.grad, layer.bias.grad = delta.t().mm(read[i]), delta.sum(0)
            if i:
                delta = delta.mm(layer.weight)


def written_gradients(net: nn.Module, task: str, smoothing: float) -> WrittenGradients | None:
    """The gradients of a net, written out; None where it is another one than a plain stack on the CPU in 32 bits."""
    if type(net) is not DenseNet or net.members > 1 or net.residual or net.embedded:
        return None
    if not all(type(m) in (nn.Identity, Knots) for m in _leaves(net.columns)):  # they train nothing
        return None
    found = [*_leaves(net.hidden), net.head]
    kept = [m for m in found if type(m) is not nn.Identity and not (type(m) is nn.Dropout and m.p == 0)]
    groups = _groups(kept)
    if groups is None:
        return None
    layers = tuple(group[0] for group in groups)
    if not all(_is_plain(layer) for layer in layers) or len(set(layers)) < len(layers):
        return None
    rectified = tuple(any(type(m) is nn.ReLU for m in group) for group in groups)
    dropped = tuple(sum(m.p for m in group if isinstance(m, nn.Dropout)) for group in groups)
    of_loss = _OfClasses(smoothing) if task == "classification" else of_values
    return WrittenGradients(net, layers, rectified, dropped, of_loss)


def _groups(kept: Sequence[nn.Module]) -> list[list[Any]] | None:
    """Each linear layer with what stands behind it; None where that is more than a ReLU, a dropout or both in turn."""
    if not kept or type(kept[0]) is not nn.Linear:
        return None
    groups: list[list[Any]] = []
    for module in kept:
        if type(module) is nn.Linear:
            groups.append([])
        groups[-1].append(module)
    known: tuple[list[type], ...] = ([], [nn.ReLU], [nn.Dropout], [nn.ReLU, nn.Dropout])
    return groups if all([type(m) for m in group[1:]] in known for group in groups) else None


def _leaves(module: nn.Module) -> Iterator[nn.Module]:
    """The modules of a stack, in the order in which they are called; what is more than a stack comes as a whole."""
    if type(module) in (nn.Sequential, nn.ModuleList):
        for child in module.children():
            yield from _leaves(child)
    else:
        yield module


def _is_plain(layer: nn.Linear) -> bool:
    tensors = list(layer.parameters())
    hooks = layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks
    return (
        len(tensors) == 2
        and not hooks
        and all(p.requires_grad and p.device.type == "cpu" and p.dtype == torch.float32 for p in tensors)
    )


class _OfClasses:
    """d loss / d logits of the mean cross entropy with label smoothing."""

    def __init__(self, smoothing: float) -> None:
        self.smoothing = smoothing

    def __call__(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, O) of logits (B, O) and classes (B,)."""
        logs = torch.log_softmax(z, 1)
        # in 32 bits, one step after the other, as autograd goes back through the mean and the two parts of the loss
        others = torch.tensor(self.smoothing / z.shape[1]) / len(z)
        right = torch.tensor(1 - self.smoothing) / len(z)
        of_logs = torch.full_like(logs, -float(others))
        of_logs.scatter_add_(1, y.unsqueeze(1), torch.full_like(logs[:, :1], -float(right)))
        delta: Tensor = torch.ops.aten._log_softmax_backward_data(of_logs, logs, 1, logs.dtype)
        return delta


def of_values(z: Tensor, y: Tensor) -> Tensor:
    """d loss / d outputs of the mean squared error: (B, O) of outputs and targets (B, O)."""
    delta: Tensor = torch.ops.aten.mse_loss_backward(torch.ones(()), z, y, 1)
    return delta
