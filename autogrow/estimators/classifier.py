"""`GrowingClassifier`."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from autogrow.data.target import Target, plain_label
from autogrow.estimators.base import GrowingEstimator
from autogrow.evaluation.evaluate import answers
from autogrow.policy import LifeCycle


class GrowingClassifier(ClassifierMixin, GrowingEstimator):
    """A classifier whose net finds its own size: it grows while it learns, and stops before it overfits.

    X: an array, or a frame whose columns of text, categories and objects are taken as they are; missing values too.

    max_epochs: passes over the rows at most, None for no limit; the stop rule ends most fits long before.
    time_limit: seconds that a fit may take.
    val_fraction: share of the rows that growth and stopping are judged by, where `fit` is given no X_val.
    batch_size: rows of an optimizer step, None for what their number calls for (128 to 512).
    widths: the hidden widths to start from, 'auto', or 'tiny' for the smallest net.
    policy: a LifeCycle of `autogrow.policy`, None for the recipe.  metric: what chooses the net ('auroc', 'f1', …).
    members: nets side by side whose mean answers.  class_weight: None, 'balanced', or a dict.
    warm_start: whether `fit` goes on from the function that the net computes already, and grows on where these rows ask
    for it; so does `partial_fit` always.
    device: 'cpu', 'cuda', or another accelerator of Lightning's.  n_threads: while it fits; None: what suits the net.
    run_folder: a folder to keep the run in (ledger, checkpoints); None leaves nothing on disk.
    verbosity: 0 says nothing, 1 shows the run.

    Fitted: `classes_`, `net_` (what `autogrow.load` gives), `growth_` (a row for each check, with what was decided and
    the reason), `widths_`, `result_` (errors, costs, why it ended).

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> net = GrowingClassifier(max_epochs=20, random_state=0).fit(X, y)
    >>> net.predict_proba(X).shape
    (150, 3)
    """

    classes_: np.ndarray

    def __init__(
        self,
        *,
        max_epochs: float | None = 1000.0,
        time_limit: float | None = None,
        val_fraction: float = 0.2,
        batch_size: int | None = None,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-2,
        widths: Any = "auto",
        activation: str = "relu",
        dropout: Any = None,
        residual: bool = False,
        members: int = 1,
        policy: LifeCycle | None = None,
        metric: str = "auto",
        class_weight: Any = None,
        warm_start: bool = False,
        device: str = "cpu",
        n_threads: int | None = None,
        random_state: Any = None,
        run_folder: Any = None,
        verbosity: int = 0,
    ) -> None:
        super().__init__(
            max_epochs=max_epochs,
            time_limit=time_limit,
            val_fraction=val_fraction,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            widths=widths,
            activation=activation,
            dropout=dropout,
            residual=residual,
            members=members,
            policy=policy,
            metric=metric,
            warm_start=warm_start,
            device=device,
            n_threads=n_threads,
            random_state=random_state,
            run_folder=run_folder,
            verbosity=verbosity,
        )
        self.class_weight = class_weight

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Go on with these rows from the function that the net computes, and grow where they ask for it.

        After a `fit` that was not warm: from the net as it was before it learned from the rows that judged it.

        classes: at the first call, classes that may come later; those that nobody said are added when they come.
        """
        return self._fitted(X, y, sample_weight, partial=True, classes=classes)

    def predict(self, X: Any) -> np.ndarray:
        """The class (n,) of each row."""
        p = self.predict_proba(X)
        predicted: np.ndarray = self.classes_[answers(p, self.net_.threshold)]
        return predicted

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (n, classes) in the order of `classes_`."""
        p: np.ndarray = self._outputs(X).softmax(1).numpy()
        return p[:, [self.net_.classes.index(plain_label(c)) for c in self.classes_]]

    def _classes_among(self, *given: Any) -> np.ndarray:
        found = []
        for y in given:
            y = column_or_1d(y, warn=True)
            check_classification_targets(y)
            found.append(np.unique(y))
        classes = np.unique(np.concatenate(found))
        if len(classes) < 2 and not self.__sklearn_is_fitted__():
            raise ValueError(f"GrowingClassifier needs at least 2 classes, got one class: {classes.tolist()[0]!r}")
        return classes

    def _target(self, y: Any, classes: np.ndarray | None) -> Target:
        assert classes is not None
        codes = np.searchsorted(classes, column_or_1d(y))
        return Target("classification", codes, tuple(plain_label(c) for c in classes), ("class",), "a classifier")

    def _learned(self, classes: np.ndarray | None, *, on: bool) -> None:
        assert classes is not None
        self.classes_ = np.unique(np.concatenate([self.classes_, classes])) if on else classes

    def _row_weights(self, y: Any, weight: np.ndarray) -> np.ndarray:
        if self.class_weight is None:
            return weight
        balanced: np.ndarray = weight * compute_sample_weight(self.class_weight, np.asarray(y))
        return balanced
