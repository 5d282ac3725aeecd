"""A made-up result of data that arrived in three stages."""

from typing import Any


def stage(number: int, rows: int) -> dict[str, Any]:
    error = 0.3 / (number + 1)
    proof = {"promise": 1e-9, "max_abs_change": 1e-15, "loss_change": 0.0}
    return {
        "folder": f"stage_{number}",
        "name": f"the rows up to {rows}",
        "rows": {"train": rows, "val": rows // 4, "test": rows // 4},
        "classes": 3 + number,
        "start_widths": [16 * (number + 1)],
        "widths": [16 * (number + 2), 16],
        "growths": [1],
        "val": {"error": error, "loss": error},
        "test": {"error": 1.1 * error, "loss": error},
        "train_flops": 10**8,
        "cumulated_train_flops": 10**8 * (number + 1),
        "seconds": 2.5,
        "continued": {"receipt": proof} if number else {},
    }


STAGES: dict[str, Any] = {
    "task": "classification",
    "data": "digits",
    "seed": 0,
    "widths": [64, 16],
    "parameters": 12_345,
    "val": {"error": 0.1, "loss": 0.1},
    "test": {"error": 0.11, "loss": 0.1},
    "total": {"train_flops": 3 * 10**8, "seconds": 7.5},
    "stages": [stage(i, rows) for i, rows in enumerate((300, 700, 1000))],
    "versions": {"autogrow": "0"},
}
