"""Dropout that follows the width: none while the net is small, more as it grows."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from autogrow.growth import Sites


def dropout_for(width: int) -> float:
    """0.1 · clamp(log2(width / 32) / 2, 0, 1): 0 up to 32 units, .05 at 64, .1 from 128 on.

    >>> [dropout_for(w) for w in (16, 32, 64, 128, 512)]
    [0.0, 0.0, 0.05, 0.1, 0.1]
    """
    return 0.1 * min(1.0, max(0.0, math.log2(width / 32) / 2))


def has_dropout(net: nn.Module) -> bool:
    """Whether a net has places where units are left out, whatever share."""
    return any(isinstance(m, nn.modules.dropout._DropoutNd) for m in net.modules())


def set_dropout(net: nn.Module, dropout: Any, sites: Sites) -> None:
    """Set every dropout behind a hidden width: by its width where `dropout` is 'auto', else to the given number."""
    modules = {name: m for name, m in net.named_modules() if isinstance(m, nn.modules.dropout._DropoutNd)}
    if not modules:
        return
    if dropout != "auto":
        for module in modules.values():
            module.p = float(dropout or 0.0)
        return
    for site in sites.widths.values():
        for name in site.through:
            if name in modules:
                modules[name].p = dropout_for(site.size)
