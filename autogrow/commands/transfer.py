"""`autogrow transfer`: a trained net into a larger one with the same outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from autogrow.composition import run_hydra
from autogrow.imports import importing


@dataclass
class TransferConfig:
    """The schema of `autogrow transfer`."""

    checkpoint: str | None = None
    from_sklearn: str | None = None
    widths: Any = None
    out: str | None = None
    overwrite: bool = False
    activation: str | None = None
    layers: Any = None
    input_shape: Any = None
    allow_pickle: bool = False
    seed: int = 0
    neurons: Any = None


def run(rest: Sequence[str]) -> int:
    """Run the command; the exit code."""
    ConfigStore.instance().store(name="transfer_schema", node=TransferConfig, provider="autogrow")
    return run_hydra("transfer", rest, _transfer)


def _transfer(cfg: DictConfig) -> None:
    with importing():
        from autogrow.commands.tasks.transfer import write_larger
    write_larger(cfg)
