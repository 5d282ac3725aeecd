"""What an exported net is given: a row of numbers, one for each column of the table, and what is made of them.

Text cannot go into every artefact, so a category comes as its code and a date as days since 1970 (`encoder.json` says
how); everything after that is inside. n rows, I inputs, D columns that the net's first layer sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from autogrow.data import ImageEncoder, Pipeline, TableEncoder
from autogrow.data.as_text import texts
from autogrow.data.columns import days, doubles
from autogrow.data.date_parts import waves, years

NUMBER, DATE, YEAR, WAVE, CATEGORY, PIXEL = "number", "date", "year", "wave", "category", "pixel"
"""Kinds of inputs."""

VALUE, MISSING, IS, CODE = "value", "missing", "is", "code"
"""Kinds of columns."""

UNITS = {
    NUMBER: "as in the table",
    DATE: "days since 1970-01-01, UTC",
    YEAR: "the date's year",
    WAVE: "sine or cosine of where the date lies in its round; 0 where it is missing",
    CATEGORY: "code, from 0; -1 for a value that has none",
    PIXEL: "as in the image",
}


@dataclass(frozen=True)
class Input:
    """One number of the row that an artefact is given; NaN is missing, whatever its kind.

    `origin`, `spread`: where 32-bit floats would merge the values, they are centred and scaled first, (x − origin) /
    spread in float64; 0 and 1 elsewhere. A spread of 0: the column is constant, and every value that is not missing
    becomes 0. `codes`: of a category, the text of each code from 0, None for missing. `column`: the table's column that
    it comes from ('' for pixels), and `part`, what of it, where it is not the whole ('year', 'month sine').
    """

    name: str
    kind: str
    column: str = ""
    part: str = ""
    origin: float = 0.0
    spread: float = 1.0
    codes: tuple[str | None, ...] = ()

    @property
    def centred(self) -> bool:
        """Whether the input must be given as a 64-bit float."""
        return (self.origin, self.spread) != (0.0, 1.0)

    @property
    def absent(self) -> int:
        """The code that a missing category stands for; −1 where it has none."""
        return self.codes.index(None) if None in self.codes else -1


@dataclass(frozen=True)
class Column:
    """One of the D columns: what it takes of which input, then fill, mean, scale and clip.

    `kind`: VALUE, the input, centred where it must be; MISSING, 1 where the input is NaN, else 0; IS, 1 where the
    category's code is `code`, else 0; CODE, the category's code + 1, and 0 for −1 and whatever is no code (a row of an
    embedding table). NaN in a category is its `absent` code. Then NaN becomes `fill`, and the column is
    clip((it − mean) · scale, −clip, clip).
    """

    source: int
    kind: str
    code: int
    fill: float
    mean: float
    scale: float
    clip: float


def inputs_of(pipeline: Pipeline) -> tuple[tuple[Input, ...], tuple[Column, ...]]:
    """The inputs of a pipeline, in the table's order with what dates tell behind; and the columns that it makes."""
    encoder = pipeline.encoder
    if isinstance(encoder, ImageEncoder):
        channels, height, width = encoder.shape
        names = [(c, i, j) for c in range(channels) for i in range(height) for j in range(width)]
        inputs = tuple(Input("pixel_" + "_".join(map(str, at)), PIXEL) for at in names)
        taken = [(i, VALUE, 0) for i in range(len(inputs))]
    else:
        inputs = tuple(_table_inputs(encoder))
        taken = _taken(encoder, inputs)
    buffers = [b.expand(pipeline.input_shape).reshape(-1).double().tolist() for b in pipeline.preprocess.buffers()]
    return inputs, tuple(Column(*what, *how) for what, how in zip(taken, zip(*buffers, strict=True), strict=True))


def _table_inputs(encoder: TableEncoder) -> list[Input]:
    found = []
    for name in encoder.columns:
        if name in encoder.categories:
            found.append(Input(name, CATEGORY, name, codes=tuple(encoder.categories[name])))
        else:
            centring = encoder.centred.get(name)
            moved = (0.0, 1.0) if centring is None else (centring.origin, centring.spread)
            found.append(Input(name, DATE if name in encoder.dates else NUMBER, name, "", *moved))
    for name, parts in encoder.parts.items():
        for part in parts:
            of = [part] if part == "year" else [f"{part} sine", f"{part} cosine"]
            found += [Input(f"{name} {one}", YEAR if part == "year" else WAVE, name, one) for one in of]
    return found


def _taken(encoder: TableEncoder, inputs: tuple[Input, ...]) -> list[tuple[int, str, int]]:
    at = {(one.column, one.part): i for i, one in enumerate(inputs)}
    taken = []
    for name, what in encoder.encoded():
        match what:
            case "number":
                taken.append((at[name, ""], VALUE, 0))
            case "year":
                taken.append((at[name, "year"], VALUE, 0))
            case "is missing":
                taken.append((at[name, ""], MISSING, 0))
            case "code":
                taken.append((at[name, ""], CODE, 0))
            case ("is", value):
                taken.append((at[name, ""], IS, encoder.categories[name].index(value)))
            case (wave, part):
                taken.append((at[name, f"{part} {wave}"], VALUE, 0))
    return taken


def input_rows(pipeline: Pipeline, table: Any) -> np.ndarray:
    """The rows (n, I), float64, that an artefact is given for a raw table, or for images."""
    encoder = pipeline.encoder
    if isinstance(encoder, ImageEncoder):
        images = encoder.encode(table)
        flat: np.ndarray = images.reshape(len(images), -1).double().numpy()
        return flat
    frame = encoder.read(table)
    since = {name: days(frame[name]) for name in encoder.parts}
    blocks = []
    for one in _table_inputs(encoder):
        if one.kind == CATEGORY:
            code = {text: i for i, text in enumerate(one.codes)}
            found = [np.nan if text is None else code.get(text, -1) for text in texts(frame[one.column])]
            blocks.append(np.asarray(found, dtype=np.float64))
        elif one.kind in (NUMBER, DATE):
            blocks.append(doubles(frame[one.column], date=one.kind == DATE))
    for name, parts in encoder.parts.items():
        for part in parts:
            blocks += [years(since[name])] if part == "year" else list(waves(since[name], [part]).T.astype(np.float64))
    return np.stack(blocks, axis=1)


__all__ = ["CATEGORY", "CODE", "DATE", "IS", "MISSING", "NUMBER", "PIXEL", "VALUE", "WAVE", "YEAR", "Column", "Input"]
