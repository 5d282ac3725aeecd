"""`GrowingRegressor`."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin

from autogrow.data.target import Target
from autogrow.estimators.base import GrowingEstimator
from autogrow.estimators.inputs import as_values


class GrowingRegressor(RegressorMixin, GrowingEstimator):
    """A regressor whose net finds its own size: it grows while it learns, and stops before it overfits.

    The parameters are those of `GrowingClassifier` but for class_weight. y: (n,), or (n, t) for several targets.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> net = GrowingRegressor(max_epochs=20, random_state=0).fit(X, y)
    >>> net.predict(X).shape
    (442,)
    """

    def __sklearn_tags__(self) -> Any:
        """Several targets at once are taken."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

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
