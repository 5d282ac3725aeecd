"""The launcher as Hydra knows it: `hydra/launcher=process`, and its settings."""

from __future__ import annotations

import shlex
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from autogrow.children.child import cores
from autogrow.children.jobs import FINISHED, INTERRUPTED, SINGLE, WAITING, Job, Outcome, environment, run_jobs
from autogrow.errors import ConfigError, InterruptedRunError, TrainingError
from autogrow.launcher.board import Board
from autogrow.launcher.engines import start_on
from autogrow.launcher.naming import folder_name, label, swept
from autogrow.launcher.same_data import SweptData
from autogrow.launcher.summary import shown
from autogrow.launcher.task import InterruptedSweepError, Task, check_sweeps, why
from autogrow.overrides import quoted_if_needed
from autogrow.train.record.progress import result_of

_PLUGIN = "hydra_plugins.autogrow_launcher"  # Hydra 1.3 takes plugins from this name space only
BY_NUMBER = "${hydra.job.num}"  # the shipped hydra.sweep.subdir: this launcher has names that say more
TRIAL_FOLDERS = "hydra.sweep.subdir='trial_${hydra.job.num}'"  # the sweeper's own
_OURS = (
    "hydra.sweep.",
    "hydra.launcher",
    "hydra/launcher",
    "hydra.sweeper",
    "hydra/sweeper",
    "hydra.run.",
    "hydra.mode",
)


@dataclass
class ProcessLauncherConfig:
    """How the jobs of a sweep are run.

    jobs: how many runs at a time; 0: one per core; null: one here, all of them on a cluster.
    executor: process, submitit_local, submitit_slurm or ray.
    cpus: of a job, for submitit and ray.
    gpus: of a job, for submitit and ray.
    options: what submitit's update_parameters takes (slurm_partition, timeout_min, …), or ray.init (address, …).
    """

    _target_: str = f"{_PLUGIN}.ProcessLauncher"
    jobs: int | None = None
    executor: str = "process"
    cpus: int = 1
    gpus: int = 0
    options: dict[str, Any] = field(default_factory=dict)


class ProcessLauncher(Launcher):
    """Runs each job of a sweep as `python -m autogrow <command> <its overrides>`."""

    def __init__(
        self,
        jobs: int | None = None,
        executor: str = "process",
        cpus: int = 1,
        gpus: int = 0,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.jobs, self.executor, self.cpus, self.gpus, self.options = jobs, executor, cpus, gpus, options or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what `launch` needs. Raises ConfigError for settings that cannot be."""
        if self.jobs is not None and self.jobs < 0:
            raise ConfigError(f"hydra.launcher.jobs must be at least 0 (0: one per core), got {self.jobs}")
        if self.cpus < 1 or self.gpus < 0:
            raise ConfigError(f"a job needs hydra.launcher.cpus of at least 1, got {self.cpus}, and gpus of at least 0")
        self.context, self.config = hydra_context, config
        assert isinstance(task_function, Task)
        check_sweeps(task_function.command)
        self.task = task_function
        self.task.folder = shown(Path(str(config.hydra.sweep.dir)).resolve())
        self.data = SweptData(self.task.folder, f"hydra.sweep.dir={quoted_if_needed(self.task.folder)}")
        self.start = start_on(
            self.executor, self.task.folder.resolve(), self.cpus, self.gpus, self.options, self.task.warm.start
        )

    def at_a_time(self, jobs: int) -> int:
        """How many of so many jobs run side by side."""
        if self.jobs is None:
            return 1 if self.executor == "process" else jobs
        return self.jobs or (cores() if self.executor == "process" else jobs)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs and say of each how it ended. Raises InterruptedSweepError on Ctrl-C and SIGTERM."""
        if not job_overrides:
            raise ConfigError("the sweep has no jobs: one of its ranges or choices is empty")
        side_by_side = self.at_a_time(len(job_overrides))
        environ = environment(side_by_side)
        numbered = enumerate(job_overrides, initial_job_idx)
        composed = [self._job(number, list(overrides), environ) for number, overrides in numbered]
        jobs = [job for job, _ in composed]
        self.data.check([(job.folder, cfg) for job, cfg in composed])
        with Board(jobs, initial_job_idx) as board:
            try:
                run_jobs(jobs, side_by_side, board.change, start=self.start)
            except InterruptedRunError as error:
                raise self._interrupted(error, [*self.task.outcomes, *board.outcomes]) from None
        self.task.outcomes += board.outcomes
        return [self._returned(outcome, cfg) for outcome, (_, cfg) in zip(board.outcomes, composed, strict=True)]

    def _job(self, number: int, overrides: list[str], environ: dict[str, str]) -> tuple[Job, DictConfig]:
        cfg = self.context.config_loader.load_sweep_config(self.config, overrides)
        named = swept(self._typed("task"), overrides)
        by_number = subdir(cfg) == BY_NUMBER
        with open_dict(cfg):
            cfg.hydra.job.id = cfg.hydra.job.num = number
            if by_number:
                cfg.hydra.sweep.subdir = folder_name(named)
            folder = (Path(str(cfg.hydra.sweep.dir)) / str(cfg.hydra.sweep.subdir)).resolve()
            cfg.hydra.runtime.output_dir = str(folder)
        python = [sys.executable, "-m", "autogrow", self.task.command]
        where = [*self._config_dir(), *(o for o in self._typed("hydra") if not o.startswith(_OURS))]
        own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
        job = Job(
            (*python, *where, *overrides, f"hydra.run.dir={quoted_if_needed(folder)}", SINGLE),
            shown(folder),
            label(named),
            # said again: a class of one's own is used only where the command line names it
            resume=(*python, *where, *overrides, f"resume={quoted_if_needed(folder)}", SINGLE)
            if self.task.command == "fit"
            else None,
            environment=environ,
            config=OmegaConf.to_yaml(own, resolve=True),
        )
        return job, cfg

    def _typed(self, kind: str) -> list[str]:
        """What was typed: the overrides of the 'task', those of 'hydra'; as they were, interpolations in them too."""
        typed: Any = OmegaConf.to_container(self.config.hydra.overrides, resolve=False)
        return [str(o) for o in typed[kind]]

    def _config_dir(self) -> list[str]:
        """The --config-dir that this sweep was given, for its jobs."""
        sources = self.config.hydra.runtime.config_sources
        return [a for s in sources if s.provider == "command-line" for a in ("--config-dir", str(s.path))]

    def _returned(self, outcome: Outcome, cfg: DictConfig) -> JobReturn:
        returned = JobReturn()
        returned.cfg, returned.overrides = cfg, cfg.hydra.overrides.task
        returned.hydra_cfg = OmegaConf.masked_copy(cfg, "hydra")
        returned.working_dir = str(outcome.job.folder)
        done = result_of(outcome.job.folder) if outcome.state in FINISHED else None
        # Hydra's own sweeper would leave out the batches behind a failed job; the task tells at the end what failed
        basic = "BasicSweeper" in str(self.config.hydra.sweeper.get("_target_"))
        returned.status = JobStatus.COMPLETED if basic or done is not None else JobStatus.FAILED
        if done is not None:
            returned.return_value = done["val"]["loss"]
        elif not basic:
            returned.return_value = TrainingError(why(outcome))
        return returned

    def _interrupted(self, error: InterruptedRunError, outcomes: list[Outcome]) -> InterruptedSweepError:
        """What is done, what can go on, and the command that goes on with it."""
        states = [outcome.state for outcome in outcomes]
        done = sum(state in FINISHED for state in states)
        given = [*self._typed("task"), *self._typed("hydra")]
        given = [o for o in given if not o.startswith(("hydra.sweep.dir=", "hydra.mode=")) and o != TRIAL_FOLDERS]
        typed = [
            self.task.command,
            "-m",
            *self._config_dir(),
            *given,
            f"hydra.sweep.dir={quoted_if_needed(self.task.folder)}",
        ]
        return InterruptedSweepError(
            error.exit_code,
            f"{error}: {done} jobs are done, {states.count(INTERRUPTED)} can go on, {states.count(WAITING)} have not begun;"
            f" go on with: autogrow {shlex.join(typed)}",
        )


def subdir(cfg: DictConfig) -> str:
    """`hydra.sweep.subdir` as it was written, before a job's number is put in."""
    plain: Any = OmegaConf.to_container(cfg.hydra.sweep, resolve=False)
    return str(plain["subdir"])


def register_plugin(cls: type[Any], name: str, alias: str) -> None:
    """Make a class known to Hydra as a plugin, from a checkout as from a wheel."""
    try:
        import hydra_plugins  # another package's, where there is one
    except ImportError:
        hydra_plugins = types.ModuleType("hydra_plugins")
        hydra_plugins.__path__ = []
        sys.modules["hydra_plugins"] = hydra_plugins
    sys.modules[alias] = sys.modules[name]
    cls.__module__ = alias
    Plugins.instance().register(cls)


def register_launcher() -> None:
    """Make `hydra/launcher=process` known to Hydra."""
    if _PLUGIN in sys.modules:
        return
    register_plugin(ProcessLauncher, __name__, _PLUGIN)
    ConfigStore.instance().store(
        group="hydra/launcher", name="process", node=ProcessLauncherConfig, provider="autogrow"
    )
