"""A net that autogrow delivered, in plain torch: `net = load("net.pt")`, then `net(rows)`. Needs torch alone.

Rows (n, inputs), of images (n, channels, height, width), as export.json lists them: numbers, and codes where a column
holds categories (encode.py makes them); NaN is missing. Answers (n, outputs): probabilities, logits, or values in their
own units. The weights are parameters: the net can be trained on.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS: dict[str, Any] = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
    "elu": F.elu,
    "selu": F.selu,
    "softplus": F.softplus,
    "sigmoid": torch.sigmoid,
    "hardtanh": F.hardtanh,
    "relu6": F.relu6,
    "mish": F.mish,
}


def load(path: Any = "net.pt") -> Net:
    """The net of a file, ready to be asked. The file holds tensors and plain values, and runs no code."""
    return Net(torch.load(path, map_location="cpu", weights_only=True)).eval()


class Net(nn.Module):
    """From rows to answers. `held`: what net.pt holds."""

    def __init__(self, held: dict[str, Any]) -> None:
        super().__init__()
        self.answer, self.mean, self.sharpness = held["answer"], held["mean"], held["sharpness"]
        self.columns = Columns(held["columns"])
        self.members = nn.ModuleList(Steps(steps) for steps in held["members"])
        self.target_mean: Tensor
        self.target_std: Tensor
        self.register_buffer("target_mean", held["target_mean"])
        self.register_buffer("target_std", held["target_std"])

    def forward(self, rows: Tensor) -> Tensor:
        """Rows to answers."""
        x = self.columns(rows)
        outputs = [member(x) for member in self.members]
        if self.answer == "values":
            return torch.stack(outputs).mean(0) * self.target_std + self.target_mean
        if self.mean == "probabilities":
            z = torch.stack([one.log_softmax(-1) for one in outputs]).logsumexp(0) - math.log(len(outputs))
            z = self.sharpness * z
        else:
            z = outputs[0] if len(outputs) == 1 else torch.stack(outputs).mean(0)
        return z.softmax(-1) if self.answer == "probabilities" else z


class Columns(nn.Module):
    """What the net sees of a row: inputs taken, categories as 0 and 1, gaps filled, scaled, clipped."""

    def __init__(self, held: dict[str, Any]) -> None:
        super().__init__()
        self.of = set(held["of"])
        for name, values in held["tensors"].items():
            self.register_buffer(name, values)

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) → (n, columns); images stay images."""
        if "centred" in self.of:
            x = (x - self.origin) / self.spread
        x = x.to(self.mean.dtype)
        if "reordered" in self.of:
            x = x.index_select(1, self.source)
        if "categories" in self.of:
            x = torch.where(torch.isnan(x) & self.category, self.absent, x)
            x = torch.where(self.is_code, (x == self.code).to(x.dtype), x)
        if "embedded" in self.of:
            known = (x >= 0) & (x <= self.most)
            x = torch.where(self.is_row, torch.where(known, x + 1, torch.zeros_like(x)), x)
        if "missing" in self.of:
            x = torch.where(self.is_gap, torch.isnan(x).to(x.dtype), x)
        x = (torch.where(torch.isnan(x), self.fill, x) - self.mean) * self.scale
        return torch.minimum(torch.maximum(x, -self.clip), self.clip) if "clipped" in self.of else x


class Steps(nn.Module):
    """Steps one behind another; each a mapping with its kind and its tensors."""

    def __init__(self, held: list[dict[str, Any]]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(Step(one) for one in held)

    def forward(self, x: Tensor) -> Tensor:
        """All of them in order."""
        for step in self.steps:
            x = step(x)
        return x


class Step(nn.Module):
    """One step: affine, conv, an activation, a norm, knots, embeddings, a skip connection, pooling."""

    def __init__(self, held: dict[str, Any]) -> None:
        super().__init__()
        self.kind: str = held["kind"]
        self.padding, self.first, self.eps = (held.get(name, 0) for name in ("padding", "numeric", "eps"))
        for name, value in held.items():
            if name in ("weight", "bias"):
                self.register_parameter(name, nn.Parameter(value))
            elif isinstance(value, Tensor):
                self.register_buffer(name, value)
        if self.kind == "skip":
            self.inner = Steps(held["steps"])
        if self.kind == "lookup":
            self.tables = nn.ParameterList(nn.Parameter(table) for table in held["tables"])

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name)

    def forward(self, x: Any) -> Any:  # noqa: PLR0911  (a case for each kind)
        """What the step makes of x."""
        match self.kind:
            case "affine":
                return F.linear(x, self.weight, self.bias)
            case "convolve":
                return F.conv2d(x, self.weight, self.bias, padding=self.padding)
            case "layer_norm":
                return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
            case "rms_norm":
                return x / torch.sqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight
            case "skip":
                return x + self.inner(x)
            case "ramps":
                ramps = (x.index_select(1, self.column) - self.low) / (self.high - self.low)
                return torch.cat([x, ramps.clamp(0, 1)], 1)
            case "lookup":
                rows = [F.embedding(x[:, self.first + k].long(), table) for k, table in enumerate(self.tables)]
                return torch.cat([x[:, : self.first], *rows], 1)
            case "max_pool":
                return F.max_pool2d(x, 2)
            case "global_mean":
                return x.mean((2, 3))
            case "flatten":
                return x.flatten(1)
            case _:
                return ACTIVATIONS[self.kind](x)
