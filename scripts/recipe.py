"""The study behind the recipe: grown nets against fixed ones, on ten real sets, under one trainer.

    .venv/bin/python scripts/recipe.py run --out study.jsonl [--sets digits,letter] [--arms default,fixed_256] [--seeds
    3] [--splits 2] .venv/bin/python scripts/recipe.py table --out study.jsonl

`run` appends one line per cell (set, split, seed, arm) and skips the cells that the file holds, so it can be stopped
and started. One thread, one cell at a time: errors and FLOPs do not depend on the machine; seconds are the process's
own CPU seconds. `table` prints each set's means, paired differences with bootstrap 95 % intervals over sets, and the
goals, met or not.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from recipe_arms import ARMS, Arm
from recipe_sets import SETS, overrides_of
from recipe_table import print_tables
from study_cells import Cell, append, read_cells

from autogrow.compare.arms import facts_of
from autogrow.compare.search import Search, search
from autogrow.config import CONF_DIR, register_schema, spec_from
from autogrow.errors import AutogrowError, InterruptedRunError
from autogrow.launcher import register_launcher
from autogrow.train.fit.run import Result, fit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--arms", default=",".join(name for name, arm in ARMS.items() if arm.part_of_the_table))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--splits", type=int, default=2)
    parser.add_argument("--tables", type=Path, default=Path("runs/recipe/tables"), help="where the CSV files are")
    options = parser.parse_args()
    cells = read_cells(options.out)
    if options.what == "table":
        print_tables(cells)
        return
    done = {key(cell): cell for cell in cells}
    # the short sets come first, and all arms of a set stand side by side in time
    for name in sorted(options.sets.split(","), key=lambda s: s == "fashion_mnist"):
        data = overrides_of(name, options.tables)
        for split in range(options.splits):
            for seed in range(options.seeds):
                for arm in options.arms.split(","):
                    where = {"set": name, "split": split, "seed": seed, "arm": arm}
                    if key(where) not in done:
                        cell = run_cell(where, data, ARMS[arm], done)
                        done[key(cell)] = cell
                        append(options.out, cell)


def run_cell(where: Cell, data: list[str], arm: Arm, done: dict[tuple[Any, ...], Cell]) -> Cell:
    """Train one cell. An arm that is matched to another reads that one's cell, which must be there."""
    source = done[key({**where, "arm": arm.matched_to})] if arm.matched_to else None
    overrides = [*data, f"seed={where['seed']}", f"data.split_seed={where['split']}", *arm.overrides]
    overrides += arm.from_cell(source) if source else []
    began = time.process_time()
    try:
        result = fit(composed(overrides)) if arm.search is None else searched(composed(overrides), arm.search)
    except InterruptedRunError:
        raise
    except AutogrowError as error:
        return {**where, "failed": str(error), "overrides": overrides}
    s = {**result.summary, **result.summary.get("search_cost", {})}
    kept = ("train_flops", "eval_flops", "seconds", "parameters", "flops_per_sample", "widths", "growth_events")
    cell = {**where, **{k: s[k] for k in kept}, "cpu_seconds": round(time.process_time() - began, 3)}
    cell |= {f"{part}_{k}": s[part][k] for part in ("val", "test") for k in ("error", "loss")}
    cell |= {"passes": s["epochs"], "steps": result.rows[-1].step, "stop_reason": s["stop_reason"]}
    cell["knots"] = facts_of(s, result.rows)["knots"]
    before = (row for row in result.rows if row.phase in ("grow", "hold") and row.finite())
    cell["curve"] = [(row.train_flops, row.score) for row in before]  # the anneal's falling rate flatters any net
    print(
        f"{where['set']:14} split {where['split']} seed {where['seed']} {where['arm']:18} test {100 * cell['test_error']:6.2f} %"
        f"  {cell['train_flops'] / 1e9:8.1f} GFLOP  {cell['cpu_seconds']:6.1f} s  {'-'.join(map(str, s['widths']))}",
        flush=True,
    )
    return {**cell, "overrides": overrides}


def searched(spec: Any, how: Search) -> Result:
    """A search, in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        return search(replace(spec, out=Path(folder) / "search"), how, say=lambda _: None)


def composed(overrides: Iterable[str]) -> Any:
    """The spec of `autogrow fit` with these overrides, without a run folder."""
    register_schema()
    register_launcher()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return spec_from(compose("fit", list(overrides)), out=None)


def key(cell: Cell) -> tuple[Any, ...]:
    """What tells cells apart."""
    return cell["set"], cell["split"], cell["seed"], cell["arm"]


if __name__ == "__main__":
    main()
