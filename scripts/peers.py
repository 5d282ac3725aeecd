"""autogrow beside what people would pick for a table: real tables, the same rows for all, defaults only, one thread.

    .venv/bin/python scripts/peers.py run --out peers.jsonl [--sets ames] [--methods default,lightgbm]
    .venv/bin/python scripts/peers.py run --out peers.jsonl --arm 'decay=optimizer.weight_decay=0.05'
    .venv/bin/python scripts/peers.py run --out fresh.jsonl --first 5 --splits 3 --methods default,lightgbm
    .venv/bin/python scripts/peers.py table --out peers.jsonl [--against lightgbm]

`run` appends one line per cell (set, split, method) and skips those that the file holds, so it can be stopped and
started. Splits are 60 % training, 20 % validation and 20 % test rows, stratified; the peers are fitted as
`peers_methods` says. `--arm NAME=overrides` adds an autogrow run with overrides of its own, `--matched NAME=overrides`
one that trains the default's final net with its training FLOPs. `table` prints errors per table, and for each method
the geometric mean over tables of its error relative to another's, with a bootstrap 95 % interval over tables.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from peers_methods import PEERS, Rows, judged
from peers_table import print_tables
from peers_tables import TABLES, csv_of
from recipe import composed
from study_cells import Cell, append, read_cells

from autogrow.compare.arms import arm_from, facts_of
from autogrow.config import CONF_DIR
from autogrow.data import prepare
from autogrow.errors import AutogrowError, InterruptedRunError
from autogrow.train.fit.run import fit

SAME_NET = CONF_DIR / "compare" / "scratch_flops.yaml"
OWN = {"default": [], "accurate": ["experiment=accurate"]}
"""autogrow's own methods, as overrides of `autogrow fit`."""


def main() -> None:
    options = read_options()
    cells = read_cells(options.out)
    if options.what == "table":
        print_tables(cells, options.against)
        return
    torch.set_num_threads(1)
    arms = {**OWN, **dict(_named(text) for text in options.arm)}
    matched = dict(_named(text) for text in options.matched)
    methods = [*options.methods.split(","), *(_named(t)[0] for t in (*options.arm, *options.matched))]
    done = {_key(cell): cell for cell in cells}
    for split in range(options.first, options.first + options.splits):
        for name in options.sets.split(","):
            for method in dict.fromkeys(m for m in methods if m):
                where = {"set": name, "split": split, "method": method}
                if _key(where) in done:
                    continue
                path = csv_of(name, options.tables)
                if method in PEERS:
                    cell = run_peer(where, path)
                elif method in matched:
                    source = done.get(_key({**where, "method": options.source}))
                    if source is None or "failed" in source:
                        continue
                    cell = run_own(where, path, [*_same_net(source), *matched[method]])
                else:
                    cell = run_own(where, path, arms[method])
                done[_key(cell)] = cell
                append(options.out, cell)
                print(_line(cell), flush=True)


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", default=",".join(TABLES))
    parser.add_argument("--methods", default=",".join([*OWN, *PEERS]))
    parser.add_argument("--arm", action="append", default=[], help="NAME=overrides, parted by spaces")
    parser.add_argument("--matched", action="append", default=[], help="the same, on the net and FLOPs of --source")
    parser.add_argument("--source", default="default")
    parser.add_argument("--splits", type=int, default=5, help="how many")
    parser.add_argument("--first", type=int, default=0, help="number of the first split; nothing was chosen on 5 to 7")
    parser.add_argument("--against", default="default")
    parser.add_argument("--tables", type=Path, default=Path("runs/peers/tables"), help="where the CSV files are")
    return parser.parse_args()


def data_overrides(name: str, path: Path, split: int) -> list[str]:
    """One table with one split, as overrides of `autogrow fit`."""
    table = TABLES[name]
    return [
        "data=csv",
        f"data.path={path}",
        f"data.target={table.target}",
        f"data.task={table.task}",
        f"data.split_seed={split}",
        f"seed={split}",
    ]


def run_own(where: Cell, path: Path, overrides: Sequence[str]) -> Cell:
    """Train one autogrow net and read its test rows."""
    began = time.process_time()
    try:
        result = fit(composed([*data_overrides(where["set"], path, where["split"]), *overrides]))
    except InterruptedRunError:
        raise
    except AutogrowError as error:
        return {**where, "failed": str(error), "overrides": list(overrides)}
    s = result.summary
    kept = ("train_flops", "eval_flops", "parameters", "widths", "epochs", "stop_reason")
    measured = {f"{part}_error": s[part].get("error", s[part].get("rmse")) for part in ("val", "test")}
    measured |= {f"{part}_loss": s[part]["loss"] for part in ("val", "test")}
    spent = round(time.process_time() - began, 3)
    facts = facts_of(s, result.rows)
    grown = {k: s[k] for k in kept} | {"net": {k: facts[k] for k in ("widths", "knots")}}
    return {**where, **grown, **measured, "cpu_seconds": spent, "overrides": list(overrides)}


def run_peer(where: Cell, path: Path) -> Cell:
    """Fit one peer on the rows that autogrow has."""
    return {**where, **judged(where["method"], rows_of(where["set"], path, where["split"]), where["split"])}


def rows_of(name: str, path: Path, split: int) -> Rows:
    """The table as a frame, with the rows of autogrow's split."""
    spec = composed(data_overrides(name, path, split)).data
    prepared = prepare(spec)
    frame = pd.read_csv(path)
    target = frame[TABLES[name].target]
    if prepared.task == "classification":
        labels = [str(label) for label in prepared.labels]
        y = pd.Categorical(target.astype(str), categories=labels).codes.astype(np.int64)
    else:
        y = target.to_numpy(dtype=np.float64)
    train, val, test = (part.rows.numpy() for part in (prepared.train, prepared.val, prepared.test))
    return Rows(frame.drop(columns=[TABLES[name].target]), y, len(prepared.labels), train, val, test)


def _same_net(cell: Cell) -> list[str]:
    """What compare's arm of the same net from scratch at equal FLOPs takes over: widths, depth, knots and FLOPs."""
    facts = {**cell["net"], "train_flops": cell["train_flops"]}
    return arm_from("scratch_flops", yaml.safe_load(SAME_NET.read_text(encoding="utf-8"))).filled([], facts)


def _named(text: str) -> tuple[str, list[str]]:
    name, _, overrides = text.partition("=")
    return name, overrides.split()


def _key(cell: Cell) -> tuple[Any, ...]:
    return cell["set"], cell["split"], cell["method"]


def _line(cell: Cell) -> str:
    head = f"{cell['set']:14} split {cell['split']} {cell['method']:16}"
    return (
        f"{head} FAILED {cell['failed']}"
        if "failed" in cell
        else f"{head} test {cell['test_error']:.5g}  {cell['cpu_seconds']:.1f} s"
    )


if __name__ == "__main__":
    main()
