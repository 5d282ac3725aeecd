"""`autogrow export RUN to=…`: a run's net as a file that runs elsewhere, proved to answer the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from autogrow.commands.on_run import named_run
from autogrow.composition import run_hydra
from autogrow.errors import ConfigError
from autogrow.imports import importing

TARGETS = "c|onnx|pt2|sklearn|torch"


@dataclass
class ExportConfig:
    """The schema of `autogrow export`."""

    run: str = "???"
    to: str = "???"
    int8: bool = False
    logits: bool = False
    out: str | None = None


def run(rest: Sequence[str]) -> int:
    """Run the command; the exit code. RUN may stand alone in front: it is short for run=…"""
    rest = named_run(rest)
    given = {a.partition("=")[0] for a in rest}
    if not any(a.startswith(("-", "hydra")) for a in rest) and not {"run", "to"} <= given:
        raise ConfigError(f"export takes a run and a target: autogrow export runs/fit/… to={TARGETS}")
    ConfigStore.instance().store(name="export_schema", node=ExportConfig, provider="autogrow")
    return run_hydra("export", rest, _export)


def _export(cfg: DictConfig) -> None:
    with importing():
        from autogrow.commands.tasks.export import write_export
    write_export(cfg)
