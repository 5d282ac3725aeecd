"""A run's net and a table that it is asked about: which columns it reads, which are passed on, which are left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from omegaconf import DictConfig
from torch import Tensor

from autogrow.commands.tasks.told import Weight, told_of, weight_of
from autogrow.data import ImageEncoder, TableEncoder
from autogrow.data.reading.column import MISSING, Reading
from autogrow.data.reading.sign import readings_as_written
from autogrow.data.sources.chunks import TableFile
from autogrow.errors import CheckpointError, ConfigError, DataError, TrainingError, nearest
from autogrow.train.fit.net.deliver import Delivered
from autogrow.train.fit.net.load import load

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

SHOWN = 8  # names of columns in a line
SIGNS = {".": "point", ",": "comma"}
PLAIN = Reading("number")


@dataclass(frozen=True)
class Asked:
    """A net and the table it is asked about. `kept`: columns that are passed on; `also`: further ones that are read;
    `weight`: how much its rows count, None for all alike.
    """

    net: Delivered
    table: TableFile
    kept: list[str]
    also: list[str]
    weight: Weight | None = None

    @property
    def encoder(self) -> TableEncoder:
        """How the net reads a row."""
        encoder = self.net.pipeline.encoder
        assert isinstance(encoder, TableEncoder)
        return encoder

    def chunks(self, rows: int) -> Iterator[pd.DataFrame]:
        """The table, `rows` rows at a time."""
        encoder = self.encoder
        weight = () if self.weight is None or self.weight.column is None else (self.weight.column,)
        # a net of before readings were kept, or of a typed file, has none: its categories are text
        text = [*encoder.readings, *(() if encoder.missing else encoder.categories), *self.also, *self.kept, *weight]
        yield from self.table.chunks(rows, [*encoder.columns, *text], as_text=text)

    def outputs(self, frame: pd.DataFrame) -> Tensor:
        """Logits or target values (rows, O) of some rows of the table."""
        return self.read(frame, lambda part: self.net.outputs(part[list(self.encoder.columns)]))

    def read(self, frame: pd.DataFrame, how: Callable[[pd.DataFrame], T]) -> T:
        """What `how` makes of some rows of the table; a complaint says which rows they are."""
        try:
            return how(frame)
        except DataError as error:
            which = f"of rows {frame.index[0]:,} to {frame.index[-1]:,} of {self.table.path}"
            raise DataError(f"{error} ({which}, counted from 0)" if frame.index[0] else str(error)) from None


def ask(cfg: DictConfig, *, keep: Sequence[str] | None = None, targets: bool = False) -> Asked:
    """The net of `cfg.run` and the table `cfg.table`, checked against one another; says on stderr what is not read.

    keep: columns to pass on; None: those that the net does not use and whose first values are all different (ids).
    targets: whether the table must hold the net's targets too. Raises DataError, in one line, where it lacks a column.
    """
    net = loaded(cfg.run)
    encoder, targeted = net.pipeline.encoder, list(net.pipeline.targets)
    if isinstance(encoder, ImageEncoder):
        raise ConfigError(f"{cfg.run} reads images, not tables: autogrow.load({cfg.run!r}).predict(images)")
    told = told_of(Path(cfg.run))
    table, sample = _opened(cfg, told, encoder, (*encoder.columns, *targeted))
    columns = list(sample.columns)
    if not len(sample):
        raise DataError(f"{table.path} has no rows")
    _check_columns(encoder, columns, cfg)
    for name in [*(targeted if targets else ()), *(keep or ())]:
        if name not in columns:
            raise DataError(f"{table.path} has no column {name!r}; {nearest(name, columns)}")
    left = [c for c in columns if c not in encoder.columns and c not in targeted]
    kept = [c for c in left if _identifies(sample[c])] if keep is None else list(keep)
    unread = [c for c in left if c not in kept and c not in encoder.ignored]
    if unread:
        _say(f"not read, as the net does not know them: {_listed(unread)}")
    weight, lacking = weight_of(told, columns) if targets else (None, [])
    for line in lacking:
        _say(line)
    also = targeted if targets else []
    weight = _read_as_written(net, table, sample, also, weight)
    return Asked(net, table, kept, also, weight)


def _opened(
    cfg: DictConfig, told: Mapping[str, Any], encoder: TableEncoder, names: tuple[str, ...]
) -> tuple[TableFile, pd.DataFrame]:
    """The table and its first rows. How a CSV is written is as given, else as the run was told; else, and where so it
    lacks columns that it has otherwise, it is found from the file.
    """
    given = {key: cfg[key] for key in ("separator", "encoding") if cfg[key] is not None}
    form = {key: told[key] for key in ("separator", "encoding", "header") if told.get(key) is not None} | given
    missing = encoder.missing or MISSING
    table = TableFile(Path(cfg.table), **form, names=names, missing=missing)
    sample = table.sample()
    if "separator" in form and "separator" not in given and not set(encoder.columns) <= set(sample.columns):
        del form["separator"]
        other = TableFile(Path(cfg.table), **form, names=names, missing=missing)
        found = other.sample()
        if set(encoder.columns) <= set(found.columns):
            return other, found
    return table, sample


def _read_as_written(
    net: Delivered, table: TableFile, sample: pd.DataFrame, targets: Sequence[str], weight: Weight | None
) -> Weight | None:
    """Let the net, and the weight that is answered, read numbers by the decimal sign of the table where it is another
    than that of the table that was learned from.
    """
    pipeline, encoder = net.pipeline, net.pipeline.encoder
    assert isinstance(encoder, TableEncoder)
    inputs = {name: encoder.readings.get(name) for name in encoder.numeric if name not in encoder.dates}
    truths = {name: pipeline.target_readings.get(name) for name in targets if pipeline.task == "regression"}
    counted = {} if weight is None or weight.column is None else {weight.column: None}
    numbers = {n: r for n, r in {**counted, **truths, **inputs}.items() if r is None or r.kind == "number"}
    found = {} if table.parquet else readings_as_written(sample, numbers)
    if not found:
        return weight
    signs = sorted({found[n].decimal for n, r in numbers.items() if n not in counted and found[n] != (r or PLAIN)})
    for sign in signs:
        _say(f"{table.path} is read with a decimal {SIGNS[sign]}, which the net's own table did not have")
    readings = {**encoder.readings, **{name: found[name] for name in inputs if name in found}}
    known = {**pipeline.target_readings, **{name: found[name] for name in truths if name in found}}
    net.pipeline = replace(pipeline, encoder=replace(encoder, readings=readings), target_readings=known)
    return weight if weight is None or weight.column is None else replace(weight, reading=found[weight.column])


def _say(line: str) -> None:
    print(f"autogrow: {line}", file=sys.stderr)


@contextmanager
def answering_into(out: Path) -> Iterator[None]:
    """A full disk, and what else an answer cannot be written for, in one line that names the file."""
    try:
        yield
    except OSError as error:
        raise TrainingError(f"{out} cannot be written: {error.strerror or error}") from error


def loaded(run: str) -> Delivered:
    """The net of a run folder or a checkpoint. Raises CheckpointError for somebody's own class of net."""
    net = load(run)
    if not isinstance(net, Delivered):
        raise CheckpointError(f"{run} holds a net of your own class, which has no table to read")
    return net


def _check_columns(encoder: TableEncoder, given: Sequence[str], cfg: DictConfig) -> None:
    absent = [c for c in encoder.columns if c not in given]
    if not absent:
        return
    if len(absent) > len(encoder.columns) / 2:
        raise DataError(
            f"{cfg.table} is another table than the net of {cfg.run} learned from: it lacks {len(absent)} of its "
            f"{len(encoder.columns)} columns ({_listed(absent)}), and has {_listed(given)}"
        )
    raise DataError(
        f"{cfg.table} lacks the column {absent[0]!r}, which the net of {cfg.run} reads ({len(absent)} missing); "
        f"{nearest(absent[0], given)}"
    )


def _identifies(column: pd.Series) -> bool:
    """Whether a column looks like an id: something else in every row, and no number with a fraction."""
    import pandas as pd

    if column.isna().any() or not column.is_unique:
        return False
    values = pd.to_numeric(column, errors="coerce")
    return bool((values.isna() | (values % 1 == 0)).all())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f", … ({len(names)} in all)" if len(names) > SHOWN else "")


__all__ = ["Asked", "answering_into", "ask", "loaded"]
