"""What people would pick for a table, at its defaults and on one thread: each fitted and asked in the same way.

Everything beside scikit-learn is in the extra `peers`. What needs no validation rows is fitted on training and
validation rows together, as its users would; RealMLP-TD and TabM (through pytabkit) get the split that autogrow has.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


@dataclass(frozen=True)
class Rows:
    """A table with its split: X (n, columns), y (n,) codes or values, and the row numbers of each part."""

    x: pd.DataFrame
    y: np.ndarray
    classes: int
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Rows that may be learned from or chosen by."""
        return np.concatenate([self.train, self.val])

    @property
    def text(self) -> list[str]:
        """The columns that are not numbers."""
        return [c for c in self.x.columns if not pd.api.types.is_numeric_dtype(self.x[c])]

    def as_categories(self) -> pd.DataFrame:
        """X with text columns as categories, the levels those of the known rows."""
        x = self.x.copy()
        for name in self.text:
            cells = x[name].astype(object).where(x[name].notna(), "missing").astype(str)
            x[name] = pd.Categorical(cells, categories=sorted(cells.iloc[self.known].unique()))
        return x

    def as_text(self) -> pd.DataFrame:
        """X with text columns as text, missing a word of its own."""
        x = self.x.copy()
        for name in self.text:
            x[name] = x[name].astype(object).where(x[name].notna(), "missing").astype(str)
        return x


Fitted = tuple[Any, pd.DataFrame, int | None]
"""The fitted estimator, the table as it takes it, and its number of parameters where that means something."""


def _mlp(rows: Rows, seed: int) -> Fitted:
    x = rows.as_text()
    numbers = [c for c in x.columns if c not in rows.text]
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("text", OneHotEncoder(handle_unknown="ignore", sparse_output=False), rows.text),
        ]
    )
    net = (MLPClassifier if rows.classes else MLPRegressor)(random_state=seed)
    model = make_pipeline(columns, net)
    if not rows.classes:
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
    model.fit(x.iloc[rows.known], rows.y[rows.known])
    fitted = (model if rows.classes else model.regressor_).steps[-1][1]
    return model, x, sum(a.size for a in (*fitted.coefs_, *fitted.intercepts_))


def _hist_gradient_boosting(rows: Rows, seed: int) -> Fitted:
    x = rows.as_categories()
    kind = HistGradientBoostingClassifier if rows.classes else HistGradientBoostingRegressor
    model = kind(random_state=seed, categorical_features="from_dtype")
    return model.fit(x.iloc[rows.known], rows.y[rows.known]), x, None


def _lightgbm(rows: Rows, seed: int) -> Fitted:
    import lightgbm

    x = rows.as_categories()
    x.columns = [f"c{i}" for i in range(x.shape[1])]  # it refuses signs in names
    kind = lightgbm.LGBMClassifier if rows.classes else lightgbm.LGBMRegressor
    model = kind(random_state=seed, n_jobs=1, verbose=-1)
    return model.fit(x.iloc[rows.known], rows.y[rows.known]), x, None


def _xgboost(rows: Rows, seed: int) -> Fitted:
    import xgboost

    x = rows.as_categories()
    kind = xgboost.XGBClassifier if rows.classes else xgboost.XGBRegressor
    model = kind(random_state=seed, n_jobs=1, enable_categorical=True, tree_method="hist")
    return model.fit(x.iloc[rows.known], rows.y[rows.known]), x, None


def _catboost(rows: Rows, seed: int) -> Fitted:
    import catboost

    x = rows.as_text()
    kind = catboost.CatBoostClassifier if rows.classes else catboost.CatBoostRegressor
    model = kind(random_seed=seed, thread_count=1, verbose=False, allow_writing_files=False, cat_features=rows.text)
    return model.fit(x.iloc[rows.known], rows.y[rows.known]), x, None


def _pytabkit(name: str) -> Callable[[Rows, int], Fitted]:
    def fitted(rows: Rows, seed: int) -> Fitted:
        import pytabkit

        x = rows.as_text()
        numbers = [c for c in x.columns if c not in rows.text]
        x[numbers] = x[numbers].fillna(x.iloc[rows.train][numbers].median())  # it refuses gaps in numbers
        kind = getattr(pytabkit, f"{name}_{'Classifier' if rows.classes else 'Regressor'}")
        model = kind(device="cpu", random_state=seed, n_threads=1, verbosity=0)
        train, val = x.iloc[rows.train].reset_index(drop=True), x.iloc[rows.val].reset_index(drop=True)
        model.fit(train, rows.y[rows.train], X_val=val, y_val=rows.y[rows.val], cat_col_names=rows.text)
        return model, x.reset_index(drop=True), None

    return fitted


PEERS: dict[str, Callable[[Rows, int], Fitted]] = {
    "mlp": _mlp,
    "hgb": _hist_gradient_boosting,
    "lightgbm": _lightgbm,
    "xgboost": _xgboost,
    "catboost": _catboost,
    "realmlp": _pytabkit("RealMLP_TD"),
    "tabm": _pytabkit("TabM_D"),
}


def judged(method: str, rows: Rows, seed: int) -> dict[str, Any]:
    """Fit one peer, read test: error (a fraction, or rmse), loss (log loss, or share of variance), costs."""
    began = time.process_time()
    model, x, parameters = PEERS[method](rows, seed)
    spent = time.process_time() - began
    y = rows.y[rows.test]
    if rows.classes:
        p = np.asarray(model.predict_proba(x.iloc[rows.test]))
        error, loss = float((p.argmax(1) != y).mean()), float(log_loss(y, p, labels=np.arange(rows.classes)))
    else:
        off = np.asarray(model.predict(x.iloc[rows.test])).reshape(-1) - y
        error, loss = float(np.sqrt((off**2).mean())), float((off**2).mean() / rows.y[rows.train].var())
    return {"test_error": error, "test_loss": loss, "cpu_seconds": round(spent, 3), "parameters": parameters}
