"""`autogrow evaluate RUN TABLE`: how well a net does on rows whose targets are known, and how strange these are."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from autogrow.commands.tasks.asked import Asked, answering_into, ask
from autogrow.data.drift import strange_values
from autogrow.data.truth import has_truth, read_truth
from autogrow.errors import ConfigError, DataError
from autogrow.evaluation import baseline, evaluate, scalars
from autogrow.show import words
from autogrow.show.measures import answer_of, beats, details, name_of, say
from autogrow.train.record.files import write_json

MANY = 0.01  # of the rows: fewer strange values are what a few outliers look like
SHOWN = 5  # columns in a warning

Plain = dict[str, Any]


def write_evaluation(cfg: DictConfig) -> None:
    """Print every metric of the rows, and write them where that is asked for."""
    if cfg.chunk_rows < 1:
        raise ConfigError(f"chunk_rows must be at least 1, got {cfg.chunk_rows}")
    out = None if cfg.out is None else Path(cfg.out)
    if out is not None and (out.suffix != ".json" or not out.parent.is_dir()):
        what = f"there is no folder {out.parent}" if out.suffix == ".json" else "it must end in .json"
        raise ConfigError(f"out={out}: {what}")
    asked = ask(cfg, keep=(), targets=True)
    found = evaluation(asked, cfg.chunk_rows)
    for line in lines(found):
        print(line)
    for line in warnings(found):
        print(f"autogrow: {line}", file=sys.stderr)
    if out is not None:
        with answering_into(out):
            write_json(out, {"run": cfg.run, "table": cfg.table, **found})
        print(f"  written to  {out}")


def evaluation(asked: Asked, rows: int) -> Plain:
    """Every metric of the rows that have their targets, each of which counts as in the run (`weights` says by what,
    where they do not count alike); `baseline` beside them, `left_out`: rows without a target, `drift`: by column the
    share of rows that hold what no training row held. Reads `rows` rows at a time.
    """
    pipeline, net = asked.net.pipeline, asked.net
    answers, truths, counts, strange, left_out = [], [], [], Counter[str](), 0
    for frame in asked.chunks(rows):
        y = asked.read(frame, lambda part: read_truth(part, pipeline))
        there = has_truth(y)
        left_out += int((~there).sum())
        if there.any():
            known = frame[there]
            z = asked.outputs(known)
            answers.append((z.softmax(1) if pipeline.task == "classification" else z).numpy())
            truths.append(y[there])
            if asked.weight is not None:
                how = partial(asked.weight.of_rows, y=y[there], labels=pipeline.labels)
                counts.append(asked.read(known, how))
            strange.update(strange_values(pipeline, known))
    if not truths:
        raise DataError(f"{asked.table.path}: no row has a target, so there is nothing to evaluate")
    outputs, y, weights = np.concatenate(answers), np.concatenate(truths), np.concatenate(counts) if counts else None
    if weights is not None and not weights.sum() > 0:
        raise DataError(f"{asked.table.path}: every row has the weight 0, so that nothing of it counts")
    task, labels, names = pipeline.task, pipeline.labels, pipeline.targets
    found = evaluate(task, labels, outputs, y, weights=weights, threshold=net.threshold, names=names)
    base = None if net.prior is None else baseline(task, labels, net.prior, y, weights=weights, names=names)
    if asked.weight is not None:
        found["weights"] = asked.weight.said()
    drift = {name: count / len(y) for name, count in sorted(strange.items(), key=lambda item: -item[1])}
    return {"task": task, **found, "baseline": base, "left_out": left_out, "drift": drift}


def lines(found: Mapping[str, Any]) -> list[str]:
    """The evaluation as lines for a screen."""
    base = found["baseline"] or {}
    metric = words.measure_name(found["task"])
    cells = [["", "", "baseline" if base else ""]]
    cells += [[name_of(name), say(name, value), say(name, base[name]) if name in base else ""]
              for name, value in scalars(dict(found)).items()]  # fmt: skip
    counted = f"; {found['weights']}" if "weights" in found else ""
    said = [f"{words.count(found['rows'])} rows{counted}", *words.columns(cells)]
    result = {"task": found["task"], "metrics": {"test": found}, "test": {}}
    said += [f"  {what:<12}{how}" for what, how in details(result)]
    if base and beats(metric, found, base) is False:
        said.append(f"  no better than {answer_of(base)}")
    return said


def warnings(found: Mapping[str, Any]) -> list[str]:
    """What is to be said of the rows: those left out, and columns that differ from what the net learned from."""
    said = []
    if found["left_out"]:
        said.append(f"{words.count(found['left_out'])} rows have no target and are left out")
    many = [(name, share) for name, share in found["drift"].items() if share > MANY]
    if many:
        listed = ", ".join(f"{name} in {words.percent(share, 1)} of the rows" for name, share in many[:SHOWN])
        more = f", and {len(many) - SHOWN} more columns" if len(many) > SHOWN else ""
        said.append(f"the table differs from training: values far out or never seen of {listed}{more}")
    return said
