"""What a command does with a composed config, and what became of the jobs of its sweep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from autogrow.children.jobs import FAILED, Outcome, last_line
from autogrow.children.warm import WarmProcesses
from autogrow.errors import AutogrowError, ConfigError, InterruptedRunError, TrainingError


@dataclass
class Task:
    """The function that Hydra calls with a config, under the name of its command.
    Launchers leave here how the jobs ended.
    """

    command: str
    run: Callable[[DictConfig], Any]
    failures: list[AutogrowError] = field(default_factory=list)  # of runs in this process
    outcomes: list[Outcome] = field(default_factory=list)  # of runs in processes of their own
    folder: Path | None = None  # of the sweep
    warm: WarmProcesses = field(default_factory=WarmProcesses)  # for the jobs of all batches of a sweep
    chooses: bool = False  # a search chooses among its jobs: their test figures are not shown

    def __call__(self, cfg: DictConfig) -> Any:
        """Run it."""
        return self.run(cfg)

    def raise_failures(self) -> None:
        """Raise what went wrong, in one line: a run's own error, or how many jobs of a sweep failed and where."""
        failed = [(number, o) for number, o in enumerate(self.outcomes) if o.state == FAILED]
        if failed:
            first, outcome = failed[0]
            log = f"; see {outcome.job.log}" if outcome.seconds else ""
            others = f" (and job {', '.join(str(number) for number, _ in failed[1:])})" if len(failed) > 1 else ""
            raise TrainingError(
                f"{len(failed)} of {len(self.outcomes)} jobs failed in {self.folder}: job {first} ({outcome.job.name}): {why(outcome)}"
                f"{log}{others}; with hydra.sweep.dir={self.folder} the same command tries them again and skips what is done"
            )
        if self.failures:
            more = f" (and {len(self.failures) - 1} more jobs failed)" if len(self.failures) > 1 else ""
            if more:
                raise TrainingError(f"{self.failures[0]}{more}") from self.failures[0]
            raise self.failures[0]


def check_sweeps(command: str) -> None:
    """Raise ConfigError for a command that does not sweep, where a config file asks for it."""
    if command != "fit":
        raise ConfigError(f"{command} is no sweep: -m, and hydra.mode: MULTIRUN in a config file, are for autogrow fit")


def why(outcome: Outcome) -> str:
    """Why a job failed: the error that its command printed last."""
    said = last_line(outcome.job.log) if outcome.code not in (None, 0) and outcome.seconds else ""
    return said.removeprefix("autogrow: ") or outcome.message


class InterruptedSweepError(InterruptedRunError):
    """The sweep was asked to end: what is finished is whole, what was under way can go on."""

    def __init__(self, code: int, words: str) -> None:
        AutogrowError.__init__(self, words)
        self.exit_code = code
