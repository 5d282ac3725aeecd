"""What travels with a net: how raw rows become its input, and its output an answer. Plain in a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from autogrow.data.encode import Encoder, TableEncoder, encoder_from_state
from autogrow.data.preprocess import Standardise
from autogrow.data.reading.column import Reading
from autogrow.data.state import check_state
from autogrow.plain import NotPlainError


@dataclass(frozen=True)
class Pipeline:
    """Raw table → `encoder` → encoded tensor → `preprocess` → net → logits or standardised targets → `answers`.

    input_shape: (d,) or (C, H, W), what the net is given.  outputs: classes (2 for a binary problem) or targets.
    labels: the class of each output; empty for regression.  target_scale: mean and std (t,) of the training targets for
    regression, else None; float64 where the targets need it, and then the answers are float64 too.  targets: names of
    the target columns.
    """

    task: str
    input_shape: tuple[int, ...]
    outputs: int
    labels: list[Any]
    targets: list[str]
    encoder: Encoder
    preprocess: Standardise
    target_scale: tuple[Tensor, Tensor] | None
    target_readings: Mapping[str, Reading] = field(default_factory=dict)
    """How the text of the targets is read, by name, where they came from text."""

    @property
    def embeddings(self) -> list[int]:
        """How many codes each of the last input columns holds (0 = unseen); empty where categories are one-hot."""
        return list(self.encoder.embeddings)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read; none for images."""
        return self.encoder.columns if isinstance(self.encoder, TableEncoder) else ()

    @property
    def categories(self) -> tuple[str, ...]:
        """Those of them that are categories."""
        return tuple(self.encoder.categories) if isinstance(self.encoder, TableEncoder) else ()

    @property
    def centred(self) -> tuple[str, ...]:
        """The columns that are centred before they are 32-bit floats."""
        return tuple(self.encoder.centred) if isinstance(self.encoder, TableEncoder) else ()

    def inputs(self, table: Any) -> Tensor:
        """The net's input for raw rows. Raises DataError where they are not rows of the table that was learned from."""
        with torch.no_grad():
            x: Tensor = self.preprocess(self.encoder.encode(table))
        return x

    def answers(self, z: Tensor) -> Any:
        """The net's output (B, O) in the user's terms: a list of labels, or target values (B, t) as a tensor."""
        if self.target_scale is None:
            return [self.labels[i] for i in z.argmax(1).tolist()]
        mean, std = self.target_scale
        return z * std.to(z.device) + mean.to(z.device)

    def state(self) -> dict[str, Any]:
        """Tensors and plain containers only: loads with torch.load(weights_only=True)."""
        return {
            "task": self.task,
            "input_shape": list(self.input_shape),
            "outputs": self.outputs,
            "labels": list(self.labels),
            "targets": list(self.targets),
            "encoder": self.encoder.state(),
            "preprocess": self.preprocess.state(),
            "target_scale": None if self.target_scale is None else [t.clone() for t in self.target_scale],
            "target_readings": {name: reading.state() for name, reading in self.target_readings.items()},
        }

    @staticmethod
    def from_state(state: Mapping[str, Any]) -> Pipeline:
        """The inverse of `state`.

        Raises NotPlainError or CheckpointError, without a file's name, for what is not the state of a pipeline.
        """
        check_state(state)
        scale = state["target_scale"]
        pipeline = Pipeline(
            task=state["task"],
            input_shape=tuple(state["input_shape"]),
            outputs=state["outputs"],
            labels=list(state["labels"]),
            targets=list(state["targets"]),
            encoder=encoder_from_state(state["encoder"]),
            preprocess=Standardise.from_state(state["preprocess"]),
            target_scale=None if scale is None else (scale[0].clone(), scale[1].clone()),
            target_readings={name: Reading.from_state(r) for name, r in state.get("target_readings", {}).items()},
        )
        if isinstance(pipeline.encoder, TableEncoder) and pipeline.input_shape != (pipeline.encoder.width,):
            raise NotPlainError(f"its encoder makes {pipeline.encoder.width} columns of {pipeline.input_shape}")
        return pipeline
