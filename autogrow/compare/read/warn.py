"""What a reader of a comparison must know before believing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autogrow.compare.arms import GROW
from autogrow.compare.read.runs import Run
from autogrow.compare.read.statistics import ENOUGH

COSTS = {"train_flops": "train_flops", "seconds": "seconds", "steps": "epochs"}
"""The measure that each kind of matching makes equal."""

TOLERANCE = 0.05


def warnings_about(
    arms: Mapping[str, Sequence[Run]], about: Mapping[str, Mapping[str, Any]], reference: str, plan: Mapping[str, Any]
) -> list[str]:
    """The warnings, in sentences, the weightiest first."""
    return [
        *_too_few(arms),
        *_unpaired(arms, reference),
        *_unmatched(arms, about),
        *_other_net(arms, about),
        *_barely_trained(arms),
        *_one_split(arms),
        *_coarse(arms),
        *_many(arms, reference),
        *_side_by_side(plan),
    ]


def _too_few(arms: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    n = min(len(runs) for runs in arms.values())
    if n < ENOUGH:
        yield f"n = {n} seed{'s' * (n != 1)} is too few to tell: no difference counts as shown with fewer than {ENOUGH}"


def _unpaired(arms: Mapping[str, Sequence[Run]], reference: str) -> Iterator[str]:
    ours = {run.pair for run in arms[reference]}
    for name, runs in arms.items():
        shared = len(ours & {run.pair for run in runs})
        if not shared:
            yield f"{reference} and {name} have no seed on the same split in common: they are not compared"
        elif shared < max(len(ours), len(runs)):
            yield f"{reference} and {name} are compared on the {shared} seed{'s' * (shared != 1)} on the same split that both have"


def _unmatched(arms: Mapping[str, Sequence[Run]], about: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, runs in arms.items():
        if (matched := about[name]["matched"]) and GROW in arms:
            grown = {run.pair: run.measures[COSTS[matched]] for run in arms[GROW]}
            ratios = {
                run.seed: (run.measures[COSTS[matched]] / grown[run.pair], run) for run in runs if run.pair in grown
            }
            # a run is a whole number of checks: it cannot come closer than one
            off = [
                f"{r:.2f}× at seed {seed}"
                for seed, (r, run) in ratios.items()
                if abs(r - 1) > max(TOLERANCE, 1.01 / len(run.rows))
            ]
            if off:
                yield f"{name} was to spend as many {matched} as {GROW} and spent {', '.join(off)}"


def _other_net(arms: Mapping[str, Sequence[Run]], about: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, runs in arms.items():
        if GROW not in arms or not any("{widths}" in o for o in about[name]["overrides"]):
            continue
        grown = {run.pair: run.result["parameters"] for run in arms[GROW]}
        off = [r.seed for r in runs if r.pair in grown and r.result["parameters"] != grown[r.pair]]
        if off:
            yield f"{name} has another number of parameters than the grown net at seed {', '.join(map(str, off))}"


def _barely_trained(arms: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    for name, runs in arms.items():
        short = [str(run.seed) for run in runs if run.measures["epochs"] < 1]
        if short:
            yield f"{name} saw less than the whole training set at seed {', '.join(short)}: its budget buys no epoch"


def _one_split(arms: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    splits = {run.pair[1] for runs in arms.values() for run in runs}
    if len(splits) == 1:
        yield "all runs share one split: the intervals are over seeds, not over test sets (data.split_seed='${seed}' draws one per seed)"


def _coarse(arms: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    first = next(iter(arms.values()))[0]
    rows = first.card["splits"]["test"]
    if first.metric == "error" and rows < 1000:
        yield f"the test set has {rows} rows: one of them is {100 / rows:.2f} pp"


def _many(arms: Mapping[str, Sequence[Run]], reference: str) -> Iterator[str]:
    if len(arms) > 5:
        yield f"{len(arms) - 1} arms are held against {reference}, each at 95 %: one difference in twenty is shown by chance"


def _side_by_side(plan: Mapping[str, Any]) -> Iterator[str]:
    if plan.get("jobs", 1) > 1:
        yield f"{plan['jobs']} runs shared the machine: read the seconds with care"
