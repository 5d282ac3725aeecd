"""`autogrow predict RUN TABLE`: what a run's net says of the rows of a table, a line each, in the table's order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from autogrow.commands.on_table import run_on_table
from autogrow.imports import importing


@dataclass
class PredictConfig:
    """The schema of `autogrow predict`."""

    run: str = "???"
    table: str = "???"
    out: str | None = None
    keep: Any = None
    separator: str | None = None
    encoding: str | None = None
    chunk_rows: int = 50_000


def run(rest: Sequence[str]) -> int:
    """Run the command; the exit code. RUN and TABLE stand in front: they are short for run=… table=…"""
    ConfigStore.instance().store(name="predict_schema", node=PredictConfig, provider="autogrow")
    return run_on_table("predict", rest, _predict)


def _predict(cfg: DictConfig) -> None:
    with importing():
        from autogrow.commands.tasks.predict import write_predictions
    write_predictions(cfg)
