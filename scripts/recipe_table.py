"""The tables of the recipe's study, from its cells: means per set, paired differences over sets, and the goals."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from recipe_arms import ARMS
from recipe_reach import print_reached
from scipy.stats import bootstrap

Cell = dict[str, Any]
Pairs = dict[str, list[tuple[Cell, Cell]]]


@dataclass(frozen=True)
class Estimate:
    """A mean over sets with its bootstrap 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Goal:
    """`arm` against `other`: at most `points` of test error more, at most `ratio` of `measure`."""

    arm: str
    other: str
    points: float
    ratios: tuple[tuple[str, float], ...]


GOALS = (
    Goal("default", "fixed_256", 0.15, (("train_flops", 0.35), ("seconds", 0.6))),
    Goal("accurate", "fixed_256", -0.2, (("train_flops", 0.5),)),
    Goal("default", "random_search", 0.1, (("train_flops", 1 / 20),)),
    Goal("default", "random_halving", 0.1, ()),
    Goal("default", "one_512", 0.1, (("parameters", 1 / 10),)),
    Goal("default", "same_size", math.inf, (("train_flops", 0.8),)),
    Goal("default", "same_size_flops", 0.0, ()),
    Goal("default", "fixed_128", 0.0, ()),
    Goal("accurate", "fixed_pair", 0.0, ()),
)


def print_tables(cells: Sequence[Cell]) -> None:
    """Print all there is to see."""
    good = [cell for cell in cells if "failed" not in cell]
    for cell in cells:
        if "failed" in cell:
            print(f"FAILED {cell['set']} split {cell['split']} seed {cell['seed']} {cell['arm']}: {cell['failed']}")
    print_means(good)
    print("\nAgainst fixed 256-256, over sets (95 % bootstrap interval over sets; ratios are geometric means):")
    for arm in (a for a in ARMS if a != "fixed_256"):
        print_against(good, arm, "fixed_256")
    print("\nIdeas against the shipped default:")
    for arm in (name for name, a in ARMS.items() if not a.part_of_the_table):
        print_against(good, arm, "default")
    print("\nTraining FLOPs of the grown net over those of its own final net from scratch, to equal validation loss:")
    print_reached(pairs(good, "default", "same_size"))
    print("\nGoals:")
    for goal in GOALS:
        print_goal(good, goal)


def print_means(cells: Sequence[Cell]) -> None:
    """One line per set and arm: test error and loss, FLOPs, seconds, parameters; n cells."""
    groups: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell["set"], cell["arm"]].append(cell)
    print(f"{'set':14} {'arm':16} {'n':>3} {'error %':>14} {'loss':>7} {'GFLOP':>9} {'s':>7} {'parameters':>10}")
    for (name, arm), group in sorted(groups.items(), key=lambda g: (g[0][0], list(ARMS).index(g[0][1]))):
        mean = {
            k: float(np.mean([c[k] for c in group])) for k in ("test_error", "test_loss", "train_flops", "parameters")
        }
        seconds = float(np.mean([c["seconds"] for c in group]))
        spread = float(np.std([c["test_error"] for c in group], ddof=1)) if len(group) > 1 else math.nan
        print(
            f"{name:14} {arm:16} {len(group):3} {100 * mean['test_error']:7.2f} ±{100 * spread:5.2f} {mean['test_loss']:7.3f} "
            f"{mean['train_flops'] / 1e9:9.1f} {seconds:7.1f} {mean['parameters']:10,.0f}"
        )


def pairs(cells: Sequence[Cell], a: str, b: str) -> Pairs:
    """Cells of the arms `a` and `b` of equal set, split and seed, by set."""
    at = {(c["set"], c["split"], c["seed"], c["arm"]): c for c in cells}
    found: Pairs = defaultdict(list)
    for (name, split, seed, arm), cell in at.items():
        if arm == a and (name, split, seed, b) in at:
            found[name].append((cell, at[name, split, seed, b]))
    return found


def points(found: Pairs) -> list[float]:
    """Per set: mean difference of test error, in percentage points."""
    return [100 * float(np.mean([x["test_error"] - y["test_error"] for x, y in group])) for group in found.values()]


def logs(found: Pairs, measure: str) -> list[float]:
    """Per set: mean log ratio of a cost."""
    return [float(np.mean([math.log(x[measure] / y[measure]) for x, y in group])) for group in found.values()]


def estimate(values: Sequence[float], back: Callable[[float], float] = float) -> Estimate:
    """The mean over sets and its interval, mapped by `back` (exp for log ratios)."""
    mean = float(np.mean(values))
    if len(values) < 2 or np.ptp(values) == 0:
        return Estimate(back(mean), math.nan, math.nan)
    interval = bootstrap(
        (np.asarray(values),), np.mean, n_resamples=9999, rng=np.random.default_rng(0)
    ).confidence_interval
    return Estimate(back(mean), back(float(interval.low)), back(float(interval.high)))


def print_against(cells: Sequence[Cell], arm: str, other: str) -> None:
    """One line: error difference and cost ratios of two arms over the sets that have both."""
    found = pairs(cells, arm, other)
    if not found:
        return
    error = estimate(points(found))
    ratios = {k: estimate(logs(found, k), math.exp) for k in ("train_flops", "seconds", "parameters")}
    words = "  ".join(f"{k} ×{r.value:.2f} [{r.low:.2f}, {r.high:.2f}]" for k, r in ratios.items())
    n = sum(len(group) for group in found.values())
    per_set = ", ".join(f"{name} {p:+.2f}" for name, p in zip(found, points(found), strict=True))
    print(
        f"{arm:16} {error.value:+.2f} pp [{error.low:+.2f}, {error.high:+.2f}]  {words}  ({len(found)} sets, {n} pairs)"
    )
    print(f"{'':16} {per_set}")


def print_goal(cells: Sequence[Cell], goal: Goal) -> None:
    """One line per part of a goal: met or by how much it is missed."""
    found = pairs(cells, goal.arm, goal.other)
    if not found:
        print(f"{goal.arm} against {goal.other}: not run")
        return
    if math.isfinite(goal.points):
        say(goal, "test error, pp", estimate(points(found)), goal.points)
    for measure, most in goal.ratios:
        say(goal, measure, estimate(logs(found, measure), math.exp), most)


def say(goal: Goal, what: str, got: Estimate, most: float) -> None:
    """`met` when the mean is within the goal; `for sure` when the whole interval is."""
    verdict = "missed" if got.value > most else "met, interval and all" if got.high <= most else "met by the mean"
    print(
        f"{goal.arm} against {goal.other}, {what}: {got.value:.3f} [{got.low:.3f}, {got.high:.3f}], goal ≤ {most:.3f}: {verdict}"
    )
