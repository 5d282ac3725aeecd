"""The sweeper as Hydra knows it: `hydra/sweeper=optuna`, a search over what the overrides leave open.

`optimizer.lr=tag(log,interval(1e-4,1e-2)) net.widths=[32],[64,64] growth=plateau,gap` is a space; every trial is a job
of the launcher. Objectives are figures of the runs' result.json; the test set is never one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console
from rich.table import Table

from autogrow.errors import ConfigError, nearest
from autogrow.launcher.objectives import check_objectives, values_of
from autogrow.launcher.plugin import BY_NUMBER, TRIAL_FOLDERS, ProcessLauncher, register_plugin, subdir
from autogrow.launcher.space import distribution
from autogrow.launcher.study import SAMPLERS, SearchStudy
from autogrow.launcher.summary import shown
from autogrow.launcher.task import Task
from autogrow.train.record.files import write_atomically
from autogrow.train.record.folder import MULTIRUN
from autogrow.train.record.progress import result_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_PLUGIN = "hydra_plugins.autogrow_sweeper"
_MOST_AT_ONCE = 8  # a larger batch learns too little from the trials before it


@dataclass
class OptunaSweeperConfig:
    """A search by Optuna: `hydra/sweeper=optuna`.

    n_trials: how many runs.
    objectives: figures of result.json, one or several.
    directions: minimize or maximize each; null: minimize all.
    sampler: how trials are drawn, by Optuna's name of it.
    seed: draws the trials.
    batch: trials asked for before the next are told; null: as many as the launcher runs side by side.
    params: a space given in a config file, key: override value; the command line wins.
    """

    _target_: str = f"{_PLUGIN}.OptunaSweeper"
    n_trials: int = 20
    objectives: list[str] = field(default_factory=lambda: ["val_error", "train_flops"])
    directions: list[str] | None = None
    sampler: str = "tpe"
    seed: int = 0
    batch: int | None = None
    params: dict[str, Any] = field(default_factory=dict)


class OptunaSweeper(Sweeper):
    """Asks Optuna, launches, tells Optuna; the study lies in the sweep folder and goes on where it was."""

    def __init__(
        self,
        n_trials: int,
        objectives: Sequence[str],
        directions: Sequence[str] | None,
        sampler: str,
        seed: int,
        batch: int | None,
        params: dict[str, Any],
    ) -> None:
        self.n_trials, self.sampler, self.seed, self.batch = n_trials, sampler, seed, batch
        self.objectives, self.params = list(objectives), dict(params)
        self.directions = ["minimize"] * len(self.objectives) if directions is None else list(directions)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what `sweep` needs. Raises ConfigError for settings that cannot be."""
        check_objectives(self.objectives, self.directions)
        for name, value, least in (("n_trials", self.n_trials, 1), ("batch", self.batch, 1), ("seed", self.seed, 0)):
            if value is not None and value < least:
                raise ConfigError(f"hydra.sweeper.{name} must be at least {least}, got {value}")
        if self.sampler not in SAMPLERS:
            raise ConfigError(f"hydra.sweeper.sampler={self.sampler} does not exist; {nearest(self.sampler, SAMPLERS)}")
        if subdir(config) == BY_NUMBER:
            with open_dict(config):
                config.hydra.sweep.subdir = f"trial_{BY_NUMBER}"
                config.hydra.overrides.hydra.append(TRIAL_FOLDERS)
        if isinstance(task_function, Task):
            task_function.chooses = True
        self.hydra_context, self.config = hydra_context, config
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> dict[str, Any]:
        """Run the search; the Pareto set. Raises ConfigError for a space without a choice,
        and for another search's folder.
        """
        assert self.config is not None
        fixed, space = self._read(arguments)
        self._compose_each(fixed, space)
        folder = Path(str(self.config.hydra.sweep.dir))
        folder.mkdir(parents=True, exist_ok=True)
        study = SearchStudy(
            folder,
            space,
            objectives=self.objectives,
            directions=self.directions,
            sampler=self.sampler,
            seed=self.seed,
            rest=fixed,
        )
        write_atomically(folder / MULTIRUN, OmegaConf.to_yaml(self.config))
        size = self._batch_size()
        for start in range(0, self.n_trials, size):
            numbers = range(start, min(start + size, self.n_trials))
            trials = study.batch(numbers, side_by_side=size > 1)
            if not trials:
                continue
            jobs = [[*fixed, *(f"{key}={t.params[key]}" for key in space)] for t in trials]
            for trial, job in zip(trials, self.launcher.launch(jobs, trials[0].number), strict=True):
                result = result_of(_folder(job))
                study.tell(trial.number, None if result is None else values_of(result, self.objectives))
        names = {t.number: subdir(self.config).replace(BY_NUMBER, str(t.number)) for t in study.study.trials}
        written = study.write({n: name for n, name in names.items() if (folder / name).is_dir()})
        _show(study, written)
        return {"solutions": [{"trial": t.number, "params": t.params, "values": t.values} for t in study.front()]}

    def _read(self, arguments: list[str]) -> tuple[list[str], dict[str, BaseDistribution]]:
        """What every trial has in common, and what is searched."""
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        typed = parser.parse_overrides([*(f"{k}={v}" for k, v in self.params.items()), *arguments])
        overrides = {o.get_key_element(): o for o in typed}  # the last one wins
        space = {key: distribution(o) for key, o in overrides.items() if o.is_sweep_override()}
        if not space:
            raise ConfigError("there is nothing to search: give a key several values, key=a,b or key=interval(a,b)")
        return [o.input_line or "" for o in overrides.values() if not o.is_sweep_override()], space

    def _compose_each(self, fixed: list[str], space: dict[str, BaseDistribution]) -> None:
        """Compose every choice once, and both ends of every interval:
        what cannot be is found before anything is written.
        """
        assert self.hydra_context is not None
        assert self.config is not None
        ends = {key: list(getattr(d, "choices", None) or (d.low, d.high)) for key, d in space.items()}  # type: ignore[attr-defined]
        first = {key: values[0] for key, values in ends.items()}
        for key, values in ends.items():
            for value in values:
                job = [*fixed, *(f"{k}={v}" for k, v in {**first, key: value}.items())]
                self.hydra_context.config_loader.load_sweep_config(self.config, job)

    def _batch_size(self) -> int:
        if self.batch is not None:
            return self.batch
        most = min(self.n_trials, _MOST_AT_ONCE)
        return min(most, self.launcher.at_a_time(most)) if isinstance(self.launcher, ProcessLauncher) else 1


def _show(study: SearchStudy, written: Path) -> None:
    console = Console(file=sys.stdout)
    wide = console if console.is_terminal else Console(file=console.file, width=200)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("trial", *study.space, *study.objectives):
        table.add_column(name, justify="right", overflow="fold")
    for t in study.front():
        table.add_row(str(t.number), *(_short(t.params[key]) for key in study.space), *map(_short, t.values))
    trials, what = len(study.study.trials), " and ".join(study.objectives)
    wide.print(f"\nnone of {trials} trials beats these in {what}:", highlight=False)
    wide.print(table)
    wide.print(f"written to {shown(written.resolve())}", soft_wrap=True, highlight=False)


def _folder(job: JobReturn) -> Path:
    """The run folder of a job, whichever launcher ran it."""
    assert job.hydra_cfg is not None
    return Path(str(job.hydra_cfg.hydra.runtime.output_dir))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def register_sweeper() -> None:
    """Make `hydra/sweeper=optuna` known to Hydra; it goes before another package's of that name."""
    if _PLUGIN in sys.modules:
        return
    register_plugin(OptunaSweeper, __name__, _PLUGIN)
    ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=OptunaSweeperConfig, provider="autogrow")
