"""The tables of `scripts/peers.py`, from its cells."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import bootstrap, rankdata

Cell = dict[str, Any]
FLOOR = 1e-3  # an error of 0 on a small test part has no ratio: a tenth of a per cent stands for it


def print_tables(cells: Sequence[Cell], against: str) -> None:
    """Print errors per table, then every method against one of them, then mean ranks."""
    for cell in cells:
        if "failed" in cell:
            print(f"FAILED {cell['set']} split {cell['split']} {cell['method']}: {cell['failed']}")
    good = [cell for cell in cells if "failed" not in cell]
    methods = list(dict.fromkeys(cell["method"] for cell in good))
    sets = list(dict.fromkeys(cell["set"] for cell in good))
    means = {(s, m): _mean(good, s, m) for s in sets for m in methods}
    print(f"{'error (% or rmse)':18}" + "".join(f"{m[:12]:>13}" for m in methods))
    for name in sets:
        shown = ("" if math.isnan(e := means[name, m]) else f"{100 * e:.2f}" if e < 1 else f"{e:.5g}" for m in methods)
        print(f"{name:18}" + "".join(f"{text:>13}" for text in shown))
    print(f"\nAgainst {against}: geometric means over tables [bootstrap 95 % over tables]")
    for method in methods:
        if method != against:
            print(against_line(good, method, against))
    whole = [s for s in sets if not any(math.isnan(means[s, m]) for m in methods)]
    if whole:
        ranks = np.mean([rankdata([means[s, m] for m in methods]) for s in whole], axis=0)
        best = {s: min(means[s, m] for m in methods) for s in whole}
        print(f"\nOver the {len(whole)} tables that all have: mean rank, error relative to the best")
        for rank, method in sorted(zip(ranks, methods, strict=True)):
            relative = math.exp(np.mean([math.log(max(means[s, method], FLOOR) / max(best[s], FLOOR)) for s in whole]))
            print(f"{method:18} {rank:5.2f} {relative:7.3f}")


def against_line(cells: Sequence[Cell], method: str, other: str) -> str:
    """Ratios of error, loss and costs of one method to another's over the cells that both have; who wins where."""
    found = ratios(cells, method, other)
    if not found:
        return f"{method:18} no cells in common"
    parts = [f"{method:18}"]
    for measure in ("test_error", "test_loss", "cpu_seconds", "train_flops", "parameters"):
        logs = [v[measure] for v in found.values() if measure in v]
        if logs:
            parts.append(f"{measure.removeprefix('test_')} {_estimate(logs)}")
    errors = {name: math.exp(v["test_error"]) for name, v in found.items()}
    better = sum(r < 1 for r in errors.values())
    extremes = sorted(errors.items(), key=lambda item: item[1])
    ends = ", ".join(f"{name} {r:.2f}" for name, r in (*extremes[:3], *extremes[-3:]))
    return "  ".join(parts) + f"  better on {better} of {len(errors)} ({ends})"


def ratios(cells: Sequence[Cell], method: str, other: str) -> Mapping[str, dict[str, float]]:
    """By set: the mean over splits of the log ratio of each measure."""
    at = {(c["set"], c["split"], c["method"]): c for c in cells}
    logs: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (name, split, mine), cell in at.items():
        base = at.get((name, split, other))
        if mine != method or base is None:
            continue
        for measure in ("test_error", "test_loss", "cpu_seconds", "train_flops", "parameters"):
            if (cell.get(measure) and base.get(measure)) or measure == "test_error":
                logs[name][measure].append(math.log(max(cell[measure], FLOOR) / max(base[measure], FLOOR)))
    return {name: {k: float(np.mean(v)) for k, v in measures.items()} for name, measures in logs.items()}


def _estimate(logs: Sequence[float]) -> str:
    mean = math.exp(float(np.mean(logs)))
    if len(logs) < 3 or np.ptp(logs) == 0:
        return f"{mean:.3f}"
    found = bootstrap((np.asarray(logs),), np.mean, n_resamples=4999, rng=np.random.default_rng(0)).confidence_interval
    return f"{mean:.3f} [{math.exp(found.low):.3f}, {math.exp(found.high):.3f}]"


def _mean(cells: Sequence[Cell], name: str, method: str) -> float:
    errors = [c["test_error"] for c in cells if c["set"] == name and c["method"] == method]
    return float(np.mean(errors)) if errors else math.nan
