"""Made-up comparisons, as plain as compare.json: many arms with a search, regression, one seed, an arm that failed."""

import math

ARMS = ("grow", "scratch_flops", "fixed_256", "fixed_128", "big_fixed", "scratch", "scratch_seconds", "scratch_steps",
        "random_growth", "small_fixed", "random_search")  # fmt: skip


def interval(value, n):
    return {"value": value, "low": 0.9 * value if n > 1 else None, "high": 1.1 * value if n > 1 else None}


def arm(i, n, metric):
    return {
        "about": f"what arm {i} is", "label": f"arm {i}", "overrides": [], "matched": None, "runs": n, "failed": 0, "folders": [],
        "mean": {
            f"test_{metric}": interval(0.1 + 0.01 * i, n), "test_loss": interval(0.3, n), f"val_{metric}": interval(0.1 + 0.005 * i, n),
            "val_loss": interval(0.3, n), "train_flops": interval(1e9 * (i + 1), n), "eval_flops": interval(1e8, n),
            "seconds": interval(2.0 + i, n), "parameters": interval(1000 * (i + 1), n), "flops_per_sample": interval(2000 * (i + 1), n),
            "epochs": interval(20, n),
        },
        "device": {"bytes": 1000 * (i + 7), "p50_us": 1.234 * (i + 1), "p95_us": 2.0} if i else None, "iqm": {}, "widths": [[16 * (i + 1), 16]] * n, "growth_events": [2 * (i == 0)] * n,
        "flops_to_target": [5e8 if i % 2 else None] * n, "seconds_to_target": [1.0 if i % 2 else None] * n,
    }  # fmt: skip


def comparison(arms=ARMS, seeds=5, metric="error", search=True):
    unit = "pp" if metric == "error" else ""
    trials = [{"number": k, "widths": [32] * 2, "depth": 2, "width": 32, "dropout": 0.1, "lr": 1e-3, "val_loss": 0.3, "val_error": 0.1,
               "train_flops": 1e9, "seconds": 1.0, "parameters": 500, "flops_per_sample": 1000, "state": "complete"} for k in range(9)]  # fmt: skip
    points = [{"label": f"p{k}", "kind": kind, "x": 100.0 * (k + 1), "y": 0.2 / (k + 1), "front": k == 1}
              for k, kind in enumerate(("grow", "trial", "trial", "arm"))]  # fmt: skip
    return {
        "version": 1, "title": "Was growing worth it?", "data": "digits", "task": "classification" if metric == "error" else "regression",
        "metric": metric, "seeds": list(range(seeds)), "command": "autogrow compare data=digits", "versions": {"autogrow": "0"},
        "machine": "a machine", "date": "2026-11-24T10:00:00", "arms": {name: arm(i, seeds, metric) for i, name in enumerate(arms)},
        "target": {"val_loss": 0.2, "rule": "a rule"},
        "pairs": [{"a": "grow", "b": b, "measure": f"test_{metric}", "unit": unit, "n": seeds, "difference": 0.1, "low": -0.1 if seeds > 1 else None,
                   "high": 0.3 if seeds > 1 else None, "differences": [0.1 * s for s in range(seeds)], "ratio": {}} for b in arms[1:]],
        "verdicts": [{"text": f"grown − {b}: +0.1 {unit}", "sentence": f"Grown beside {b}", "kind": kind, "a": "grow", "b": b}
                     for b, kind in zip(arms[1:], ("worse", "better", "tie", "unknown") * 3, strict=False)],
        "curves": {name: [{"seed": s, "train_flops": [1e8, 5e8, 1e9], "seconds": [0.1, 0.5, 1.0], "passes": [1, 2, 3], "val_loss": [1, 0.5, None],
                           f"val_{metric}": [0.5, 0.2, None], "widths": [[16], [16, 16], [24, 16]], "parameters": [1, 2, 3]} for s in range(seeds)]
                   for name in arms},
        "search": None if not search else {
            "trials": trials, "cost": {"train_flops": 9e9, "seconds": 9.0, "ratio_to_grow": 9.0},
            "surrogate": {"model": "random forest", "target": "val_loss", "r2": 0.3, "n": 9, "quality": "a rough picture",
                          "importance": [{"name": "width", "value": 0.5}, {"name": "lr", "value": -0.1}],
                          "dependence": [{"name": "lr", "x": [1e-4, 1e-3, 1e-2], "y": [0.3, 0.2, 0.4], "scale": "log"},
                                         {"name": "depth", "x": [1.0, 2.0, 3.0], "y": [0.3, 0.2, 0.4], "scale": "linear"}],
                          "optimum": {"widths": [64], "depth": 1, "width": 64, "dropout": 0.1, "lr": 1e-3, "predicted": 0.2, "spread": 0.01},
                          "grown": {"widths": [24, 16], "val_loss": 0.21, "predicted": None}},
            "pareto": {"error": "val_error", "against": {"parameters": {"points": points}, "latency_ms": {"points": points}}},
        },
        "failures": [], "warnings": ["n is small"],
    }  # fmt: skip


ROWS = [
    {"arm": "grow", "seed": 0, "test_error": 0.1, "extra": None},
    {"arm": "fixed_256", "seed": 0, "test_error": math.nan},
]


def failed():
    plain = comparison(seeds=3)
    plain["arms"]["big_fixed"] |= {
        "runs": 0,
        "failed": 3,
        "mean": {},
        "widths": [],
        "flops_to_target": [],
        "seconds_to_target": [],
    }
    plain["curves"]["big_fixed"] = []
    plain["failures"] = [
        {"arm": "big_fixed", "seed": s, "message": "no finite loss", "log": "big_fixed/log.txt"} for s in range(3)
    ]
    return plain


def long_names():
    plain = comparison(ARMS[:5], search=False)
    for name, facts in plain["arms"].items():
        facts["label"] = (
            f"growth={name} data.path=/a/very/long/path/to/a/table.csv net.widths=[64,64,64] optimizer.lr=0.003"
        )
    return plain


CASES = {
    "long names": long_names(),
    "eleven arms and a search": comparison(),
    "regression": comparison(ARMS[:4], metric="rmse", search=False),
    "one seed": comparison(ARMS[:3], seeds=1),
    "an arm that failed": failed(),
    "one arm": comparison(ARMS[:1], seeds=2, search=False) | {"verdicts": [], "pairs": []},
    "on a device": comparison(ARMS[:2], search=False)
    | {"device": {"to": "c", "int8": False, "machine": "m", "about": "µs on device: of a row"}},
    "few trials": comparison() | {"search": comparison()["search"] | {"surrogate": None}},
}
