"""The front of a grown net against training each of its sizes from scratch, under the same trainer.

    .venv/bin/python scripts/front_study.py run --out front.jsonl [--sets digits,phoneme] [--seeds 2]
    .venv/bin/python scripts/front_study.py table --out front.jsonl

A cell is a set and a seed: one run, its front, and every size of the front from scratch (same widths, same knots but
for one or two where values are few, growth off, the rest as the run). `run` appends one line per cell and skips the
cells that the file holds. `table` prints the errors at equal size with bootstrap 95 % intervals over cells, and what
the front cost as a share of the separate runs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from recipe import composed
from recipe_sets import overrides_of
from study_cells import Cell, append, read_cells

from autogrow.deploy.front.again import take_up
from autogrow.deploy.front.run import FrontSpec, find_front
from autogrow.policy import Growth, Never
from autogrow.train.fit.process import quiet_lightning, threads
from autogrow.train.fit.run import fit

SETS = ("digits", "phoneme", "satimage", "segment")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--tables", type=Path, default=Path("runs/recipe/tables"), help="where the CSV files are")
    options = parser.parse_args()
    cells = read_cells(options.out)
    if options.what == "table":
        print_table(cells)
        return
    done = {(cell["set"], cell["seed"]) for cell in cells}
    for seed in range(options.seeds):
        for name in options.sets.split(","):
            if (name, seed) not in done:
                append(options.out, {"set": name, "seed": seed, **cell_of(overrides_of(name, options.tables), seed)})


def cell_of(data: Sequence[str], seed: int) -> Cell:
    """One run, its front, and each size of the front from scratch."""
    with tempfile.TemporaryDirectory() as folder:
        spec = replace(composed([*data, f"seed={seed}"]), out=Path(folder) / "run")
        result = fit(spec)
        result.write()
        began = time.process_time()
        with threads(spec), quiet_lightning():
            points = find_front(take_up(spec.out, spec), FrontSpec(), Path(folder), lambda *_: {}, lambda _: None)
        front_seconds = time.process_time() - began
    scratch: dict[str, Cell] = {}
    for point in points:
        if (size := size_of(point)) not in scratch:
            scratch[size] = from_scratch(spec, point)
            print(data, seed, size, point["test"], scratch[size]["test"], flush=True)
    run = {key: result.summary[key] for key in ("train_flops", "seconds", "widths", "val", "test")}
    return {"run": run, "front_seconds": front_seconds, "points": points, "scratch": scratch}


def size_of(point: Cell) -> str:
    """What tells sizes apart: widths and knots."""
    return "-".join(map(str, point["widths"])) + "".join(f",{n}:{k}" for n, k in point.get("knots", {}).items())


def from_scratch(spec: Any, point: Cell) -> Cell:
    """A net of a point's size, trained from its start as the run was, but for growth."""
    net = replace(spec.net, widths=point["widths"], knots=point.get("knots"))
    began = time.process_time()
    fixed = replace(spec.policy, growth=Growth(when=Never()))
    found = fit(replace(spec, out=None, net=net, policy=fixed)).summary
    kept = {key: found[key] for key in ("parameters", "val", "test", "train_flops")}
    return {**kept, "seconds": time.process_time() - began}


def print_table(cells: Sequence[Cell]) -> None:
    """Errors at equal size, and costs."""
    print(
        f"{len(cells)} cells; differences are front minus scratch, in points of test error; below 0 the front is better"
    )
    kinds = ("narrowed", "passed")
    for kind in kinds:
        for name in dict.fromkeys(cell["set"] for cell in cells):
            print(f"  {kind:9} {name:12} {said([c for c in cells if c['set'] == name], kind)}")
        print(f"  {kind:9} {'all':12} {said(cells, kind)}")
    for what, cost in (
        ("train_flops", lambda c: sum(p["cost"]["train_flops"] for p in c["points"])),
        ("seconds", lambda c: c["front_seconds"]),
    ):
        print(f"  {what}: front / separate runs {ratio(cells, what, cost):.3f}; run and front / separate runs {ratio(cells, what, lambda c, w=what, f=cost: f(c) + c['run'][w]):.3f}")  # fmt: skip
    narrow = ratio(
        cells,
        "train_flops",
        lambda c: sum(p["cost"]["train_flops"] for p in c["points"] if p["kind"] == "narrowed"),
        lambda p: p["kind"] == "narrowed",
    )
    print(f"  train_flops: narrowed nets alone / their sizes from scratch {narrow:.3f}")


def said(cells: Sequence[Cell], kind: str) -> str:
    """The mean difference with its interval over cells, and the pairs that it is of."""
    of_cell = [differences(cell, kind) for cell in cells]
    of_cell = [found for found in of_cell if found]
    if not of_cell:
        return "no nets"
    means = np.array([np.mean(found) for found in of_cell])
    draws = np.random.default_rng(0).integers(0, len(means), (10000, len(means)))
    low, high = np.percentile(means[draws].mean(1), [2.5, 97.5])
    won = sum(d < 0 for found in of_cell for d in found)
    pairs = sum(map(len, of_cell))
    return f"{means.mean():+.2f} [{low:+.2f}, {high:+.2f}] over {pairs} pairs of {len(means)} cells, better in {won}"


def differences(cell: Cell, kind: str) -> list[float]:
    """Points of test error that each net of the front errs more than its size from scratch."""
    metric = "error" if "error" in cell["run"]["test"] else "rmse"
    factor = 100 if metric == "error" else 1
    return [
        factor * (point["test"][metric] - cell["scratch"][size_of(point)]["test"][metric])
        for point in cell["points"]
        if point["kind"] == kind
    ]


def ratio(
    cells: Sequence[Cell],
    what: str,
    cost: Callable[[Cell], float],
    which: Callable[[Cell], bool] = lambda _: True,
) -> float:
    """The front's cost over that of the separate runs of its sizes, geometric mean over cells."""
    separate = [sum(c["scratch"][size][what] for size in {size_of(p) for p in c["points"] if which(p)}) for c in cells]
    return float(np.exp(np.mean(np.log([cost(c) / s for c, s in zip(cells, separate, strict=True)]))))


if __name__ == "__main__":
    main()
