"""`autogrow compare`: the grown net beside honest baselines, over seeds, each run a child process; verdicts first."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from autogrow.commands.at_work import at_work
from autogrow.commands.search import register_search
from autogrow.composition import run_hydra
from autogrow.config import FitConfig
from autogrow.errors import ConfigError
from autogrow.imports import importing
from autogrow.overrides import key_of


@dataclass
class CompareConfig(FitConfig):
    """The schema of `autogrow compare`: that of fit, and the comparison's own keys."""

    seeds: Any = 5
    arms: list[str] = field(default_factory=list)
    jobs: int = 1
    target: float | None = None
    device: str | None = None
    int8: bool = False
    search: Any = None


def run(rest: Sequence[str]) -> int:
    """Run the command; the exit code."""
    for word in rest:
        if word in ("-m", "--multirun"):
            raise ConfigError(
                "compare runs its seeds and arms itself and takes no -m; to compare policies: autogrow fit -m growth=a,b seed=0,1,2, then autogrow report <its folder>"
            )
        if key_of(word) in ("seed", "resume") and "=" in word:
            right = "seeds=5 or seeds=[0,3]" if key_of(word) == "seed" else "the same command with its hydra.run.dir"
            raise ConfigError(f"compare takes no {word}; give {right}")
    ConfigStore.instance().store(name="compare_schema", node=CompareConfig, provider="autogrow")
    register_search()  # for the arms that search
    return run_hydra("compare", rest, lambda cfg: _compare(cfg, rest))


def _compare(cfg: DictConfig, rest: Sequence[str]) -> None:
    folder = Path(HydraConfig.get().runtime.output_dir)
    where = [] if any(word.startswith("hydra.run.dir=") for word in rest) else [f"hydra.run.dir={folder}"]
    with at_work(folder, "compare", f"go on with: {shlex.join(['autogrow', 'compare', *rest, *where])}"):
        with importing():
            from autogrow.commands.tasks.compare import compare_arms
        compare_arms(cfg, rest, folder)
