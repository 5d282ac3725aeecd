"""A checkpoint of ours, checked before anything is made of it: is it what was written, and do its parts fit?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import torch
from torch import Tensor, nn

from autogrow.data import Pipeline
from autogrow.errors import CheckpointError, ConfigError, GrowthError
from autogrow.growth.surgery.entry import most_held
from autogrow.nets.knots import Knots
from autogrow.plain import Amount, Count, NotPlainError, Positive, check, check_plain
from autogrow.policy import validated
from autogrow.policy.actions import RETURNS, action_from_plain
from autogrow.policy.event import Event
from autogrow.policy.history import Row
from autogrow.train.fit.net.build import rebuild
from autogrow.train.record.checkpoint import CHECKPOINT_KEY, CHECKPOINT_VERSION, numbers_held
from autogrow.train.record.contents import Result

Content = Mapping[str, Any]

BEFORE_REFIT = "before_refit"
"""Of a delivered net's checkpoint: the weights before validation rows were learned from, where they were."""


class Builder(TypedDict):
    """The starting net."""

    net: str
    arguments: Mapping[str, Any]


class Delivery(TypedDict):
    """What goes from a raw table to the net and back."""

    pipeline: Mapping[str, Any]
    members: Positive
    example: Tensor
    mean: NotRequired[str | None]
    sharpness: NotRequired[float]
    threshold: NotRequired[float | None]
    prior: NotRequired[Sequence[float] | None]


class PlainRate(TypedDict):
    """The learning rate."""

    base: Amount
    warm: int
    since: int
    anneal_from: int | None
    anneal_steps: int


class Ours(TypedDict):
    """What rebuilds a net of ours."""

    version: int
    builder: Builder
    recipe: Sequence[Mapping[str, Any]]
    rate: NotRequired[Mapping[str, Any]]
    delivery: Delivery
    dropout: NotRequired[Amount]


class OfAnother(TypedDict):
    """What rebuilds the net of somebody else's module."""

    version: int
    builder: Builder
    recipe: Sequence[Mapping[str, Any]]
    path: str


class Snapshot(TypedDict):
    """A net that a run may go back to."""

    recipe: Sequence[Mapping[str, Any]]
    net: Mapping[str, Tensor]
    ema: Mapping[str, Tensor]
    optimizer: Mapping[str, Mapping[str, Any]]
    rate: PlainRate
    dropout: NotRequired[Amount]


class LifeCycleState(TypedDict):
    """How far a run is."""

    rows: Sequence[Mapping[str, Any]]
    pending: Mapping[str, Any]
    event: Mapping[str, Any] | None
    event_eval_flops: NotRequired[Count]
    random_state: Tensor
    random_state_of_device: NotRequired[Tensor]
    seconds: Amount


class Controllers(TypedDict):
    """Of Lightning's callbacks, ours."""

    LifeCycleController: LifeCycleState


class Callbacks(TypedDict):
    """Where Lightning has them."""

    callbacks: Controllers
    optimizer_states: Sequence[Mapping[str, Any]]
    loops: Mapping[str, Any]


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Say of which file it is where something in it is not as it was written."""
    try:
        yield
    except (NotPlainError, GrowthError, ConfigError, CheckpointError) as error:
        raise CheckpointError(f"{path} is not as it was written: {error}") from None


def ours_of(path: str | Path, content: Content) -> Mapping[str, Any]:
    """What of a checkpoint is autogrow's. Raises CheckpointError for anybody else's, or another version."""
    ours = content.get(CHECKPOINT_KEY)
    if not isinstance(ours, dict):
        raise CheckpointError(f"{path} is not a checkpoint of autogrow: it has no {CHECKPOINT_KEY!r} entry")
    if ours.get("version") != CHECKPOINT_VERSION:
        raise CheckpointError(
            f"{path} is a checkpoint of version {ours.get('version')!r}; this autogrow reads version {CHECKPOINT_VERSION}"
        )
    needed = ("builder", "recipe") if "path" in ours else ("builder", "recipe", "delivery")
    missing = [key for key in needed if key not in ours]
    if missing or "state_dict" not in content:
        raise CheckpointError(f"{path} is incomplete: it has no {(missing or ['state_dict'])[0]!r}")
    with naming(path):
        check_plain(ours["recipe"])
        check_plain(ours["builder"])
        check(ours, OfAnother if "path" in ours else Ours)
        check(content["state_dict"], Mapping[str, Tensor])
        check(content.get("result", {}), Result)
        _check_before_refit(content)
    return ours


def _check_before_refit(content: Content) -> None:
    """The weights that validation judged are those of the same net."""
    before = content.get(BEFORE_REFIT)
    if before is None:
        return
    check(before, Mapping[str, Tensor])
    if {k: v.shape for k, v in before.items()} != {k: v.shape for k, v in content["state_dict"].items()}:
        raise CheckpointError("its weights before the refit are those of another net")


def rebuilt(ours: Mapping[str, Any], recipe: Sequence[Content], weights: Mapping[str, Tensor]) -> nn.Module:
    """The net that a recipe makes, with these weights.

    Raises CheckpointError, GrowthError or ConfigError where they do not go together, before more is made than there are
    weights.
    """
    holds = most_held(recipe, numbers_held(weights))
    net = rebuild(ours["builder"], recipe, ours["delivery"]["example"], holds=holds)
    load_weights(net, weights)
    for module in net.modules():
        if isinstance(module, Knots) and ((module.column < 0) | (module.column >= module.columns)).any():
            raise CheckpointError(f"its knots are of columns that its net does not read ({module.columns} there are)")
    return net


def load_weights(net: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Raises CheckpointError, in one line, where they are not the net's."""
    try:
        net.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise CheckpointError(f"its weights do not fit its recipe: {str(error).splitlines()[-1].strip()}") from None


def weights_of(content: Content, part: str = "ema") -> Mapping[str, Tensor]:
    """The weights of a delivered net, or of a part of a run's module."""
    weights: Mapping[str, Tensor] = content["state_dict"]
    if not any(name.startswith(f"{part}.") for name in weights):
        return weights
    return {name.removeprefix(f"{part}."): v for name, v in weights.items() if name.startswith(f"{part}.")}


def check_to_go_on(path: Path, content: Content) -> Pipeline:
    """How the run of a checkpoint encoded its rows. Raises CheckpointError for what loads and is not the checkpoint of
    a run that can go on.
    """
    ours = ours_of(path, content)
    with naming(path):
        if "path" in ours:
            raise CheckpointError("it is of a net of somebody else's class")
        check(ours.get("rate"), PlainRate)
        for part in ("net", "ema"):
            rebuilt(ours, ours["recipe"], weights_of(content, part))
        pipeline = Pipeline.from_state(ours["delivery"]["pipeline"])
        check(content, Callbacks)
        _check_state(content["callbacks"]["LifeCycleController"], ours)
        _check_progress(content)
    return pipeline


def _check_state(state: Mapping[str, Any], ours: Content) -> None:
    rows = [Row.from_plain(row) for row in state["rows"]]
    if [row.check for row in rows] != list(range(len(rows))):
        raise CheckpointError("its checks are not in order")
    if state["event"] is not None:
        Event.from_plain(state["event"])
    pending = action_from_plain(state["pending"])
    snapshots = state.get("snapshots")
    if not isinstance(snapshots, Mapping) or not all(str(key).isdigit() and int(key) < len(rows) for key in snapshots):
        raise CheckpointError("snapshots must be a mapping of checks that there were")
    if rows and (needed := validated(rows)) is not None and needed not in {int(key) for key in snapshots}:
        raise CheckpointError(f"it has no snapshot of check {needed}, the best so far")
    for key, snapshot in snapshots.items():
        check(snapshot, Snapshot)
        for part in ("net", "ema"):
            net = rebuilt(ours, snapshot["recipe"], snapshot[part])
        shapes = {name: parameter.shape for name, parameter in net.named_parameters()}
        for name, values in snapshot["optimizer"].items():
            wrong = [
                k for k, v in values.items() if not isinstance(v, Tensor) or (v.ndim and v.shape != shapes.get(name))
            ]
            if wrong or name not in shapes:
                raise CheckpointError(f"snapshot {key} has no such optimizer state: {wrong[0] if wrong else name}")
    back_to = pending.back_to if isinstance(pending, RETURNS) else None
    if back_to is not None and back_to not in {int(key) for key in snapshots}:
        raise CheckpointError(f"it is to return to check {back_to}, whose net it does not hold")
    random, drawn = state["random_state"], state.get("random_state_of_device", torch.zeros(0, dtype=torch.uint8))
    if random.dtype != torch.uint8 or random.shape != torch.get_rng_state().shape or drawn.dtype != torch.uint8:
        raise CheckpointError("random_state is not one of torch's")


def _check_progress(content: Content) -> None:
    """Lightning's own: whole numbers that only count."""
    for key in ("epoch", "global_step"):
        check(content.get(key), Count)
    check_plain(content.get("loops"))
    level: list[Any] = [content["loops"]]
    while level:
        inner: list[Any] = [value for one in level for value in (one.values() if isinstance(one, Mapping) else one)]
        level = [value for value in inner if isinstance(value, (Mapping, list))]
        for value in inner:
            if not isinstance(value, (Mapping, list, bool, type(None))):
                check(value, Count)
