"""The looks at data that a run takes at its checks: fixed parts of train and val, all of val at the end."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from autogrow.data import Pipeline, Prepared, Split
from autogrow.evaluation.judge import AUTO, distance
from autogrow.growth.modes import eval_mode
from autogrow.train.fit.net.measure import Measured, measure_outputs, outputs_of
from autogrow.train.fit.net.module import GrowingModule

Looked = tuple[Tensor, Tensor, Tensor | None]
"""Net inputs, targets, and how much each row counts."""


class Measurer:
    """Measures the module's weight average on at most `rows` rows of train and of val (always the same ones).

    metric: what the run is judged by (see `evaluation.judge`): each look at val says how far the net is from its best.
    """

    def __init__(
        self, prepared: Prepared, *, rows: int, temperature: bool, device: torch.device, metric: str = AUTO
    ) -> None:
        self.pipeline = prepared.pipeline
        self.task, self.metric, self.device = prepared.task, metric, device
        self.temperature = temperature and prepared.task == "classification"
        self.target_std = None if prepared.target_scale is None else prepared.target_scale[1].float().to(device)
        self._train = _part(prepared.train, rows, device)
        self._val = _part(prepared.val, rows, device)
        self.all_val = _part(prepared.val, len(prepared.val.x), device)

    def train(self, module: GrowingModule) -> Measured:
        """The fixed part of the training split. Its score is its loss: nothing is judged by training rows."""
        return self._measure(module, self._train, temperature=False)[0]

    def val(self, module: GrowingModule, *, full: bool) -> Measured:
        """The fixed part of the validation split, or all of it."""
        split = self.all_val if full else self._val
        found, z = self._measure(module, split, temperature=self.temperature)
        return found if self.metric == AUTO else dataclasses.replace(found, judged=self._judged(found, z, *split[1:]))

    def _measure(self, module: GrowingModule, split: Looked, *, temperature: bool) -> tuple[Measured, Tensor]:
        x, y, weight = split
        with eval_mode(module.ema):
            z = outputs_of(module.predict, x).float()
            found = measure_outputs(
                z, y, task=self.task, target_std=self.target_std, temperature=temperature, weight=weight
            )
        return found, z

    def _judged(self, found: Measured, z: Tensor, y: Tensor, weight: Tensor | None) -> float:
        if not math.isfinite(found.loss):
            return math.nan
        if self.metric == "log_loss":
            return found.score  # at the temperature that the delivered net is given
        answers, truth = in_words_of_the_task(self.pipeline, z, y)
        weights = None if weight is None else weight.cpu().numpy()
        return distance(self.metric, self.task, self.pipeline.labels, answers, truth, weights)


def in_words_of_the_task(pipeline: Pipeline, z: Tensor, y: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (N, O) and targets of a split as `evaluation` takes them:
    probabilities (N, K) and codes (N,), or values (N, t) in target units.
    """
    return answers_of(pipeline, z), y.cpu().numpy() if pipeline.target_scale is None else answers_of(pipeline, y)


def answers_of(pipeline: Pipeline, z: Tensor) -> np.ndarray:
    """Outputs (N, O) as probabilities (N, K), or as values (N, t) in target units."""
    z = z.cpu().double()
    if pipeline.target_scale is None:
        p: np.ndarray = z.softmax(1).numpy()
        return p
    mean, std = (t.double() for t in pipeline.target_scale)
    values: np.ndarray = (z * std + mean).numpy()
    return values


def _part(split: Split, rows: int, device: torch.device) -> Looked:
    weight = split.weight
    if len(split.x) <= rows:
        return split.x.to(device), split.y.to(device), None if weight is None else weight.to(device)
    chosen = torch.randperm(len(split.x), generator=torch.Generator().manual_seed(0))[:rows].sort().values
    if weight is not None:
        weight = (weight[chosen] / weight[chosen].mean()).to(device)
    return split.x[chosen].to(device), split.y[chosen].to(device), weight
