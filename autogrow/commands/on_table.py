"""The words of a command that asks a run about a table: `autogrow COMMAND RUN TABLE key=value …`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from autogrow.composition import run_hydra
from autogrow.errors import ConfigError
from autogrow.overrides import quoted


def run_on_table(command: str, rest: Sequence[str], task: Callable[[DictConfig], Any]) -> int:
    """Run a command of the form `autogrow COMMAND RUN TABLE key=value …`; the exit code."""
    words = [a for a in rest if "=" not in a and not a.startswith("-")]
    if len(words) > 2:
        raise ConfigError(f"{command} takes one run and one table: autogrow {command} RUN TABLE, got {' '.join(words)}")
    named = dict(zip(words, ("run", "table"), strict=False))
    rest = [f"{named[a]}={quoted(Path(a))}" if a in named else a for a in rest]
    given = {a.partition("=")[0] for a in rest}
    if not any(a.startswith(("-", "hydra")) for a in rest) and not {"run", "table"} <= given:
        raise ConfigError(f"{command} takes a run and a table: autogrow {command} runs/fit/… table.csv")
    return run_hydra(command, rest, task)
