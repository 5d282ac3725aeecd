"""An estimator as a file that runs no code when it is read, and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Self, TypedDict

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from autogrow.data.continued.known_rows import KnownRows
from autogrow.errors import CheckpointError
from autogrow.plain import Count, NotPlainError, check, check_plain
from autogrow.policy.history import Row
from autogrow.report.run.page import render
from autogrow.train.fit.net.deliver import Delivered
from autogrow.train.fit.net.kept import naming
from autogrow.train.fit.net.load import from_content
from autogrow.train.record.checkpoint import read_checkpoint, save_atomically
from autogrow.train.record.contents import Card
from autogrow.train.record.files import write_atomically, write_bytes
from autogrow.train.record.folder import REPORT, SPLIT, read_split

KEY = "estimator"
"""Where in a checkpoint stands what makes an estimator of its net."""


class EstimatorState(TypedDict):
    """What a checkpoint holds of an estimator, beside its net."""

    kind: str
    params: Mapping[str, Any]
    left_out: Sequence[str]
    columns: Count
    names: Sequence[str] | None
    classes: Sequence[str | int | float | bool] | None
    dtype: str | None
    rows: Sequence[Mapping[str, Any]]
    card: Card
    curves: Mapping[str, Any]


PLAIN = (bool, int, float, str, list, dict, type(None))


class EstimatorFiles(BaseEstimator):
    """What an estimator is once it is fitted: saved, loaded, and shown as a page."""

    net_: Delivered
    growth_: list[Row]
    widths_: list[int]
    result_: dict[str, Any]
    classes_: np.ndarray
    n_features_in_: int
    feature_names_in_: np.ndarray
    _checkpoint: dict[str, Any]
    _known: KnownRows
    _card: dict[str, Any]
    _curves: dict[str, Any]

    def save(self, path: str | Path) -> Path:
        """Write the estimator as a checkpoint, which `load` makes it from again, and beside it (`.split.npz`) which
        rows it knows. The file is for `autogrow.load`, `autogrow predict`, `continue_from=` and the other commands too.
        """
        check_is_fitted(self)
        path = Path(path)
        params = {k: list(v) if isinstance(v, tuple) else v for k, v in self.get_params().items()}
        names = getattr(self, "feature_names_in_", None)
        classes = getattr(self, "classes_", None)
        own = {
            "kind": type(self).__name__,
            "params": {k: v for k, v in params.items() if isinstance(v, PLAIN)},
            "left_out": [k for k, v in params.items() if not isinstance(v, PLAIN)],
            "columns": self.n_features_in_,
            "names": None if names is None else names.tolist(),
            "classes": None if classes is None else classes.tolist(),
            "dtype": None if classes is None else classes.dtype.str,
            "rows": [row.to_plain() for row in self.growth_],
            "card": self._card,
            "curves": self._curves,
        }
        save_atomically({**self._checkpoint, KEY: own}, path)
        write_bytes(path.with_suffix(SPLIT), self._known.to_bytes())
        return path

    @classmethod
    def load(cls, path: str | Path, **params: Any) -> Self:
        """The estimator that `save` wrote. Runs no code of the file's. `params`: settings that are to be others, and
        those that a file cannot hold (a policy of yours, a generator).

        Raises CheckpointError for a file that is none of these.
        """
        content = read_checkpoint(path)
        own = content.get(KEY)
        if not isinstance(own, dict) or own.get("kind") != cls.__name__:
            what = f"a {own.get('kind')}" if isinstance(own, dict) else "no estimator; a net alone is for autogrow.load"
            raise CheckpointError(f"{path} holds {what}, not a {cls.__name__}")
        with naming(path):
            check_plain(own)
            check(own, EstimatorState)
            if unknown := [name for name in own["params"] if name not in cls().get_params()]:
                raise NotPlainError(f"{cls.__name__} has no setting {unknown[0]!r}")
        missing = [name for name in own["left_out"] if name not in params]
        if missing:
            raise CheckpointError(
                f"{path}: {missing[0]} is not in the file, as it is no plain value; give it: "
                f"{cls.__name__}.load(path, {missing[0]}=…)"
            )
        estimator = cls(**{**own["params"], **params})
        net = from_content({k: v for k, v in content.items() if k != KEY}, path)
        assert isinstance(net, Delivered)
        known = read_split(Path(path))
        if known is None:
            raise CheckpointError(f"{Path(path).with_suffix(SPLIT)} is not there, which belongs to {path}")
        estimator.net_, estimator._known = net, known
        estimator._checkpoint = {k: v for k, v in content.items() if k != KEY}
        with naming(path):
            estimator.growth_, estimator._card = [Row.from_plain(row) for row in own["rows"]], own["card"]
            check(content.get("result"), Mapping[str, Any])
            check(content["result"].get("widths"), Sequence[int])
        estimator._curves = own["curves"]
        estimator.result_ = content["result"]
        estimator.widths_ = list(content["result"]["widths"])
        estimator.n_features_in_ = own["columns"]
        if own["names"] is not None:
            estimator.feature_names_in_ = np.array(own["names"], dtype=object)
        if own["classes"] is not None:
            estimator.classes_ = np.array(own["classes"], dtype=own["dtype"])
        return estimator

    def report(self, path: str | Path) -> Path:
        """Write the page of the run: an HTML file, or report.html in a folder. Answers with the file."""
        path = Path(path)
        path = path / REPORT if path.is_dir() else path
        write_atomically(path, self._page())
        return path

    def _page(self) -> str:
        check_is_fitted(self)
        settings = "\n".join(f"{k}: {v!r}" for k, v in self.get_params().items())
        return render(
            rows=self.growth_,
            result=self.result_,
            card=self._card,
            config=settings,
            command=repr(self),
            curves=self._curves,
            folder="net.ckpt",  # as the page says it where nothing has been saved yet
        )

    def _html_repr(self) -> str:
        """What a notebook shows: of a fitted estimator its page, before that scikit-learn's own diagram."""
        if not hasattr(self, "net_"):
            return str(super()._html_repr())
        page = escape(self._page(), quote=True)
        return f'<iframe srcdoc="{page}" style="width: 100%; height: 640px; border: 0" title="{escape(repr(self))}"></iframe>'
