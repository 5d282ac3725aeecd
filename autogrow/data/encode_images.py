"""From images in any layout to the encoded tensor, in training and at inference.

n rows, C channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autogrow.errors import DataError


@dataclass(frozen=True)
class ImageEncoder:
    """Images (n, H, W), (n, C, H, W), (n, H, W, C) or flat (n, C·H·W) to (n, C, H, W) float32, values as they are."""

    shape: tuple[int, int, int]
    embeddings: tuple[int, ...] = ()

    def encode(self, table: Any) -> Tensor:
        """An array of images to (n, C, H, W) float32. Raises DataError where the shape or the values do not fit."""
        images = torch.as_tensor(np.require(table, requirements=("C", "W")))
        c, h, w = self.shape
        if images.ndim == 4 and tuple(images.shape[1:]) == (h, w, c) != self.shape:
            images = images.permute(0, 3, 1, 2)
        fits = images.ndim > 1 and (
            tuple(images.shape[1:]) in {self.shape, (c * h * w,)} or (c == 1 and tuple(images.shape[1:]) == (h, w))
        )
        if not fits:
            raise DataError(f"images must have the shape (rows, {c}, {h}, {w}), got {tuple(images.shape)}")
        encoded = images.reshape(-1, c, h, w).float()
        if torch.is_floating_point(images) and not bool(torch.isfinite(encoded).all()):
            raise DataError("images hold NaN or infinite values")
        return encoded

    def state(self) -> dict[str, Any]:
        """The encoder as plain containers."""
        return {"kind": "image", "shape": list(self.shape)}
