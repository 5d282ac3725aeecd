"""What both estimators share: from rows to a run and to the net that it delivers, and on from there.

n rows, C columns, O outputs.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted
from torch import Tensor

from autogrow.data import DataSpec
from autogrow.data.preparation import prepare_split
from autogrow.data.raw import Raw
from autogrow.data.split_rows import SplitData
from autogrow.data.splits import Rows
from autogrow.data.target import Target
from autogrow.estimators.files import EstimatorFiles
from autogrow.estimators.inputs import as_table, as_weights
from autogrow.estimators.process import interruptible, random_states_kept
from autogrow.estimators.rows import Part, different_rows, hold_out
from autogrow.policy import LifeCycle, recipe
from autogrow.show.display import Display
from autogrow.train.fit.continue_from import FinishedNet, finished
from autogrow.train.fit.run import fit
from autogrow.train.fit.spec import AUTO, FitSpec, NetSpec, OptimizerSpec, TrainerSpec
from autogrow.train.fit.view import Silent

if TYPE_CHECKING:
    import pandas as pd


class GrowingEstimator(EstimatorFiles):
    """A net that starts tiny, grows while it learns, and stops before it overfits."""

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
        """Missing values are taken, as they come."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a net."""
        return hasattr(self, "net_")

    # -- what the two kinds answer themselves -------------------------------------------------------------------------
    def _classes_among(self, *given: Any) -> np.ndarray | None:
        """The classes that occur in several targets, in order; None for values."""
        return None

    def _target(self, y: Any, classes: np.ndarray | None) -> Target:
        """The targets of the rows, checked."""
        raise NotImplementedError

    def _learned(self, classes: np.ndarray | None, *, on: bool) -> None:
        """Keep what has been learned of the classes; with `on`, besides those before."""

    def _row_weights(self, y: Any, weight: np.ndarray) -> np.ndarray:
        """What each row counts, (n,)."""
        return weight

    # -- learn --------------------------------------------------------------------------------------------------------
    def fit(self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None) -> Self:
        """Find and train the net for rows (n, C) and their targets (n,). A weight of three is three copies of the row.

        X_val, y_val: rows to judge growth and stopping by, instead of a share of X (which, unlike these, is learned
        from at the very end).
        """
        held = None if X_val is None else (X_val, y_val)
        return self._fitted(X, y, sample_weight, held=held)

    def _fitted(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        partial: bool = False,
        classes: Any = None,
        held: tuple[Any, Any] | None = None,
    ) -> Self:
        """Fit rows; where `partial` or warm, from the function that the net computes already. held: rows to judge by
        (X, y).
        """
        began = time.perf_counter()
        on = (partial or self.warm_start) and self.__sklearn_is_fitted__()
        x = as_table(self, X, y, reset=not on)
        own = self._classes_among(y, *([] if held is None else [held[1]]), *([] if classes is None else [classes]))
        target = self._target(y, own)
        check_consistent_length(x, target.values)
        weight = self._row_weights(y, as_weights(sample_weight, len(x)))
        seed = _seed(self.random_state)
        strata = target.values if target.labels else np.zeros(len(x), dtype=np.int64)
        rows = different_rows(x, target.values, weight)
        if held is None:
            parts = hold_out(rows, strata[rows.first], self.val_fraction, seed)
        else:
            x_val, target_val = as_table(self, held[0], reset=False), self._target(held[1], own)
            check_consistent_length(x_val, target_val.values)
            val = different_rows(x_val, target_val.values, self._row_weights(held[1], np.ones(len(x_val))))
            parts = Part(rows.first, rows.weight), Part(val.first + len(x), val.weight)
            x, target = _joined(x, target, x_val, target_val)
        for part, use in zip(parts, ("learn from", "judge by"), strict=True):
            if not len(part.rows):
                raise ValueError(f"n_samples={len(x)} leaves no row to {use}: give more")
        source = self._finished() if on else None
        # who goes on must find rows to judge by that nothing was learned from; who gave some wants them kept apart
        spec = self._spec(began, seed, refit=held is None and not partial and not self.warm_start)
        with random_states_kept(), interruptible():
            prepared = prepare_split(_split(x, target, *parts), spec.data, None if source is None else source.before)
            if held is not None:
                prepared.card["split"] = "as given: X_val"
            with Display() if self.verbosity else Silent() as view:
                result = fit(spec, display=view, prepared=prepared, source=source)
        assert prepared.known_rows is not None
        self.net_, self._checkpoint, self._known = result.net, result.checkpoint, prepared.known_rows()
        self.growth_, self.result_, self._card = list(result.rows), result.summary, result.card
        self._curves = result.curves
        self.widths_ = list(result.summary["widths"])
        self._learned(own, on=on)
        return self

    def _spec(self, began: float, seed: int, *, refit: bool) -> FitSpec:
        """The run that the parameters describe. began: when the time limit began to run."""
        policy = recipe(refit=refit) if self.policy is None else self.policy
        if self.time_limit is not None:
            left = max(1e-3, self.time_limit - (time.perf_counter() - began))
            policy = replace(policy, budget=replace(policy.budget, seconds=left))
        return FitSpec(
            DataSpec(name=type(self).__name__, batch_size=self.batch_size, val_fraction=self.val_fraction),
            policy,
            NetSpec(
                widths=self.widths if isinstance(self.widths, str) else list(self.widths),
                activation=self.activation,
                dropout=self.dropout,
                residual=self.residual,
                members=self.members,
            ),
            OptimizerSpec(lr=self.learning_rate, weight_decay=self.weight_decay),
            trainer=TrainerSpec(
                max_epochs=self.max_epochs,
                accelerator="gpu" if self.device == "cuda" else self.device,
                threads=AUTO if self.n_threads is None else self.n_threads,
            ),
            seed=seed,
            metric=self.metric,
            out=None if self.run_folder is None else Path(self.run_folder),
        )

    def _finished(self) -> FinishedNet:
        """The net as one to go on with."""
        return finished(self._checkpoint, self.net_, self._known, Path("the estimator's net"))

    # -- answer -------------------------------------------------------------------------------------------------------
    def _outputs(self, X: Any) -> Tensor:
        """Logits or target values (n, O)."""
        check_is_fitted(self)
        return self.net_.outputs(as_table(self, X, reset=False))


def _seed(random_state: Any) -> int:
    """A seed for a run: the number itself, or one drawn from a generator."""
    if isinstance(random_state, (int, np.integer)):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def _joined(x: pd.DataFrame, target: Target, x_val: pd.DataFrame, val: Target) -> tuple[pd.DataFrame, Target]:
    """Rows to learn from and rows to judge by, one behind the other."""
    import pandas as pd

    values = np.concatenate([target.values, val.values])
    return pd.concat([x, x_val], ignore_index=True), replace(target, values=values)


def _split(x: pd.DataFrame, target: Target, train: Part, val: Part) -> SplitData:
    """The rows of both parts, one behind the other, with their weights where they are not all 1."""
    import pandas as pd

    rows, weight = np.concatenate([train.rows, val.rows]), np.concatenate([train.weight, val.weight])
    taken = x.iloc[rows].reset_index(drop=True)
    values = target.values[rows]
    y = pd.DataFrame(values, columns=list(target.names))
    count = len(train.rows)
    none = np.array([], dtype=np.int64)
    splits = Rows(np.arange(count), np.arange(count, len(rows)), none)
    raw = Raw(taken, y, f"memory: {len(x):,} rows")
    return SplitData(raw, replace(target, values=values), splits, rows, None if (weight == 1).all() else weight)
