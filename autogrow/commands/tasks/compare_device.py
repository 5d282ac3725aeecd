"""`device=` of `autogrow compare`: what each run's net takes as the file that it is exported to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from autogrow.commands.tasks.asked import loaded
from autogrow.data import Prepared
from autogrow.deploy.export import portable, target_of
from autogrow.deploy.latency import taken_by_file
from autogrow.errors import ConfigError, UsageError, nearest
from autogrow.train.fit.looks.device import drawn_like
from autogrow.train.fit.net.build import build_net
from autogrow.train.fit.setup import starting_net
from autogrow.train.fit.spec import FitSpec
from autogrow.train.record.contents import OnDevice

DEVICES = ("c", "onnx")


def device_from(cfg: DictConfig) -> dict[str, Any] | None:
    """Which file is asked for: `to` and `int8`; None for none. Raises ConfigError for one that there is not."""
    if cfg.device is None:
        if cfg.int8:
            raise ConfigError("int8=true is of the file that device= names: give device=c or device=onnx too")
        return None
    if cfg.device not in DEVICES:
        raise ConfigError(f"device={cfg.device} is unknown; {nearest(cfg.device, DEVICES)}")
    return {"to": cfg.device, "int8": cfg.int8}


def check_device(device: Mapping[str, Any], spec: FitSpec, prepared: Prepared) -> None:
    """Raise UsageError, before anything is run, where its compiler or runtime is missing, or the file cannot express
    the net that a run starts with.
    """
    net = drawn_like(build_net(starting_net(spec, prepared)), prepared.pipeline, members=spec.net.members)
    try:
        target_of(device["to"]).check(portable(net), int8=device["int8"])
    except UsageError as error:
        raise type(error)(f"device={device['to']}: {error}") from None


def measure_on(device: Mapping[str, Any], run: Path) -> OnDevice:
    """What the delivered net of a run takes."""
    taken = taken_by_file(loaded(str(run)), runtime=device["to"], int8=device["int8"])
    p50, p95 = (round(1e3 * ms, 3) for ms in (taken.p50_ms, taken.p95_ms))
    return {"bytes": taken.bytes, "p50_us": p50, "p95_us": p95}
