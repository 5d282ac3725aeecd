"""An ONNX graph, built node by node: names are given, constants kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
IR_VERSION = 9  # the one that came with this opset: older runtimes read it, too
TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float64): TensorProto.DOUBLE}


class Graph:
    """Nodes and constants so far. Values are known by their names."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, op: str, *inputs: Any, **attributes: Any) -> str:
        """A node of this op on values, by their names, or on constants (arrays); the name of its output."""
        names = [one if isinstance(one, str) else self.constant(one) for one in inputs]
        out = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, names, [out], **attributes))
        return out

    def constant(self, values: np.ndarray) -> str:
        """An array that the graph holds; its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def model(self, given: tuple[str, np.dtype[Any], list[Any]], made: tuple[str, np.dtype[Any], list[Any]]) -> Any:
        """The model from one input to one output, each (name, type, shape); the last node makes the output.

        Raises onnx's own error for a graph that is not whole.
        """
        self.nodes[-1].output[0] = made[0]
        inputs, outputs = (
            [helper.make_tensor_value_info(name, TYPES[np.dtype(kind)], shape)] for name, kind, shape in (given, made)
        )
        graph = helper.make_graph(self.nodes, "autogrow", inputs, outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model
