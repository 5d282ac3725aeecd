"""Finished runs, read from their folders: what a comparison is made of.
Only `result.json`, the data card and the ledger are read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from autogrow.errors import CheckpointError, ConfigError
from autogrow.policy.history import Row
from autogrow.train.record.folder import (
    CONFIG,
    LEDGER,
    RESULT,
    TRIALS,
    is_complete,
    read_card,
    read_result,
    read_trials,
)
from autogrow.train.record.ledger import read_ledger

_NEEDED = ("task", "seed", "val", "test", "epochs", "widths", "parameters", "flops_per_sample",
           "train_flops", "eval_flops", "seconds")  # fmt: skip
_NEEDED_OF_CARD = ("name", "fingerprint", "split", "splits")


@dataclass(frozen=True)
class Run:
    """One finished run. `folder` as it was found, `name` relative to the folder that is compared."""

    folder: Path
    name: str
    result: Mapping[str, Any]
    card: Mapping[str, Any]

    @property
    def seed(self) -> int:
        """The seed of weights, batches and new units."""
        return int(self.result["seed"])

    @property
    def pair(self) -> tuple[int, str]:
        """Runs that agree in this saw the same batches of the same split: they are compared one by one."""
        return self.seed, f"{self.card['split']}, {sorted(self.card['splits'].items())}"

    @property
    def metric(self) -> str:
        """'error' (a fraction) or 'rmse' (in units of the target)."""
        return "error" if self.result["task"] == "classification" else "rmse"

    @property
    def measures(self) -> dict[str, float]:
        """What arms are compared by. What a search spent on all its trials is its cost,
        not what the chosen net took.
        """
        r, m = self.result, self.metric
        spent = {**r, **r.get("search_cost", {})}
        return {
            f"test_{m}": r["test"][m],
            "test_loss": r["test"]["loss"],
            f"val_{m}": r["val"][m],
            "val_loss": r["val"]["loss"],
            **{k: spent[k] for k in ("train_flops", "eval_flops", "seconds")},
            **{k: r[k] for k in ("parameters", "flops_per_sample", "epochs")},
        }

    @cached_property
    def rows(self) -> list[Row]:
        """Its checks."""
        return read_ledger(self.folder)

    @cached_property
    def trials(self) -> list[dict[str, Any]]:
        """The trials of a search, in the order they were run; none for any other run."""
        return read_trials(self.folder)


@dataclass(frozen=True)
class Found:
    """What lies below a folder: finished runs, and in words what had to be left out."""

    runs: tuple[Run, ...]
    left_out: tuple[str, ...]


def find_runs(folder: Path) -> Found:
    """Every finished run below `folder` (not `folder` itself), in the order of their names.

    Raises ConfigError where there is no run, or runs of different data sets.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not there: it is not a run folder, nor a folder of runs")
    runs, left_out = [], []
    for path in _run_folders(folder):
        name = str(path.relative_to(folder))
        if not is_complete(path):
            left_out.append(f"{name} is not finished and left out; go on with: autogrow fit resume={path}")
            continue
        try:
            runs.append(read_run(path, name))
        except CheckpointError as error:
            left_out.append(f"{error}: left out")
    if not runs:
        unfinished = f" ({left_out[0]})" if left_out else ""
        raise ConfigError(f"{folder} holds no finished run (no {RESULT} below it){unfinished}")
    _check_one_data_set(folder, runs)
    return Found(tuple(runs), tuple(left_out))


def read_run(folder: Path, name: str = "") -> Run:
    """A finished run. Raises CheckpointError, in one line, for a folder that does not hold a whole one."""
    name = name or str(folder)
    result, card = read_result(folder, _NEEDED, name=name), read_card(folder, _NEEDED_OF_CARD, name=name)
    if not (folder / LEDGER).is_file():
        raise CheckpointError(f"{name}: there is no {LEDGER}")
    return Run(folder, name, result, card)


def _run_folders(folder: Path) -> Iterator[Path]:
    """Folders that hold a run. What lies below a run (the trials of a search) is the run's own."""
    for path, folders, files in os.walk(folder):
        here = Path(path)
        if here != folder and (RESULT in files or LEDGER in files or (CONFIG in files and TRIALS in files)):
            folders.clear()
            yield here
        folders.sort(key=natural)


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key that has job 10 behind job 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.replace("-", "_").split("_")]


def _check_one_data_set(folder: Path, runs: Sequence[Run]) -> None:
    sets: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        sets.setdefault((run.result["task"], str(run.card["fingerprint"])), []).append(run)
    if len(sets) > 1:
        words = "; ".join(
            f"{members[0].card['name']} {fingerprint[:8]}: {len(members)} such as {members[0].name}"
            for (_, fingerprint), members in sets.items()
        )
        raise ConfigError(f"{folder} holds runs of different data sets, which cannot be compared ({words})")
