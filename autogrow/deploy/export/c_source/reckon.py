"""What a program computes, reckoned here in 64 bits: what each value is on training rows, for the choice of scales.

M members, n rows, I inputs, W the size of a value.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import log_softmax, logsumexp, softmax

from autogrow.deploy.export.c_source.program import Add, Layer, Operation, Program
from autogrow.deploy.export.layers import Normalise
from autogrow.deploy.export.net import LOGITS, VALUES, PortableNet
from autogrow.deploy.export.torch_module import module_of
from autogrow.nets import ACTIVATIONS


def values_of(program: Program, rows: np.ndarray) -> list[np.ndarray]:
    """Rows (n, I) as they are given to every value (M, n, W), the first being what the first layer reads."""
    first = read(program, rows)
    values = [np.broadcast_to(first, (program.members, *first.shape))]
    for layer in program.layers:
        v = product(layer, values[layer.reads])
        for operation in layer.then:
            v = applied(operation, v, values)
        values.append(v)
    return values


def read(program: Program, rows: np.ndarray) -> np.ndarray:
    """Rows (n, I) as they are given to value 0 (n, W)."""
    columns = module_of(program.net, torch.float64).columns
    with torch.no_grad():
        given = torch.from_numpy(rows.reshape(len(rows), *program.net.input_shape)).double()
        x: np.ndarray = columns(given).reshape(len(rows), -1).numpy()
    numeric, ramps = len(program.net.columns) - len(program.tables.tables), program.ramps
    parts = [x[:, :numeric]]
    parts += [table[x[:, numeric + k].astype(np.int64)] for k, table in enumerate(program.tables.tables)]
    parts.append(np.clip((x[:, ramps.column] - ramps.low) / (ramps.high - ramps.low), 0, 1))
    return np.concatenate(parts, axis=1)


def product(layer: Layer, v: np.ndarray) -> np.ndarray:
    """(M, n, I) to (M, n, O)."""
    made: np.ndarray = v @ layer.weight.transpose(0, 2, 1) + layer.bias[:, None]
    return made


def applied(operation: Operation, v: np.ndarray, values: list[np.ndarray]) -> np.ndarray:
    """One operation on a value (M, n, W)."""
    match operation:
        case Add():
            added: np.ndarray = v + values[operation.value]
            return added
        case Normalise():
            moved = v - v.mean(-1, keepdims=True) if operation.kind == "layer" else v
            scaled = moved / np.sqrt(np.square(moved).mean(-1, keepdims=True) + operation.eps)
            made: np.ndarray = scaled * operation.weight + operation.bias
            return made
    found: np.ndarray = ACTIVATIONS[operation.name]()(torch.from_numpy(v)).numpy()
    return found


def answered(net: PortableNet, v: np.ndarray) -> np.ndarray:
    """The last value (M, n, O) to answers (n, O)."""
    z: np.ndarray = v.mean(0)
    if net.mean_of_probabilities:
        z = net.sharpness * (logsumexp(log_softmax(v, -1), 0) - np.log(len(v)))
    if net.answer == VALUES:
        found: np.ndarray = z * net.target_std + net.target_mean
        return found
    return z if net.answer == LOGITS else np.asarray(softmax(z, -1))
