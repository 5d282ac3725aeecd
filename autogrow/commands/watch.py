"""`autogrow watch DIR`: learn from each file that appears in a folder; every run continues from the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from autogrow.chain.spec import WatchSpec
from autogrow.commands.at_work import at_work
from autogrow.composition import run_hydra
from autogrow.config import FitConfig
from autogrow.errors import ConfigError
from autogrow.imports import importing
from autogrow.overrides import quoted


@dataclass
class WatchConfig(FitConfig):
    """The schema of `autogrow watch`: that of fit, for every run, and `watch`."""

    watch: WatchSpec = field(default_factory=WatchSpec)


def run(rest: Sequence[str]) -> int:
    """Run the command; the exit code."""
    if any(a in ("-m", "--multirun") for a in rest):
        raise ConfigError("watch takes no -m")
    folders = [a for a in rest if "=" not in a and not a.startswith("-")]
    rest = [a for a in rest if a not in folders]
    if len(folders) > 1:
        raise ConfigError(f"watch takes one folder, got {', '.join(folders)}")
    if folders:
        rest = [*rest, f"watch.folder={quoted(Path(folders[0]))}"]
        if not any(a.startswith("hydra.run.dir=") for a in rest):
            # the same command finds the same folder again
            rest.append(f"hydra.run.dir={quoted(Path('runs/watch') / Path(folders[0]).resolve().name)}")
    ConfigStore.instance().store(name="watch_schema", node=WatchConfig, provider="autogrow")
    return run_hydra("watch", rest, _watch_job)


def _watch_job(cfg: DictConfig) -> int:
    out = Path(HydraConfig.get().runtime.output_dir)
    with at_work(out, "watch", "the same command goes on"):
        with importing():
            from autogrow.commands.tasks.watch import watch_folder
        return watch_folder(cfg, out)
