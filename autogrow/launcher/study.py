"""The record of a search in its sweep folder: asked, told, resumed; and the YAML of what was found.

The draw of a trial depends on the seed, its number and the trials before its batch, and a batch is told in the order of
its numbers: a search that is interrupted and goes on is the search that never was, whatever order its jobs end in.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from autogrow.errors import ConfigError, nearest
from autogrow.train.record.files import open_to_append, write_atomically
from autogrow.train.record.folder import SOLUTIONS, STUDY

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

_NAME = "autogrow"
SAMPLERS = ("tpe", "nsga2", "random")


class SearchStudy:
    """An Optuna study in `folder`. `space` has one distribution a key;
    `rest` describes what else makes the search what it is.

    Raises ConfigError where the folder holds another search.
    """

    def __init__(
        self,
        folder: Path,
        space: Mapping[str, BaseDistribution],
        *,
        objectives: Sequence[str],
        directions: Sequence[str],
        sampler: str,
        seed: int,
        rest: Sequence[str],
    ) -> None:
        import optuna
        from optuna.distributions import distribution_to_json
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
        from optuna.study import StudyDirection

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder, self.space, self.objectives = folder, dict(space), list(objectives)
        self._sampler, self._seed = sampler, seed
        identity = {
            "objectives": [f"{d} {o}" for o, d in zip(objectives, directions, strict=True)],
            "sampler": f"{sampler}, seed {seed}",
            "space": [f"{key}: {distribution_to_json(d)}" for key, d in self.space.items()],
            "overrides": list(rest),
        }
        open_to_append(folder / STUDY).close()  # Optuna would write through a link
        storage = JournalStorage(JournalFileBackend(str(folder / STUDY)))
        try:
            self.study = optuna.load_study(study_name=_NAME, storage=storage)
        except KeyError:
            towards = [StudyDirection[word.upper()] for word in directions]
            self.study = optuna.create_study(study_name=_NAME, storage=storage, directions=towards)
        if "search" not in self.study.user_attrs:
            self.study.set_user_attr("search", identity)
        for name, before in self.study.user_attrs["search"].items():
            if before != identity[name]:
                raise ConfigError(
                    f"{folder} holds a search with other {name} ({before}, now {identity[name]}); give another hydra.sweep.dir"
                )

    def batch(self, numbers: Sequence[int], *, side_by_side: bool) -> list[FrozenTrial]:
        """The trials of these numbers that are still to be told: asked for now, or before an interruption."""
        from optuna.trial import TrialState

        for number in numbers:
            if number < len(self.study.trials):
                continue
            self.study.sampler = self._drawing(number, side_by_side=side_by_side)
            self.study.ask(self.space)
        trials = [self.study.trials[number] for number in numbers]
        for trial in trials:
            if trial.state == TrialState.RUNNING and set(trial.params) != set(self.space):
                self.study.tell(trial.number, state=TrialState.FAIL)  # we were ended while it was drawn
        return [t for t in trials if t.state == TrialState.RUNNING and set(t.params) == set(self.space)]

    def tell(self, number: int, values: Sequence[float] | None) -> None:
        """Record what a trial found; None for one that failed."""
        from optuna.trial import TrialState

        finite = values is not None and all(math.isfinite(value) for value in values)
        self.study.tell(number, values if finite else None, state=TrialState.COMPLETE if finite else TrialState.FAIL)

    def front(self) -> list[FrozenTrial]:
        """The trials that no other beats in every objective: the Pareto set, or the best one."""
        from optuna.trial import TrialState

        if not any(t.state == TrialState.COMPLETE for t in self.study.trials):
            return []
        return sorted(self.study.best_trials, key=lambda t: tuple(t.values))

    def write(self, folders: Mapping[int, str]) -> Path:
        """Write `optimization_results.yaml`: the Pareto set, with the folder of each run."""
        from optuna.trial import TrialState

        states = [t.state for t in self.study.trials]
        found: dict[str, Any] = {
            "name": "optuna",
            "objectives": self.objectives,
            "directions": [d.name.lower() for d in self.study.directions],
            "trials": len(states),
            "failed": states.count(TrialState.FAIL),
            "solutions": [
                {"trial": t.number, "params": dict(t.params), "values": list(t.values), "folder": folders.get(t.number)}
                for t in self.front()
            ],
        }
        write_atomically(self.folder / SOLUTIONS, OmegaConf.to_yaml(OmegaConf.create(found)))
        return self.folder / SOLUTIONS

    def _drawing(self, number: int, *, side_by_side: bool) -> BaseSampler:
        """A sampler for one trial, of a seed of its own: no state to lose between two processes."""
        import numpy as np
        from optuna.samplers import NSGAIISampler, RandomSampler, TPESampler

        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=FutureWarning)  # constant_liar is still called experimental
            match self._sampler:
                case "tpe":
                    return TPESampler(seed=seed, constant_liar=side_by_side)
                case "nsga2":
                    return NSGAIISampler(seed=seed)
                case "random":
                    return RandomSampler(seed=seed)
        raise ConfigError(f"hydra.sweeper.sampler={self._sampler} does not exist; {nearest(self._sampler, SAMPLERS)}")
