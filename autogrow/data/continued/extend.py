"""More data for a net that is there already: its preprocessing is updated in a way that the net can follow exactly.

n rows, D encoded columns before, D' after, in the layouts of the two encoders.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from autogrow.data.encode import Encoder, TableEncoder
from autogrow.data.encode_images import ImageEncoder
from autogrow.data.pipeline import Pipeline
from autogrow.data.preprocess import Standardise, fit_table
from autogrow.data.target import Target
from autogrow.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

PROBED = 512  # rows that the new preprocessing is compared on
NAMED = 5  # columns and categories that a note names


@dataclass(frozen=True)
class Extension:
    """How a net's input and output change when its data do.

    source: for each of the D' columns the old one, −1 for a new one.  factor, shift (D'): an old column's net input was
    factor·(its net input now) + shift.  outputs: classes that are new.  before, after: net input of the same training
    rows by the old and by the new preprocessing, (P, D) and (P, D').  notes: what was done, in words, for the data
    card.
    """

    source: tuple[int, ...]
    factor: Tensor
    shift: Tensor
    outputs: int
    before: Tensor
    after: Tensor
    notes: tuple[str, ...] = ()

    @property
    def inputs(self) -> int:
        """How many encoded columns are new."""
        return sum(i < 0 for i in self.source)


def extend_target(target: Target, before: Pipeline, *, new_classes: str) -> Target:
    """The target in the net's terms: old classes keep their output, new ones come behind.

    Raises DataError where it cannot be.
    """
    if target.task != before.task:
        raise DataError(
            f"the net was trained for {before.task} and the target is now one for {target.task} ({target.why})"
        )
    if target.task == "regression":
        if len(target.names) != before.outputs:
            raise DataError(f"the net answers with {before.outputs} targets and the data have {len(target.names)}")
        return target
    old = list(before.labels)
    if {type(v) for v in old} != {type(v) for v in target.labels}:
        was, now = (f"{type(label).__name__} such as {label!r}" for label in (old[0], target.labels[0]))
        raise DataError(f"classes were {was} and are now {now}")
    fresh = [label for label in target.labels if label not in old]
    if fresh and new_classes == "refuse":
        raise DataError(
            f"class {fresh[0]!r} is new to the net ({len(fresh)} new classes); data.new_classes=grow extends it"
        )
    labels = (*old, *fresh)
    where = np.array([labels.index(label) for label in target.labels])
    return replace(target, values=where[target.values], labels=labels)


def extend_encoder(
    old: Encoder, new: Encoder, *, columns_given: Sequence[str], silent: Collection[str] = ()
) -> Encoder:
    """The encoder of the new rows that encodes what the old one knew as it did.

    Old columns keep their kind and the categories they had; new categories and new columns come in addition. `silent`:
    old columns that were constant, of which the net knows nothing: they are centred as the new rows ask. Raises
    DataError for a column that has gone or has become another kind.
    """
    if isinstance(old, ImageEncoder) or isinstance(new, ImageEncoder):
        if old != new:
            raise DataError(
                "the net was trained on inputs of another kind or shape: "
                "images do not go with tables, nor with other sizes"
            )
        return old
    gone = [c for c in old.columns if c not in columns_given]
    if gone:
        raise DataError(f"the net reads the column {gone[0]!r}, which the new data lack ({len(gone)} missing)")
    for name in old.numeric:
        if name in new.categories:
            raise DataError(
                f"column {name!r} held numbers and now holds text: clean it, or drop it and start a new net"
            )
    for name in old.categories:
        if name in new.numeric and name not in new.categories:
            new = replace(
                new, numeric=tuple(c for c in new.numeric if c != name), categories={**new.categories, name: ()}
            )
    added = [c for c in new.columns if c not in old.columns]
    if old.coding == "embed" and any(c in new.categories for c in added):
        raise DataError(
            f"column {added[0]!r} is new: a net with embedded categories cannot take further ones; start a new net"
        )
    numeric = (*old.numeric, *(c for c in added if c in new.numeric))
    categories: dict[str, tuple[str | None, ...]] = {}
    for name, values in old.categories.items():
        fresh = [v for v in new.categories.get(name, ()) if v not in values] if old.coding == "onehot" else []
        categories[name] = (*values, *fresh)
    categories |= {c: new.categories[c] for c in added if c in new.categories}
    dates = (*old.dates, *(c for c in added if c in new.dates))
    free = {*added, *silent}
    centred = {
        **{c: found for c, found in old.centred.items() if c not in free},
        **{c: found for c, found in new.centred.items() if c in free},
    }
    return TableEncoder(
        (*old.columns, *added), numeric, dates, categories, old.coding, new.ignored, centred,
        {**old.readings, **new.readings}, tuple(dict.fromkeys((*old.missing, *new.missing))),
        (*old.indicators, *(c for c in added if c in new.indicators)),
        {**old.parts, **{c: found for c, found in new.parts.items() if c in added}},
    )  # fmt: skip


def column_sources(old: Encoder, new: Encoder) -> tuple[int, ...]:
    """For each encoded column of `new` the position of the same one in `old`, −1 where there is none."""
    if isinstance(old, ImageEncoder) or isinstance(new, ImageEncoder):
        return ()
    where = {key: i for i, key in enumerate(old.encoded())}
    return tuple(where.get(key, -1) for key in new.encoded())


def refit_preprocess(
    old: Standardise, encoded: Tensor, train: np.ndarray, source: Sequence[int], refitted: Sequence[bool]
) -> tuple[Standardise, Tensor, Tensor]:
    """(the preprocessing refitted on the training rows, factor, shift): see `Extension`.

    A missing value stays filled as it was, and a column in which some value is clamped, by the old statistics or by the
    new, keeps the old ones: neither is linear, so a net could not follow. A column that was constant is filled anew:
    the net knows nothing of it. encoded: all rows (n, D') that the net is to answer alike on. refitted: of each column
    that is standardised, whether it may get new statistics.
    """
    numeric = len(refitted)
    fitted = fit_table(encoded[train], numeric)
    fill, mean, scale, clip = (v.clone() for v in (fitted.fill, fitted.mean, fitted.scale, fitted.clip))
    factor, shift = torch.ones(len(source)), torch.zeros(len(source))
    for j, i in enumerate(source[:numeric]):
        if i < 0:
            continue
        then = float(old.scale[i])
        if then != 0.0:
            fill[j] = old.fill[i]
        values = torch.where(torch.isnan(encoded[:, j]), fill[j], encoded[:, j]).double()
        mean_of, std_of = float(values[train].mean()), float(values[train].std(unbiased=False))
        now = 0.0 if float(scale[j]) == 0 or std_of == 0 else 1 / std_of
        far = max(_furthest(values, float(old.mean[i]), then), _furthest(values, mean_of, now))
        if not refitted[j] or now == 0.0 or far >= float(old.clip[i]):
            mean[j], scale[j], clip[j] = old.mean[i], old.scale[i], old.clip[i]
            continue
        mean[j], scale[j] = mean_of, now
        factor[j] = then / float(scale[j])
        shift[j] = (float(mean[j]) - float(old.mean[i])) * then
    return Standardise(fill, mean, scale, clip), factor, shift


def _furthest(values: Tensor, mean: float, scale: float) -> float:
    return float((values - mean).abs().max()) * scale if len(values) else 0.0


def news_of(old: TableEncoder, new: TableEncoder) -> list[str]:
    """Columns and categories that are new, in words."""
    added = [name for name in new.columns if name not in old.columns]
    notes = [f"new column{'s' * (len(added) > 1)}: {_listed(added)}"] if added else []
    for name, values in old.categories.items():
        fresh = [value for value in new.categories[name] if value not in values]
        if fresh:
            notes.append(f"new in column {name!r}: {_listed(fresh)}")
    return notes


def _listed(names: Sequence[Any]) -> str:
    """The first few by name."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join('(missing)' if name is None else str(name) for name in names[:NAMED])}{more}"


def extension_of(
    before: Pipeline, encoder: TableEncoder, rows: pd.DataFrame, after: Tensor, source: Sequence[int],
    factor: Tensor, shift: Tensor, *, labels: Sequence[Any],
) -> Extension:  # fmt: skip
    """The extension of a table's net, with net inputs of `rows` by both ways.

    after: what the new preprocessing makes of them (P, …).
    """
    fresh = [label for label in labels if label not in before.labels]
    assert isinstance(before.encoder, TableEncoder)
    known = rows[list(before.encoder.columns)]
    notes = [f"new classes: {', '.join(map(str, fresh))}"] if fresh else []
    notes += news_of(before.encoder, encoder)
    return Extension(tuple(source), factor, shift, len(fresh), before.inputs(known), after, tuple(notes))
