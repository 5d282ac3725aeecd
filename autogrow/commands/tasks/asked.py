"""A run's net and a table that it is asked about: which columns it reads, which are passed on, which are left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from autogrow.data import ImageEncoder, TableEncoder
from autogrow.data.reading.column import MISSING
from autogrow.data.sources.chunks import TableFile
from autogrow.errors import CheckpointError, ConfigError, DataError, nearest
from autogrow.train.fit.net.deliver import Delivered
from autogrow.train.fit.net.load import load
from autogrow.train.record.folder import CONFIG, read_config

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

SHOWN = 8  # names of columns in a line


@dataclass(frozen=True)
class Asked:
    """A net and the table it is asked about. `kept`: columns that are passed on; `also`: further ones that are read."""

    net: Delivered
    table: TableFile
    kept: list[str]
    also: list[str]

    @property
    def encoder(self) -> TableEncoder:
        """How the net reads a row."""
        encoder = self.net.pipeline.encoder
        assert isinstance(encoder, TableEncoder)
        return encoder

    def chunks(self, rows: int) -> Iterator[pd.DataFrame]:
        """The table, `rows` rows at a time."""
        columns = [*self.encoder.columns, *self.also, *self.kept]
        encoder = self.encoder
        # a net of before readings were kept, or of a typed file, has none: its categories are text
        text = encoder.readings or ({} if encoder.missing else encoder.categories)
        yield from self.table.chunks(rows, columns, as_text=[*text, *self.also, *self.kept])

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
    table = TableFile(
        Path(cfg.table), **_format_of(cfg), names=(*encoder.columns, *targeted), missing=encoder.missing or MISSING
    )
    sample = table.sample()
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
        print(f"autogrow: not read, as the net does not know them: {_listed(unread)}", file=sys.stderr)
    return Asked(net, table, kept, targeted if targets else [])


def loaded(run: str) -> Delivered:
    """The net of a run folder or a checkpoint. Raises CheckpointError for somebody's own class of net."""
    net = load(run)
    if not isinstance(net, Delivered):
        raise CheckpointError(f"{run} holds a net of your own class, which has no table to read")
    return net


def _format_of(cfg: DictConfig) -> dict[str, Any]:
    """How a CSV is written: as given, else as the run was told, else it is found from the file."""
    folder = Path(cfg.run)
    told = OmegaConf.create(read_config(folder)) if (folder / CONFIG).is_file() else OmegaConf.create()
    form = {key: OmegaConf.select(told, f"data.{key}") for key in ("separator", "encoding", "header")}
    given = {key: cfg[key] for key in ("separator", "encoding") if cfg[key] is not None}
    return {**form, **given}


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


__all__ = ["Asked", "ask", "loaded"]
