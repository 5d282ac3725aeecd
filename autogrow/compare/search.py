"""Random hyper-parameter search, the expensive way to find a size, charged for every trial.

Each trial is an ordinary run of a net of a fixed size, trained to its own early stopping. Validation chooses; the
trials hold no test rows, and only the chosen net is measured on test, once. Bergstra & Bengio 2012 (random search); Li
et al. 2020, arXiv 1810.05934 (asynchronous successive halving, by Optuna).
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna

from autogrow.compare.space import Space
from autogrow.data import Prepared, prepare
from autogrow.errors import ConfigError, InterruptedRunError, TrainingError
from autogrow.evaluation.judge import AUTO, distance_of
from autogrow.policy.history import History, Row
from autogrow.train.fit.continue_from import write_split
from autogrow.train.fit.looks.final import take_final_look
from autogrow.train.fit.net.deliver import Delivered, relabel
from autogrow.train.fit.net.load import load
from autogrow.train.fit.run import Result, fit
from autogrow.train.fit.setup import check_judges
from autogrow.train.fit.spec import FitSpec
from autogrow.train.fit.view import View
from autogrow.train.record.files import copy_file, write_atomically, write_json
from autogrow.train.record.folder import (
    BEST,
    CHECKPOINTS,
    CONFIG,
    LEDGER,
    LOCK,
    TRIAL,
    TRIAL_RUNS,
    TRIALS,
    check_same_data,
    is_begun,
    read_plain,
    read_trials,
    start_folder,
)
from autogrow.train.record.ledger import read_ledger

COSTS = ("train_flops", "eval_flops", "seconds")
COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"

Trial = dict[str, Any]


@dataclass(frozen=True)
class Search:
    """How to search. `halving`: end a trial early whose best score is not among the best 1/`keep` at its rung.

    Rungs lie at `first_rung`, `first_rung`·`keep`, … passes over the training rows.
    """

    trials: int = 20
    halving: bool = False
    first_rung: int = 2
    keep: int = 3
    space: Space = dataclasses.field(default_factory=Space)

    def __post_init__(self) -> None:
        for name, least in (("trials", 1), ("first_rung", 1), ("keep", 2)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ConfigError(f"search.{name} must be a whole number of at least {least}, got {value!r}")


def search(spec: FitSpec, how: Search, say: Callable[[str], None] = print) -> Result:
    """Run the trials in `spec.out` and hand back the chosen net as a run of that folder.

    A folder that holds trials is gone on with: they are not run again. `summary` has `search` (what was run and chosen)
    and `search_cost` (of all trials together) beside the chosen run's own keys.
    """
    folder = spec.out
    assert folder is not None
    trials = read_trials(folder)
    prepared = prepare(spec.data)
    check_judges(spec, prepared)
    if not is_begun(folder):
        start_folder(folder, spec.config, prepared.card)
    check_same_data(folder, prepared.card, key="hydra.run.dir")
    study = _study(how, spec.seed)
    for number in range(how.trials):
        asked = study.ask()
        chosen = how.space.suggest(asked)
        if number < len(trials):
            trial = trials[number]
            _check_same(folder, trial, chosen)
            for passes, score in trial["reported"]:
                asked.report(score, passes)
                asked.should_prune()  # what others are judged by
        else:
            trial = _run(spec, prepared, asked, number, chosen, _path(folder, number))
            trials.append(trial)
            _append(folder, trial)
            _keep_only_the_best(folder, trials)
            say(line_of(trial, how.trials))
        _tell(study, asked, trial)
    return _deliver(spec, how, prepared, trials)


def line_of(trial: Trial, of: int) -> str:
    """One trial in words."""
    what = f"{'-'.join(map(str, trial['widths']))}, dropout {trial['dropout']:.2f}, rate {trial['lr']:.2g}: {trial['state']}"
    found = "" if trial["val_loss"] is None else f", val loss {trial['val_loss']:.4g}"
    return f"trial {trial['number'] + 1} of {of}: {what}{found}, {trial['train_flops'] / 1e9:.3g} GFLOP"


def _study(how: Search, seed: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if how.halving:
        pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=how.first_rung, reduction_factor=how.keep)
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed), pruner=pruner)


def _tell(study: optuna.Study, asked: optuna.Trial, trial: Trial) -> None:
    states = {
        COMPLETE: optuna.trial.TrialState.COMPLETE,
        PRUNED: optuna.trial.TrialState.PRUNED,
        FAILED: optuna.trial.TrialState.FAIL,
    }
    study.tell(asked, trial["score"] if trial["state"] == COMPLETE else None, states[trial["state"]])


class _Reporter(View):
    """Tells Optuna of each check, and ends a trial that it gives up."""

    def __init__(self, asked: optuna.Trial, rows: Sequence[Row]) -> None:
        self.asked = asked
        self.rows: list[Row] = []
        self.reported: list[tuple[int, float]] = []
        self.given_up = False
        for row in rows:
            self.given_up = self._report(row) and self.asked.should_prune()

    def _report(self, row: Row) -> bool:
        """Report the best score so far, once per pass; whether it was reported."""
        self.rows.append(row)
        passes = int(row.passes)
        best = min((r.score for r in self.rows if r.finite()), default=None)
        if best is None or passes < 1 or (self.reported and self.reported[-1][0] >= passes):
            return False
        self.reported.append((passes, best))
        self.asked.report(best, passes)
        return True

    def start(self, title: str, card: Mapping[str, Any]) -> None:
        """A trial begins, or goes on: unless it was given up just as it was interrupted."""
        if self.given_up:
            raise optuna.TrialPruned()

    def check(self, row: Row) -> None:
        """A check was measured: the trial ends here if Optuna gives it up."""
        if self._report(row) and self.asked.should_prune():
            raise optuna.TrialPruned()

    def finish(self, result: Mapping[str, Any], folder: str, rows: History | None = None) -> None:
        """A trial is over."""


def _run(
    spec: FitSpec, prepared: Prepared, asked: optuna.Trial, number: int, chosen: dict[str, Any], out: Path
) -> Trial:
    """One trial, in a run folder of its own; one that was interrupted goes on."""
    started = (out / LEDGER).is_file()
    if out.is_dir() and not started:
        shutil.rmtree(out)
    own = replace(
        spec,
        net=replace(spec.net, widths=chosen["widths"], dropout=chosen["dropout"]),
        optimizer=replace(spec.optimizer, lr=chosen["lr"]),
        out=out,
    )
    view = _Reporter(asked, read_ledger(out, may_be_empty=True) if started else [])
    trial: Trial = {"number": number, **chosen, "val_loss": None, "score": None, "message": "", "state": COMPLETE}
    metric = "error" if prepared.task == "classification" else "rmse"
    try:
        result = fit(own, display=view, resume=started, prepared=without_test(prepared))
    except InterruptedRunError as error:
        raise InterruptedRunError(error.exit_code - 128, again="the same command goes on with this search") from None
    except optuna.TrialPruned:
        trial |= {"state": PRUNED, "message": f"given up after {view.reported[-1][0]} passes"}
    except TrainingError as error:
        trial |= {"state": FAILED, "message": str(error)}
    last = view.rows[-1]
    trial |= {key: getattr(last, key) for key in (*COSTS[:2], "parameters", "flops_per_sample")}
    trial |= {"seconds": last.timing["seconds"], "reported": view.reported}
    if trial["state"] == COMPLETE:
        summary = result.summary
        trial |= {key: summary[key] for key in (*COSTS, "parameters", "flops_per_sample")}
        trial |= {"val_loss": summary["val"]["loss"], f"val_{metric}": summary["val"][metric]}
        trial |= {"score": summary["val"]["loss"]}
        if spec.metric != AUTO:
            trial |= {"judged": distance_of(spec.metric, summary["metrics"]["val"])}
        write_json(out / TRIAL, {"summary": summary, "card": result.card})
    elif view.reported:  # what was known of it when it ended
        known = min((r for r in view.rows if r.finite()), key=lambda r: r.score)
        trial |= {"val_loss": known.val_loss, f"val_{metric}": known.val_error}
    return trial


def without_test(prepared: Prepared) -> Prepared:
    """The data without their test rows: what a trial may see."""
    test = prepared.test
    return replace(prepared, test=replace(test, x=test.x[:0], y=test.y[:0], rows=test.rows[:0]))


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The complete trial with the least (error or rmse, loss) on validation, or (distance from the best value of
    `metric=`, loss): by what a run, too, chooses its net.
    """
    complete = [t for t in trials if t["state"] == COMPLETE]
    return min(
        complete,
        key=lambda t: (t.get("judged", t.get("val_error", t.get("val_rmse"))), t["val_loss"], t["number"]),
        default=None,
    )


def _deliver(spec: FitSpec, how: Search, prepared: Prepared, trials: Sequence[Trial]) -> Result:
    """The chosen trial's run, moved up, with its net measured on test."""
    folder, best = spec.out, best_of(trials)
    assert folder is not None
    if best is None:
        raise TrainingError(f"none of the {len(trials)} trials ended with a net; the last: {trials[-1]['message']}")
    run = _path(folder, best["number"])
    if run.is_dir():
        _move_up(run, folder)
    kept = read_plain(folder / TRIAL, ("summary",))
    checkpoint = folder / CHECKPOINTS / BEST
    net = load(checkpoint)
    assert isinstance(net, Delivered)
    tested = take_final_look(
        net, prepared.test, prepared, spec.metrics, temperature=kept["summary"].get("temperature", 1.0)
    )
    summary = {**kept["summary"], "test": tested.measured}
    for key, found in (("metrics", tested.metrics), ("baseline", tested.baseline)):
        summary[key] = {**summary[key], "test": found}
    summary["eval_flops"] += summary["flops_per_sample"] * len(prepared.test)
    states = [trial["state"] for trial in trials]
    summary["search"] = {
        "trials": len(trials),
        **{state: states.count(state) for state in (COMPLETE, PRUNED, FAILED)},
        "halving": how.halving,
        "chosen": best["number"],
    }
    cost = {key: sum(trial[key] for trial in trials) for key in COSTS}
    cost["eval_flops"] += summary["flops_per_sample"] * len(prepared.test)
    summary["search_cost"] = cost
    content = relabel(checkpoint, summary)
    write_split(folder, prepared)  # the trials have no test rows
    curves = {"split": "test", **tested.curves}
    return Result(summary, read_ledger(folder), net, prepared.card, content, folder, curves)


def remove_trials(folder: Path) -> None:
    """Leave the chosen run alone in the folder of a search, which has its result: nothing is to be delivered again."""
    shutil.rmtree(folder / TRIAL_RUNS, ignore_errors=True)
    (folder / TRIAL).unlink(missing_ok=True)


def _move_up(run: Path, folder: Path) -> None:
    """Copy what a trial left into the folder of the search, which keeps its own config."""
    for path in sorted(run.rglob("*")):
        into = folder / path.relative_to(run)
        if path.is_dir():
            into.mkdir(exist_ok=True)
        elif path.name not in (CONFIG, LOCK):
            copy_file(path, into)


def _path(folder: Path, number: int) -> Path:
    return folder / TRIAL_RUNS / str(number)


def _append(folder: Path, trial: Trial) -> None:
    """Add a trial: the file is whole at every moment."""
    path = folder / TRIALS
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    write_atomically(path, before + json.dumps(trial) + "\n")


def _keep_only_the_best(folder: Path, trials: Sequence[Trial]) -> None:
    best = best_of(trials)
    for trial in trials:
        if trial is not best:
            shutil.rmtree(_path(folder, trial["number"]), ignore_errors=True)


def _check_same(folder: Path, trial: Trial, chosen: Mapping[str, Any]) -> None:
    for key, value in chosen.items():
        if trial[key] != value:
            raise ConfigError(
                f"{folder} holds a search of another space or seed (trial {trial['number']}: {key} {trial[key]!r}, now {value!r}); "
                "give another hydra.run.dir"
            )
