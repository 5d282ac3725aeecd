"""Is there a size to choose? One net that grows, against every fixed size, at budgets over a factor of 64.

    .venv/bin/python scripts/envelope.py --out envelope.jsonl [--sets teacher,poker,fashion] [--seeds 3] [--arms …]
    .venv/bin/python scripts/envelope.py --out envelope.jsonl --tables TABLES --sets flights,nouns
    .venv/bin/python scripts/envelope.py --out envelope.jsonl --table [--picture docs/pictures/envelope.svg]

Of made-up sets rows are drawn afresh for as long as a run lasts and go by once; a real one is of Parquet files
(`scripts/package_sets.py` makes them) that are streamed, and begun again where a run lasts longer. Every arm has the
product's own trainer: a constant rate, then three tenths of the FLOPs in which it decays. Fixed nets have three layers
of a power of two, the growing one starts at 16-16-16 and doubles; when it would is not told the budget, which refuses
a growth that would leave the larger net fewer steps than the run has had.

Regret at a budget: the FLOPs that the growing net needs for the loss of the best fixed size there, over that
budget (from its own losses at all budgets, as a line between neighbours in log FLOPs and log loss). One line per run is
appended; runs that the file holds are skipped.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from envelope_picture import write_picture
from study_cells import append, read_cells

from autogrow import DataSpec, FitSpec, fit
from autogrow.policy import AllHidden, Budget, Envelope, Factor, Finish, Growth, LifeCycle, Never, NeverStop
from autogrow.train.fit.spec import NetSpec, OptimizerSpec, TrainerSpec

BATCH, ROWS = 4096, 400_000_000
GROWING = "envelope"

BUDGETS = [6.25e11 / 64, 6.25e11 / 16, 6.25e11 / 4, 6.25e11]
"""Training FLOPs; a 128-128-128 net on the teacher's stream sees 2.8 million rows with the largest."""

SIZES = {"teacher": (16, 32, 64, 128, 256), "poker": (16, 32, 64, 128, 256), "fashion": (16, 32, 64, 128, 256, 512),
         "flights": (16, 32, 64, 128, 256), "nouns": (8, 16, 32, 64, 128)}  # fmt: skip


class Teacher:
    """28 normal inputs, 8 classes: what a net of sines and rectifiers answers, with a little noise."""

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        fixed = np.random.default_rng(1)
        first = fixed.normal(size=(28, 64)) / 28**0.5 * 1.5
        second, third = fixed.normal(size=(64, 64)) / 8 * 1.5, fixed.normal(size=(64, 8)) / 4
        first, second, third = (part.astype(np.float32) for part in (first, second, third))
        draw = np.random.default_rng(2)
        while True:
            x = draw.standard_normal((BATCH, 28), dtype=np.float32)
            h = np.sin(x @ first * 1.5) @ second
            h = np.maximum(h, 0) + 0.3 * np.sin(2 * np.sin(x @ first * 1.5) @ second)
            z = h @ third * 2 + draw.standard_normal((BATCH, 8), dtype=np.float32) * 0.3
            yield x, z.argmax(1)


class Poker:
    """Five cards of a deck by suit and rank, and what the hand is worth, up to a flush or better: 6 classes."""

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        draw = np.random.default_rng(3)
        while True:
            cards = draw.random((BATCH, 52)).argpartition(5, axis=1)[:, :5]
            cards = draw.permuted(cards, axis=1)
            suits, ranks = cards // 13, cards % 13
            yield self._inputs(suits, ranks), self._worth(suits, ranks)

    @staticmethod
    def _inputs(suits: np.ndarray, ranks: np.ndarray) -> np.ndarray:
        """One-hot: 5 × (4 + 13)."""
        return np.concatenate([np.eye(4, dtype=np.float32)[suits], np.eye(13, dtype=np.float32)[ranks]], 2).reshape(
            len(suits), -1
        )

    @staticmethod
    def _worth(suits: np.ndarray, ranks: np.ndarray) -> np.ndarray:
        counts = np.sort((ranks[:, :, None] == np.arange(13)).sum(1), axis=1)[:, ::-1]
        ordered = np.sort(ranks, axis=1)
        flush = (suits == suits[:, :1]).all(1)
        royal = (ordered == [0, 9, 10, 11, 12]).all(1)
        straight = ((counts[:, 0] == 1) & (ordered[:, 4] - ordered[:, 0] == 4)) | royal
        worth = np.zeros(len(suits), dtype=np.int64)
        tiers = [(1, counts[:, 0] == 2), (2, (counts[:, 0] == 2) & (counts[:, 1] == 2)), (3, counts[:, 0] == 3),
                 (4, straight), (5, flush), (6, (counts[:, 0] == 3) & (counts[:, 1] == 2)), (7, counts[:, 0] == 4)]  # fmt: skip
        for value, there in tiers:
            worth[there] = value
        return np.minimum(
            worth, 5
        )  # what is rarer than a flush is too rare for a sample to hold out: five classes more


class Fashion:
    """The 60,000 training images of Fashion-MNIST, each time shifted by up to two pixels each way."""

    def __init__(self) -> None:
        from autogrow.data.sources import idx
        from autogrow.data.sources.readers import DEBIAN

        images, labels, held = idx.read_set(DEBIAN["fashion_mnist"])
        self.images = (np.asarray(images[:-held]) / 255).astype(np.float32).reshape(-1, 28, 28)
        self.labels = np.asarray(labels[:-held])

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        draw = np.random.default_rng(4)
        room = np.pad(self.images, ((0, 0), (2, 2), (2, 2)))
        while True:
            rows, down, right = draw.integers(len(room), size=BATCH), *draw.integers(5, size=(2, BATCH))
            shifted = [room[r, d : d + 28, s : s + 28] for r, d, s in zip(rows, down, right, strict=True)]
            yield np.stack(shifted).reshape(BATCH, -1), self.labels[rows]


TARGETS = {"flights": "late", "nouns": "gender"}
"""The tables of `scripts/package_sets.py`, and what is predicted."""
STREAMS = {"teacher": Teacher, "poker": Poker, "fashion": Fashion}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", default="teacher")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", default="", help=f"fixed widths or {GROWING}; empty: all")
    parser.add_argument("--budgets", default="0,1,2,3", help="which of the budgets, from the smallest")
    parser.add_argument("--tables", type=Path, default=Path("tables"), help="the folder of the real set")
    parser.add_argument("--table", action="store_true", help="run nothing")
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    for name in () if options.table else options.sets.split(","):
        arms = options.arms.split(",") if options.arms else [GROWING, *map(str, SIZES[name])]
        for seed in range(options.seeds):
            for budget in (BUDGETS[int(i)] for i in options.budgets.split(",")):
                for arm in arms:
                    run_once(options.out, options.tables, {"set": name, "arm": arm, "seed": seed, "budget": budget})
    cells = read_cells(options.out)
    for name in dict.fromkeys(cell["set"] for cell in cells):
        print_table(name, [cell for cell in cells if cell["set"] == name])
    if options.picture is not None:
        found = means([cell for cell in cells if cell["set"] == options.sets])
        curves = {arm: {flops: mean(losses) for flops, losses in of.items()} for arm, of in found.items()}
        write_picture(options.picture, curves, GROWING)


def run_once(out: Path, tables: Path, what: dict[str, Any]) -> None:
    """Run a cell and append it, unless the file holds it."""
    if any(all(cell[key] == value for key, value in what.items()) for cell in read_cells(out)):
        return
    began = time.process_time()
    made_up = STREAMS.get(what["set"])
    result = fit(spec_of(tables, **what), stream=None if made_up is None else made_up())
    found = {
        **what,
        **{key: result.summary[key] for key in ("train_flops", "widths", "test")},
        "grown": [(r.train_flops, r.reason) for r in result.rows if "widened" in r.reason],
        "passes": result.rows[-1].passes,
        "curve": [(r.train_flops, r.step, r.score, r.parameters, r.reason) for r in result.rows],
        "cpu": time.process_time() - began,
    }
    append(out, found)
    print({key: value for key, value in found.items() if key not in ("grown", "curve")}, flush=True)


def spec_of(tables: Path, set: str, arm: str, seed: int, budget: float) -> FitSpec:
    """A run of one arm: the product's trainer and its life cycle, until the FLOPs are spent."""
    growth = Growth(Never() if arm != GROWING else Envelope(), AllHidden(depth=3, width=16), Factor(2.0, cap=1024))
    finish = Finish(0.3, of="flops", least_checks=1)
    return FitSpec(
        data_of(set, tables),
        policy=LifeCycle(growth=growth, stop=NeverStop(), finish=finish, budget=Budget(train_flops=budget)),
        net=NetSpec(widths="auto" if arm == GROWING else [int(arm)] * 3),
        optimizer=OptimizerSpec(lr=2e-3),
        trainer=TrainerSpec(max_epochs=None, label_smoothing=0.0, check_every=50, check_rows=4000),
        seed=seed,
    )


def data_of(set: str, tables: Path) -> DataSpec:
    """8,000 rows of a made-up set validate, 10,000 of a real one, and a check looks at 4,000; 16,000 or 40,000 test."""
    if set in STREAMS:
        rows = {"stream_rows": ROWS, "first_rows": 40_000, "test_fraction": 0.4}
    else:
        path = str(tables / set / "*.parquet")
        rows = {"path": path, "target": TARGETS[set], "first_rows": 100_000, "val_fraction": 0.1, "test_fraction": 0.4}
    return DataSpec(name=set, source="stream", batch_size=256, **rows)


def means(cells: list[dict[str, Any]]) -> dict[str, dict[float, list[float]]]:
    """The losses of the seeds, by arm and budget."""
    found: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        found[cell["arm"]][cell["budget"]].append(cell["test"]["loss"])
    return found


def flops_to(loss: float, curve: dict[float, float]) -> float:
    """The FLOPs at which a curve (loss by FLOPs) reaches a loss: before its first point along its first piece, beyond
    its last along its last one (infinite where that does not fall).
    """
    points = [(math.log(flops), math.log(value)) for flops, value in sorted(curve.items())]
    pieces = list(itertools.pairwise(points))
    (x, y), (x_end, y_end) = next((p for p in pieces if p[1][1] <= math.log(loss)), pieces[-1])
    return math.exp(x + (math.log(loss) - y) * (x_end - x) / (y_end - y)) if y_end < y else math.inf


def print_table(name: str, cells: list[dict[str, Any]]) -> None:
    """Mean test loss by arm and budget with the number of seeds, and the regret."""
    found = means(cells)
    budgets = sorted({cell["budget"] for cell in cells})
    print(f"\n{name}: test loss (seeds)")
    print("| arm | " + " | ".join(f"{b / 1e9:.3g} GFLOP" for b in budgets) + " |\n|---|" + "---|" * len(budgets))
    for arm in sorted(found, key=lambda a: math.inf if a == GROWING else int(a)):
        row = [f"{mean(found[arm][b]):.4f} ({len(found[arm][b])})" if found[arm].get(b) else "" for b in budgets]
        print(f"| {arm} | " + " | ".join(row) + " |")
    growing = {budget: mean(losses) for budget, losses in found.get(GROWING, {}).items()}
    if len(growing) < 2:
        return
    row = []
    for budget in budgets:
        fixed = {arm: mean(of[budget]) for arm, of in found.items() if arm != GROWING and of.get(budget)}
        best = min(fixed, key=lambda arm: fixed[arm]) if fixed else None
        needed = math.inf if best is None else flops_to(fixed[best], growing) / budget
        said = "about " * (needed > budgets[-1] / budget) + f"{needed:.2f}"
        row.append("" if best is None else f"{said} ({best})")
    print("| regret (best fixed) | " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
