"""`autogrow search`: random hyper-parameter search, the baseline that growing is to replace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from autogrow.commands.at_work import at_work
from autogrow.composition import run_hydra
from autogrow.config import FitConfig
from autogrow.errors import ConfigError
from autogrow.imports import importing


@dataclass
class SearchConfig(FitConfig):
    """The schema of `autogrow search`: that of fit, and the search's own keys."""

    search: Any = None


def run(rest: Sequence[str]) -> int:
    """Run the command; the exit code."""
    if {"-m", "--multirun"} & set(rest):
        raise ConfigError("search is a sweep already: -m does not go with it; give search.trials=…")
    register_search()
    return run_hydra("search", rest, _job)


def register_search() -> None:
    """Make the schema known to Hydra as `search_schema`."""
    ConfigStore.instance().store(name="search_schema", node=SearchConfig, provider="autogrow")


def _job(cfg: DictConfig) -> float:
    out = Path(HydraConfig.get().runtime.output_dir)
    with at_work(out, "search"):
        with importing():
            from autogrow.commands.tasks.search import search_nets
        return search_nets(cfg, out)
