"""`autogrow search`: random hyper-parameter search, the baseline that growing is to replace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from autogrow.commands.at_work import at_work
from autogrow.commands.fit import finish_folder
from autogrow.compare.search import Search, remove_trials, search
from autogrow.compare.space import space_from
from autogrow.composition import run_hydra, typed_words
from autogrow.config import FitConfig, spec_from
from autogrow.errors import ConfigError, nearest
from autogrow.policy.needs import never_grows
from autogrow.train.record.folder import REPORT, is_complete


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


def search_from(cfg: DictConfig) -> Search:
    """What the `search` node describes. Raises ConfigError with the nearest names for a key it does not have."""
    plain: Any = OmegaConf.to_container(cfg.search, resolve=True)
    known = [f.name for f in fields(Search)]
    for key in plain:
        if key not in known:
            raise ConfigError(f"search has no {key!r}; {nearest(key, known)}")
    return Search(**{**plain, "space": space_from(plain["space"])})


def _job(cfg: DictConfig) -> float:
    out = Path(HydraConfig.get().runtime.output_dir)
    with at_work(out, "search"):
        return _search(cfg, out)


def _search(cfg: DictConfig, out: Path) -> float:
    how = search_from(cfg)
    if cfg.resume is not None or is_complete(out):
        raise ConfigError(
            f"{out} holds a finished search; give another hydra.run.dir"
            if cfg.resume is None
            else "search has no resume=: the same command with the same hydra.run.dir goes on"
        )
    spec = spec_from(cfg, out=out)
    if not never_grows(spec.policy.growth):
        raise ConfigError("search tries nets of a fixed size: growth must be never")
    result = search(spec, how)
    finish_folder(result, spec.config, typed_words(HydraConfig.get()), command="search")
    remove_trials(out)
    summary = result.summary
    cost, metric = summary["search_cost"], "error" if summary["task"] == "classification" else "rmse"
    print(
        f"chosen: trial {summary['search']['chosen'] + 1}, {'-'.join(map(str, summary['widths']))}: test {metric} "
        f"{summary['test'][metric]:.4g}; the search took {cost['train_flops'] / 1e9:.4g} GFLOP and {cost['seconds']:.0f} s"
    )
    print(out / REPORT)
    return float(summary["val"]["loss"])
