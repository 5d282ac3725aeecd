"""A sweep as plain data: what was swept, what each setting found on validation and cost, and what did not finish.

Jobs are read from their folders: what was typed for each from the first line of its log, what it found from its result.
Settings are ranked by validation; a test figure stands beside them and ranks nothing.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from autogrow.children.jobs import last_line
from autogrow.compare.read.runs import Run, natural, read_run
from autogrow.compare.read.statistics import mean
from autogrow.errors import CheckpointError, ConfigError
from autogrow.overrides import key_of
from autogrow.train.record.folder import LEDGER, LOG, MULTIRUN, RESULT, STUDY, is_complete, plain_yaml

REPEATS = ("seed", "data.split_seed")
"""Keys that repeat a setting and do not make one."""

MEASURES = ("train_flops", "parameters", "flops_per_sample", "seconds")


@dataclass(frozen=True)
class Swept:
    """One job: its folder's name, what was typed for it, the run where it has finished, else why it has not."""

    name: str
    typed: Mapping[str, str]
    run: Run | None
    why: str = ""


@dataclass
class Cell:
    """A setting of what was swept, and its jobs."""

    settings: dict[str, str]
    jobs: list[Swept] = field(default_factory=list)

    @property
    def runs(self) -> list[Run]:
        """Those that have finished."""
        return [job.run for job in self.jobs if job.run is not None]


def is_sweep(folder: Path) -> bool:
    """Whether a folder is that of a sweep: Hydra leaves the config of the whole in it."""
    return (folder / MULTIRUN).is_file()


def read_sweep(folder: Path, failed: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What the jobs below a sweep's folder are and found.

    failed: why jobs failed that is known, by their folders' names. Raises ConfigError where there is no job.
    """
    failed = failed or {}
    jobs = [_job(folder, path, failed) for path in _job_folders(folder)]
    there = {job.name for job in jobs}
    jobs += [Swept(name, {}, None, why) for name, why in failed.items() if name not in there]
    if not jobs:
        raise ConfigError(f"{folder} holds no job of a sweep: neither a log nor a {RESULT} lies below it")
    varied = varied_keys([job.typed for job in jobs if job.typed])  # of some nothing is known but why they failed
    keys = [key for key in varied if key not in REPEATS]
    done = [job.run for job in jobs if job.run is not None]
    return {
        "name": folder.resolve().name,
        "keys": keys,
        "repeated": [key for key in varied if key in REPEATS],
        "chooses": (folder / STUDY).is_file(),
        "jobs": len(jobs),
        "done": len(done),
        "sets": [_set(runs_on, jobs, keys) for runs_on in _by_data(done)],
        "failures": [
            {"name": job.name, "message": job.why, "log": f"{job.name}/{LOG}"} for job in jobs if job.run is None
        ],
        "versions": done[0].result.get("versions", {}) if done else {},
        "command": _command(folder),
    }


def can_be_compared(sweep: Mapping[str, Any]) -> bool:
    """Whether a sweep holds what a comparison is made of: several settings of one set of data, each with several seeds.

    Not a search's: it chose among its trials.
    """
    if len(sweep["sets"]) != 1 or sweep["chooses"]:
        return False
    repeated = [cell for cell in sweep["sets"][0]["cells"] if len({run["seed"] for run in cell["runs"]}) > 1]
    return len(repeated) > 1


def varied_keys(typed: Sequence[Mapping[str, str]]) -> list[str]:
    """The keys that the jobs of a sweep do not share, in the order in which they were typed.

    >>> varied_keys([{"data": "iris", "growth": "gap", "seed": "0"}, {"data": "iris", "growth": "never", "seed": "0"}])
    ['growth']
    """
    keys = dict.fromkeys(key for one in typed for key in one)
    return [key for key in keys if len({one.get(key) for one in typed}) > 1]


def _job_folders(folder: Path) -> Iterator[Path]:
    """Folders below a sweep's that hold a job, in the order of their names; what lies below a job is its own."""
    for path, folders, files in os.walk(folder):
        here = Path(path)
        if here != folder and {RESULT, LEDGER, LOG}.intersection(files):
            folders.clear()
            yield here
        folders.sort(key=natural)


def _job(folder: Path, path: Path, failed: Mapping[str, str]) -> Swept:
    name = path.relative_to(folder).as_posix()
    typed = typed_for(path)
    if name in failed:
        return Swept(name, typed, None, failed[name])
    if not is_complete(path):
        return Swept(name, typed, None, _why(path / LOG))
    try:
        run = read_run(path, name)
    except CheckpointError as error:
        return Swept(name, typed, None, str(error))
    return Swept(name, typed or _overrides(str(run.result.get("command", ""))), run)


def _why(log: Path) -> str:
    """Why a job has no result: the error that its command printed last, else where it stands."""
    said = last_line(log)
    if said.startswith(_ERROR):
        return said.removeprefix(_ERROR)
    return f"has not finished; its log ends with: {said}" if said else "was ended before it said anything"


_ERROR = "autogrow: "


def typed_for(folder: Path) -> dict[str, str]:
    """What was typed for a job, by key: the first line of its log. Empty where it has none."""
    log = folder / LOG
    if not log.is_file():
        return {}
    with log.open(encoding="utf-8", errors="replace") as file:
        return _overrides(file.readline())


def _overrides(line: str) -> dict[str, str]:
    try:
        words = shlex.split(line)
    except ValueError:  # a line of something else
        return {}
    pairs = (word.partition("=")[::2] for word in words if "=" in word and not word.startswith("-"))
    return {key.lstrip("+~"): value for key, value in pairs if key_of(key).partition(".")[0] not in ("hydra", "resume")}


def _by_data(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs of the same data: only they have errors that can be ranked."""
    sets: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        sets.setdefault((run.result["task"], str(run.card["fingerprint"])), []).append(run)
    return list(sets.values())


def _set(runs: Sequence[Run], jobs: Sequence[Swept], keys: Sequence[str]) -> dict[str, Any]:
    """The settings of one set of data, the best on validation first."""
    metric = runs[0].metric
    on = {id(run) for run in runs}
    cells: dict[tuple[str, ...], Cell] = {}
    for job in jobs:
        settings = {key: job.typed.get(key, "") for key in keys}
        cells.setdefault(tuple(settings.values()), Cell(settings)).jobs.append(job)
    told = [cell for cell in cells.values() if any(id(run) in on for run in cell.runs)]
    whole = [cell for cell in told if len(cell.runs) == len(cell.jobs)] or told
    best = min(whole, key=lambda cell: _rank(cell, metric))
    ordered = sorted(told, key=lambda cell: (cell is not best, _rank(cell, metric)))
    return {
        "data": runs[0].card["name"],
        "task": runs[0].result["task"],
        "metric": metric,
        "rows": dict(runs[0].card["splits"]),
        "cells": [_cell(cell, metric) | {"best": cell is best} for cell in ordered],
    }


def _rank(cell: Cell, metric: str) -> tuple[float, ...]:
    """Validation alone: the error, and between equals the loss, then what training cost."""
    names = (f"val_{metric}", "val_loss", "train_flops")
    return tuple(fmean(run.measures[name] for run in cell.runs) for name in names)


def _cell(cell: Cell, metric: str) -> dict[str, Any]:
    names = (f"val_{metric}", "val_loss", f"test_{metric}", *MEASURES)
    return {
        "settings": cell.settings,
        "missing": len(cell.jobs) - len(cell.runs),
        "mean": {name: asdict(mean([run.measures[name] for run in cell.runs])) for name in names},
        "runs": [
            {
                "name": run.name,
                "seed": run.seed,
                "widths": list(run.result["widths"]),
                **{name: run.measures[name] for name in names},
            }
            for run in cell.runs
        ],
    }


def _command(folder: Path) -> str:
    """The command that the sweep was typed as, as far as its config says; empty where it does not."""
    try:
        whole = plain_yaml((folder / MULTIRUN).read_text(encoding="utf-8"), MULTIRUN)
        typed = whole["hydra"]["overrides"]
        given = [*typed["task"], *(word for word in typed["hydra"] if not word.startswith(_OF_THE_FOLDER))]
        own = [source["path"] for source in whole["hydra"]["runtime"]["config_sources"] if source["provider"] == _TYPED]
        given = [*(word for path in own for word in ("--config-dir", path)), *given]
    except (OSError, UnicodeDecodeError, CheckpointError, KeyError, TypeError):  # another launcher's, or none
        return ""
    return shlex.join(["autogrow", "fit", "-m", *map(str, given), f"hydra.sweep.dir={folder}"])


_OF_THE_FOLDER = ("hydra.sweep.", "hydra.mode=")
_TYPED = "command-line"
"""What Hydra calls a folder of configs that was typed."""
