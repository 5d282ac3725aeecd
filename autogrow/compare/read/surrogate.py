"""The function from hyper-parameters to validation loss that a search yields:
a surrogate, and how far it can be believed.

n trials, p = 4 hyper-parameters (depth, width, dropout, lr), width and lr on a logarithmic scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin, clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.inspection import permutation_importance
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from autogrow.compare.space import LOG, names

LEAST = 8  # trials below which nothing can be cross-validated
GRID = 25  # points of a partial dependence
CANDIDATES = 4096  # where the predicted optimum is looked for

Trial = Mapping[str, Any]


def surrogate(
    trials: Sequence[Trial], grown: Mapping[str, Any] | None = None, *, seed: int = 0
) -> dict[str, Any] | None:
    """What the complete trials say about the loss as a function of the hyper-parameters;
    None with fewer than 8 of them.

    The logarithm of the validation loss is learned by a random forest and by a Gaussian process; the one that predicts
    trials it has not seen better (cross-validation) is kept. `r2` is its share of variance explained there: at or below
    0 the trials do not determine the function, and everything else here is to be read as a picture of noise. `grown`:
    {widths, dropout, lr, val_loss} of the grown net, which is placed on the surrogate at its mean width.
    """
    told = [
        t for t in trials if all(name in t for name in names())
    ]  # a search by other means may have had other parameters
    done = [t for t in told if t["state"] == "complete" and t["val_loss"] and np.isfinite(t["val_loss"])]
    if len(done) < LEAST:
        return None
    x, y = _inputs(done), np.log([t["val_loss"] for t in done])
    scored = {label: _r2(model, x, y, seed) for label, model in _models(seed).items()}
    label = max(scored, key=lambda name: scored[name])
    model = _quietly(lambda: clone(_models(seed)[label]).fit(x, y))
    return {
        "model": label,
        "target": "val_loss",
        "n": len(done),
        "r2": scored[label],
        "r2_of_each": scored,
        "quality": _quality(label, scored[label], len(done)),
        "importance": _importance(model, x, y, seed),
        "dependence": [_dependence(model, x, column) for column in range(x.shape[1])],
        "optimum": _optimum(model, x, seed),
        "grown": None if grown is None else _place(model, grown),
    }


def _models(seed: int) -> dict[str, RegressorMixin]:
    kernel = ConstantKernel(1.0) * RBF(np.ones(len(names())), (0.1, 30.0)) + WhiteKernel(0.1, (1e-3, 10.0))
    process = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=2, random_state=seed)
    return {
        "random forest": RandomForestRegressor(300, min_samples_leaf=2, random_state=seed),
        "Gaussian process": make_pipeline(StandardScaler(), process),
    }


def _inputs(trials: Sequence[Trial]) -> np.ndarray:
    """(n, p), width and lr as logarithms."""
    return np.array([[_scaled(name, float(t[name])) for name in names()] for t in trials])


def _scaled(name: str, value: float) -> float:
    return float(np.log(value)) if name in LOG else value


def _natural(name: str, value: float) -> float:
    return float(np.exp(value)) if name in LOG else float(value)


def _r2(model: RegressorMixin, x: np.ndarray, y: np.ndarray, seed: int) -> float:
    """1 − (squared error of predictions for trials left out) / (variance of the trials)."""
    folds = KFold(min(10, len(x)), shuffle=True, random_state=seed)
    predicted = _quietly(lambda: cross_val_predict(clone(model), x, y, cv=folds))
    return float(1 - np.square(y - predicted).sum() / max(np.square(y - y.mean()).sum(), 1e-12))


def _quietly(work: Any) -> Any:
    """A Gaussian process says when a length scale ends at its bound: with a parameter that does nothing it should."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return work()


def _quality(label: str, r2: float, n: int) -> str:
    share = (
        f"explains {100 * r2:.0f} % of the variance of trials it has not seen (cross-validated R² {r2:.2f}, {n} trials)"
    )
    if r2 <= 0.1:
        return f"{n} trials do not determine the function: the {label}, the better of two models, has a cross-validated R² of {r2:.2f}; what follows is no more than a hint"
    if r2 < 0.5:
        return f"a rough picture: the {label} {share}"
    return f"the {label} {share}"


def _importance(model: Any, x: np.ndarray, y: np.ndarray, seed: int) -> list[dict[str, Any]]:
    """How much the fit suffers when one hyper-parameter's values are shuffled, as a share of the variance."""
    found = permutation_importance(model, x, y, n_repeats=30, random_state=seed)
    out = [
        {"name": name, "value": float(mean), "low": float(mean - spread), "high": float(mean + spread)}
        for name, mean, spread in zip(names(), found.importances_mean, found.importances_std, strict=True)
    ]
    return sorted(out, key=lambda part: -part["value"])


def _dependence(model: Any, x: np.ndarray, column: int) -> dict[str, Any]:
    """The predicted loss as one hyper-parameter varies, averaged over the trials' values of the others."""
    name = names()[column]
    low, high = x[:, column].min(), x[:, column].max()
    grid = np.unique(np.round(np.linspace(low, high, GRID))) if name == "depth" else np.linspace(low, high, GRID)
    curve = []
    for value in grid:
        moved = x.copy()
        moved[:, column] = value
        curve.append(float(np.exp(model.predict(moved).mean())))
    return {
        "name": name,
        "x": [_natural(name, v) for v in grid],
        "y": curve,
        "scale": "log" if name in LOG else "linear",
    }


def _optimum(model: Any, x: np.ndarray, seed: int) -> dict[str, Any]:
    """The best predicted point within what was tried, and the spread of the prediction there (one standard deviation,
    as a factor).
    """
    rng = np.random.default_rng(seed)
    many = rng.uniform(x.min(0), x.max(0), size=(CANDIDATES, x.shape[1]))
    many[:, names().index("depth")] = np.round(many[:, names().index("depth")])
    mean, spread = _predict(model, many)
    best = int(mean.argmin())
    point = {name: _natural(name, v) for name, v in zip(names(), many[best], strict=True)}
    point |= {"depth": round(point["depth"]), "width": round(point["width"])}
    return {
        **point,
        "widths": [point["width"]] * int(point["depth"]),
        "predicted": float(np.exp(mean[best])),
        "spread": float(np.exp(mean[best]) * np.expm1(spread[best])),
    }


def _predict(model: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the logarithm of the loss."""
    if isinstance(model, RandomForestRegressor):
        trees = np.stack([tree.predict(x) for tree in model.estimators_])
        return trees.mean(0), trees.std(0)
    mean, spread = model.predict(x, return_std=True)
    return mean, spread


def _place(model: Any, grown: Mapping[str, Any]) -> dict[str, Any]:
    """The grown net on the surrogate: what the search would have predicted for a net of its depth and mean width."""
    widths = list(grown["widths"])
    at = {
        "depth": len(widths),
        "width": float(np.exp(np.log(widths).mean())),
        "dropout": grown["dropout"],
        "lr": grown["lr"],
    }
    mean, _ = _predict(model, _inputs([at]))
    return {**grown, "predicted": float(np.exp(mean[0]))}
