"""Where the jobs of a sweep run: here, on a SLURM cluster through submitit, on a Ray cluster.
All see the same folders.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from autogrow.children.child import Child, Process, Start, run_to_end
from autogrow.errors import ConfigError, nearest
from autogrow.train.record.files import open_to_append

EXECUTORS = ("process", "submitit_local", "submitit_slurm", "ray")
_DAY = 24 * 60  # minutes; submitit's own default is 5


def start_on(
    executor: str, folder: Path, cpus: int, gpus: int, options: Mapping[str, Any], here: Start = Process
) -> Start:
    """What starts a command with `executor`. `folder` is the sweep's; `options` are the engine's own; `here` starts it
    on this machine.

    Raises ConfigError for an executor that does not exist, is not installed, or is not to be had on this machine.
    """
    if executor == "process":
        if options:
            raise ConfigError(
                f"hydra.launcher.options are for submitit and ray; executor=process takes none: {options}"
            )
        return here
    if executor in ("submitit_local", "submitit_slurm"):
        return _submitit(executor.removeprefix("submitit_"), folder, cpus, gpus, options)
    if executor == "ray":
        return _ray(cpus, gpus, options)
    raise ConfigError(f"hydra.launcher.executor={executor} does not exist; {nearest(executor, EXECUTORS)}")


def _arguments(command: Sequence[str], log: IO[bytes], cpus: int) -> tuple[list[str], str, dict[str, str], str]:
    threads = os.environ.get("OMP_NUM_THREADS", str(cpus))
    return list(command), str(Path(log.name).resolve()), {"OMP_NUM_THREADS": threads}, str(Path.cwd())


def _submitit(cluster: str, folder: Path, cpus: int, gpus: int, options: Mapping[str, Any]) -> Start:
    try:
        import submitit
    except ImportError:
        raise ConfigError("this executor needs submitit: pip install 'autogrow[slurm]'") from None
    given = {"timeout_min": _DAY, "cpus_per_task": cpus, **({"gpus_per_node": gpus} if gpus else {}), **options}
    try:
        executor = submitit.AutoExecutor(folder=str(folder / ".submitit"), cluster=cluster)
        executor.update_parameters(**given)
    except (RuntimeError, NameError, ValueError, TypeError) as error:
        raise ConfigError(f"submitit cannot use this: {' '.join(str(error).split())}") from error

    def start(command: Sequence[str], log: IO[bytes], _environment: Mapping[str, str] | None) -> Child:
        job = executor.submit(run_to_end, *_arguments(command, log, cpus))
        return SubmititChild(job, Path(log.name), here=cluster == "local")

    return start


class SubmititChild:
    """A job of submitit's: its result is the command's exit code."""

    def __init__(self, job: Any, log: Path, *, here: bool) -> None:
        self._job, self._log, self._here, self._asked = job, log, here, False

    def poll(self) -> int | None:
        """Its exit code, None while it waits or runs."""
        if not self._job.done():
            return None
        error = self._job.exception()
        if error is not None and self._asked:
            return 143
        if error is not None:  # the cluster's, not the command's: the node went away, the time was over
            with open_to_append(self._log) as log:
                log.write(f"{self._job.job_id}: {' '.join(str(error).split())}\n".encode())
            return 1
        return int(self._job.result())

    def terminate(self) -> None:
        """Cancel it: the cluster asks it to end, and waits as long as it is set up to."""
        self._asked = True
        if self._here:  # submitit's own way would kill after a second; a local job's id is its process
            with suppress(ProcessLookupError):
                os.kill(int(self._job.job_id), signal.SIGTERM)
        else:
            self._job.cancel(check=False)

    def kill(self) -> None:
        """Cancel it again; nothing stronger is to be had through a queue."""
        self._job.cancel(check=False)


def _ray(cpus: int, gpus: int, options: Mapping[str, Any]) -> Start:
    try:
        import ray
    except ImportError:
        raise ConfigError("hydra.launcher.executor=ray needs Ray: pip install 'autogrow[ray]'") from None
    if not ray.is_initialized():
        try:
            ray.init(**{"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR, **options})
        except (RuntimeError, ValueError, TypeError, ConnectionError) as error:
            raise ConfigError(f"Ray cannot use this: {' '.join(str(error).split())}") from error
    remote = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(run_to_end)

    def start(command: Sequence[str], log: IO[bytes], _environment: Mapping[str, str] | None) -> Child:
        return RayChild(ray, remote.remote(*_arguments(command, log, cpus)), Path(log.name))

    return start


class RayChild:
    """A task of Ray's: its value is the command's exit code."""

    def __init__(self, ray: Any, task: Any, log: Path) -> None:
        self._ray, self._task, self._log = ray, task, log

    def poll(self) -> int | None:
        """Its exit code, None while it waits or runs."""
        ready, _ = self._ray.wait([self._task], timeout=0)
        if not ready:
            return None
        try:
            return int(self._ray.get(self._task))
        except self._ray.exceptions.TaskCancelledError:
            return 143
        except self._ray.exceptions.RayError as error:
            with open_to_append(self._log) as log:
                log.write(f"Ray: {str(error).strip().splitlines()[-1]}\n".encode())
            return 1

    def terminate(self) -> None:
        """Interrupt it: the worker asks the command to end."""
        self._ray.cancel(self._task)

    def kill(self) -> None:
        """End its worker."""
        self._ray.cancel(self._task, force=True)
