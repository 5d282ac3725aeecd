"""What a checkpoint holds of its data, checked before a pipeline is made of it: each part of its kind and size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

from torch import Tensor

from autogrow.plain import NotPlainError, Positive, check, check_plain

Label = str | int | float | bool


class ReadingState(TypedDict):
    """How a column's text is read."""

    kind: Literal["number", "boolean", "date", "text"]
    decimal: str
    formats: Sequence[str]


class TableState(TypedDict):
    """The encoder of a table."""

    kind: str
    columns: Sequence[str]
    numeric: Sequence[str]
    dates: Sequence[str]
    categories: Mapping[str, Sequence[str | None]]
    coding: Literal["onehot", "embed"]
    ignored: Sequence[str]
    centred: NotRequired[Mapping[str, Sequence[float]]]
    readings: NotRequired[Mapping[str, ReadingState]]
    missing: NotRequired[Sequence[str]]
    indicators: NotRequired[Sequence[str]]
    parts: NotRequired[Mapping[str, Sequence[str]]]


class ImageState(TypedDict):
    """The encoder of images."""

    kind: str
    shape: Sequence[Positive]


class StandardiseState(TypedDict):
    """The means and scales of the inputs."""

    fill: Tensor
    mean: Tensor
    scale: Tensor
    clip: Tensor


class PipelineState(TypedDict):
    """What goes from a raw table to the net and back."""

    task: Literal["classification", "regression"]
    input_shape: Sequence[Positive]
    outputs: Positive
    labels: Sequence[Label]
    targets: Sequence[str]
    encoder: Mapping[str, Any]
    preprocess: StandardiseState
    target_scale: Sequence[Tensor] | None


def check_state(state: Mapping[str, Any]) -> None:
    """Raise NotPlainError, naming the part, for what is not the state of a pipeline."""
    check(state, PipelineState)
    check_plain({key: value for key, value in state.items() if key not in ("preprocess", "target_scale")})
    encoder = state["encoder"]
    check(encoder, ImageState if encoder.get("kind") == "image" else TableState)
    _check_sizes(state)
    if encoder["kind"] != "image":
        _check_names(encoder)


def _check_sizes(state: Mapping[str, Any]) -> None:
    shape, outputs, scale = tuple(state["input_shape"]), state["outputs"], state["target_scale"]
    buffers = state["preprocess"].values()
    broad = len(shape) > 1  # of images one number for each channel
    wanted = (shape[0], 1, 1) if broad else shape
    if len(shape) not in (1, 3) or any(tuple(t.shape) != wanted or not t.is_floating_point() for t in buffers):
        raise NotPlainError(f"preprocess is not of inputs {list(shape)}")
    if state["encoder"]["kind"] == "image" and tuple(state["encoder"]["shape"]) != shape:
        raise NotPlainError(f"its encoder makes images of another shape than {list(shape)}")
    if state["task"] == "classification":
        if len(state["labels"]) != outputs or len(set(map(str, state["labels"]))) != outputs or scale is not None:
            raise NotPlainError(f"it has {len(state['labels'])} labels for {outputs} outputs")
    elif scale is None or len(scale) != 2 or any(t.ndim != 1 or len(t) != len(state["targets"]) for t in scale):
        raise NotPlainError(f"target_scale is not a mean and a std for each of {len(state['targets'])} targets")
    elif outputs != len(state["targets"]):
        raise NotPlainError(f"it has {outputs} outputs for {len(state['targets'])} targets")


def _check_names(encoder: Mapping[str, Any]) -> None:
    """Every column that something is said of is one of the encoder's."""
    columns = set(encoder["columns"])
    said = {"numeric": encoder["numeric"], "dates": encoder["dates"], "categories": encoder["categories"]}
    said |= {key: encoder.get(key, ()) for key in ("centred", "readings", "indicators", "parts")}
    for key, names in said.items():
        for name in names:
            if name not in columns:
                raise NotPlainError(f"encoder.{key} names {name!r}, which is not among its columns")
    if any(len(found) != 2 or found[1] < 0 for found in encoder.get("centred", {}).values()):
        raise NotPlainError("encoder.centred must hold an origin and a spread of 0 or more for each column")
