"""One run, from a spec to a net that found its own size. Read it from top to bottom.

prepare the data → build the starting net → one Lightning fit (grow, hold, return to the best, anneal, stop)
→ choose the deliverable on validation → read the test set once → write best.ckpt
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException

from autogrow.data import BatchStream, Prepared, prepare, prepare_stream
from autogrow.errors import CheckpointError, ConfigError, GrowthError, TrainingError
from autogrow.policy import deliverable, requires, stop_reason, validated
from autogrow.policy.history import GROWTHS, Row
from autogrow.train.fit.accelerator import choose, keep_there
from autogrow.train.fit.checkpoint_writer import CheckpointWriter
from autogrow.train.fit.continue_from import FinishedNet, continue_net, continuing, read_finished, write_split
from autogrow.train.fit.controller import LifeCycleController
from autogrow.train.fit.hand_over import hand_over
from autogrow.train.fit.looks.device import DeviceGauge
from autogrow.train.fit.looks.effects import effects_of
from autogrow.train.fit.looks.final import training_prior
from autogrow.train.fit.looks.measurer import Measurer
from autogrow.train.fit.looks.observe import Observer
from autogrow.train.fit.net.deliver import PROBABILITIES, Delivered, delivered_content
from autogrow.train.fit.net.module import GrowingModule
from autogrow.train.fit.process import beside_others, leave_on_signal, quiet_lightning, threads, versions
from autogrow.train.fit.setup import Begun, begun_run, check_judges, check_run, module_of, step_limit, stream_of
from autogrow.train.fit.shard import Shard
from autogrow.train.fit.spec import FitSpec, validate
from autogrow.train.fit.view import Silent, View
from autogrow.train.record.checkpoint import save_atomically
from autogrow.train.record.files import write_json
from autogrow.train.record.folder import BEST, CHECKPOINTS, RESULT, check_same_data, start_folder
from autogrow.train.record.ledger import Ledger, write_metrics
from autogrow.train.record.lock import lock
from autogrow.train.record.passed import forget_passed

_PUTTING_BACK = (KeyError, TypeError, ValueError, RuntimeError, IndexError, AttributeError, GrowthError)
"""How Lightning and torch end where the state that they are to put back is not theirs."""


@dataclass(frozen=True)
class Result:
    """What a run found. `summary` has the keys of `result.json`; `net` is ready for use; `checkpoint` is what
    `best.ckpt` holds; `curves` is what the page draws of it, of the split that is named in it.
    """

    summary: dict[str, Any]
    rows: Sequence[Row]
    net: Delivered
    card: dict[str, Any]
    checkpoint: dict[str, Any]
    folder: Path | None = None
    curves: dict[str, Any] = field(default_factory=dict)

    def write(self) -> None:
        """Write `result.json`, last of all: a run folder that has one is complete."""
        if self.folder is not None:
            write_json(self.folder / RESULT, self.summary)


@dataclass
class _Fit:
    """What `fit` sets up before training starts."""

    module: GrowingModule
    controller: LifeCycleController
    stream: BatchStream
    trainer: pl.Trainer
    prepared: Prepared
    source: FinishedNet | None
    begun: Begun
    where: str


def fit(
    spec: FitSpec,
    *given: Any,
    display: View | None = None,
    resume: bool = False,
    prepared: Prepared | None = None,
    source: FinishedNet | None = None,
    stream: Iterable[Any] | None = None,
) -> Result:
    """Train as the spec says and hand back the net that did best on validation. For arrays and frames there are
    `autogrow.GrowingClassifier` and `GrowingRegressor`.

    `prepared`: the data of `spec.data`, where they have been prepared before. `source`: the net to go on with, where it
    is not in a file for `spec.continue_from`. Without test rows the result has no `test`. `stream`: batches of one's
    own to learn from, each a frame, a mapping from column to values, or a pair (x, y), for `DataSpec(source="stream")`.

    With `resume` the run goes on from the newest whole checkpoint of its folder. Raises ConfigError or DataError before
    anything is written, TrainingError where nothing finite was ever measured.
    """
    if given or not isinstance(spec, FitSpec):
        raise ConfigError(
            f"autogrow.fit takes one FitSpec, got {', '.join(type(v).__name__ for v in (spec, *given))}; for arrays and "
            "frames: autogrow.GrowingClassifier().fit(X, y), or GrowingRegressor"
        )
    validate(spec)
    display = display or Silent()
    if spec.continue_from is not None:
        source = read_finished(spec.continue_from)
    if source is not None:
        spec = continuing(spec, source)
    with ExitStack() as held:
        held.enter_context(threads(spec))  # of the preparation, too: threads that wait for each other spin
        begun = None
        if resume and spec.out is not None:
            held.enter_context(lock(spec.out, "autogrow.fit"))  # from now on its checkpoints are ours
            begun = begun_run(spec.out)
        before = None if source is None else source.before
        as_begun = None if begun is None else begun.pipeline
        if stream is not None and source is not None:
            raise ConfigError("a net cannot go on with a stream of one's own: give its rows as a table")
        if prepared is None and stream is not None:
            prepared = prepare_stream(stream, spec.data, begun=as_begun)
        prepared = prepared or prepare(spec.data, before, begun=as_begun)
        check_judges(spec, prepared)
        held.enter_context(quiet_lightning())
        run = _set_up(spec, prepared, display, source, held, begun)
        where = f", {run.where}" if run.where else ""
        display.start(f"autogrow fit data={spec.data.name} seed={spec.seed}{where}", prepared.card)
        for line in run.begun.complaints:
            warnings.warn(f"{line}; using the one before it", stacklevel=2)
        with leave_on_signal(run.controller, spec.out), beside_others(run.trainer):
            try:
                run.trainer.fit(run.module, _own_share(run.stream, run.trainer), ckpt_path=run.begun.checkpoint)
            except _PUTTING_BACK as error:
                if run.begun.checkpoint is None or run.controller.has_begun:
                    raise
                said = " ".join(str(error).split()) or type(error).__name__
                raise CheckpointError(f"{run.begun.checkpoint} cannot be gone on with: {said}") from error
        return _finish(spec, run)


def _set_up(
    spec: FitSpec,
    prepared: Prepared,
    display: View,
    source: FinishedNet | None,
    held: ExitStack,
    begun: Begun | None,
) -> _Fit:
    """Everything that training needs. `held` takes the lock of the run folder, once nothing speaks against the run.
    `begun`: how far the run is that goes on, None for a new one.
    """
    pl.seed_everything(spec.seed, verbose=False)
    stream = stream_of(spec, prepared)
    module = module_of(spec, prepared, source)
    continues = None if source is None else continue_net(module, source, prepared, spec)
    module.delivery = {
        "pipeline": prepared.state(),
        "members": spec.net.members,
        "example": module.example,
        "prior": training_prior(prepared),
    }
    if spec.net.members > 1 and prepared.task == "classification":
        module.delivery["mean"] = PROBABILITIES
    chosen = choose(spec, module, stream)
    if chosen.spec is not spec:
        spec = chosen.spec
        held.enter_context(threads(spec))
    trainer = _trainer(spec)
    keep_there(stream, trainer.strategy.root_device)
    max_steps = step_limit(spec, stream)
    gauge = DeviceGauge(spec, prepared)
    check_run(spec, module, stream, gauge, continued=source is not None)
    folder = spec.out
    if folder is not None:
        held.enter_context(lock(folder, "autogrow.fit"))
    ledger = Ledger(folder if trainer.is_global_zero else None)
    if begun is not None and folder is not None:
        check_same_data(folder, prepared.card)
        if begun.checkpoint is None:
            ledger.cut_back([])
            if trainer.is_global_zero:
                forget_passed(folder, 0)
    elif folder is not None and trainer.is_global_zero:
        start_folder(folder, spec.config, prepared.card)
    controller = LifeCycleController(
        spec.policy,
        stream,
        Measurer(
            prepared,
            rows=spec.trainer.check_rows,
            temperature=spec.trainer.temperature,
            device=trainer.strategy.root_device,
            metric=spec.metric,
        ),
        Observer(prepared, requires(spec.policy), trainer.strategy.root_device, gauge),
        max_steps=max_steps,
        ledger=ledger,
        writer=CheckpointWriter(folder, seconds=spec.trainer.checkpoint_seconds),
        display=display,
        continues=continues,
    )
    trainer.callbacks.append(controller)  # type: ignore[attr-defined]
    return _Fit(module, controller, stream, trainer, prepared, source, begun or Begun(), chosen.reason)


def _trainer(spec: FitSpec) -> pl.Trainer:
    """Lightning's trainer; what it refuses is said in its words, in one line."""
    try:
        return pl.Trainer(
            max_epochs=-1,
            accelerator=spec.trainer.accelerator,
            devices=spec.trainer.devices,
            strategy=spec.trainer.strategy,
            precision=spec.trainer.precision,  # type: ignore[arg-type]
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # the stream shares out its own batches
        )
    except (MisconfigurationException, ValueError) as error:
        asked = ", ".join(
            f"trainer.{key}={getattr(spec.trainer, key)}" for key in ("accelerator", "devices", "strategy")
        )
        raise ConfigError(f"{' '.join(str(error).split())} ({asked})") from None


def _own_share(stream: BatchStream, trainer: pl.Trainer) -> BatchStream | Shard:
    return stream if trainer.world_size == 1 else Shard(stream, trainer.global_rank, trainer.world_size)


def _finish(spec: FitSpec, run: _Fit) -> Result:
    module, controller, prepared = run.module, run.controller, run.prepared
    rows = controller.rows
    chosen, best = validated(rows), deliverable(rows)
    if chosen is None or best is None:
        raise TrainingError(f"no finite loss was ever measured ({rows[-1].reason}); try a lower optimizer.lr")
    handed = hand_over(module, prepared, spec, controller.snapshots[chosen], controller.snapshots[best])
    found = handed.found
    shown = "test" if "test" in found else "val"
    flops = module.cost.flops_per_sample
    summary = {
        "task": prepared.task,
        "data": spec.data.name,
        "seed": spec.seed,
        "stop_reason": stop_reason(rows),
        "best_epoch": round(rows[best].passes, 3),
        "epochs": round(rows[-1].passes, 3),
        "widths": list(module.widths.values()),
        "depth": len(module.widths),
        **({"knots": dict(knots)} if (knots := module.size.knots) else {}),
        **({} if module.dropout is None else {"dropout": module.dropout}),
        "parameters": module.cost.parameters,
        "flops_per_sample": flops,
        "train_flops": rows[-1].train_flops,
        "eval_flops": rows[-1].eval_flops + flops * handed.looks,
        "seconds": round(controller.seconds(), 3),
        "growth_events": sum(isinstance(row.action, GROWTHS) for row in rows[:-1]),
        **{name: look.measured for name, look in found.items()},
        "metric": spec.metric,
        "metrics": {name: look.metrics for name, look in found.items()},
        "baseline": {name: look.baseline for name, look in found.items()},
        **({} if handed.temperature is None else {"temperature": handed.temperature}),
        "versions": versions(),
    }
    if run.source is not None:
        assert rows[0].event is not None
        origin = run.source.path if spec.continue_from is None else spec.continue_from
        summary["continued_from"], summary["continued"] = str(origin), rows[0].event.to_plain()
    content = delivered_content(module, summary, before_refit=handed.before_refit)
    out = spec.out if run.trainer.is_global_zero else None  # rank 0 writes
    if out is not None:
        save_atomically(content, out / CHECKPOINTS / BEST)
        write_split(out, prepared)
        write_metrics(out, rows)
    drawn = {"split": shown, **found[shown].curves}
    if effects := effects_of(handed.net, prepared):
        drawn["effects"] = effects
    return Result(summary, rows, handed.net, prepared.card, content, out, drawn)
