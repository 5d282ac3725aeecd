"""How long one row takes through something that answers, on this host."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from autogrow.growth.modes import eval_mode

_CALLS = 200
_WARM = 20


def milliseconds(net: nn.Module, row: Tensor, *, predict: Callable[[Tensor], Any] | None = None) -> tuple[float, float]:
    """Median and 95th percentile of the milliseconds that `row` (1, …) takes through the net in eval mode, after a
    warm-up. predict: what is called, where not the net itself.
    """
    call = net if predict is None else predict
    with eval_mode(net), torch.inference_mode():
        return percentiles(lambda: call(row))


def percentiles(call: Callable[[], Any]) -> tuple[float, float]:
    """Median and 95th percentile of the milliseconds that a call takes, after a warm-up."""
    taken = []
    for number in range(_CALLS + _WARM):
        began = time.perf_counter()
        call()
        if number >= _WARM:
            taken.append(1e3 * (time.perf_counter() - began))
    return float(np.percentile(taken, 50)), float(np.percentile(taken, 95))
