"""`to=sklearn`: a pipeline of scikit-learn with the net's weights in its MLP, written by skops.

n rows, I inputs, D columns.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from autogrow.deploy.export.net import LOGITS, VALUES, PortableNet
from autogrow.deploy.export.sklearn_pipeline import pipeline_of
from autogrow.deploy.export.target import Written, timed
from autogrow.errors import UsageError

TRUSTED = ("numpy.dtype",)
"""What `skops.io.load` must be told to trust: SimpleImputer holds one, and skops does not know it as harmless."""


class SklearnFile:
    """`net.skops`: a Pipeline that ends in an MLPClassifier or MLPRegressor; `predict_proba` and `predict` answer."""

    file = "net.skops"
    runtime = "scikit-learn"
    promise = 1e-4

    def check(self, net: PortableNet, *, int8: bool) -> None:
        """A dense net with one activation of relu, tanh, sigmoid, without norms of a row; no int8 and no logits."""
        if find_spec("skops") is None:
            raise UsageError("to=sklearn needs skops: pip install 'autogrow[skops]'")
        if int8 or net.answer == LOGITS:
            raise UsageError(f"to=sklearn has no {'int8' if int8 else 'logits'}: to=onnx has")
        if net.mean_of_probabilities:
            raise UsageError(
                "to=sklearn: its MLPClassifier has no members, whose probabilities are averaged; to=onnx has"
            )
        pipeline_of(net)

    def write(self, net: PortableNet, *, int8: bool, calibration: np.ndarray) -> Written:
        """The pipeline."""
        import skops.io

        content = skops.io.dumps(pipeline_of(net), compression=zipfile.ZIP_DEFLATED)
        tools = {name: version(name) for name in ("scikit-learn", "skops")}
        return Written({self.file: content}, {"tools": tools, "trusted": list(TRUSTED), "input_type": "float64"})

    @contextmanager
    def run(self, net: PortableNet, folder: Path, *, int8: bool) -> Iterator[SklearnRunning]:
        """The pipeline of the file."""
        import skops.io
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            yield SklearnRunning(net, skops.io.load(folder / self.file, trusted=list(TRUSTED)))


class SklearnRunning:
    """A pipeline that is asked."""

    def __init__(self, net: PortableNet, pipeline: Any) -> None:
        self.ask = pipeline.predict if net.answer == VALUES else pipeline.predict_proba

    def answers(self, rows: np.ndarray) -> np.ndarray:
        """Rows → answers; of images, flattened ones."""
        found: np.ndarray = self.ask(rows.reshape(len(rows), -1))
        return found.reshape(len(rows), -1)

    def seconds(self, row: np.ndarray, calls: int) -> np.ndarray:
        """Of one call each."""
        flat = row.reshape(1, -1)
        return timed(lambda: self.ask(flat), calls)
