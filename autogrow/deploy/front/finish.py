"""The finish of one net of a front: the rate decays to zero, and then once more with validation rows learned from.

What a run does at its end, without its policy: the length is given, and nothing is grown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from autogrow.data import BatchStream, Prepared
from autogrow.policy.finish import led_by
from autogrow.train.fit.looks.measurer import Measurer
from autogrow.train.fit.net.measure import Measured
from autogrow.train.fit.net.module import GrowingModule
from autogrow.train.fit.net.rate import Rate
from autogrow.train.fit.net.snapshot import Snapshot, place_optimizer_state, take
from autogrow.train.fit.setup import stream_of
from autogrow.train.fit.spec import FitSpec

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Finished:
    """A finished net. `chosen`: the one that validation judged best; `best`: the one that is handed back (the same
    object without a refit). `steps`, `train_flops`, `eval_flops`: what the finish took.
    """

    chosen: Snapshot
    best: Snapshot
    steps: int
    train_flops: int
    eval_flops: int


@dataclass
class Finisher:
    """Finishes nets of one run, on its data, with its optimizer and batches."""

    spec: FitSpec
    prepared: Prepared

    def __post_init__(self) -> None:
        trainer = self.spec.trainer
        self.measurer = Measurer(
            self.prepared,
            rows=trainer.check_rows,
            temperature=trainer.temperature,
            device=_CPU,
            metric=self.spec.metric,
        )

    @property
    def steps_per_check(self) -> int:
        """Optimizer steps between two looks at validation."""
        return self._stream().steps_per_check

    def finish(self, module: GrowingModule, start: Snapshot, *, first: int, steps: int, refit: bool) -> Finished:
        """Anneal the module's net from `start`, at optimizer step `first`, over `steps` steps; then the refit.

        Handed back is, of the looks at validation along the way, the net that it judged best, or with `refit` the net
        that has learned from all rows over as many steps.
        """
        looks = self._annealed(module, start, self._stream(), first, steps)
        chosen = min(looks, key=lambda look: look[0])[1]
        best, taken = chosen, steps
        if refit:
            stream = self._stream()
            stream.learn_also(*(part for part in self.measurer.all_val if part is not None))
            for _ in self._learned(module, start, stream, first, steps):
                pass
            best, taken = take(module, self.optimizer), 2 * steps
        rows = len(self.prepared.val)
        return Finished(
            chosen,
            best,
            taken,
            taken * self._stream().batch_size * module.cost.train_flops_per_sample,
            len(looks) * rows * module.cost.flops_per_sample,
        )

    def _annealed(
        self, module: GrowingModule, start: Snapshot, stream: BatchStream, first: int, steps: int
    ) -> list[tuple[tuple[float, float], Snapshot]]:
        looks = []
        for _ in self._learned(module, start, stream, first, steps):
            looks.append((_key(self.measurer.val(module, full=True)), take(module, self.optimizer)))
        return looks

    def _learned(
        self, module: GrowingModule, start: Snapshot, stream: BatchStream, first: int, steps: int
    ) -> Iterator[int]:
        """Train from `start`; comes up for air at every check, with the step that it is at."""
        module.restore(start["recipe"], start["net"], start["ema"], start.get("dropout"))
        self.optimizer = module.configure_optimizers()
        place_optimizer_state(module, self.optimizer, start["optimizer"])
        module.rate = Rate(**start["rate"]).annealed(first, steps)
        module.train()
        for begin in range(first, first + steps, stream.steps_per_check):
            end = min(begin + stream.steps_per_check, first + steps)
            for step in range(begin, end, stream.burst):
                module.learn(stream.steps(step, min(step + stream.burst, end)), self.optimizer, step)
            yield end

    def _stream(self) -> BatchStream:
        return stream_of(self.spec, self.prepared)


def _key(found: Measured) -> tuple[float, float]:
    return led_by(found.error, found.judged), (found.score if math.isfinite(found.score) else math.inf)
