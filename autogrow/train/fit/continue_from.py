"""`continue_from`: a finished net goes on with more data, in a run of its own, from the same function."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from autogrow.data import Pipeline, Prepared
from autogrow.data.continued.follow import TrainedOn
from autogrow.data.continued.known_rows import KnownRows
from autogrow.data.encode import TableEncoder
from autogrow.data.own_split import rows_to_bytes
from autogrow.data.splits import PARTS, Rows
from autogrow.errors import CheckpointError, ConfigError
from autogrow.growth.cost import counting
from autogrow.nets import Knots
from autogrow.policy.event import Continued, Event
from autogrow.train.fit.extend_net import extend_net, outputs64, receipt, shrink_and_perturb
from autogrow.train.fit.net.build import rebuild
from autogrow.train.fit.net.deliver import BEFORE_REFIT, Delivered
from autogrow.train.fit.net.load import from_content
from autogrow.train.fit.net.module import GrowingModule
from autogrow.train.fit.spec import AUTO, FitSpec
from autogrow.train.record.checkpoint import CHECKPOINT_KEY, read_checkpoint
from autogrow.train.record.files import write_bytes
from autogrow.train.record.folder import BEST, CARD, CHECKPOINTS, SPLIT, SPLITS, checkpoint_of, read_card, read_split


@dataclass(frozen=True)
class FinishedNet:
    """A finished net: its checkpoint's content, and what it knows of its data."""

    path: Path
    ours: Mapping[str, Any]
    weights: Mapping[str, torch.Tensor]
    widths: tuple[int, ...]
    before: TrainedOn


def read_finished(given: str | Path) -> FinishedNet:
    """The net of a run folder or a checkpoint. Raises CheckpointError, in one line,
    for one that cannot be continued.
    """
    path = checkpoint_of(given)
    content = read_checkpoint(path)
    net = from_content(content, path)
    if not isinstance(net, Delivered):
        raise CheckpointError(
            f"continue_from={path} holds a net of your own class; only autogrow's own nets go on in autogrow fit"
        )
    known = read_split(path)
    if known is None:
        warnings.warn(
            f"{path.with_suffix(SPLIT)} is not there: which rows the net of {path} was trained on is not known, and new test rows may be among them",
            stacklevel=2,
        )
    return finished(content, net, known, path, _card_of(path))


def finished(
    content: Mapping[str, Any],
    net: Delivered,
    known: KnownRows | None,
    path: Path,
    card: Mapping[str, Any] | None = None,
) -> FinishedNet:
    """The finished net of a checkpoint's content, which `net` was made from; `path` is what messages call it, `card`
    that of its data.
    """
    ours = content[CHECKPOINT_KEY]
    inner = net.net if ours["delivery"]["members"] == 1 else net.net.net
    assert isinstance(inner, nn.Module)
    widths = tuple(content.get("result", {}).get("widths", ()))
    pipeline = Pipeline.from_state(ours["delivery"]["pipeline"])
    before = TrainedOn(pipeline, known, _refined(inner, pipeline), card)
    weights = content.get(BEFORE_REFIT) or inner.state_dict()
    return FinishedNet(path, ours, {k: v.clone() for k, v in weights.items()}, widths, before)


def _card_of(path: Path) -> dict[str, Any] | None:
    """The card of the data that a run folder's checkpoint learned from; None where there is none."""
    folder = path.parent.parent
    if path.parent.name != CHECKPOINTS or not (folder / CARD).is_file():
        return None
    return read_card(folder)


def _refined(net: nn.Module, pipeline: Pipeline) -> frozenset[str]:
    """The columns that have knots."""
    knots = next((m for m in net.modules() if isinstance(m, Knots)), None)
    if knots is None or not isinstance(pipeline.encoder, TableEncoder):
        return frozenset()
    return frozenset(pipeline.encoder.numeric[i] for i in knots.column.unique().tolist())


def continuing(spec: FitSpec, source: FinishedNet) -> FitSpec:
    """The spec with the net that the checkpoint holds. Raises ConfigError for one that asks for another net."""
    builder = source.ours["builder"]
    arguments = builder["arguments"]
    kind = "conv" if builder["net"] == "ConvNet" else "dense"
    asked = spec.net.widths
    if not isinstance(asked, str) and [int(w) for w in asked] not in (list(source.widths), list(arguments["widths"])):
        raise ConfigError(
            f"net.widths={list(asked)} with continue_from={source.path}: that net has {list(source.widths)}; "
            f"(and started from {list(arguments['widths'])}); leave net.widths out, or make it larger first: autogrow transfer"
        )
    if spec.trainer.devices != 1:
        raise ConfigError(f"continue_from goes with trainer.devices=1, got {spec.trainer.devices}")
    net = replace(
        spec.net,
        kind=kind,
        widths=list(source.widths) or AUTO,
        activation=arguments["activation"],
        norm=arguments["norm"],
        dropout=spec.net.dropout if arguments["dropout"] is not None else None,
        residual=arguments.get("residual", False),
        members=arguments.get("members", 1),
    )
    data = spec.data
    encoder = source.before.pipeline.encoder
    coding = getattr(encoder, "coding", data.categories)
    return replace(spec, net=net, data=replace(data, categories=coding))


def continue_net(module: GrowingModule, source: FinishedNet, prepared: Prepared, spec: FitSpec) -> Event:
    """Put the source's net, extended to the data, into the module;
    the event of the run's first row, with its receipt.
    """
    extension, members = prepared.extension, spec.net.members
    assert extension is not None
    example = source.ours["delivery"]["example"]
    net = rebuild(source.ours["builder"], source.ours["recipe"], example)
    net.load_state_dict(dict(source.weights))
    start = spec.warm_start
    with counting() as counted:
        answers = outputs64(net, extension.before, members)
        entries = extend_net(net, extension, example)
        if not start.exact:
            shrink_and_perturb(net, start.shrink, start.perturb)
        proof = receipt(answers, outputs64(net, extension.after, members), exact=start.exact)
    module.install(net.train(), None, [*source.ours["recipe"], *entries])
    done = Continued(
        source=str(source.path),
        rows={"train": len(prepared.train), "val": len(prepared.val), "test": len(prepared.test)},
        rows_before=0 if source.before.known is None else int((source.before.known.parts == 0).sum()),
        new_inputs=extension.inputs,
        new_outputs=extension.outputs,
        shrink=None if start.exact else start.shrink,
        perturb=None if start.exact else start.perturb,
    )
    return Event(done, receipt=proof.to_plain(), flops=counted.flops)


def write_split(folder: Path, prepared: Prepared) -> None:
    """Write which rows of the source are in which split, for anybody to read; and, beside the delivered net, what it
    knows its rows by when it goes on.
    """
    rows = {part: getattr(prepared, part).rows.numpy() for part in PARTS}
    write_bytes(folder / SPLITS, rows_to_bytes(Rows(**rows)))
    if prepared.known_rows is not None:
        write_bytes((folder / CHECKPOINTS / BEST).with_suffix(SPLIT), prepared.known_rows().to_bytes())


__all__ = ["FinishedNet", "continue_net", "continuing", "finished", "read_finished", "write_split"]
