"""A portable net as scikit-learn's own parts: what reads a row, what resolves it finer, the MLP.

Each part is fitted on made rows, so that it is whole, and then given the net's own numbers. I inputs, D columns, K
ramps, O outputs.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from autogrow.deploy.export.inputs import CODE, IS, MISSING, Column, Input
from autogrow.deploy.export.layers import Affine, Lookup, Ramps
from autogrow.deploy.export.mlp_layers import MlpLayers, mlp_layers, side_by_side
from autogrow.deploy.export.net import VALUES, PortableNet

MADE = 8  # rows that parts are fitted on


def pipeline_of(net: PortableNet) -> Pipeline:
    """The whole net: rows (n, I), NaN for what is missing. Raises UsageError for what an MLP cannot express."""
    parts: list[tuple[str, Any]] = [("centre", _centring(net.inputs))] if net.exact_inputs else []
    columns = _columns(net)
    made = columns.fit_transform(_made_rows(net.inputs))
    parts.append(("columns", columns))
    steps = list(side_by_side(net.stacks))
    lookup = next((step for step in steps if isinstance(step, Lookup)), None)
    knots = next((step for step in steps if isinstance(step, Ramps)), None)
    if knots is not None:
        parts.append(("knots", _ramps(knots, made)))
    ramps = 0 if knots is None else len(knots.column)
    rest = [step for step in steps if not isinstance(step, (Lookup, Ramps))]
    before = [] if lookup is None else [_as_affine(lookup, ramps)]
    parts.append(("net", _mlp(net, mlp_layers([*before, *rest], made.shape[1] + ramps))))
    return Pipeline(parts)


def _made_rows(inputs: Sequence[Input]) -> np.ndarray:
    """Rows (n, I) with something else in each; codes are 0."""
    rows = np.tile(np.arange(MADE, dtype=np.float64)[:, None], len(inputs))
    rows[:, [bool(one.codes) for one in inputs]] = 0
    return rows


def _centring(inputs: Sequence[Input]) -> StandardScaler:
    scaler = StandardScaler().fit(_made_rows(inputs))
    scaler.mean_ = np.array([one.origin for one in inputs])
    scaler.scale_ = np.array([one.spread or np.inf for one in inputs])  # a constant column says 0
    scaler.var_ = np.square(scaler.scale_)
    return scaler


def _columns(net: PortableNet) -> ColumnTransformer:
    """(n, I) → the net's columns; a column of codes comes one-hot, as a table's rows are chosen by a product."""
    parts = []
    for i, ((kind, clips), run) in enumerate(groupby(net.columns, lambda c: (c.kind, c.clip < np.inf))):
        columns = list(run)
        source = list(dict.fromkeys(c.source for c in columns))
        if kind == MISSING:
            parts.append((f"{i} gaps", MissingIndicator(features="all"), source))
        elif kind in (IS, CODE):
            parts.append((f"{i} codes", _codes([net.inputs[k] for k in source]), source))
        else:
            parts.append((f"{i} numbers", _numbers(columns, clips=clips), source))
    return ColumnTransformer(parts, sparse_threshold=0)


def _codes(categories: Sequence[Input]) -> Any:
    """One-hot codes; a code that none has is 0 throughout."""
    fill = SimpleImputer(keep_empty_features=True).fit(_made_rows(categories))
    fill.statistics_ = np.array([float(one.absent) for one in categories])
    codes = [np.arange(len(one.codes), dtype=np.float64) for one in categories]
    onehot = OneHotEncoder(categories=codes, handle_unknown="ignore", sparse_output=False)
    return FrozenEstimator(make_pipeline(fill, onehot.fit(_made_rows(categories))))


def _numbers(columns: Sequence[Column], *, clips: bool) -> Any:
    """Fill, mean, scale and clip; frozen, so that the numbers stay when what it stands in is fitted."""
    rows = np.tile(np.arange(MADE, dtype=np.float64)[:, None], len(columns))
    fill = SimpleImputer(keep_empty_features=True).fit(rows)
    fill.statistics_ = np.array([c.fill for c in columns])
    most = columns[0].clip if clips else 1.0
    scaler = MinMaxScaler(feature_range=(-most, most), clip=clips).fit(rows)
    scaler.scale_ = np.array([c.scale for c in columns])
    scaler.min_ = -np.array([c.mean for c in columns]) * scaler.scale_
    return FrozenEstimator(make_pipeline(fill, scaler))


def _ramps(knots: Ramps, made: np.ndarray) -> ColumnTransformer:
    """(n, D) → (n, D + K): a ramp is its column, scaled and clipped to between 0 and 1."""
    taken = made[:, knots.column]
    scaler = MinMaxScaler(clip=True).fit(taken)
    scaler.scale_ = 1 / (knots.high - knots.low)
    scaler.min_ = -knots.low * scaler.scale_
    every = list(range(made.shape[1]))
    parts = [("columns", "passthrough", every), ("ramps", FrozenEstimator(scaler), knots.column.tolist())]
    return ColumnTransformer(parts, sparse_threshold=0).fit(made)


def _as_affine(lookup: Lookup, ramps: int) -> Affine:
    """The rows of tables as a product with one-hot codes; the row of what is unknown, where no code is, is the bias."""
    widths = [len(table) - 1 for table in lookup.tables]
    sizes = [table.shape[1] for table in lookup.tables]
    weight = np.zeros((lookup.numeric + sum(sizes) + ramps, lookup.numeric + sum(widths) + ramps))
    bias = np.zeros(len(weight))
    weight[: lookup.numeric, : lookup.numeric] = np.eye(lookup.numeric)
    row = column = lookup.numeric
    for table, width, size in zip(lookup.tables, widths, sizes, strict=True):
        weight[row : row + size, column : column + width] = (table[1:] - table[0]).T
        bias[row : row + size] = table[0]
        row, column = row + size, column + width
    weight[row:, column:] = np.eye(ramps)
    return Affine(weight, bias)


def _mlp(net: PortableNet, found: MlpLayers) -> MLPClassifier | MLPRegressor:
    """An MLP with these layers. Of two classes it has one output, the difference of their logits; values are in their
    own units.
    """
    layers = list(found.layers)
    last = layers[-1]
    labels = net.delivered.pipeline.labels
    if net.answer == VALUES:
        layers[-1] = Affine(last.weight * net.target_std[:, None], last.bias * net.target_std + net.target_mean)
    elif len(labels) == 2:
        layers[-1] = Affine(last.weight[1:] - last.weight[:1], last.bias[1:] - last.bias[:1])
    kind = MLPRegressor if net.answer == VALUES else MLPClassifier
    widths = [len(one.bias) for one in layers[:-1]]
    mlp = kind(hidden_layer_sizes=widths, activation=found.activation, solver="lbfgs", max_iter=1, random_state=0)
    outputs = len(last.bias)
    rows = np.zeros((max(MADE, outputs), layers[0].weight.shape[1]))
    if net.answer == VALUES:
        y = np.zeros((len(rows), outputs)) if outputs > 1 else np.zeros(len(rows))
    else:
        y = np.asarray(labels)[np.arange(len(rows)) % outputs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mlp.fit(rows, y)
    mlp.coefs_ = [np.ascontiguousarray(one.weight.T) for one in layers]
    mlp.intercepts_ = [one.bias for one in layers]
    return mlp
