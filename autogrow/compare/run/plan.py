"""From arms and seeds to child processes: each run in a folder of its own,
the grown run of a seed before those that follow from it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autogrow.children.jobs import FINISHED, SINGLE, Job, Outcome
from autogrow.compare.arms import GROW, SEED, Arm, facts_of
from autogrow.compare.read.comparison import run_folder
from autogrow.compare.read.grouping import read_plan
from autogrow.compare.read.runs import read_run
from autogrow.errors import ConfigError
from autogrow.overrides import quoted
from autogrow.train.record.files import write_json
from autogrow.train.record.folder import PLAN


@dataclass(frozen=True)
class Plan:
    """What is to be run into `folder`. `overrides`: what was typed for every arm; `search`: what was typed for searches
    alone; `options`: further arguments of every command (--config-dir and its like). `fingerprint`: of the data.
    """

    folder: Path
    title: str
    command: str
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    overrides: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    target: float | None = None
    jobs: int = 1
    environment: Mapping[str, str] | None = None
    fingerprint: str = ""

    def first_jobs(self) -> list[Job]:
        """The jobs that wait for nothing: seed by seed, the grown run first."""
        return [self._job(arm, {SEED: seed}) for seed in self.seeds for arm in self._grow_first() if not arm.follows]

    def then(self, outcome: Outcome) -> list[Job]:
        """The jobs that follow from one that has ended: from a grown run all that take over its net or its cost."""
        done = {self.folder / run_folder(GROW, seed) for seed in self.seeds}
        if outcome.job.folder not in done or outcome.state not in FINISHED:
            return []
        run = read_run(outcome.job.folder)
        facts = facts_of(run.result, run.rows)
        return [self._job(arm, facts) for arm in self.arms if arm.follows]

    def names(self) -> list[tuple[str, int]]:
        """Every run as (arm, seed)."""
        return [(arm.name, seed) for seed in self.seeds for arm in self.arms]

    def write(self) -> None:
        """Keep it in the folder, so that a comparison of it can be built at any time.
        Arms and seeds of an earlier plan stay in it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        before, plain = read_plan(self.folder), self.to_plain()
        plain["arms"] |= {name: arm for name, arm in before.get("arms", {}).items() if name not in plain["arms"]}
        plain["seeds"] = sorted({*plain["seeds"], *before.get("seeds", [])})
        write_json(self.folder / PLAN, plain)

    def to_plain(self) -> dict[str, Any]:
        """What of it is kept."""
        return {
            "version": 1,
            "title": self.title,
            "command": self.command,
            "overrides": [*self.overrides, *self.search],
            "arms": {arm.name: {k: v for k, v in asdict(arm).items() if k != "name"} for arm in self.arms},
            "seeds": list(self.seeds),
            "target": self.target,
            "jobs": self.jobs,
            "fingerprint": self.fingerprint,
        }

    def _grow_first(self) -> list[Arm]:
        return sorted(self.arms, key=lambda arm: arm.name != GROW)

    def _job(self, arm: Arm, facts: Mapping[str, Any]) -> Job:
        seed = facts[SEED]
        folder = self.folder / run_folder(arm.name, seed)
        start = (sys.executable, "-m", "autogrow")
        typed = [*self.overrides, *(self.search if arm.command != "fit" else ())]
        own = arm.filled([*typed, f"seed={seed}"], facts)
        return Job(
            command=(*start, arm.command, *self.options, *own, f"hydra.run.dir={quoted(folder)}", SINGLE),
            folder=folder,
            name=f"{arm.name} seed {seed}",
            # said again: a class of one's own is used only where the command line names it
            resume=(*start, "fit", *self.options, *own, f"resume={quoted(folder)}", SINGLE)
            if arm.command == "fit"
            else None,
            environment=self.environment,
        )


def seeds_from(value: Any) -> tuple[int, ...]:
    """`seeds`: n for 0 … n − 1, or a list.

    >>> seeds_from(3), seeds_from([0, 4])
    ((0, 1, 2), (0, 4))
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and value >= 1:
        return tuple(range(value))
    many = isinstance(value, Sequence) and not isinstance(value, str)
    if not whole and not many:
        raise ConfigError(f"seeds must be a whole number (5 means 0 … 4) or a list such as [0,3], got {value!r}")
    if whole or not value:
        raise ConfigError(f"seeds must name at least one seed (5 means 0 … 4), got {value!r}")
    for seed in value:
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise ConfigError(f"seeds must be whole numbers of at least 0, got {seed!r} in {list(value)}")
    if len(set(value)) < len(value):
        raise ConfigError(f"seeds must differ, got {list(value)}")
    return tuple(value)
