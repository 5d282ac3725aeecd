"""`autogrow plan`: what a run with the same words would do, and what it may cost, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from autogrow.composition import run_hydra
from autogrow.errors import ConfigError
from autogrow.imports import importing


def run(rest: Sequence[str]) -> int:
    """Run the command; the exit code."""
    if any(a in ("-m", "--multirun") for a in rest):
        raise ConfigError("plan looks at one run; -m is for autogrow fit")
    return run_hydra("plan", rest, _plan)


def _plan(cfg: DictConfig) -> None:
    with importing():
        from autogrow.commands.tasks.plan import plan
    plan(cfg)
