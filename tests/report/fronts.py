"""A made-up front, as plain as front.json: the delivered net, three that were narrowed, one that was passed through."""

from typing import Any


def point(
    name: str, kind: str, width: int, error: float, *, front: bool = True, chosen: bool = False
) -> dict[str, Any]:
    found = {"error": error, "loss": 2 * error, "standard_error": 0.01, "low": 0.7 * error, "high": 1.4 * error}
    return {
        "name": name,
        "kind": kind,
        "checkpoint": f"nets/{name}.ckpt",
        "widths": [width, width],
        "parameters": 100 * width,
        "flops_per_sample": 190 * width,
        "bytes": 400 * width,
        "flash_bytes": 450 * width,
        "ram_bytes": 20 * width,
        "microseconds": {"runtime": "torch", "int8": False, "p50": 20.0 + width, "p95": 30.0 + width},
        "val": found,
        "test": found,
        "cost": {"steps": 10, "train_flops": 10**7, "eval_flops": 10**5, "seconds": 1.5},
        "on_front": front,
        "chosen": chosen,
        **({"function_change": 0.3} if kind == "narrowed" else {}),
    }


POINTS = [
    point("narrowed-10-10", "narrowed", 10, 0.06),
    point("narrowed-24-24", "narrowed", 24, 0.021, chosen=True),
    point("narrowed-50-50", "narrowed", 50, 0.0205, front=False),
    point("passed-72-72", "passed", 72, 0.024, front=False),
    point("delivered", "delivered", 112, 0.0195),
]
