"""A scikit-learn estimator and the net that was made of it, asked the same: the proof that all was taken over.

P probe rows, O outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from autogrow.errors import CheckpointError
from autogrow.growth import Receipt
from autogrow.growth.modes import eval_mode
from autogrow.train.fit.net.deliver import Delivered

PROBED = 256  # rows that the answers are compared on
PROMISE = 1e-3  # how far answers may differ: weights are rounded to 32 bits, and what adds up may cancel
TINY = 1e-300  # the range of values that are all 0


def compared(net: Delivered, estimator: Any, scaler: Any, origin: str) -> Receipt:
    """How far the net's answers on probe rows differ from the estimator's own at most: probabilities, or values as a
    share of the range that they have. scaler: the estimator's StandardScaler, or None.

    Raises CheckpointError where it is more than rounding makes.
    """
    classifier = net.pipeline.task == "classification"
    table: Any = probe_rows(net.pipeline.input_shape[0], scaler)
    if hasattr(estimator, "feature_names_in_"):
        import pandas as pd

        table = pd.DataFrame(table, columns=estimator.feature_names_in_)
    with eval_mode(net):
        answers = net(net.encode(table)).double()
    if classifier:
        change = np.abs(torch.softmax(answers, 1).numpy() - estimator.predict_proba(table))
    else:
        values = np.asarray(estimator.predict(table), np.float64).reshape(len(table), -1)
        rounding = np.finfo(np.float64).eps * np.abs(values).max(0)
        change = np.abs(answers.numpy() - values) / (np.ptp(values, axis=0) + rounding + TINY)
    most = float(change.max())
    if not most <= PROMISE:
        what = "in a probability" if classifier else "of the range of its values"
        raise CheckpointError(
            f"{origin}: taken over, it would answer otherwise: on {PROBED} probe rows by up to {most:.2g} {what}, "
            f"which rounding does not explain (at most {PROMISE:g}); refused"
        )
    return Receipt(PROMISE, most)


def probe_rows(inputs: int, scaler: Any) -> np.ndarray:
    """(P, inputs) rows such as the estimator was fitted on, as far as its scaler tells; half of them farther out."""
    rows = np.random.default_rng(0).normal(size=(PROBED, inputs))
    rows[PROBED // 2 :] *= 3
    moved: np.ndarray = rows if scaler is None else scaler.inverse_transform(rows)
    return moved
