"""The launcher of sweeps: every job is a plain single run in a process of its own.

Nothing bleeds from job to job (memory, global state, a DDP process group), a job that fails is recorded and the others go on,
each has its own log, and each can be run again by hand with the command that its log begins with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from autogrow.errors import TrainingError

LOG = "log.txt"
_PLUGIN = "hydra_plugins.autogrow_launcher"  # Hydra 1.3 takes plugins from this name space only


@dataclass
class ProcessLauncherConfig:
    """`hydra.launcher.jobs`: how many runs at a time (0: one per core)."""

    _target_: str = f"{_PLUGIN}.ProcessLauncher"
    jobs: int = 1


class ProcessLauncher(Launcher):
    """Runs each job of a sweep as `python -m autogrow <command> <its overrides>`."""

    command = "fit"

    def __init__(self, jobs: int = 1) -> None:
        self.jobs = jobs if jobs > 0 else os.cpu_count() or 1

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what `launch` needs."""
        self.context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs, `jobs` at a time, and say of each how it ended."""
        with ThreadPoolExecutor(self.jobs) as pool:
            numbered = enumerate(job_overrides, initial_job_idx)
            return list(pool.map(lambda job: self._run(job[0], list(job[1])), numbered))

    def _run(self, number: int, overrides: list[str]) -> JobReturn:
        cfg = self.context.config_loader.load_sweep_config(self.config, overrides)
        with open_dict(cfg):
            cfg.hydra.job.id = cfg.hydra.job.num = number
        folder = (Path(str(cfg.hydra.sweep.dir)) / str(cfg.hydra.sweep.subdir)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        own = [o for o in overrides if not o.startswith("hydra.sweep.")]
        quoted = "'" + str(folder).replace("'", "\\'") + "'"
        command = [sys.executable, "-m", "autogrow", self.command, *own, f"hydra.run.dir={quoted}"]
        line = " ".join(command)
        if _is_done(folder, line):
            code, words, last = 0, "done before", ""
        else:
            with (folder / LOG).open("w", encoding="utf-8") as log:
                log.write(line + "\n")
                log.flush()
                code = subprocess.run(command, stdout=log, stderr=log, env=self._environment(), check=False).returncode
            last = (folder / LOG).read_text(encoding="utf-8").strip().splitlines()[-1]
            words = "done" if code == 0 else f"failed with exit code {code}: {last}"
        print(f"job {number} ({' '.join(own)}): {words}", flush=True)
        result = JobReturn()
        result.cfg, result.overrides, result.working_dir = cfg, overrides, str(folder)
        result.status = JobStatus.COMPLETED if code == 0 else JobStatus.FAILED
        result.return_value = _loss(folder) if code == 0 else TrainingError(f"job {number}: {last}; see {folder / LOG}")
        return result

    def _environment(self) -> dict[str, str]:
        """The environment with threads that share the cores among the jobs that run at a time."""
        threads = str(max(1, (os.cpu_count() or 1) // self.jobs))
        kept = {k: v for k, v in os.environ.items() if k != "HYDRA_FULL_ERROR"}  # set for this process's own errors
        return {**kept, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads)}


def _is_done(folder: Path, line: str) -> bool:
    """Whether this very command has been run to its end in this folder."""
    log = folder / LOG
    done = (folder / "result.json").is_file() and log.is_file()
    return done and log.read_text(encoding="utf-8").startswith(line + "\n")


def _loss(folder: Path) -> Any:
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))["val"]["loss"]


def register_launcher() -> None:
    """Make `hydra/launcher=process` known to Hydra, from a checkout as from a wheel."""
    if _PLUGIN in sys.modules:
        return
    try:
        import hydra_plugins  # another package's, where there is one
    except ImportError:
        hydra_plugins = types.ModuleType("hydra_plugins")
        hydra_plugins.__path__ = []
        sys.modules["hydra_plugins"] = hydra_plugins
    sys.modules[_PLUGIN] = sys.modules[__name__]
    ProcessLauncher.__module__ = _PLUGIN
    Plugins.instance().register(ProcessLauncher)
    ConfigStore.instance().store(
        group="hydra/launcher", name="process", node=ProcessLauncherConfig, provider="autogrow"
    )
