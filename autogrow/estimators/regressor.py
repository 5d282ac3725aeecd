"""`GrowingRegressor`."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin

from autogrow.data.target import Target
from autogrow.estimators.base import GrowingEstimator
from autogrow.estimators.inputs import as_values
from autogrow.policy import LifeCycle


class GrowingRegressor(RegressorMixin, GrowingEstimator):
    """A regressor whose net finds its own size: it grows while it learns, and stops before it overfits.

    The parameters are those of `GrowingClassifier` but for class_weight. y: (n,), or (n, t) for several targets.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> net = GrowingRegressor(max_epochs=20, random_state=0).fit(X, y)
    >>> net.predict(X).shape
    (442,)
    """

    def __init__(
        self,
        *,
        max_epochs: float | None = 1000.0,
        time_limit: float | None = None,
        val_fraction: float = 0.2,
        batch_size: int = 128,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-2,
        widths: Any = "auto",
        activation: str = "relu",
        dropout: Any = None,
        residual: bool = False,
        members: int = 1,
        policy: LifeCycle | None = None,
        metric: str = "auto",
        warm_start: bool = False,
        device: str = "cpu",
        n_threads: int | None = None,
        random_state: Any = None,
        run_folder: Any = None,
        verbosity: int = 0,
    ) -> None:
        self.max_epochs = max_epochs
        self.time_limit = time_limit
        self.val_fraction = val_fraction
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.widths = widths
        self.activation = activation
        self.dropout = dropout
        self.residual = residual
        self.members = members
        self.policy = policy
        self.metric = metric
        self.warm_start = warm_start
        self.device = device
        self.n_threads = n_threads
        self.random_state = random_state
        self.run_folder = run_folder
        self.verbosity = verbosity

    def __sklearn_tags__(self) -> Any:
        """Several targets at once are taken."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None) -> Self:
        """Find and train the net for rows (n, C) and their targets. A weight of three is three copies of the row.

        X_val, y_val: rows to judge growth and stopping by, instead of a share of X (which, unlike these, is learned
        from at the very end).
        """
        held = None if X_val is None else (X_val, y_val)
        return self._fitted(X, y, sample_weight, held=held)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go on with these rows from the function that the net computes, and grow where they ask for it.

        After a `fit` that was not warm: from the net as it was before it learned from the rows that judged it.
        """
        return self._fitted(X, y, sample_weight, partial=True)

    def predict(self, X: Any) -> np.ndarray:
        """The targets of each row, (n,) or (n, t)."""
        values: np.ndarray = self._outputs(X).numpy()
        return values[:, 0] if values.shape[1] == 1 else values

    def _target(self, y: Any, classes: np.ndarray | None) -> Target:
        values = as_values(y)
        names = ("y",) if values.shape[1] == 1 else tuple(f"y{i}" for i in range(values.shape[1]))
        return Target("regression", values, (), names, "a regressor")
