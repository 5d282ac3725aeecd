"""A small plain convolutional net. It knows nothing of growth.

B batch, C channels, H and W height and width, O outputs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from autogrow.errors import ConfigError
from autogrow.nets.dense import activation_module, check_parts

NORMS = ("batch", "none")


class ConvNet(nn.Module):
    """3×3 convolutions from images (C, H, W) to `outputs` logits: a few stages, global average pooling, a linear head.

    Hidden stage i is `hidden.{i}` = conv → norm → activation → 2×2 max pooling → dropout (each only where asked for),
    `pool` is the global average and `head` the last layer. `pool`: after how many of the first stages the image is
    halved; by default as many as leave it at least 4 pixels high and wide, two at most. Convolutions keep the image's
    size, and have no bias where a BatchNorm follows. Maps (B, C, H, W) to (B, O).

    Raises ConfigError for sizes below 1, unknown names, and more pooling than the image has pixels for.

    >>> import torch
    >>> ConvNet((1, 28, 28), [8, 16], 10)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        widths: Sequence[int],
        outputs: int,
        *,
        activation: str = "relu",
        norm: str = "batch",
        pool: int | None = None,
        dropout: float | None = None,
    ) -> None:
        super().__init__()
        _check(input_shape, widths, outputs, norm=norm, pool=pool, dropout=dropout)
        channels, height, width = input_shape
        pooled = _default_pool(min(height, width), len(widths)) if pool is None else pool
        stages = []
        for i, (n_in, n_out) in enumerate(zip([channels, *widths], widths, strict=False)):
            parts: OrderedDict[str, nn.Module] = OrderedDict()
            parts["conv"] = nn.Conv2d(n_in, n_out, kernel_size=3, padding=1, bias=norm == "none")
            if norm == "batch":
                parts["norm"] = nn.BatchNorm2d(n_out)
            parts["act"] = activation_module(activation)
            if i < pooled:
                parts["pool"] = nn.MaxPool2d(2)
            if dropout is not None:
                parts["drop"] = nn.Dropout(dropout)
            stages.append(nn.Sequential(parts))
        self.hidden = nn.ModuleList(stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(widths[-1], outputs)
        self.input_shape = (channels, height, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, O)."""
        for stage in self.hidden:
            x = stage(x)
        out: Tensor = self.head(self.flatten(self.pool(x)))
        return out


def _default_pool(side: int, stages: int) -> int:
    return sum(side // 2 ** (i + 1) >= 4 for i in range(min(2, stages)))


def _check(
    input_shape: Sequence[int],
    widths: Sequence[int],
    outputs: int,
    *,
    norm: str,
    pool: int | None,
    dropout: float | None,
) -> None:
    if len(input_shape) != 3:
        raise ConfigError(f"a conv net reads images of shape (channels, height, width), got {tuple(input_shape)}")
    if not widths:
        raise ConfigError("net.widths must name at least one convolution's channels, got []")
    sizes = {"input_shape": input_shape, "net.widths": widths, "outputs": (outputs,)}
    check_parts(sizes, norm=norm, norms=NORMS, dropout=dropout)
    most = min(len(widths), min(input_shape[1:]).bit_length() - 1)
    if pool is not None and not 0 <= pool <= most:
        raise ConfigError(
            f"net.pool must be between 0 and {most} for {len(widths)} stages on {tuple(input_shape)}, got {pool}"
        )


__all__ = ["ConvNet"]
