"""The comparison of any folder of runs, as plain data:
arms with intervals, paired differences, verdicts, curves, every raw row.
"""

from __future__ import annotations

import csv
import io
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from autogrow.children.jobs import last_line
from autogrow.compare.arms import GROW
from autogrow.compare.read.curves import cost_to_target, curve, target_of
from autogrow.compare.read.device import about_device, of_run, of_runs, read_device
from autogrow.compare.read.grouping import group, one_of_each, read_plan
from autogrow.compare.read.hyperparameters import search_section
from autogrow.compare.read.runs import Found, Run, find_runs
from autogrow.compare.read.statistics import interquartile_mean, mean
from autogrow.compare.read.verdicts import pairs_of, verdict
from autogrow.compare.read.warn import warnings_about
from autogrow.train.record.files import write_atomically, write_json
from autogrow.train.record.folder import COMPARED, LOG, ROWS, is_complete

VERSION = 1


@dataclass(frozen=True)
class Comparison:
    """`plain` is what compare.json holds, `rows` what rows.csv holds: one mapping per run."""

    plain: dict[str, Any]
    rows: list[dict[str, Any]]


def compare_folder(folder: Path, *, command: str = "", target: float | None = None) -> Comparison:
    """Compare all finished runs below a folder. `target`:
    the validation loss to reach, else that of the plan, else by rule.

    Raises ConfigError where there is no run, or runs of different data sets.
    """
    found = find_runs(folder)
    arms, twice = one_of_each(group(folder, found.runs))
    plan, device = read_plan(folder), read_device(folder)
    reference = reference_of(arms)
    arms = {reference: arms[reference], **arms}  # first
    about = _about(plan, arms)
    first = next(iter(arms.values()))[0]
    goal = target_of(arms, plan.get("target") if target is None else target)
    pairs = pairs_of(arms, reference)
    failures = _failures(folder, plan)
    verdicts = [
        verdict(pair, about[pair["a"]], about[pair["b"]]) for pair in pairs if pair["measure"] == f"test_{first.metric}"
    ]
    plain = {
        "version": VERSION,
        "title": plan.get("title", f"{folder.resolve().name}: {len(found.runs)} runs on {first.card['name']}"),
        "data": first.card["name"],
        "fingerprint": first.card["fingerprint"],
        "split": first.card["split"],
        "split_rows": dict(first.card["splits"]),
        "task": first.result["task"],
        "metric": first.metric,
        "seeds": sorted({run.seed for runs in arms.values() for run in runs}),
        "command": command or plan.get("command", f"autogrow report {folder}"),
        "versions": first.result.get("versions", {}),
        "machine": machine(),
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "arms": {
            name: _arm(runs, {**about[name], "failed": sum(f["arm"] == name for f in failures)}, goal["val_loss"])
            | {"device": of_runs(device, runs)}
            for name, runs in arms.items()
        },
        "device": None if device is None else about_device(device),
        "target": goal,
        "pairs": pairs,
        "verdicts": verdicts,
        "curves": {name: [curve(run) for run in runs] for name, runs in arms.items()},
        "search": search_section(arms),
        "failures": failures,
        "warnings": [*_left_out(found, plan), *twice, *warnings_about(arms, about, reference, plan)],
    }
    return Comparison(plain, [_row(name, run) | of_run(device, run) for name, runs in arms.items() for run in runs])


def reference_of(arms: Mapping[str, Sequence[Run]]) -> str:
    """The arm that the others are compared with: `grow`; in any other folder the first that grew, else the first."""
    grew = (name for name, runs in arms.items() if any(run.result.get("growth_events") for run in runs))
    return GROW if GROW in arms else next(grew, next(iter(arms)))


def _about(plan: Mapping[str, Any], arms: Mapping[str, Sequence[Run]]) -> dict[str, dict[str, Any]]:
    """What each arm is: as planned; of runs that nobody planned, what was typed."""
    planned = plan.get("arms", {})
    return {name: planned.get(name, {"about": name, "label": name, "overrides": [], "matched": None}) for name in arms}


def _arm(runs: Sequence[Run], about: Mapping[str, Any], target: float) -> dict[str, Any]:
    measured = {key: [run.measures[key] for run in runs] for key in runs[0].measures}
    reached = [cost_to_target(run, target) for run in runs]
    return {
        **about,
        "runs": len(runs),
        "seeds": [run.seed for run in runs],
        "folders": [run.name for run in runs],
        "mean": {key: asdict(mean(values)) for key, values in measured.items()},
        "iqm": {key: interquartile_mean(values) for key, values in measured.items()},
        "widths": [list(run.result["widths"]) for run in runs],
        "growth_events": [run.result.get("growth_events", 0) for run in runs],
        "flops_to_target": [flops for flops, _ in reached],
        "seconds_to_target": [seconds for _, seconds in reached],
    }


def _row(arm: str, run: Run) -> dict[str, Any]:
    """One line of rows.csv: every scalar of result.json by its path, the cost of a search charged to it."""
    flat: dict[str, Any] = {"arm": arm, "seed": run.seed}
    for key, value in run.result.items():
        if key in ("versions", "seed"):
            continue
        if isinstance(value, Mapping):
            flat |= {f"{key}_{inner}": v for inner, v in value.items() if not isinstance(v, (list, dict))}
        else:
            flat[key] = "-".join(map(str, value)) if isinstance(value, list) else value
    return {**flat, **run.measures, "folder": run.name}


def _failures(folder: Path, plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Planned runs that have no result, each with the last line of its log."""
    out = []
    for arm in plan.get("arms", {}):
        for seed in plan["seeds"]:
            home = folder / run_folder(arm, seed)
            if not is_complete(home):
                message = _why_missing(home / LOG)
                out.append({"arm": arm, "seed": seed, "message": message, "log": f"{run_folder(arm, seed)}/{LOG}"})
    return out


def _why_missing(log: Path) -> str:
    said = log.read_text(encoding="utf-8", errors="replace").split("\n", 1) if log.is_file() else []
    if not said:
        return "was not run"
    return last_line(log) if said[-1].strip() and len(said) > 1 else "was ended before it said anything"


def run_folder(arm: str, seed: int) -> str:
    """Where a comparison has a run, relative to its own folder."""
    return f"{arm}/seed_{seed}"


def _left_out(found: Found, plan: Mapping[str, Any]) -> list[str]:
    """What is not already among the failures of the plan."""
    planned = {run_folder(arm, seed) for arm in plan.get("arms", {}) for seed in plan["seeds"]}
    return [words for words in found.left_out if words.split(" ")[0].rstrip(":") not in planned]


def machine() -> str:
    """What this is reckoned on, in words."""
    model = ""
    cpus = Path("/proc/cpuinfo")
    if cpus.is_file():
        names = [line.partition(":")[2].strip() for line in cpus.read_text().splitlines() if "model name" in line]
        model = names[0] if names else ""
    return f"{model or platform.processor() or platform.machine()}, {os.cpu_count()} cores, {platform.system()}"


def write(folder: Path, comparison: Comparison) -> None:
    """Write compare.json and rows.csv, each whole or not at all."""
    write_json(folder / COMPARED, comparison.plain)
    columns = list(dict.fromkeys(key for row in comparison.rows for key in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(comparison.rows)
    write_atomically(folder / ROWS, out.getvalue())
