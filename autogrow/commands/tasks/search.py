"""`autogrow search`: random hyper-parameter search, the baseline that growing is to replace."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from autogrow.commands.tasks.fit import finish_folder
from autogrow.compare.search import Search, remove_trials, search
from autogrow.compare.space import space_from
from autogrow.composition import typed_words
from autogrow.config import spec_from
from autogrow.errors import ConfigError, nearest
from autogrow.policy.needs import never_grows
from autogrow.train.record.folder import REPORT, is_complete


def search_from(cfg: DictConfig) -> Search:
    """What the `search` node describes. Raises ConfigError with the nearest names for a key it does not have."""
    plain: Any = OmegaConf.to_container(cfg.search, resolve=True)
    known = [f.name for f in fields(Search)]
    for key in plain:
        if key not in known:
            raise ConfigError(f"search has no {key!r}; {nearest(key, known)}")
    return Search(**{**plain, "space": space_from(plain["space"])})


def search_nets(cfg: DictConfig, out: Path) -> float:
    """Run the trials, and hand back the chosen one as a run; its validation loss."""
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
