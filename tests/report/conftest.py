"""A plausible run, made up: sixty checks that grow six times, hold, return to the best net and anneal."""

import itertools
import math
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from autogrow.growth import Receipt
from autogrow.policy.event import Event, Size
from autogrow.policy.history import Action, Anneal, Deepen, Keep, Row, Stop, Widen

sys.path.insert(0, str(Path(__file__).parent))  # makes `comparisons` importable

INPUTS, CLASSES, STEPS, BATCH, ROWS = 64, 10, 30, 128, 1078


def size(widths: Sequence[int]) -> Size:
    sizes = [INPUTS, *widths, CLASSES]
    weights = sum(a * b for a, b in itertools.pairwise(sizes))
    return Size({f"hidden.{i}": w for i, w in enumerate(widths)}, weights + sum(sizes[1:]), 2 * weights)


def applied(action: Action, before: Sequence[int], after: Sequence[int], check: int) -> Event:
    receipt = Receipt(1e-9, 3.1e-15, loss_change=0.0).to_plain() if isinstance(action, (Widen, Deepen)) else None
    return Event(action, size(before), size(after), receipt=receipt, decided_at=check)


@dataclass(frozen=True)
class Run:
    """Everything a report is written from."""

    rows: list[Row]
    result: dict[str, Any]
    card: dict[str, Any]
    config: str
    command: str
    curves: dict[str, Any] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        return dict(vars(self))

    def but(self, **changes: Any) -> "Run":
        return replace(self, **changes)


PLAN: Mapping[int, tuple[int, ...]] = {
    5: (32, 32),
    8: (48, 48),
    11: (72, 72),
    15: (112, 112),
    18: (112, 112, 112),
    33: (168, 168, 168),
}
BACK_TO, ANNEAL_AT, LAST = 36, 46, 59


def make_run(*, task: str = "classification", grow: bool = True, seed: int = 0) -> Run:
    draw = random.Random(seed)
    widths: tuple[int, ...] = (32,) if grow else (64, 64)
    rows: list[Row] = []
    event, lineage, flops, loss, train = None, 0, 0, 2.3, 2.3
    for check in range(LAST + 1):
        annealing = check > ANNEAL_AT
        if check == ANNEAL_AT + 1:
            target = rows[BACK_TO]
            widths, loss, train = tuple(target.widths.values()), target.val_loss, target.train_loss
        per_sample = size(widths).flops_per_sample
        flops += 3 * per_sample * STEPS * BATCH
        floor = 0.055 + 0.25 / math.sqrt(sum(widths))
        loss = floor + (loss - floor) * 0.8 + (0.0022 * max(0, check - BACK_TO) if not annealing else -0.001)
        train = loss * (0.97 - 0.4 * min(1.0, check / 40))
        seen = loss * math.exp(draw.gauss(0, 0.012 if not annealing else 0.003))
        error = (seen / 2.6 + 0.004) if task != "regression" else 60 * math.sqrt(seen)
        action, reason = decide(check, seen, widths, grow)
        rows.append(
            Row(
                check=check,
                step=STEPS * (check + 1),
                passes=STEPS * (check + 1) * BATCH / ROWS,
                phase="anneal" if annealing else "grow" if check < 40 and grow else "hold",
                lineage=lineage,
                train_loss=train,
                val_loss=seen,
                train_error=error * train / seen,
                val_error=error,
                score=seen,
                gap=seen - train,
                lr=3e-3 * (1 - (check - ANNEAL_AT) / 14 if annealing else 1),
                widths=size(widths).widths,
                parameters=size(widths).parameters,
                flops_per_sample=per_sample,
                train_flops=flops,
                eval_flops=flops // 9,
                action=action,
                reason=reason,
                event=event,
                timing={"seconds": 0.21},
            )
        )
        event = None
        if isinstance(action, (Widen, Deepen, Anneal)):
            after = PLAN[check] if not isinstance(action, Anneal) else tuple(rows[BACK_TO].widths.values())
            event, widths, lineage = applied(action, widths, after, check), after, lineage + 1
    return Run(rows, outcome(rows, task), card(task), CONFIG, "autogrow fit data=digits seed=0")


def decide(check: int, loss: float, widths: Sequence[int], grow: bool) -> tuple[Action, str]:  # noqa: PLR0911
    if check == LAST:
        return Stop(), "the anneal is over"
    if check == ANNEAL_AT:
        return Anneal(BACK_TO, 390), f"no improvement of 0.2 % in 8 checks; best was {loss:.4f} at check {BACK_TO}"
    if grow and check in PLAN:
        after = PLAN[check]
        if len(after) > len(widths):
            return Deepen(f"act.{len(widths) - 1}"), "third growth of the cycle is a layer; val loss still falls well"
        named = {f"hidden.{i}": w for i, w in enumerate(after)}
        return Widen(named), f"val loss {loss:.4f} is 12 % below the last growth's, relative gap 0.06 below 0.10"
    if check > ANNEAL_AT:
        return Keep(), f"annealing: {LAST - check} checks to go"
    if check >= 40:
        return Keep(), f"relative gap {0.2 + check / 400:.2f} above 0.10: growth is over"
    return Keep(), f"val loss {loss:.4f} is not yet 5 % below the last growth's"


def outcome(rows: Sequence[Row], task: str) -> dict[str, Any]:
    last, metric = rows[-1], "rmse" if task == "regression" else "error"
    return {
        "task": task,
        "seed": 0,
        "stop_reason": "no improvement of 0.2 % in 8 checks",
        "best_epoch": last.passes,
        "epochs": last.passes,
        "widths": list(last.widths.values()),
        "depth": last.depth,
        "parameters": last.parameters,
        "flops_per_sample": last.flops_per_sample,
        "train_flops": last.train_flops,
        "eval_flops": last.eval_flops,
        "seconds": 12.4,
        "growth_events": 6,
        "val": {"loss": last.val_loss, metric: last.val_error},
        "test": {"loss": last.val_loss * 1.08, metric: last.val_error * 1.1},
        "versions": {"autogrow": "0.1.0", "torch": "2.13.0", "python": "3.11.2"},
    }


def card(task: str) -> dict[str, Any]:
    known = {
        "name": "digits",
        "origin": "scikit-learn",
        "task": task,
        "task_because": "10 different whole numbers",
        "rows": 1797,
        "columns": 64,
        "targets": ["digit"],
        "splits": {"train": 1078, "val": 359, "test": 360},
        "split": "stratified, seed 0",
        "missing": 0,
        "fingerprint": "9f2c1a7be0d3c7f1a2",
        "notes": ["3 columns are constant"],
        "numeric": 64,
        "categories": {},
        "encoded_columns": 64,
        "missing_by_column": {},
    }
    if task == "regression":
        return known | {"target_range": {"digit": {"mean": 4.5, "std": 2.9, "min": 0.0, "max": 9.0}}}
    classes = [{"label": str(i), "rows": 180 - i, "share": 0.1} for i in range(10)]
    return known | {"classes": classes, "balance": 0.95}


CONFIG = """\
data:
  name: digits
  batch_size: 128
growth:
  when: {after: 3, fall: 0.05}
  amount: {factor: 1.5, multiple: 8}
seed: 0
"""


@pytest.fixture
def run() -> Run:
    return make_run()


@pytest.fixture
def regression_run() -> Run:
    return make_run(task="regression")


@pytest.fixture
def fixed_run() -> Run:
    return make_run(grow=False)
