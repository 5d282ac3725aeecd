"""What training a net takes on this host: FLOPs, memory and seconds of an optimizer step,
found by taking a few on a copy.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from autogrow.data import Prepared
from autogrow.growth.modes import eval_mode
from autogrow.train.fit.net.module import GrowingModule, make_optimizer
from autogrow.train.fit.setup import stream_of
from autogrow.train.fit.spec import FitSpec

_WARM, _TIMED = 5, 15  # steps; the median forgives those that another program slowed down


@dataclass(frozen=True)
class Footprint:
    """A net's size and what it takes. `memory`: bytes of weights, gradients, optimizer state, weight average,
    and what a batch keeps for backward.

    `train_flops_per_step`: of a batch. `seconds_per_step`, `seconds_per_row`: of training on a batch, and of looking at
    one row.
    """

    parameters: int
    flops_per_sample: int
    train_flops_per_step: int
    memory: int
    seconds_per_step: float
    seconds_per_row: float


class Gauge:
    """Measures footprints, once for each architecture."""

    def __init__(self, spec: FitSpec, prepared: Prepared) -> None:
        self.spec = spec
        stream = stream_of(spec, prepared)
        self.rows_per_step = stream.batch_size
        xs, ys = next(iter(stream))
        self.x, self.y = xs[0], ys[0]
        self.known: dict[str, Footprint] = {}

    def footprint(self, module: GrowingModule) -> Footprint:
        """The footprint of the module's net; the module is left as it is."""
        key = str({name: tuple(p.shape) for name, p in module.net.named_parameters()})
        if key not in self.known:
            self.known[key] = self._measured(module)
        return self.known[key]

    def _measured(self, module: GrowingModule) -> Footprint:
        net = copy.deepcopy(module.net)
        optimizer = make_optimizer(self.spec, net)
        average = [p.detach().clone() for p in net.parameters()]
        live = [p.detach() for p in net.parameters()]
        kept: dict[int, int] = {}
        taken: list[float] = []
        with torch.random.fork_rng(devices=[]):
            for step in range(_WARM + _TIMED):
                began = time.perf_counter()
                optimizer.zero_grad()
                if step == 0:
                    with torch.autograd.graph.saved_tensors_hooks(_counting(kept), lambda t: t):
                        loss = module.loss(net(self.x), self.y)
                else:
                    loss = module.loss(net(self.x), self.y)
                loss.backward()
                optimizer.step()
                torch._foreach_lerp_(average, live, module.average)
                taken.append(time.perf_counter() - began)
        own = {p.untyped_storage().data_ptr() for p in net.parameters()}
        state = sum(t.nbytes for values in optimizer.state.values() for t in values.values() if isinstance(t, Tensor))
        weights = sum(t.nbytes for t in net.state_dict().values())
        gradients = sum(p.nbytes for p in net.parameters())
        activations = sum(size for pointer, size in kept.items() if pointer not in own)
        return Footprint(
            parameters=module.cost.parameters,
            flops_per_sample=module.cost.flops_per_sample,
            train_flops_per_step=module.train_flops_per_step(self.rows_per_step),
            memory=2 * weights + gradients + state + activations,
            seconds_per_step=median(taken[_WARM:]),
            seconds_per_row=self._look(module) / self.rows_per_step,
        )

    def _look(self, module: GrowingModule) -> float:
        taken = []
        x = self.x[0] if self.spec.net.members > 1 else self.x
        with eval_mode(module.ema):
            for _ in range(_WARM):
                began = time.perf_counter()
                module.predict(x)
                taken.append(time.perf_counter() - began)
        return median(taken)


def _counting(kept: dict[int, int]) -> Any:
    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    return pack
