"""The front of a finished run: its delivered net, the nets that it passed through, and smaller ones made of it.

A net that was passed through is taken as it was before a growth. A narrowed net is the one before it (first the
delivered one) without its least useful units; what taking them away changed is written down. Each is finished as the
run was, over as many steps as its anneal. Validation judges; test is read once for each net.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from autogrow.deploy.front.again import FinishedRun
from autogrow.deploy.front.finish import Finished, Finisher
from autogrow.deploy.front.interval import sure_error
from autogrow.deploy.front.point import Point, mark
from autogrow.errors import ConfigError
from autogrow.growth.usefulness import remove_units
from autogrow.train.fit.hand_over import hand_over
from autogrow.train.fit.looks.final import FinalLook, take_final_look, training_prior
from autogrow.train.fit.net.deliver import BEFORE_REFIT, Delivered, delivered_content
from autogrow.train.fit.net.load import from_content
from autogrow.train.fit.net.module import GrowingModule
from autogrow.train.fit.net.rate import Rate
from autogrow.train.fit.net.snapshot import Snapshot, take
from autogrow.train.record.checkpoint import read_checkpoint, save_atomically
from autogrow.train.record.files import copy_file
from autogrow.train.record.folder import CONFIG, NETS, SPLIT, checkpoint_of
from autogrow.train.record.passed import read_passed

_JUDGED_BY = 1024  # training rows that say how useful a unit is

APART = 1.25
"""How many times the parameters of the next smaller one a net that was passed through has, at least."""

Measure = Callable[[Delivered, Tensor], Mapping[str, Any]]
"""What is measured of a net on a device; the rows are inputs of it."""


@dataclass(frozen=True)
class FrontSpec:
    """passed: whether the nets that the run passed through are finished. narrowed: how many smaller nets are made of
    the delivered one, each with 1/`factor` of the widths of the one before, down to `least` units a layer. finish: the
    length of their finish, as a share of the run's own anneal.
    """

    passed: bool = True
    narrowed: int = 6
    factor: float = 1.5
    least: int = 4
    finish: float = 1.0

    def __post_init__(self) -> None:
        if self.narrowed < 0:
            raise ConfigError(f"narrowed must be 0 or more nets, got {self.narrowed}")
        if not self.factor > 1:
            raise ConfigError(f"factor must be above 1, got {self.factor}: each net is smaller than the one before")
        if self.least < 1:
            raise ConfigError(f"least must be at least 1 unit, got {self.least}")
        if not self.finish > 0:
            raise ConfigError(f"finish must be above 0, got {self.finish}: a net without units is trained on")


@dataclass(frozen=True)
class _Made:
    """A smaller net, finished."""

    name: str
    kind: str
    finished: Finished
    extra: Mapping[str, Any]


def find_front(
    run: FinishedRun, spec: FrontSpec, out: Path, measure: Measure, say: Callable[[Point], None]
) -> list[Point]:
    """Make the nets of a run's front, write each as `out/nets/<name>.ckpt` (it loads with `autogrow.load`), and answer
    with what each is and does, from the smallest to the largest. say: told of each when it is there.

    A point: `name`, `kind` (delivered, passed, narrowed), `checkpoint`, `widths`, `knots`, `parameters`,
    `flops_per_sample`, `bytes` (of its weights), what `measure` found, `val` and `test` (loss; error or rmse with
    standard error and 95 % interval), `cost` (steps, FLOPs, seconds of making it), `function_change` (of a narrowed
    net: the largest absolute change of an output on training rows before it was trained on), `on_front`, `chosen`.
    """
    (out / NETS).mkdir(parents=True, exist_ok=True)
    _keep_config(run, out)
    points = [_delivered(run, out, measure)]
    say(points[0])
    finisher = Finisher(run.spec, run.prepared)
    for make in (_passed(run, spec, finisher) if spec.passed else (), _narrowed(run, spec, finisher)):
        began = time.perf_counter()
        for module, made in make:
            point = _point(run, module, made, out, measure, began)
            points.append(point)
            say(point)
            began = time.perf_counter()
    return mark(points, run.metric)


def _keep_config(run: FinishedRun, out: Path) -> None:
    """Beside the nets, where the data are: `autogrow export` compares answers on them."""
    if (run.folder / CONFIG).is_file():
        copy_file(run.folder / CONFIG, out / CONFIG)


def _delivered(run: FinishedRun, out: Path, measure: Measure) -> Point:
    """The run's own net: its checkpoint as it is."""
    path = checkpoint_of(run.folder)
    content = read_checkpoint(path)
    judged = from_content({**content, "state_dict": content.get(BEFORE_REFIT) or content["state_dict"]}, path)
    net = from_content(content, path)
    assert isinstance(judged, Delivered)
    assert isinstance(net, Delivered)
    prepared = run.prepared
    for one in (judged, net):  # that of a run of before it was written
        one.prior = one.prior or training_prior(prepared)
    found = {"val": take_final_look(judged, prepared.val, prepared)}
    if len(prepared.test):
        found["test"] = take_final_look(net, prepared.test, prepared)
    _copy_net(path, out / NETS / "delivered.ckpt")
    module = run.module()
    cost = {"steps": 0, "train_flops": 0, "eval_flops": 0, "seconds": 0.0}
    return {
        "name": "delivered",
        "kind": "delivered",
        "checkpoint": f"{NETS}/delivered.ckpt",
        **_facts(run, module, net, found, measure),
        "cost": cost,
    }


def _copy_net(source: Path, path: Path) -> None:
    copy_file(source, path)
    _copy_rows(source, path)


def _copy_rows(source: Path, path: Path) -> None:
    """Which rows a net knows, beside it: for those who go on from it, or export it."""
    if source.with_suffix(SPLIT).is_file():
        copy_file(source.with_suffix(SPLIT), path.with_suffix(SPLIT))


def _passed(run: FinishedRun, spec: FrontSpec, finisher: Finisher) -> Iterator[tuple[GrowingModule, _Made]]:
    """The nets that the run passed through, each finished from the check that decided to grow it: of those that are
    about equally large the last, which has learned most.
    """
    steps, above = _length(run, spec, finisher), run.result["parameters"]
    for check, _, content in reversed(list(read_passed(run.folder))):
        row = run.rows[check]
        if row.parameters * APART > above:
            continue
        above, module = row.parameters, run.module()
        finished = finisher.finish(module, content["snapshot"], first=row.step, steps=steps, refit=run.refits)
        yield module, _Made(f"passed-{_sized(row.widths.values())}-check-{check}", "passed", finished, {"check": check})


def _length(run: FinishedRun, spec: FrontSpec, finisher: Finisher) -> int:
    """The optimizer steps of a finish, in whole checks; of a run that did not anneal, as a share of its steps."""
    every = finisher.steps_per_check
    return max(1, round(spec.finish * (run.anneal_steps or run.rows[-1].step // 3) / every)) * every


def _narrowed(run: FinishedRun, spec: FrontSpec, finisher: Finisher) -> Iterator[tuple[GrowingModule, _Made]]:
    """Smaller and smaller nets, each made of the one before as validation judged it."""
    steps, first, module = _length(run, spec, finisher), run.rows[-1].step, run.module()
    for _ in range(spec.narrowed):
        smaller = {name: max(spec.least, round(width / spec.factor)) for name, width in module.widths.items()}
        smaller = {name: width for name, width in smaller.items() if width < module.widths[name]}
        if not smaller:
            return
        start, change = _start(run, module, smaller)
        finished = finisher.finish(module, start, first=first, steps=steps, refit=run.refits)
        name = f"narrowed-{_sized(module.widths.values())}"
        yield module, _Made(name, "narrowed", finished, {"function_change": change})
        following = run.module()
        chosen = finished.chosen
        following.restore(chosen["recipe"], chosen["net"], chosen["ema"], chosen.get("dropout"))
        module = following


def _start(run: FinishedRun, module: GrowingModule, widths: Mapping[str, int]) -> tuple[Snapshot, float]:
    """The module's average without its least useful units, as a state to train on from; and what that changed."""
    x = run.prepared.train.x[:_JUDGED_BY]
    members = run.spec.net.members
    x = x if members == 1 else x.unsqueeze(0).expand(members, *x.shape)
    net = module.ema
    surgery = remove_units(net, widths, x, example=module.example)
    trained = copy.deepcopy(net)
    trained.requires_grad_(True)
    module.install(trained, net, [*module.recipe, dict(surgery.entry)])
    module.rate = Rate(run.spec.optimizer.lr, run.spec.schedule.warmup)
    return take(module, module.configure_optimizers()), surgery.receipt.max_abs_change


def _point(run: FinishedRun, module: GrowingModule, made: _Made, out: Path, measure: Measure, began: float) -> Point:
    """Hand a finished net over: its checkpoint, and what it is and does."""
    finished = made.finished
    handed = hand_over(module, run.prepared, run.spec, finished.chosen, finished.best)
    facts = _facts(run, module, handed.net, handed.found, measure)
    summary = {
        **run.result,
        **{key: facts[key] for key in ("widths", "parameters", "flops_per_sample")},
        "depth": len(module.widths),
        **({"knots": facts["knots"]} if "knots" in facts else {}),
        **{name: look.measured for name, look in handed.found.items()},
        "metrics": {name: look.metrics for name, look in handed.found.items()},
        **({} if handed.temperature is None else {"temperature": handed.temperature}),
    }
    path = out / NETS / f"{made.name}.ckpt"
    save_atomically(delivered_content(module, summary, before_refit=handed.before_refit), path)
    _copy_rows(checkpoint_of(run.folder), path)
    cost = {
        "steps": finished.steps,
        "train_flops": finished.train_flops,
        "eval_flops": finished.eval_flops + handed.looks * module.cost.flops_per_sample,
        "seconds": round(time.perf_counter() - began, 3),
    }
    return {
        "name": made.name,
        "kind": made.kind,
        "checkpoint": f"{NETS}/{path.name}",
        **facts,
        **made.extra,
        "cost": cost,
    }


def _facts(
    run: FinishedRun, module: GrowingModule, net: Delivered, found: Mapping[str, FinalLook], measure: Measure
) -> Point:
    prepared, size = run.prepared, module.size
    said = {}
    for name, look in found.items():
        split = getattr(prepared, name)
        sure = asdict(sure_error(look.outputs, split, prepared, net.threshold))
        error = sure.pop("value")
        said[name] = {"loss": look.measured["loss"], run.metric: error, **sure}
    return {
        "widths": list(size.widths.values()),
        **({"knots": dict(size.knots)} if size.knots else {}),
        "parameters": size.parameters,
        "flops_per_sample": size.flops_per_sample,
        "bytes": sum(t.numel() * t.element_size() for t in module.ema.state_dict().values()),
        **measure(net, prepared.val.x[:1]),
        **said,
    }


def _sized(widths: Any) -> str:
    return "-".join(map(str, widths))
