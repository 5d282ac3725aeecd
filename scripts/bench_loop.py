"""What the Lightning path costs against a hand-written PyTorch loop:
the same net, data, batches, optimizer and weight average.

    .venv/bin/python scripts/bench_loop.py [--repeats 5] [--passes 2]

Both run one thread, in turn (A B A B …), and the medians' ratio is reported: optimizer steps apart from checks. Needs
Fashion-MNIST.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time

import torch
import torch.nn.functional as F

from autogrow.data import DataSpec, Prepared, prepare
from autogrow.errors import DataError
from autogrow.nets import DenseNet
from autogrow.policy import Growth, LifeCycle, Never, NeverStop, NoFinish
from autogrow.train.fit.run import fit
from autogrow.train.fit.spec import FitSpec, NetSpec, TrainerSpec

BATCH, LR, DECAY = 128, 3e-3, 1e-2


def hand_written(prepared: Prepared, width: int, passes: int) -> float:
    """Seconds of optimizer steps of a plain loop: shuffled passes, fused AdamW, weight average."""
    x, y = prepared.train.x, prepared.train.y
    net = DenseNet(prepared.input_shape, [width], prepared.outputs, dropout=0.0)
    ema = copy.deepcopy(net).requires_grad_(False)
    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LR, fused=True)
    averaged, live = list(ema.parameters()), [p.detach() for p in net.parameters()]
    began = time.perf_counter()
    for _ in range(passes):
        order = torch.randperm(len(x))
        for i in range(len(x) // BATCH):
            rows = order[i * BATCH : (i + 1) * BATCH]
            optimizer.zero_grad()
            F.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
            torch._foreach_lerp_(averaged, live, 1 / 30)
    return time.perf_counter() - began


def ours(data: DataSpec, width: int, passes: int) -> tuple[float, float, int]:
    """Seconds in optimizer steps, seconds in checks, and steps of `autogrow fit` with a fixed net."""
    spec = FitSpec(
        data=data,
        policy=LifeCycle(Growth(when=Never()), stop=NeverStop(), finish=NoFinish()),
        net=NetSpec(widths=[width], dropout=0.0),
        trainer=TrainerSpec(max_epochs=passes, temperature=False),
    )
    last = fit(spec).rows[-1]
    checks = last.timing["check_seconds"]
    return last.timing["seconds"] - checks, checks, last.step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 256, 1024])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = DataSpec(name="fashion_mnist", source="idx", val_fraction=1 / 6)
    try:
        prepared = prepare(data)
    except DataError as error:
        raise SystemExit(f"needs Fashion-MNIST: {error}") from None
    print(
        f"{len(prepared.train)} rows, batch {BATCH}, {arguments.passes} passes, {arguments.repeats} runs each, in turn"
    )
    for width in arguments.widths:
        rows = []
        for _ in range(arguments.repeats):
            torch.manual_seed(0)
            loop = hand_written(prepared, width, arguments.passes)
            steps, checks, count = ours(data, width, arguments.passes)
            loop_steps = arguments.passes * (len(prepared.train) // BATCH)
            rows.append((1e6 * loop / loop_steps, 1e6 * steps / count, checks / steps))
        loop, steps, share = (statistics.median(column) for column in zip(*rows, strict=True))
        print(
            f"width {width:5d}: loop {loop:7.0f} µs/step, autogrow {steps:7.0f} µs/step, "
            f"speed {loop / steps:.2f}x of the loop's; checks add {100 * share:.0f} % to the steps"
        )


if __name__ == "__main__":
    main()
