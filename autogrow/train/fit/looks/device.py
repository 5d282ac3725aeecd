"""What a net would take on a device, as far as a budget asks: found on its shapes, before it is grown to them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from autogrow.data import Pipeline, Prepared
from autogrow.errors import ConfigError
from autogrow.nets import DenseNet
from autogrow.policy import Budget, requires
from autogrow.policy.budget import OF_DEVICE
from autogrow.policy.needs import parts
from autogrow.train.fit.looks.latency import milliseconds
from autogrow.train.fit.net.c_take import c_take
from autogrow.train.fit.net.deliver import PROBABILITIES, Delivered, assemble
from autogrow.train.fit.spec import FitSpec

Latency = Callable[[Delivered], float]
"""The 95th percentile of the milliseconds of a row; how: the budget's runtime."""


class DeviceGauge:
    """Measures nets for the budget of a policy, each architecture once."""

    def __init__(self, spec: FitSpec, prepared: Prepared) -> None:
        self.needs = requires(spec.policy) & set(OF_DEVICE)
        budgets = [part for part in parts(spec.policy) if isinstance(part, Budget)]
        self.budget = next((budget for budget in budgets if budget.needs & set(OF_DEVICE)), Budget())
        self.through: Latency = _in_torch if spec.latency is None else spec.latency
        if "latency_p95_ms" in self.needs and self.budget.runtime != "torch" and spec.latency is None:
            raise ConfigError(
                f"budget.runtime={self.budget.runtime} is measured by `autogrow fit`; here there is torch"
            )
        self.pipeline, self.members = prepared.pipeline, spec.net.members
        self._known: dict[str, float] = {}

    def take(self, net: nn.Module) -> dict[str, Any]:
        """Flash, RAM and latency of a net of these shapes, as far as they are asked for; its weights may be anything.

        Raises ConfigError for a net that is not written as a C file and whose bytes are asked for.
        """
        found: dict[str, Any] = {}
        wanted = sorted(self.needs & {"flash_bytes", "ram_bytes"})
        if wanted:
            if not isinstance(net, DenseNet):
                raise ConfigError(
                    f"budget.{wanted[0]} is of a C file, and a {type(net).__name__} is not written as one"
                )
            taken = c_take(net, int8=self.budget.int8)
            found |= {name: getattr(taken, name) for name in wanted}
        if "latency_p95_ms" in self.needs:
            found["latency_p95_ms"] = self.latency(net)
        return found

    def latency(self, net: nn.Module) -> float:
        """The 95th percentile of the milliseconds that a row takes through a net of these shapes."""
        key = str([(name, tuple(p.shape)) for name, p in (*net.named_parameters(), *net.named_buffers())])
        if key not in self._known:
            self._known[key] = self.through(drawn_like(net, self.pipeline, members=self.members))
        return self._known[key]


def drawn_like(net: nn.Module, pipeline: Pipeline, *, members: int) -> Delivered:
    """A net of these shapes with weights of its own, as it would be handed back."""
    generator = torch.Generator().manual_seed(0)
    drawn: dict[int, nn.Parameter] = {}
    for parameter in net.parameters():
        bound = 1 / math.sqrt(parameter.shape[-1] if parameter.ndim > 1 else 4)
        values = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
        drawn[id(parameter)] = nn.Parameter(values, requires_grad=False)
    own = copy.deepcopy(net, drawn).cpu()
    classes = pipeline.task == "classification"
    return assemble(own, {"members": members, "mean": PROBABILITIES if classes else None}, pipeline).eval()


def _in_torch(net: Delivered) -> float:
    shape = net.pipeline.input_shape
    return milliseconds(net, torch.zeros(1, *shape))[1]
