"""The looks at data that a run takes at its checks: fixed parts of train and val, all of val at the end."""

from __future__ import annotations

import torch
from torch import Tensor

from autogrow.data import Prepared, Split
from autogrow.train.fit.net.measure import Measured, measure
from autogrow.train.fit.net.module import GrowingModule


class Measurer:
    """Measures the module's weight average on at most `rows` rows of train and of val (always the same ones)."""

    def __init__(self, prepared: Prepared, *, rows: int, temperature: bool, device: torch.device) -> None:
        self.task = prepared.task
        self.temperature = temperature and prepared.task == "classification"
        self.target_std = None if prepared.target_scale is None else prepared.target_scale[1].float().to(device)
        self._train = _part(prepared.train, rows, device)
        self._val = _part(prepared.val, rows, device)
        self.all_val = _part(prepared.val, len(prepared.val.x), device)

    def train(self, module: GrowingModule) -> Measured:
        """The fixed part of the training split."""
        return self._measure(module, self._train)

    def val(self, module: GrowingModule, *, full: bool) -> Measured:
        """The fixed part of the validation split, or all of it."""
        return self._measure(module, self.all_val if full else self._val)

    def _measure(self, module: GrowingModule, split: tuple[Tensor, Tensor]) -> Measured:
        x, y = split
        return measure(
            module.ema,
            module.predict,
            x,
            y,
            task=self.task,
            target_std=self.target_std,
            temperature=self.temperature,
        )


def _part(split: Split, rows: int, device: torch.device) -> tuple[Tensor, Tensor]:
    if len(split.x) <= rows:
        return split.x.to(device), split.y.to(device)
    chosen = torch.randperm(len(split.x), generator=torch.Generator().manual_seed(0))[:rows].sort().values
    return split.x[chosen].to(device), split.y[chosen].to(device)
