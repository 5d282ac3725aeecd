"""What `autogrow front` does: find the smaller nets of a finished run, finish them, show them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import Tensor

from autogrow.commands.at_work import at_work
from autogrow.config import spec_from
from autogrow.deploy.front.again import FinishedRun, take_up
from autogrow.deploy.front.point import Point
from autogrow.deploy.front.run import FrontSpec, Measure, find_front
from autogrow.deploy.latency import taken_by_file
from autogrow.errors import CheckpointError, ConfigError, nearest
from autogrow.kept_config import read_kept_config
from autogrow.nets import DenseNet, MeanOfMembers
from autogrow.overrides import quoted_if_needed
from autogrow.policy.budget import RUNTIMES
from autogrow.report.front.page import headline, metric_of, table_line, titles, write_front
from autogrow.show import words
from autogrow.train.fit.looks.latency import milliseconds
from autogrow.train.fit.net.c_take import c_take
from autogrow.train.fit.net.deliver import Delivered
from autogrow.train.fit.process import quiet_lightning, threads
from autogrow.train.record.files import write_json
from autogrow.train.record.folder import FRONT, FRONT_PAGE, RESULT, is_complete


def make_front(cfg: DictConfig) -> None:
    """Make the front of a run and show it."""
    folder = Path(cfg.run)
    if not is_complete(folder):
        raise CheckpointError(f"{folder} holds no {RESULT}: a front is made of a finished run")
    measure = on_device(cfg.runtime, int8=cfg.int8)
    how = FrontSpec(**{f.name: cfg[f.name] for f in fields(FrontSpec)})
    out = folder / "front" if cfg.out is None else Path(cfg.out)
    spec = spec_from(read_kept_config(folder, cfg), out=None)
    with at_work(out, "front", f"start again with: autogrow front {quoted_if_needed(folder)}"):
        began = time.perf_counter()
        with threads(spec), quiet_lightning():
            found = take_up(folder, spec)
            print(f"autogrow front {folder}", flush=True)
            points = find_front(found, how, out, measure, _say)
        show(found, points, out, time.perf_counter() - began)


def on_device(runtime: str, *, int8: bool) -> Measure:
    """What is measured of each net: flash and RAM of its C file, where it can be one, and the microseconds of a row
    through `runtime` on this host, with one thread.
    """
    if int8 and runtime == "torch":
        raise ConfigError("int8=true needs runtime=c or onnx: in torch there are no 8 bits")
    if runtime not in RUNTIMES:
        raise ConfigError(f"runtime {runtime!r} is unknown; {nearest(runtime, RUNTIMES)}")

    def measure(net: Delivered, row: Tensor) -> Mapping[str, Any]:
        inner = net.net.net if isinstance(net.net, MeanOfMembers) else net.net
        found: dict[str, Any] = asdict(c_take(inner, int8=int8)) if isinstance(inner, DenseNet) else {}
        if runtime == "torch":
            taken = milliseconds(net.net, row)
        else:
            file = taken_by_file(net, runtime=runtime, int8=int8)
            taken = file.p50_ms, file.p95_ms
        p50, p95 = (round(1e3 * ms, 3) for ms in taken)
        return {**found, "microseconds": {"runtime": runtime, "int8": int8, "p50": p50, "p95": p95}}

    return measure


def show(run: FinishedRun, points: Sequence[Point], out: Path, seconds: float) -> None:
    """Write `front.json` and `front.html`, and say what was found."""
    metric = metric_of(points)
    flops = sum(point["cost"]["train_flops"] for point in points)
    ratio = flops / max(1, run.result["train_flops"])
    shares = f"{words.flops(flops)} of training, {ratio:.2f} times what the run took"
    write_front(out, points, run=str(run.folder), name=run.spec.data.name, seconds=seconds, shares=shares)
    write_json(out / FRONT, list(points))
    lines = [table_line(point, metric) for point in reversed(points)]
    print("\n" + "\n".join(words.columns([titles(points, metric), *lines], left=2)))
    print(f"\n{headline(points)}")
    print(f"{words.duration(seconds)}; {shares}")
    print(out / FRONT_PAGE)


def _say(point: Point) -> None:
    print(f"  {point['name']}  {words.count(point['parameters'])} parameters", flush=True)
