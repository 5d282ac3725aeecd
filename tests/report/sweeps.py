"""Made-up sweeps, as plain as `read_sweep` says them: names, numbers, many trials, two sets of data, none finished."""

import itertools
import random
from typing import Any


def mean(values: list[float]) -> dict[str, float | None]:
    several = len(values) > 1
    return {
        "value": sum(values) / len(values),
        "low": min(values) if several else None,
        "high": max(values) if several else None,
    }


def cell(number: int, settings: dict[str, str], seeds: int = 2, metric: str = "error") -> dict[str, Any]:
    draw = random.Random(number)
    runs = [
        {
            "name": f"job-{number}_seed-{seed}",
            "seed": seed,
            "widths": [16 * (number + 1), 16],
            f"val_{metric}": 0.02 * number + 0.01 * draw.random(),
            "val_loss": draw.random(),
            f"test_{metric}": draw.random(),
            "train_flops": 1e8 * 3 ** draw.random(),
            "parameters": 500 + 400 * number,
            "flops_per_sample": 1000 + 800 * number,
            "seconds": 1 + draw.random(),
        }
        for seed in range(seeds)
    ]
    names = [key for key in runs[0] if key not in ("name", "seed", "widths")]
    means = {key: mean([run[key] for run in runs]) for key in names}
    return {"settings": settings, "missing": 0, "mean": means, "runs": runs, "best": number == 0}


def swept(keys: dict[str, list[str]], *, seeds: int = 2, metric: str = "error", most: int = 1000) -> dict[str, Any]:
    chosen = list(itertools.product(*keys.values()))[:most]
    cells = [cell(i, dict(zip(keys, values, strict=True)), seeds, metric) for i, values in enumerate(chosen)]
    return {
        "name": "sweep",
        "keys": list(keys),
        "repeated": ["seed"] if seeds > 1 else [],
        "chooses": False,
        "jobs": len(cells) * seeds + 1,
        "done": len(cells) * seeds,
        "sets": [{"data": "digits", "task": "classification", "metric": metric, "rows": {}, "cells": cells}],
        "failures": [{"name": "job-9", "message": "optimizer.lr must be above 0, got -1" * 4, "log": "job-9/log.txt"}],
        "versions": {"autogrow": "0"},
        "command": "autogrow fit -m " + " ".join(f"{key}={','.join(values)}" for key, values in keys.items()),
    }


NAMES = {"growth": ["gap", "plateau", "never"], "net.widths": ["[16]", "[64,64,64]"]}
LONG = {"data.path": [f"/a/very/long/path/to/{'x' * 40}/{i}.csv" for i in range(3)]}
NUMBERS = {"optimizer.lr": ["0.001", "0.003162277660168379", "0.01"], "net.dropout": ["0.0", "0.1", "0.25", "0.5"]}
MANY = {"optimizer.lr": [f"{10 ** (-4 + 2 * i / 119)!r}" for i in range(120)]}

CASES = {
    "names": swept(NAMES),
    "numbers": swept(NUMBERS, metric="rmse"),
    "long names": swept(LONG),
    "many trials": swept(MANY, seeds=1) | {"chooses": True, "failures": []},
    "seeds alone": swept({}, seeds=5) | {"failures": []},
    "two sets of data": swept(NAMES | NUMBERS, most=4)
    | {"sets": [swept(NAMES | NUMBERS, most=n)["sets"][0] for n in (4, 5)]},
    "nothing finished": swept(NAMES) | {"sets": [], "done": 0, "versions": {}, "command": ""},
}
