"""The delivered net as every target of an export needs it: one description, made once.

n rows, I inputs, D columns, O outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from autogrow.data import ImageEncoder
from autogrow.deploy.export.inputs import Column, Input, input_rows, inputs_of
from autogrow.deploy.export.layers import Stack, peak_of, stacks_of
from autogrow.nets import MeanOfMembers
from autogrow.train.fit.net.deliver import Delivered

PROBABILITIES, LOGITS, VALUES = "probabilities", "logits", "values"


@dataclass(frozen=True)
class PortableNet:
    """A delivered net taken apart: what it is given, what becomes of it, what it answers.

    `delivered`: the net itself, which answers are compared with. `inputs` (I of them) and `columns` (D): see
    `inputs.py`; of images, pixels in the order of (C, H, W). `stacks`: the steps from the columns to logits or
    standardised targets, one stack for each member (see `layers.py`). `answer`: 'probabilities', 'logits' or 'values'.

    From the members' outputs z_m to the answer: where `mean_of_probabilities`, p = mean of softmax(z_m), and the logits
    are sharpness · log p; else the logits, or standardised targets, are the mean of z_m. Probabilities are the softmax
    of the logits. Values are standardised ones · target_std + target_mean (O,), float64. A temperature is in the last
    layer's weights already, or is `sharpness`.
    """

    delivered: Delivered
    inputs: tuple[Input, ...]
    columns: tuple[Column, ...]
    stacks: tuple[Stack, ...]
    answer: str
    mean_of_probabilities: bool
    sharpness: float
    target_mean: np.ndarray
    target_std: np.ndarray

    @property
    def outputs(self) -> list[str]:
        """What each output is: a class, or a target."""
        pipeline = self.delivered.pipeline
        return [str(label) for label in pipeline.labels] or list(pipeline.targets)

    @property
    def exact_inputs(self) -> bool:
        """Whether inputs are 64-bit floats: some column holds values that 32 bits would merge."""
        return any(one.centred for one in self.inputs)

    @property
    def exact_outputs(self) -> bool:
        """Whether answers are 64-bit floats: values that 32 bits would round."""
        scale = self.delivered.pipeline.target_scale
        return scale is not None and scale[0].dtype == torch.float64

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(I,), or (C, H, W)."""
        encoder = self.delivered.pipeline.encoder
        return encoder.shape if isinstance(encoder, ImageEncoder) else (len(self.inputs),)

    def rows_of(self, table: Any) -> np.ndarray:
        """A raw table, or images, as rows (n, *input_shape), float64."""
        rows = input_rows(self.delivered.pipeline, table)
        return rows.reshape(len(rows), *self.input_shape)

    def as_given(self, rows: np.ndarray) -> np.ndarray:
        """Rows (n, …) in the type that an artefact takes."""
        return rows.astype(np.float64 if self.exact_inputs else np.float32)

    def answers_of(self, table: Any) -> np.ndarray:
        """What the delivered net itself answers on a raw table, (n, O), in float64: what an artefact is held to."""
        z = self.delivered.outputs(table)
        return (z.softmax(1) if self.answer == PROBABILITIES else z).numpy()

    @property
    def peak_activations(self) -> int:
        """The most numbers that are held at once between two steps: what a step reads and what it writes."""
        shape = self.input_shape if len(self.input_shape) > 1 else (len(self.columns),)
        return max(peak_of(stack, shape) for stack in self.stacks)

    @property
    def parameters(self) -> int:
        """Trained numbers."""
        return sum(p.numel() for p in self.delivered.parameters())


def portable(delivered: Delivered, *, logits: bool = False) -> PortableNet:
    """Take a delivered net apart."""
    inputs, columns = inputs_of(delivered.pipeline)
    members = delivered.net if isinstance(delivered.net, MeanOfMembers) else None
    net: nn.Module = delivered.net if members is None else members.net
    outputs, scale = delivered.pipeline.outputs, delivered.pipeline.target_scale
    mean, std = (np.zeros(outputs), np.ones(outputs)) if scale is None else (s.double().numpy() for s in scale)
    classes = delivered.pipeline.task == "classification"
    return PortableNet(
        delivered,
        inputs,
        columns,
        stacks_of(net),
        VALUES if not classes else LOGITS if logits else PROBABILITIES,
        members is not None and members.probabilities,
        1.0 if members is None else members.sharpness,
        mean,
        std,
    )
