"""How far from the validation optimum a run stops: every stop rule, replayed on runs that nothing stopped.

    .venv/bin/python scripts/stop_regret.py --out regret.jsonl [--sets digits,letter] [--seeds 3] [--checks 200]

Each run grows by the default policy for `--checks` checks at a constant rate, whatever its loss does. A stop rule is a
pure function of the rows, so one run tells where each rule would have ended it. Regret: validation error at the best
check up to there, less that at the best check of the whole run (best by the score, as a run chooses), in points; and
the checks trained, as a share of those up to the optimum. One line per run and rule is appended; runs that the file
holds are skipped.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from recipe import composed
from recipe_sets import SETS, overrides_of
from scipy.stats import bootstrap
from study_cells import append, read_cells

from autogrow.policy import GapStop, Patience
from autogrow.policy.history import History, Options, Row
from autogrow.policy.stop import StopRule
from autogrow.policy.verdict import Verdict
from autogrow.train.fit.run import fit

RULES: dict[str, StopRule] = {
    **{f"patience {n}": Patience(n, after_growth=n + 3) for n in (2, 4, 6, 8, 12, 16)},
    **{f"gap {gap}": GapStop(max_gap=gap) for gap in (0.1, 0.3, 0.5)},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--checks", type=int, default=200)
    parser.add_argument("--tables", type=Path, default=Path("runs/recipe/tables"), help="where the CSV files are")
    options = parser.parse_args()
    done = {(cell["set"], cell["seed"]) for cell in read_cells(options.out)}
    for name in options.sets.split(","):
        for seed in range(options.seeds):
            if (name, seed) not in done:
                rows = unstopped(name, seed, options.checks, options.tables)
                for rule in RULES:
                    append(options.out, {"set": name, "seed": seed, "rule": rule, **regret(rows, rule)})
                print(f"{name} seed {seed}: {len(rows)} checks, widths {list(rows[-1].widths.values())}", flush=True)
    print_table(read_cells(options.out))


def unstopped(name: str, seed: int, checks: int, tables: Path) -> list[Row]:
    """The rows of a run that grows by the default policy and is never stopped."""
    spec = composed(
        [*overrides_of(name, tables), f"seed={seed}", "stop=patience", "finish=none", "trainer.max_epochs=100000"]
    )
    return list(fit(replace(spec, policy=replace(spec.policy, stop=_After(checks)))).rows)


@dataclass(frozen=True)
class _After:
    """Stop after so many checks."""

    checks: int

    def __call__(self, history: History, options: Options) -> Verdict:
        return Verdict(len(history) >= self.checks, f"{len(history)} of {self.checks} checks")


def regret(rows: list[Row], rule: str) -> dict[str, Any]:
    """Where the rule would have stopped, and what that costs."""
    nothing = Options(widths={}, depths={}, cost=lambda _: None)  # type: ignore[arg-type, return-value]
    stop = RULES[rule]
    at = next((i for i in range(len(rows)) if stop(rows[: i + 1], nothing).fires), len(rows) - 1)
    best = min(range(len(rows)), key=lambda i: rows[i].score if math.isfinite(rows[i].score) else math.inf)
    taken = min(range(at + 1), key=lambda i: rows[i].score if math.isfinite(rows[i].score) else math.inf)
    return {
        "stopped": at,
        "taken": taken,
        "optimum": best,
        "regret_points": 100 * (rows[taken].val_error - rows[best].val_error),
        "regret_score": rows[taken].score - rows[best].score,
        "flops_share": rows[at].train_flops / rows[best].train_flops,
        "fired": at < len(rows) - 1,
    }


def print_table(cells: list[dict[str, Any]]) -> None:
    """Each rule's regret: mean over sets with a bootstrap interval, the worst set, and what is trained."""
    sets = sorted({cell["set"] for cell in cells})
    seeds = len({cell["seed"] for cell in cells})
    print(f"\n{len(sets)} sets ({', '.join(sets)}), {seeds} seeds; regret in points of validation error")
    print(f"{'rule':12} {'regret':>8} {'95 % interval':>16} {'worst set':>24} {'score':>8} {'FLOPs':>7} {'fired':>6}")
    for rule in RULES:
        of = [[c for c in cells if c["set"] == s and c["rule"] == rule] for s in sets]
        points = [mean(c["regret_points"] for c in own) for own in of]
        low, high = (
            bootstrap((np.array(points),), np.mean, rng=0).confidence_interval
            if len(points) > 1
            else (math.nan, math.nan)
        )
        worst = max(range(len(sets)), key=lambda i: points[i])
        every = [c for own in of for c in own]
        share = math.exp(mean(math.log(c["flops_share"]) for c in every))
        print(
            f"{rule:12} {mean(points):+8.2f} [{low:+6.2f}, {high:+6.2f}] {sets[worst]:>16} {points[worst]:+7.2f}"
            f" {mean(c['regret_score'] for c in every):8.4f} {share:6.2f}x {mean(c['fired'] for c in every):6.0%}"
        )


if __name__ == "__main__":
    main()
