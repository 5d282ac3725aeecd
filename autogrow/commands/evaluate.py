"""`autogrow evaluate RUN TABLE`: how well a net does on rows whose targets are known, and how strange these are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from autogrow.commands.on_table import run_on_table
from autogrow.imports import importing


@dataclass
class EvaluateConfig:
    """The schema of `autogrow evaluate`."""

    run: str = "???"
    table: str = "???"
    out: str | None = None
    separator: str | None = None
    encoding: str | None = None
    chunk_rows: int = 50_000


def run(rest: Sequence[str]) -> int:
    """Run the command; the exit code. RUN and TABLE stand in front: they are short for run=… table=…"""
    ConfigStore.instance().store(name="evaluate_schema", node=EvaluateConfig, provider="autogrow")
    return run_on_table("evaluate", rest, _evaluate)


def _evaluate(cfg: DictConfig) -> None:
    with importing():
        from autogrow.commands.tasks.evaluate import write_evaluation
    write_evaluation(cfg)
