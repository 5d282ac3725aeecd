"""Would runs of one shape train cheaper as members of one batched net? CPU microseconds of K steps apart and together.

    .venv/bin/python scripts/side_by_side_bench.py [--members 5] [--repeats 3]

The steps are a run's own: forward, written gradients, fused AdamW, weight average, at batch 128 on one thread. `equal`:
whether every weight has the same bits after 300 steps; where not, the largest difference. A run's steps are a quarter
to two fifths of its seconds on a small table (the rest: composing, reading, checks, metrics, the page), so that even
steps for nothing would leave a comparison more than half of what it takes. That is why nothing trains this way.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

INPUTS, CLASSES, BATCH, STEPS, SMOOTHING = 30, 2, 128, 300, 0.05
WIDTHS = (16, 32, 64, 128, 168, 256)


class Nets:
    """K nets side by side: weights (K, O, I), inputs (K, B, I), classes (K, B)."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        self.weights = [w.clone().requires_grad_() for w in weights]
        self.biases = [torch.zeros(w.shape[:-1], requires_grad=True) for w in weights]
        decayed, plain = {"params": self.weights, "weight_decay": 0.01}, {"params": self.biases, "weight_decay": 0.0}
        self.optimizer = torch.optim.AdamW([decayed, plain], lr=1e-3, fused=True)
        self.live = [p.detach() for p in (*self.weights, *self.biases)]
        self.average = [p.clone() for p in self.live]

    @torch.no_grad()
    def step(self, x: Tensor, y: Tensor) -> None:
        read, last = [x], len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = self.affine(read[-1], weight, bias)
            read.append(z if i == last else torch.relu(z))
        logs = torch.log_softmax(read[-1], -1)
        of_logs = torch.full_like(logs, -SMOOTHING / CLASSES / BATCH)
        right = torch.full_like(logs[..., :1], -(1 - SMOOTHING) / BATCH)
        of_logs.scatter_add_(-1, y.unsqueeze(-1), right)
        delta = torch.ops.aten._log_softmax_backward_data(of_logs, logs, -1, logs.dtype)
        for i in range(last, -1, -1):
            if i < last:
                delta = torch.ops.aten.threshold_backward(delta, read[i + 1], 0)
            self.weights[i].grad, self.biases[i].grad = delta.mT @ read[i], delta.sum(-2)
            if i:
                delta = delta @ self.weights[i]
        self.optimizer.step()
        torch._foreach_lerp_(self.average, self.live, 0.01)

    @staticmethod
    def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.baddbmm(bias.unsqueeze(1), x, weight.mT)


class OneNet(Nets):
    """One of them, without the leading dimension."""

    @staticmethod
    def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.nn.functional.linear(x, weight, bias)


def apart_and_together(width: int, members: int) -> tuple[float, float, float]:
    """CPU microseconds of one step of every net, one after the other and at once, and how far the weights differ."""
    generator = torch.Generator().manual_seed(0)
    sizes = [INPUTS, width, width, CLASSES]
    shapes = [(members, o, i) for i, o in pairwise(sizes)]
    weights = [torch.randn(shape, generator=generator) / shape[-1] ** 0.5 for shape in shapes]
    xs = torch.randn(STEPS, members, BATCH, INPUTS, generator=generator)
    ys = torch.randint(CLASSES, (STEPS, members, BATCH), generator=generator)
    alone, all_of_them = [OneNet([w[k] for w in weights]) for k in range(members)], Nets(weights)
    began = time.process_time()
    for k, net in enumerate(alone):
        for x, y in zip(xs[:, k], ys[:, k], strict=True):
            net.step(x, y)
    between = time.process_time()
    for x, y in zip(xs, ys, strict=True):
        all_of_them.step(x, y)
    seconds = between - began, time.process_time() - between
    pairs = [
        (one, many[k]) for k, net in enumerate(alone) for one, many in zip(net.live, all_of_them.live, strict=True)
    ]
    return *(1e6 * s / STEPS for s in seconds), max(float((a - b).abs().max()) for a, b in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'width':>6}{'apart, us':>12}{'together, us':>14}{'ratio':>8}   equal   K={arguments.members}, medians")
    for width in WIDTHS:
        rows = [apart_and_together(width, arguments.members) for _ in range(arguments.repeats)]
        apart, together, differs = (statistics.median(column) for column in zip(*rows, strict=True))
        ratio = statistics.median(b / a for a, b, _ in rows)
        print(
            f"{width:6}{apart:12.0f}{together:14.0f}{ratio:8.2f}   {f'{differs:.1e}' if differs else 'yes'}", flush=True
        )


if __name__ == "__main__":
    main()
