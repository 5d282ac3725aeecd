"""A portable net as plain torch: what `net.pt` holds, and the module of `plain_net.py` that is made of it.

D columns, I inputs, n rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from autogrow.deploy.export.inputs import CATEGORY, CODE, IS, MISSING, PIXEL
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
    Step,
)
from autogrow.deploy.export.net import PortableNet
from autogrow.deploy.export.plain_net import Net
from autogrow.growth.cost import counting

Held = dict[str, Any]


def module_of(net: PortableNet, dtype: torch.dtype = torch.float32) -> Net:
    """The whole of it as a module in eval mode: rows (n, *input_shape) → answers (n, O).

    Rows are float32, or float64 where `exact_inputs`; weights and what is computed with them are of `dtype`.
    """
    return Net(held_by(net, dtype)).eval()


def macs_of(net: PortableNet) -> int:
    """Multiply-adds of one row, all members together."""
    rows = torch.from_numpy(net.as_given(np.zeros((1, *net.input_shape))))
    with torch.no_grad(), counting() as counted:
        module_of(net)(rows)
    return counted.flops // 2


def held_by(net: PortableNet, dtype: torch.dtype) -> Held:
    """What `net.pt` holds: tensors and plain values."""
    precise = torch.float64 if net.exact_outputs else dtype
    return {
        "answer": net.answer,
        "mean": "probabilities" if net.mean_of_probabilities else "outputs",
        "sharpness": net.sharpness,
        "columns": _columns(net, dtype),
        "members": [[_step(step, dtype) for step in stack] for stack in net.stacks],
        "target_mean": torch.from_numpy(net.target_mean).to(precise),
        "target_std": torch.from_numpy(net.target_std).to(precise),
    }


def _columns(net: PortableNet, dtype: torch.dtype) -> Held:
    """The tensors of `plain_net.Columns`, and which of its operations these rows need."""
    inputs, columns = net.inputs, net.columns
    preprocess = {name: buffer.to(dtype) for name, buffer in net.delivered.preprocess.state().items()}
    if inputs[0].kind == PIXEL:
        return {"of": [], "tensors": preprocess}
    # a constant column says 0, as whatever is divided by infinity
    spread = [one.spread or float("inf") for one in inputs]
    source = [inputs[c.source] for c in columns]
    needs = {
        "centred": net.exact_inputs,
        "reordered": [c.source for c in columns] != list(range(len(inputs))),
        "categories": any(one.kind == CATEGORY for one in inputs),
        "embedded": any(c.kind == CODE for c in columns),
        "missing": any(c.kind == MISSING for c in columns),
        "clipped": True,
    }
    tensors = {
        "origin": torch.tensor([one.origin for one in inputs], dtype=torch.float64),
        "spread": torch.tensor(spread, dtype=torch.float64),
        "source": torch.tensor([c.source for c in columns]),
        "category": torch.tensor([one.kind == CATEGORY for one in source]),
        "absent": torch.tensor([one.absent for one in source], dtype=dtype),
        "is_code": torch.tensor([c.kind == IS for c in columns]),
        "code": torch.tensor([c.code for c in columns], dtype=dtype),
        "is_row": torch.tensor([c.kind == CODE for c in columns]),
        "most": torch.tensor([len(one.codes) - 1 for one in source], dtype=dtype),
        "is_gap": torch.tensor([c.kind == MISSING for c in columns]),
        **preprocess,
    }
    return {"of": [name for name, needed in needs.items() if needed], "tensors": tensors}


def _step(step: Step, dtype: torch.dtype) -> Held:  # noqa: PLR0911  (a case for each kind)
    """One step of `plain_net.Step`."""

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(dtype)

    match step:
        case Affine(weight, bias):
            return {"kind": "affine", "weight": tensor(weight), "bias": tensor(bias)}
        case Convolve(weight, bias, padding):
            return {"kind": "convolve", "weight": tensor(weight), "bias": tensor(bias), "padding": padding}
        case Activation(name):
            return {"kind": name}
        case Normalise(kind, weight, bias, eps):
            return {"kind": f"{kind}_norm", "weight": tensor(weight), "bias": tensor(bias), "eps": eps}
        case Skip(steps):
            return {"kind": "skip", "steps": [_step(one, dtype) for one in steps]}
        case Ramps(column, low, high):
            return {"kind": "ramps", "column": torch.from_numpy(column), "low": tensor(low), "high": tensor(high)}
        case Lookup(numeric, tables):
            return {"kind": "lookup", "numeric": numeric, "tables": [tensor(table) for table in tables]}
        case MaxPool():
            return {"kind": "max_pool"}
        case GlobalMean():
            return {"kind": "global_mean"}
        case Flatten():
            return {"kind": "flatten"}
