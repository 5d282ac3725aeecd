"""`autogrow front RUN`: smaller nets out of a finished run, each finished, as error against size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from autogrow.commands.on_run import named_run
from autogrow.composition import run_hydra
from autogrow.errors import ConfigError
from autogrow.imports import importing


@dataclass
class FrontConfig:
    """The schema of `autogrow front`."""

    run: str = "???"
    out: str | None = None
    passed: bool = True
    narrowed: int = 6
    factor: float = 1.5
    least: int = 4
    finish: float = 1.0
    runtime: str = "torch"
    int8: bool = False


def run(rest: Sequence[str]) -> int:
    """Run the command; the exit code. The run folder may stand alone in front: it is short for run=…"""
    rest = named_run(rest)
    if not any(a.startswith(("run=", "-", "hydra")) for a in rest):
        raise ConfigError("front takes the folder of a finished run: autogrow front runs/fit/…")
    ConfigStore.instance().store(name="front_schema", node=FrontConfig, provider="autogrow")
    return run_hydra("front", rest, _front)


def _front(cfg: DictConfig) -> None:
    with importing():
        from autogrow.commands.tasks.front import make_front
    make_front(cfg)
