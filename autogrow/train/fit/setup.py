"""What a run is made of before it starts: its batches, its starting net, its limit of steps,
and whether they go together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from autogrow.data import BatchStream, Pipeline, Prepared, TensorStream, WindowStream
from autogrow.data.encode import TableEncoder
from autogrow.errors import ConfigError, nearest
from autogrow.evaluation.judge import check_metric
from autogrow.growth.neurons.learned import Learned
from autogrow.policy import check_settings
from autogrow.policy.history import Cost, Refine
from autogrow.policy.needs import first_depth, first_width, may_wait, never_stops, requires
from autogrow.policy.waiting import planned_checks
from autogrow.train.fit.continue_from import FinishedNet
from autogrow.train.fit.looks.device import DeviceGauge
from autogrow.train.fit.looks.metrics import check_metrics
from autogrow.train.fit.looks.observe import RECORDED, checkpoint_bytes, look_batches
from autogrow.train.fit.net.build import builder_for, start_widths
from autogrow.train.fit.net.deliver import example_rows
from autogrow.train.fit.net.dropout import has_dropout
from autogrow.train.fit.net.kept import check_to_go_on
from autogrow.train.fit.net.module import GrowingModule
from autogrow.train.fit.shard import check_shares
from autogrow.train.fit.spec import AUTO, FitSpec, knots_of, most_passes
from autogrow.train.record.checkpoint import newest_whole
from autogrow.train.rewire.columns import Columns
from autogrow.train.rewire.event import perform

PLANNED_CHECKS = 40
"""Of a run that is planned for few passes: as many as a usual run has."""


@dataclass(frozen=True)
class Begun:
    """How far a run is that goes on: its newest whole checkpoint and how it encoded its rows, None before the first;
    and a line for each newer one that is damaged.
    """

    checkpoint: Path | None = None
    pipeline: Pipeline | None = None
    complaints: Sequence[str] = ()


def begun_run(folder: Path) -> Begun:
    """How far the run in a folder is. Raises CheckpointError where it has checkpoints and none is whole."""
    return Begun(*newest_whole(folder, check_to_go_on))


def rows_per_step(spec: FitSpec, prepared: Prepared) -> int:
    """Training rows of an optimizer step (of each member). By default 128 and, where there are more than 18,000 rows,
    the power of two that leaves about a hundred steps a pass, up to 512: steps at a constant rate are less noisy.
    """
    asked, rows = spec.data.batch_size, prepared.train_rows
    return min(512, max(128, 2 ** round(math.log2(rows / 100)))) if asked is None else asked


def steps_per_check(spec: FitSpec, prepared: Prepared) -> int:
    """Optimizer steps between two looks at validation; by default half a pass, within 20 … 200, and in a run that is
    planned for few passes a 40th of it, where that is less (5 at least).
    """
    every, passes = spec.trainer.check_every, spec.trainer.passes
    if every != AUTO:
        return int(every)
    a_pass = prepared.train_rows // max(128, rows_per_step(spec, prepared))
    steps = min(200, max(20, a_pass // 2))
    return steps if passes is None else min(steps, max(5, int(passes * a_pass) // PLANNED_CHECKS))


def stream_of(spec: FitSpec, prepared: Prepared) -> BatchStream:
    """The batches of a run, a check at a time."""
    cut: dict[str, int] = {
        "batch_size": rows_per_step(spec, prepared),
        "steps_per_check": steps_per_check(spec, prepared),
        "burst": spec.trainer.burst if spec.trainer.devices == 1 else 1,
        "seed": spec.seed,
        "members": spec.net.members,
    }
    if prepared.stream is not None:
        return WindowStream(prepared.stream, window=spec.data.window_rows, **cut)
    return TensorStream(prepared.train.x, prepared.train.y, weight=prepared.train.weight, **cut)


def starting_net(spec: FitSpec, prepared: Prepared) -> dict[str, Any]:
    """The net that a run starts with, as plain data: of the widths that are asked for, or that inputs and policy call
    for.
    """
    asked, net = spec.net.widths, spec.net
    if "dropout" in requires(spec.policy):  # its places are there from the start
        net = replace(net, dropout=0.0)
    if not isinstance(asked, str):
        return builder_for(net, prepared, [int(width) for width in asked])
    widths = start_widths(math.prod(prepared.input_shape), asked)
    if asked == AUTO:
        limit = step_limit(spec, stream_of(spec, prepared))
        checks = planned_checks(limit, steps_per_check(spec, prepared))
        widths = [first_width(spec.policy.growth, width, checks) for width in widths]
        widths = widths * first_depth(spec.policy.growth, 1)
    return builder_for(net, prepared, widths)


def module_of(spec: FitSpec, prepared: Prepared, source: FinishedNet | None = None) -> GrowingModule:
    """The starting net, or the one that `source` ended with, ready to train."""
    example = example_rows(prepared.train.x, spec.net.members)
    module = GrowingModule(
        spec,
        starting_net(spec, prepared) if source is None else source.ours["builder"],
        task=prepared.task,
        steps_per_check=steps_per_check(spec, prepared),
        example=example if source is None else source.ours["delivery"]["example"],
        calibration=example_rows(prepared.train.x, spec.net.members, rows=512),
        recipe=() if source is None else source.ours["recipe"],
        batches=_looked_at(spec, prepared),
        columns=_columns(spec, prepared),
    )
    module.example = example
    if source is None and spec.net.knots is not None:
        _refine_start(module, knots_of(spec.net))
    return module


def _refine_start(module: GrowingModule, knots: int | Mapping[str, int]) -> None:
    """Resolve the starting net's columns more finely, with weights that are drawn as any net's are."""
    columns = module.columns
    for name in knots if isinstance(knots, Mapping) else ():
        if name not in columns.names:
            raise ConfigError(f"net.knots: no numeric column is called {name!r}; {nearest(name, columns.names)}")
    wanted = dict(knots) if isinstance(knots, Mapping) else dict.fromkeys(columns.names, knots)
    finer = {n: count for n, count in wanted.items() if n in columns.finer(module.sites, count)}
    if not finer:
        return
    surgery = perform(module.net, Refine(finer), example=module.example, generator=None, columns=columns)
    read = module.sites.columns
    assert read is not None
    reset = module.net.get_submodule(read.reader).reset_parameters
    assert callable(reset)
    reset()
    module.install(module.net, None, [dict(surgery.entry)])


def _columns(spec: FitSpec, prepared: Prepared) -> Columns:
    """The columns that can be refined: those of numbers, of a table that a dense net reads."""
    encoder = prepared.encoder
    if spec.net.kind != "dense" or not isinstance(encoder, TableEncoder):
        return Columns()
    return Columns.of(encoder.numeric, prepared.train.x)


def _looked_at(spec: FitSpec, prepared: Prepared) -> list[tuple[Tensor, Tensor]]:
    """The rows that new units are computed from; none where the initializer needs none."""
    rows = prepared.train
    return look_batches(rows.x, rows.y, spec.net.members) if isinstance(spec.neurons, Learned) else []


def step_limit(spec: FitSpec, stream: BatchStream) -> int | None:
    """The optimizer steps that `trainer.passes` or `trainer.max_epochs` allow, two checks at least; None: no limit."""
    asked = _asked_steps(spec, stream)
    return None if asked is None else max(2 * stream.steps_per_check, asked)


def _asked_steps(spec: FitSpec, stream: BatchStream) -> int | None:
    _, passes = most_passes(spec.trainer)
    return None if passes is None else round(passes * stream.steps_per_pass)


def check_judges(spec: FitSpec, prepared: Prepared) -> None:
    """Raise ConfigError where `metric=` or one of `metrics=` does not exist or does not go with the data."""
    check_metrics(spec.metrics, prepared.task)
    val = prepared.val
    counts = val.y if val.weight is None else val.y[val.weight > 0]
    check_metric(spec.metric, prepared.task, counts.numpy())


def check_run(
    spec: FitSpec, module: GrowingModule, stream: BatchStream, gauge: DeviceGauge, *, continued: bool = False
) -> None:
    """Raise ConfigError, before anything is trained or written, if policy, net and data contradict each other."""
    limit = step_limit(spec, stream)
    _check_every(spec, stream)
    _check_once(spec, stream)
    _check_dropout(spec, module)
    check_shares(stream.batch_size, spec.trainer.devices)
    taken: Any = gauge.take(module.net)
    check_settings(
        spec.policy,
        recorded=RECORDED,
        widths=[] if continued else list(module.widths.values()),  # a net that was there already may be at the cap
        start=Cost(module.cost.parameters, module.cost.flops_per_sample, **taken),
        checkpoint_bytes=checkpoint_bytes(module),
        steps_per_check=stream.steps_per_check,
        max_steps=math.inf if limit is None else limit,
    )


def _check_dropout(spec: FitSpec, module: GrowingModule) -> None:
    """A policy that decides on dropout does so alone; a stop rule brings it about, and the net has places for it."""
    if "dropout" not in requires(spec.policy):
        return
    if never_stops(spec.policy.stop) or not may_wait(spec.policy.stop):
        raise ConfigError(
            "regularize=dropout is tried where the stop rule would end the run, and this one never does, or wants it ended "
            "at once: take stop=patience (or regularize=none)"
        )
    if spec.net.dropout is not None:
        raise ConfigError(
            f"regularize=dropout decides on dropout by validation: leave net.dropout null, got {spec.net.dropout!r} "
            "(or regularize=none)"
        )
    if not has_dropout(module.net):
        raise ConfigError(
            "regularize=dropout needs a net with places for dropout, which the one it goes on from has not: it was "
            "trained without (regularize=none)"
        )


def _check_once(spec: FitSpec, stream: BatchStream) -> None:
    """An iterator hands out its rows once: nothing of the run may go back in it."""
    if not isinstance(stream, WindowStream) or not stream.source.once:
        return
    asked = _asked_steps(spec, stream)
    if asked is None or asked > stream.steps_per_pass:
        raise ConfigError(
            "an iterator can be gone through once: trainer.passes must be at most 1, or give what can be iterated again "
            "(a list, a class with __iter__)"
        )
    if getattr(spec.policy.finish, "refit", False):
        raise ConfigError(
            "finish.refit deals validation rows out among those of a pass, for which an iterator would have to go back: "
            "finish.refit=false, or give what can be iterated again (a list, a class with __iter__)"
        )


def _check_every(spec: FitSpec, stream: BatchStream) -> None:
    """A check that lies far beyond the run's end would train on and on: two checks are always waited for."""
    asked, every = _asked_steps(spec, stream), spec.trainer.check_every
    key, passes = most_passes(spec.trainer)
    if every == AUTO:
        return
    if asked is not None and every > max(1000, asked):
        raise ConfigError(f"trainer.check_every={every} steps lie beyond the end: {key}={passes:g} gives {asked} steps")
    longest = max(1000, 100 * stream.steps_per_pass)
    if asked is None and every > longest:
        raise ConfigError(
            f"trainer.check_every={every} steps are {every / stream.steps_per_pass:.3g} passes without a look, and "
            f"trainer.max_epochs=null sets no end to them: give at most {longest}"
        )
