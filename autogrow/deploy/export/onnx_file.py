"""`to=onnx`: the whole net as one ONNX graph, float32 or int8 (QDQ), run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from autogrow.deploy.export.net import PortableNet
from autogrow.deploy.export.target import Written, timed
from autogrow.errors import UsageError


class OnnxFile:
    """`net.onnx`: one input `rows` (n, *input_shape), n free, and one output, by the name of the answer."""

    file = "net.onnx"
    runtime = "ONNX Runtime, CPU"
    promise = 1e-4

    def check(self, net: PortableNet, *, int8: bool) -> None:
        """Any net."""
        missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
        if missing:
            raise UsageError(f"to=onnx needs {' and '.join(missing)}: pip install 'autogrow[onnx]'")

    def write(self, net: PortableNet, *, int8: bool, calibration: np.ndarray) -> Written:
        """The graph, checked by onnx itself."""
        from autogrow.deploy.export.int8 import quantise
        from autogrow.deploy.export.onnx_graph import OPSET, Graph
        from autogrow.deploy.export.onnx_nodes import answer_of, answer_type, columns_of, steps_of

        graph = Graph()
        layers = quantise(net, calibration) if int8 else net
        columns = columns_of(graph, net, layers.columns, "rows")
        answer_of(graph, net, [steps_of(graph, stack, columns) for stack in layers.stacks])
        given = np.dtype(np.float64 if net.exact_inputs else np.float32)
        model = graph.model(
            ("rows", given, ["n", *net.input_shape]), (net.answer, answer_type(net), ["n", len(net.outputs)])
        )
        model.producer_name, model.producer_version = "autogrow", version("autogrow")
        tools = {name: version(name) for name in ("onnx", "onnxruntime")}
        return Written({self.file: model.SerializeToString()}, {"opset": OPSET, "tools": tools})

    @contextmanager
    def run(self, net: PortableNet, folder: Path, *, int8: bool) -> Iterator[OnnxRunning]:
        """A session on one thread."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        path = str(folder / self.file)
        yield OnnxRunning(net, onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]))


class OnnxRunning:
    """A session that is asked."""

    def __init__(self, net: PortableNet, session: Any) -> None:
        self.net, self.session = net, session

    def answers(self, rows: np.ndarray) -> np.ndarray:
        """Rows → answers."""
        found: np.ndarray = self.session.run(None, {"rows": self.net.as_given(rows)})[0]
        return found.astype(np.float64)

    def seconds(self, row: np.ndarray, calls: int) -> np.ndarray:
        """Of one call each."""
        given = {"rows": self.net.as_given(row)}
        return timed(lambda: self.session.run(None, given), calls)
