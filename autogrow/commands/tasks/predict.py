"""`autogrow predict RUN TABLE`: what a run's net says of the rows of a table, a line each, in the table's order."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from autogrow.commands.tasks.asked import Asked, answering_into, ask
from autogrow.data import Pipeline
from autogrow.errors import ConfigError
from autogrow.evaluation.evaluate import answers as chosen
from autogrow.standing_streams import is_read
from autogrow.train.record.files import writing

if TYPE_CHECKING:
    import pandas as pd

PREDICTION = "prediction"
OUT = (".csv", ".parquet")


def write_predictions(cfg: DictConfig) -> None:
    """Answer every row of the table, into the file or on stdout."""
    if cfg.chunk_rows < 1:
        raise ConfigError(f"chunk_rows must be at least 1, got {cfg.chunk_rows}")
    out = None if cfg.out is None else Path(cfg.out)
    if out is not None and (out.suffix not in OUT or not out.parent.is_dir()):
        what = f"there is no folder {out.parent}" if out.suffix in OUT else f"it must end in {' or '.join(OUT)}"
        raise ConfigError(f"out={out}: {what}")
    asked = ask(cfg, keep=None if cfg.keep is None else [str(name) for name in cfg.keep])
    answered = answer_columns(asked.net.pipeline)
    for name in cfg.keep or ():
        if name in answered:
            raise ConfigError(f"keep={name}: the answers have a column of that name; rename the table's")
    asked.kept[:] = [name for name in asked.kept if name not in answered]
    parts = answers(asked, cfg.chunk_rows)
    if out is None:
        _write_csv(takewhile(lambda _: is_read(sys.stdout), parts), sys.stdout)  # `| head` has seen enough
        return
    with answering_into(out), writing(out) as file:
        if out.suffix == ".csv":
            _write_csv(parts, file)
        else:
            _write_parquet(parts, file)
    print(out, file=sys.stderr)


def answers(asked: Asked, rows: int) -> Iterator[pd.DataFrame]:
    """The answers, `rows` rows at a time: columns that are passed on, `prediction` (for several targets one by the name
    of each), and for classes `p_<label>`.
    """
    import numpy as np
    import pandas as pd

    pipeline = asked.net.pipeline
    columns = answer_columns(pipeline)
    for frame in asked.chunks(rows):
        out = frame[asked.kept].reset_index(drop=True)
        z = asked.outputs(frame)
        if pipeline.task == "classification":
            p = z.softmax(1).numpy()
            out[PREDICTION] = np.asarray(pipeline.labels)[chosen(p, asked.net.threshold)]
            yield pd.concat([out, pd.DataFrame(p, columns=columns[1:])], axis=1)
        else:
            yield pd.concat([out, pd.DataFrame(z.numpy(), columns=columns)], axis=1)


def answer_columns(pipeline: Pipeline) -> list[str]:
    """The columns that answers have."""
    if pipeline.task == "classification":
        return [PREDICTION, *(f"p_{label}" for label in pipeline.labels)]
    return [PREDICTION] if len(pipeline.targets) == 1 else list(pipeline.targets)


def _write_csv(parts: Iterator[pd.DataFrame], file: Any) -> None:
    for i, part in enumerate(parts):
        part.to_csv(file, index=False, header=i == 0)


def _write_parquet(parts: Iterator[pd.DataFrame], file: Any) -> None:
    import pyarrow
    from pyarrow import parquet

    writer = None
    try:
        for part in parts:
            table = pyarrow.Table.from_pandas(part, schema=None if writer is None else writer.schema)
            writer = writer or parquet.ParquetWriter(file, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
