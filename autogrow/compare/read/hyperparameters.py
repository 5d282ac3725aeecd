"""The part of a comparison that is about the search: its trials, the function they yield,
its cost beside one grown run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from autogrow.compare.arms import GROW
from autogrow.compare.read.pareto import latency_ms, pareto
from autogrow.compare.read.runs import Run
from autogrow.compare.read.surrogate import surrogate
from autogrow.train.record.folder import read_settings

PLAIN_SEARCH = "random_search"
KEPT = (
    "number",
    "widths",
    "depth",
    "width",
    "dropout",
    "lr",
    "val_loss",
    "train_flops",
    "seconds",
    "parameters",
    "flops_per_sample",
    "state",
)


def search_section(arms: Mapping[str, Sequence[Run]]) -> dict[str, Any] | None:
    """`arms`: the runs of each arm. None where no arm searched.

    Trials of all seeds of one search arm (the plain one if there are both) together make the surrogate; the grown net
    is that of the first seed they share.
    """
    searches = {name: runs for name, runs in arms.items() if any(run.trials for run in runs)}
    if not searches:
        return None
    name = PLAIN_SEARCH if PLAIN_SEARCH in searches else next(iter(searches))
    runs = searches[name]
    grown = {run.seed: run for run in arms.get(GROW, ())}
    error = f"val_{runs[0].metric}"
    trials = [{"seed": run.seed, **{k: t[k] for k in (*KEPT, error) if k in t}} for run in runs for t in run.trials]
    both = [(run, grown[run.seed]) for run in runs if run.seed in grown]
    return {
        "arm": name,
        "trials": trials,
        "surrogate": surrogate(trials, _as_trial(both[0][1]) if both else None, seed=runs[0].seed),
        "pareto": pareto(_points(arms, trials, error, runs[0]), error),
        "cost": {
            **{key: _mean([run.measures[key] for run in runs]) for key in ("train_flops", "seconds")},
            **_ratios(both),
        },
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _ratios(both: Sequence[tuple[Run, Run]]) -> dict[str, float | None]:
    """How many grown runs one search costs: the geometric mean over seeds."""

    def ratio(key: str) -> float | None:
        logs = [math.log(searched.measures[key] / grew.measures[key]) for searched, grew in both]
        return math.exp(_mean(logs)) if logs else None

    return {"ratio_to_grow": ratio("train_flops"), "seconds_ratio_to_grow": ratio("seconds")}


def _as_trial(run: Run) -> dict[str, Any] | None:
    """The grown net in the search's terms; None for a run whose config does not say (made by other means)."""
    config = read_settings(run.folder)
    if "net" not in config or "optimizer" not in config:
        return None
    dropout = config["net"]["dropout"]
    return {
        "widths": list(run.result["widths"]),
        "dropout": float(dropout) if isinstance(dropout, (int, float)) else 0.1 * (dropout == "auto"),  # its greatest
        "lr": config["optimizer"]["lr"],
        "val_loss": run.result["val"]["loss"],
        "seed": run.seed,
    }


def _points(
    arms: Mapping[str, Sequence[Run]], trials: Sequence[Mapping[str, Any]], error: str, example: Run
) -> list[dict[str, Any]]:
    inputs, outputs = _ends(example)
    known: dict[tuple[int, ...], float] = {}

    def timed(widths: Sequence[int]) -> float | None:
        if inputs is None or outputs is None:
            return None
        if tuple(widths) not in known:
            known[tuple(widths)] = latency_ms(inputs, widths, outputs)
        return known[tuple(widths)]

    points: list[dict[str, Any]] = [
        {**t, "label": f"trial {t['number'] + 1}, seed {t['seed']}", "kind": "trial", "latency_ms": timed(t["widths"])}
        for t in trials
        if t["state"] == "complete"
    ]
    for name, runs in arms.items():
        if any(run.trials for run in runs):
            continue  # its trials are there
        for run in runs:
            m = run.measures
            points.append(
                {
                    "label": f"{name}, seed {run.seed}",
                    "kind": "grow" if name == GROW else "arm",
                    error: m[error],
                    "parameters": m["parameters"],
                    "flops_per_sample": m["flops_per_sample"],
                    "latency_ms": timed(run.result["widths"]) if _one_dense_net(run) else None,
                }
            )
    return points


def _one_dense_net(run: Run) -> bool:
    config = read_settings(run.folder)
    net = config.get("net")
    return net is not None and bool(
        net["kind"] == "dense" and net["members"] == 1 and net["norm"] == "none" and not net["residual"]
    )


def _ends(run: Run) -> tuple[int | None, int | None]:
    """Inputs and outputs of a plain dense net, from its parameters and FLOPs; None where that is not what it is."""
    widths, parameters = list(run.result["widths"]), int(run.result["parameters"])
    macs = int(run.result["flops_per_sample"]) // 2
    # macs = i·w₀ + Σ wₖ·wₖ₊₁ + w_last·o ; parameters = macs + Σ w + o
    outputs = parameters - macs - sum(widths)
    rest = macs - sum(a * b for a, b in pairwise(widths)) - widths[-1] * outputs
    inputs, left = divmod(rest, widths[0])
    return (inputs, outputs) if outputs > 0 and inputs > 0 and left == 0 else (None, None)
