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
from autogrow.data.centre import Centring
from autogrow.data.encode import TableEncoder
from autogrow.data.pipeline import Pipeline
from autogrow.data.preprocess import Standardise
from autogrow.growth.modes import eval_mode
from autogrow.nets.knots import Knots
from autogrow.train.fit.looks.measurer import answers_of
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
    knots = _knots(net.net)
    if not knots or not isinstance(encoder, TableEncoder):
        return []
    rows, encoded = prepared.train.x[:ROWS].cpu().float(), encoder.encoded()
    drawn = []
    for column, at in knots.items():
        name = encoded[column][0]
        if name in encoder.dates:
            continue
        here = rows.clone()
        if name in encoder.indicators:
            here[:, encoded.index((name, "is missing"))] = 0  # a value that is set is there
        answers = _along(net, prepared.pipeline, here, column, at)
        far = _spread(prepared, answers)
        x = _in_own_units(prepared.pipeline.preprocess, encoder.centred.get(name), column, at)
        drawn.append((float(far.max()), {"name": name, "x": x, "lines": _lines(prepared, answers, far)}))
    drawn.sort(key=lambda effect: -effect[0])
    return [effect for _, effect in drawn[:COLUMNS]]


def _knots(net: torch.nn.Module) -> dict[int, Tensor]:
    """The knots (P,) of each refined column, by its place in the net's input, in the net's units."""
    there = (module for module in net.modules() if isinstance(module, Knots))
    return {column: torch.tensor(at) for knots in there for column, at in knots.places().items()}


def _along(net: Delivered, pipeline: Pipeline, rows: Tensor, column: int, at: Tensor) -> np.ndarray:
    """Mean answers (P, O) over the rows (n, D) with a column set to each of P values."""
    asked = rows.repeat(len(at), 1)
    asked[:, column] = at.repeat_interleave(len(rows))
    with eval_mode(net):
        z = outputs_of(net.net, asked).float()
    mean: np.ndarray = answers_of(pipeline, z).reshape(len(at), len(rows), -1).mean(1)
    return mean


def _in_own_units(preprocess: Standardise, centring: Centring | None, column: int, at: Tensor) -> list[float]:
    """Net inputs (P,) of a column as they stand in the table."""
    values = at.double() / preprocess.scale[column].double() + preprocess.mean[column].double()
    if centring is not None:
        values = values * centring.spread + centring.origin
    return [float(value) for value in values]


def _spread(prepared: Prepared, answers: np.ndarray) -> np.ndarray:
    """How far each answer (P, O) goes: probabilities as they are, targets beside their standard deviation."""
    far: np.ndarray = answers.max(0) - answers.min(0)
    return far if prepared.target_scale is None else far / prepared.target_scale[1].double().numpy()


def _lines(prepared: Prepared, answers: np.ndarray, far: np.ndarray) -> list[Plain]:
    names: Sequence[Any] = prepared.labels or prepared.pipeline.targets
    most = [int(i) for i in np.argsort(-far, kind="stable")]
    shown = [1] if len(prepared.labels) == 2 else sorted(most[: LINES if prepared.labels else 1])
    return [{"label": names[i], "y": [float(v) for v in answers[:, i]]} for i in shown]
