"""What finer columns are for, to be drawn: how a delivered net's answer goes along each column that has knots.

n rows, P points, D columns of net input, O outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autogrow.data import Prepared
from autogrow.data.encode import TableEncoder
from autogrow.data.pipeline import Pipeline
from autogrow.growth.modes import eval_mode
from autogrow.nets.knots import Knots
from autogrow.train.fit.looks.measurer import in_words_of_the_task
from autogrow.train.fit.net.deliver import Delivered
from autogrow.train.fit.net.measure import outputs_of

Plain = dict[str, Any]

ROWS = 64  # training rows that an answer is the mean of
COLUMNS = 8  # of the refined ones
LINES = 3  # classes of many


def effects_of(net: Delivered, prepared: Prepared) -> list[Plain]:
    """The partial dependence (Friedman 2001, section 8.2) on each refined column of numbers, those that move the answer
    most first; nothing where none was refined. Dates are left out: their months and weekdays would not go with them.

    Of each: `name`, its knots `x` (P) in the column's own units, and `lines`: what is answered (`label`), and its mean
    `y` (P) over the same training rows with the column set to each x: the probability of the second of two classes, or
    of the three of more that vary most, or the target that varies most beside its spread.
    """
    encoder = prepared.pipeline.encoder
    edges = _edges(net.net)
    if not edges or not isinstance(encoder, TableEncoder):
        return []
    rows, encoded = prepared.train.x[:ROWS].cpu().float(), encoder.encoded()
    drawn = []
    for column, at in edges.items():
        name = encoded[column][0]
        if name in encoder.dates:
            continue
        here = rows.clone()
        if name in encoder.indicators:
            here[:, encoded.index((name, "is missing"))] = 0  # a value that is set is there
        answers = _along(net, prepared.pipeline, here, column, at)
        x, lines = _in_own_units(prepared.pipeline, column, at), _lines(prepared, answers)
        drawn.append((float(_spread(prepared, answers).max()), {"name": name, "x": x, "lines": lines}))
    drawn.sort(key=lambda effect: -effect[0])
    return [effect for _, effect in drawn[:COLUMNS]]


def _edges(net: torch.nn.Module) -> dict[int, Tensor]:
    """The knots (P,) of each refined column, by its place in the net's input, in the net's units."""
    found: dict[int, Tensor] = {}
    for module in net.modules():
        if isinstance(module, Knots):
            for column in module.column.unique().tolist():
                own = module.column == column
                found[column] = torch.cat([module.low[own], module.high[own]]).unique().cpu()
    return found


def _along(net: Delivered, pipeline: Pipeline, rows: Tensor, column: int, at: Tensor) -> np.ndarray:
    """Mean answers (P, O) over the rows (n, D) with a column set to each of P values."""
    asked = rows.repeat(len(at), 1)
    asked[:, column] = at.repeat_interleave(len(rows))
    with eval_mode(net):
        z = outputs_of(net.net, asked).float()
    answers, _ = in_words_of_the_task(pipeline, z, torch.zeros(len(z), dtype=torch.long) if pipeline.labels else z)
    mean: np.ndarray = answers.reshape(len(at), len(rows), -1).mean(1)
    return mean


def _in_own_units(pipeline: Pipeline, column: int, at: Tensor) -> list[float]:
    encoder, preprocess = pipeline.encoder, pipeline.preprocess
    assert isinstance(encoder, TableEncoder)
    values = at.double() / preprocess.scale[column].double() + preprocess.mean[column].double()
    centring = encoder.centred.get(encoder.encoded()[column][0])
    if centring is not None:
        values = values * centring.spread + centring.origin
    return [float(value) for value in values]


def _spread(prepared: Prepared, answers: np.ndarray) -> np.ndarray:
    """How far each answer (P, O) goes: probabilities as they are, targets beside their standard deviation."""
    far: np.ndarray = answers.max(0) - answers.min(0)
    return far if prepared.target_scale is None else far / prepared.target_scale[1].double().numpy()


def _lines(prepared: Prepared, answers: np.ndarray) -> list[Plain]:
    names: Sequence[Any] = prepared.labels or prepared.pipeline.targets
    most = [int(i) for i in np.argsort(-_spread(prepared, answers), kind="stable")]
    shown = [1] if len(prepared.labels) == 2 else sorted(most[: LINES if prepared.labels else 1])
    return [{"label": names[i], "y": [float(v) for v in answers[:, i]]} for i in shown]
