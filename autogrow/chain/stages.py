"""Data that arrive in stages: a chain of ordinary runs, each of which continues from the one before.

`<run>/stage_0`, `stage_1`, … are complete run folders. The folder above them holds `stages.json` and `stages.csv` (what
each stage found and cost), the last stage's net, and `result.json`, written last. An interrupted chain goes on in the
stage where it was.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from autogrow.chain.spec import StageSpec, stage_folder
from autogrow.data import count_stages, prepare
from autogrow.errors import ConfigError, InterruptedRunError
from autogrow.policy.event import Event
from autogrow.train.fit.run import Result, fit
from autogrow.train.fit.setup import check_judges
from autogrow.train.fit.spec import FitSpec, WarmStart, check_warm_start
from autogrow.train.fit.view import Silent, View
from autogrow.train.record.files import copy_file, write_atomically, write_json
from autogrow.train.record.folder import (
    BEST,
    CHECKPOINTS,
    STAGES,
    STAGES_CSV,
    is_begun,
    is_complete,
    read_card,
    read_result,
    start_folder,
)
from autogrow.train.record.ledger import read_ledger
from autogrow.train.record.lock import lock

SUMS = ("train_flops", "eval_flops", "seconds")

Plain = dict[str, Any]


def fit_stages(
    spec: FitSpec,
    stage: StageSpec,
    configure: Callable[[FitSpec], FitSpec],
    complete: Callable[[Result, FitSpec], None],
    view: Callable[[FitSpec], View] = lambda _: Silent(),
    *,
    resume: bool = False,
) -> Plain:
    """Train stage after stage and write the folder above them; what its `result.json` holds.

    `configure` gives a stage's spec the config that its run folder keeps; `complete` writes the page and the result of
    a stage's run; `view` shows it. With `resume`, stages that have a result are not trained again and one that was
    interrupted goes on.
    """
    count = check_stages(spec, stage)
    out = spec.out
    assert out is not None
    if not resume or not is_begun(out):
        if is_begun(out):
            raise ConfigError(f"{out} already holds a run; go on with resume={out}, or give another hydra.run.dir")
        first = prepare(replace(spec.data, stage=0))  # what cannot be learned from is said before anything is written
        check_judges(spec, first)
        start_folder(out, spec.config)
    records: list[Plain] = []
    before = spec.continue_from
    for number in range(count):
        own = configure(stage_spec(spec, stage, number, count, before))
        assert own.out is not None
        if not is_complete(own.out):
            with lock(own.out, "autogrow fit"), view(own) as display:
                try:
                    result = fit(own, display=display, resume=is_begun(own.out))
                except InterruptedRunError as error:
                    raise InterruptedRunError(error.exit_code - 128, out) from None
                complete(result, own)
                display.finish(result.summary, str(own.out), result.rows)
        records.append(_record(own.out, number, records))
        write_stages(out, records)
        before = own.out
    return _summary(out, records)


def check_stages(spec: FitSpec, stage: StageSpec) -> int:
    """How many stages there are. Raises ConfigError for settings that stages cannot have."""
    for name, value in (("patience", stage.patience), ("finish", stage.finish)):
        if not 0 <= value <= 1 or (name == "patience" and value == 0):
            raise ConfigError(f"stage.{name} must be {'above 0' if name == 'patience' else '0'} to 1, got {value}")
    check_warm_start(WarmStart(stage.shrink, stage.perturb), "stage")
    if spec.trainer.devices != 1:
        raise ConfigError(f"data.arrival goes with trainer.devices=1, got {spec.trainer.devices}")
    if spec.out is None:
        raise ConfigError("data.arrival needs a run folder: its stages continue from one another's checkpoints")
    return count_stages(spec.data)


def stage_spec(spec: FitSpec, stage: StageSpec, number: int, count: int, before: Path | None) -> FitSpec:
    """The spec of one stage's run, which continues from `before`."""
    assert spec.out is not None
    own = replace(spec, data=replace(spec.data, stage=number), out=stage_folder(spec.out, number), continue_from=before)
    if number < count - 1:
        short = spec.policy.shortened(patience=stage.patience, finish=stage.finish, refit=stage.refit)
        return replace(own, policy=short)
    # a warm start that is asked for is every stage's
    return replace(own, warm_start=WarmStart(stage.shrink, stage.perturb)) if spec.warm_start.exact else own


def _record(folder: Path, number: int, before: list[Plain]) -> Plain:
    """What a finished stage found and cost, in plain values, from its folder."""
    result, card, rows = read_result(folder), read_card(folder), read_ledger(folder)
    events = [row.event for row in rows if row.event is not None]
    sums = {key: result[key] + (before[-1][f"cumulated_{key}"] if before else 0) for key in SUMS}
    return {
        "stage": number,
        "name": _name(card),
        "folder": folder.name,
        "rows": card["splits"],
        "classes": len(card.get("classes", ())),
        "columns": card["columns"],
        "start_widths": list(rows[0].widths.values()),
        "widths": result["widths"],
        "parameters": result["parameters"],
        "val": result["val"],
        "test": result["test"],
        "epochs": result["epochs"],
        **{key: result[key] for key in SUMS},
        **{f"cumulated_{key}": value for key, value in sums.items()},
        "growths": [_growth(event) for event in events if event.grew],
        "continued": result.get("continued"),
        "stop_reason": result["stop_reason"],
    }


def _name(card: Mapping[str, Any]) -> str:
    notes = [note for note in card["notes"] if note.startswith("stage ")]
    return notes[-1].partition("(")[2].removesuffix(")") if notes else ""


def _growth(event: Event) -> Plain:
    sides = {side: dict(size.widths) for side, size in (("before", event.before), ("after", event.after)) if size}
    return {"do": event.do, **sides, "receipt": event.receipt}


def write_stages(out: Path, records: list[Plain]) -> None:
    """Write `stages.json` and, projected from it, `stages.csv`."""
    write_json(out / STAGES, records)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    metric = "error" if "error" in records[0]["test"] else "rmse"
    sums = [*SUMS, *(f"cumulated_{key}" for key in SUMS)]
    writer.writerow(["stage", "name", "train_rows", "val_rows", "test_rows", "classes", "widths", "parameters"]
                    + [f"{part}_{key}" for part in ("val", "test") for key in (metric, "loss")] + [*sums, "growths"])  # fmt: skip
    for r in records:
        found = [r[part][key] for part in ("val", "test") for key in (metric, "loss")]
        shape = [r["classes"], "-".join(map(str, r["widths"])), r["parameters"]]
        writer.writerow(
            [r["stage"], r["name"], *r["rows"].values(), *shape, *found, *(r[k] for k in sums), len(r["growths"])]
        )
    write_atomically(out / STAGES_CSV, text.getvalue())


def _summary(out: Path, records: list[Plain]) -> Plain:
    """What `result.json` of the whole chain holds: the last stage's, every stage in short, and the costs of all."""
    last = stage_folder(out, len(records) - 1)
    (out / CHECKPOINTS).mkdir(exist_ok=True)
    copy_file(last / CHECKPOINTS / BEST, out / CHECKPOINTS / BEST)
    total = {key: records[-1][f"cumulated_{key}"] for key in SUMS}
    return {**read_result(last), "total": total, "stages": records}


__all__ = ["StageSpec", "check_stages", "fit_stages", "stage_folder"]
