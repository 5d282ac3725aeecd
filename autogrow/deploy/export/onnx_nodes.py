"""A portable net as nodes of an ONNX graph: columns, steps, answer. All in float32 but for what 32 bits would merge.

n rows, I inputs, D columns, O outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto

from autogrow.deploy.export.inputs import CATEGORY, CODE, IS, MISSING, PIXEL, Column
from autogrow.deploy.export.int8 import Quantised, Step8
from autogrow.deploy.export.layers import (
    Activation,
    Affine,
    Convolve,
    Flatten,
    GlobalMean,
    Lookup,
    MaxPool,
    Normalise,
    Ramps,
    Skip,
)
from autogrow.deploy.export.net import PROBABILITIES, VALUES, PortableNet
from autogrow.deploy.export.onnx_graph import Graph

ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("Relu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.01}),
    "gelu": ("Gelu", {}),
    "tanh": ("Tanh", {}),
    "elu": ("Elu", {"alpha": 1.0}),
    "selu": ("Selu", {}),
    "softplus": ("Softplus", {}),
    "sigmoid": ("Sigmoid", {}),
    "mish": ("Mish", {}),
}
CLIPS = {"hardtanh": (-1.0, 1.0), "relu6": (0.0, 6.0)}


def single(values: Any) -> np.ndarray:
    """Values as a constant in 32 bits."""
    return np.asarray(values, dtype=np.float32)


def columns_of(graph: Graph, net: PortableNet, columns: Sequence[Column], rows: str) -> str:
    """(n, I) → (n, D), ready for the first step; images stay images. columns: the net's, or as int8 scales them."""
    inputs = net.inputs
    fill, mean, scale, clip = (
        single([getattr(c, name) for c in columns]) for name in ("fill", "mean", "scale", "clip")
    )
    if inputs[0].kind == PIXEL:
        return graph.add("Mul", graph.add("Sub", rows, _by_channel(net, mean)), _by_channel(net, scale))
    x = rows
    if net.exact_inputs:
        spread = np.array([one.spread or np.inf for one in inputs])
        x = graph.add("Div", graph.add("Sub", x, np.array([one.origin for one in inputs])), spread)
        x = graph.add("Cast", x, to=TensorProto.FLOAT)
    source = [inputs[c.source] for c in columns]
    if [c.source for c in columns] != list(range(len(inputs))):
        x = graph.add("Gather", x, np.array([c.source for c in columns]), axis=1)
    if any(one.kind == CATEGORY for one in inputs):
        absent = graph.add("And", graph.add("IsNaN", x), np.array([one.kind == CATEGORY for one in source]))
        x = graph.add("Where", absent, single([one.absent for one in source]), x)
    if any(c.kind == IS for c in columns):
        is_it = graph.add("Cast", graph.add("Equal", x, single([c.code for c in columns])), to=TensorProto.FLOAT)
        x = graph.add("Where", np.array([c.kind == IS for c in columns]), is_it, x)
    if any(c.kind == CODE for c in columns):
        most = single([len(one.codes) - 1 for one in source])
        known = graph.add("And", graph.add("GreaterOrEqual", x, single(0)), graph.add("LessOrEqual", x, most))
        row = graph.add("Where", known, graph.add("Add", x, single(1)), single(0))
        x = graph.add("Where", np.array([c.kind == CODE for c in columns]), row, x)
    if any(c.kind == MISSING for c in columns):
        gap = graph.add("Cast", graph.add("IsNaN", x), to=TensorProto.FLOAT)
        x = graph.add("Where", np.array([c.kind == MISSING for c in columns]), gap, x)
    x = graph.add("Where", graph.add("IsNaN", x), fill, x)
    x = graph.add("Mul", graph.add("Sub", x, mean), scale)
    return graph.add("Min", graph.add("Max", x, -clip), clip)


def _by_channel(net: PortableNet, values: np.ndarray) -> np.ndarray:
    """Values of pixels as (C, H, W), or (C, 1, 1) where those of a channel are alike."""
    images = values.reshape(net.input_shape)
    first = images[:, :1, :1]
    return first if (images == first).all() else images


def steps_of(graph: Graph, steps: Sequence[Step8], x: str) -> str:
    """(n, D) → (n, O), logits or standardised targets."""
    for step in steps:
        x = _step(graph, step, x)
    return x


def answer_of(graph: Graph, net: PortableNet, outputs: Sequence[str]) -> str:
    """The members' outputs, each (n, O), to the answer (n, O)."""
    if net.mean_of_probabilities:
        each = [graph.add("Unsqueeze", graph.add("LogSoftmax", z), np.array([0])) for z in outputs]
        together = graph.add("ReduceLogSumExp", graph.add("Concat", *each, axis=0), np.array([0]), keepdims=0)
        z = graph.add("Mul", graph.add("Sub", together, single(np.log(len(outputs)))), single(net.sharpness))
    else:
        z = outputs[0] if len(outputs) == 1 else graph.add("Mean", *outputs)
    if net.answer == PROBABILITIES:
        return graph.add("Softmax", z)
    if net.answer == VALUES:
        kind = answer_type(net)
        z = graph.add("Cast", z, to=TensorProto.DOUBLE) if kind == np.float64 else z
        z = graph.add("Add", graph.add("Mul", z, net.target_std.astype(kind)), net.target_mean.astype(kind))
    return z


def answer_type(net: PortableNet) -> np.dtype[Any]:
    """The type of the answer: 64 bits where 32 would round the targets."""
    return np.dtype(np.float64 if net.exact_outputs else np.float32)


def _step(graph: Graph, step: Step8, x: str) -> str:  # noqa: PLR0911  (a case for each kind)
    match step:
        case Affine(weight, bias):
            return graph.add("Gemm", x, single(weight), single(bias), transB=1)
        case Convolve(weight, bias, padding):
            return graph.add("Conv", x, single(weight), single(bias), pads=[padding] * 4)
        case Quantised():
            return _quantised(graph, step, x)
        case Activation(name):
            return _activation(graph, name, x)
        case Normalise():
            return _norm(graph, step, x)
        case Skip(steps):
            return graph.add("Add", x, steps_of(graph, steps, x))
        case Ramps(column, low, high):
            moved = graph.add("Sub", graph.add("Gather", x, column, axis=1), single(low))
            ramps = graph.add("Clip", graph.add("Div", moved, single(high) - single(low)), single(0), single(1))
            return graph.add("Concat", x, ramps, axis=1)
        case Lookup(numeric, tables):
            rows = []
            for k, table in enumerate(tables):
                code = graph.add("Cast", graph.add("Gather", x, np.array(numeric + k), axis=1), to=TensorProto.INT64)
                rows.append(graph.add("Gather", single(table), code, axis=0))
            return graph.add("Concat", graph.add("Gather", x, np.arange(numeric), axis=1), *rows, axis=1)
        case MaxPool():
            return graph.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
        case GlobalMean():
            return graph.add("Flatten", graph.add("GlobalAveragePool", x))
        case Flatten():
            return graph.add("Flatten", x)


def _activation(graph: Graph, name: str, x: str) -> str:
    if name in CLIPS:
        low, high = CLIPS[name]
        return graph.add("Clip", x, single(low), single(high))
    if name == "silu":
        return graph.add("Mul", x, graph.add("Sigmoid", x))
    op, attributes = ACTIVATIONS[name]
    return graph.add(op, x, **attributes)


def _norm(graph: Graph, step: Normalise, x: str) -> str:
    if step.kind == "layer":
        return graph.add("LayerNormalization", x, single(step.weight), single(step.bias), epsilon=step.eps)
    mean = graph.add("ReduceMean", graph.add("Mul", x, x), np.array([-1]), keepdims=1)
    root = graph.add("Sqrt", graph.add("Add", mean, single(step.eps)))
    return graph.add("Mul", graph.add("Div", x, root), single(step.weight))


def _quantised(graph: Graph, step: Quantised, x: str) -> str:
    """The layer between QuantizeLinear and DequantizeLinear, as runtimes and compilers for chips know it."""
    images = step.weight.ndim == 4
    one, zero, none = single(1), np.array(step.zero, dtype=np.int8), np.zeros(len(step.scale), dtype=np.int8)
    if not step.scaled_before:
        x = graph.add("Mul", x, single(step.factor).reshape(-1, *[1] * (2 if images else 0)))
    x = graph.add("DequantizeLinear", graph.add("QuantizeLinear", x, one, zero), one, zero)
    weight = graph.add("DequantizeLinear", step.weight, single(step.scale), none, axis=0)
    whole = np.rint(step.bias / step.scale).clip(-(2**31), 2**31 - 1).astype(np.int32)
    bias = graph.add("DequantizeLinear", whole, single(step.scale), none.astype(np.int32), axis=0)
    if images:
        return graph.add("Conv", x, weight, bias, pads=[step.padding] * 4)
    return graph.add("Gemm", x, weight, bias, transB=1)
