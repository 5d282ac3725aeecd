"""Dense and convolutional layers seen as one thing: rows of features in, rows of outputs out.

A row is what one output of a layer reads: a sample (and place in a sequence) for a dense layer, the patch under the
kernel for a convolution. Members side by side keep a leading dimension of their own.

Shape legend: M members (1 where there are none), N rows (samples × positions), C channels, K kernel positions (1 for a
dense layer), F = C·K features, O outputs, (H, W) positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autogrow.errors import GrowthError
from autogrow.growth.layers import layer_type


def check_layer(name: str, module: nn.Module) -> None:
    """Raise `GrowthError` for a layer that cannot be seen as rows."""
    if isinstance(module, nn.Conv2d):
        if module.groups > 1 or isinstance(module.padding, str) or module.padding_mode != "zeros":
            raise GrowthError(f"{name!r} is a convolution with groups, padding by name or a padding mode of its own")
        return
    layer = layer_type(module)
    if layer is None or layer.spatial or not layer.reads:
        raise GrowthError(f"{name!r} ({type(module).__name__}) is neither a dense layer nor a 2-d convolution")


def has_members(module: nn.Module) -> bool:
    """Whether the layer is several members side by side, with a weight (M, O, I)."""
    return not isinstance(module, nn.Conv2d) and module.get_parameter("weight").ndim == 3


def places(module: nn.Module, tensor: Tensor) -> torch.Size:
    """What counts as rows in a layer's input or output: its shape without the features (and members)."""
    if isinstance(module, nn.Conv2d):
        return torch.Size((tensor.shape[0], *tensor.shape[2:]))
    return tensor.shape[1:-1] if has_members(module) else tensor.shape[:-1]


def read_rows(module: nn.Module, read: Tensor) -> Tensor:
    """A layer's input as (M, N, F): what each output reads, in float64."""
    read = read.detach().double()
    if isinstance(module, nn.Conv2d):
        patches = F.unfold(read, module.kernel_size, module.dilation, module.padding, module.stride)  # type: ignore[arg-type]
        return patches.mT.reshape(1, -1, patches.shape[1])
    return written_rows(module, read)


def written_rows(module: nn.Module, written: Tensor) -> Tensor:
    """A layer's output (or a gradient of its shape) as (M, N, O), in float64."""
    written = written.detach().double()
    if isinstance(module, nn.Conv2d):
        return written.movedim(1, -1).reshape(1, -1, written.shape[1])
    if has_members(module):
        return written.reshape(written.shape[0], -1, written.shape[-1])
    return written.reshape(1, -1, written.shape[-1])


def from_rows(module: nn.Module, rows: Tensor, at: torch.Size) -> Tensor:
    """The inverse of `written_rows`: rows (M, N, O) as an output of the layer with the given places."""
    if isinstance(module, nn.Conv2d):
        return rows.reshape(*at, rows.shape[-1]).movedim(-1, 1)
    return (
        rows.reshape(rows.shape[0], *at, rows.shape[-1]) if has_members(module) else rows.reshape(*at, rows.shape[-1])
    )


def aligned(reader: nn.Module, goal: Tensor, at: torch.Size, read_at: torch.Size) -> Tensor:
    """A reader's goal as seen from what it reads: (M, N, O) at places `at` → (M, N', O·K) at places `read_at`.

    Row p holds, for each output and kernel position, the goal of that output which reads p by that position (0 where
    none does). So ⟨goal, reader of u with outgoing weights v⟩ = Σ_p u(p) ⟨v, aligned(p)⟩ for any single channel u.
    """
    if not isinstance(reader, nn.Conv2d):
        return goal
    image = from_rows(reader, goal, at)
    pads: list[int] = []
    for dim in (1, 0):  # F.pad counts from the last dimension
        size, stride = image.shape[2 + dim], reader.stride[dim]
        reach = (reader.kernel_size[dim] - 1) * reader.dilation[dim]
        left = reach - int(reader.padding[dim])
        pads += [left, read_at[1 + dim] + reach - left - ((size - 1) * stride + 1)]
    spread = image.new_zeros(
        *image.shape[:2], *((s - 1) * t + 1 for s, t in zip(image.shape[2:], reader.stride, strict=True))
    )
    spread[..., :: reader.stride[0], :: reader.stride[1]] = image
    seen = F.unfold(F.pad(spread, pads), reader.kernel_size, reader.dilation)
    positions = reader.kernel_size[0] * reader.kernel_size[1]
    seen = seen.reshape(image.shape[0], image.shape[1], positions, -1).flip(2)
    return seen.flatten(1, 2).mT.reshape(1, -1, image.shape[1] * positions)


def outgoing_size(reader: nn.Module) -> int:
    """O·K: outgoing weights of one new unit in a reader."""
    weight = reader.get_parameter("weight")
    return weight[:, 0].numel() if isinstance(reader, nn.Conv2d) else weight.shape[-2]


def incoming_size(writer: nn.Module) -> int:
    """F: incoming weights of one new unit in a writer, the bias not counted."""
    weight = writer.get_parameter("weight")
    return weight[0].numel() if isinstance(writer, nn.Conv2d) else weight.shape[-1]


def outgoing_weight(reader: nn.Module, outgoing: Tensor) -> Tensor:
    """Outgoing weights (M, O·K, k) of k new units, shaped as new columns of the reader's weight."""
    if isinstance(reader, nn.Conv2d):
        return outgoing[0].reshape(reader.out_channels, *reader.kernel_size, -1).movedim(-1, 1)
    return outgoing if has_members(reader) else outgoing[0]


def incoming_weight(writer: nn.Module, incoming: Tensor) -> Tensor:
    """Incoming weights (M, k, F) of k new units, shaped as new rows of the writer's weight."""
    if isinstance(writer, nn.Conv2d):
        return incoming[0].reshape(-1, writer.in_channels, *writer.kernel_size)
    return incoming if has_members(writer) else incoming[0]


def answer(reader: nn.Module, units: Tensor, outgoing: Tensor, read_at: torch.Size) -> Tensor:
    """What new units add to a reader's output, shaped like it: values (M, N', k), outgoing (M, O·K, k)."""
    if isinstance(reader, nn.Conv2d):
        weight = outgoing_weight(reader, outgoing)
        return F.conv2d(from_rows(reader, units, read_at), weight, None, reader.stride, reader.padding, reader.dilation)
    return from_rows(reader, units @ outgoing.mT, read_at)


def pulled_back(reader: nn.Module, goal: Tensor) -> Tensor:
    """An aligned goal (M, N', O·K) as the goal of what the reader reads: (M, N', C)."""
    weight = reader.get_parameter("weight").detach().double()
    if isinstance(reader, nn.Conv2d):
        weight = weight.movedim(1, -1).flatten(0, 2)  # (O·K, C)
    return goal @ weight
