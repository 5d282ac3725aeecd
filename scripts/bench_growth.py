"""What a growth costs: time and peak memory of widening a wide layer with Adam's state,
beside clone() and a training step.

    python scripts/bench_growth.py [--width 4096] [--add 512] [--repeats 5] [--threads 2]

A net width → width → width → 10 in float32 after one Adam step. Each repeat times, one after the other, a clone() of
every tensor the growth touches (weights and both moments), the growth with its trace and its proof, the carrying of
Adam's state, and training steps at batch 128; medians and ratios are printed. Peak memory is the process's resident
memory above its start (Linux). Then the same with GradMax's new units, and its decomposition alone.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from autogrow.growth import growth_sites, widen
from autogrow.growth.bottleneck.linear_algebra import leading_svd, leading_svd_of_product
from autogrow.growth.bottleneck.problem import record, width_problem
from autogrow.growth.carry.optimizer import carry
from autogrow.growth.neurons.gradmax import GradMax

BATCH = 128


def peak_above(action: Callable[[], object]) -> int:
    """Bytes of resident memory that an action has above the start at its highest (Linux: the peak can be reset)."""
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")
    start = _status("VmRSS")
    kept = action()
    peak = _status("VmHWM") - start
    del kept
    return peak


def _status(field: str) -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field))


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def scene(width: int) -> tuple[nn.Module, torch.optim.Optimizer, Tensor, Tensor]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 10))
    x, y = torch.randn(BATCH, width), torch.randint(0, 10, (BATCH,))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    step(net, optimizer, x, y)
    return net, optimizer, x, y


def step(net: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x), y).backward()
    optimizer.step()


def touched(net: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """What widening the first width changes: weights of two layers, the bias between, and Adam's moments of them."""
    parameters = [net[0].weight, net[0].bias, net[2].weight]
    moments = [m for p in parameters for m in optimizer.state[p].values() if m.ndim]
    return [*parameters, *moments]


def measure(width: int, add: int, repeats: int) -> None:
    times: dict[str, list[float]] = {}

    def note(name: str, action: Callable[[], object]) -> None:
        times.setdefault(name, []).append(timed(action))

    surgery: Any = None
    for _ in range(repeats + 1):
        net, optimizer, x, y = scene(width)
        for parameter in net.parameters():
            parameter.grad = None
        example = x[:8]

        def grow(net: nn.Module = net, example: Tensor = example) -> None:
            nonlocal surgery
            surgery = widen(net, "0", width + add, example=example)

        tensors = touched(net, optimizer)
        note("clone", lambda tensors=tensors: [t.detach().clone() for t in tensors])
        note("trace", lambda net=net, example=example: growth_sites(net, example))
        del tensors
        note("widen", grow)
        note("carry", lambda optimizer=optimizer, surgery=surgery: carry(optimizer, surgery))
        surgery = None
        note("first step", lambda n=net, o=optimizer, x=x, y=y: step(n, o, x, y))
        note("step", lambda n=net, o=optimizer, x=x, y=y: step(n, o, x, y))
    median = {name: statistics.median(values[1:]) for name, values in times.items()}  # the first repeat warms up
    growth = median["widen"] + median["carry"]
    print(
        f"width {width} → {width + add}, float32, Adam, batch {BATCH}, {torch.get_num_threads()} threads, median of {repeats}"
    )
    for name, value in median.items():
        print(
            f"  {name:<11}{value * 1e3:9.1f} ms   {value / median['clone']:6.2f} × clone   {value / median['step']:6.2f} × step"
        )
    print(
        f"  {'growth':<11}{growth * 1e3:9.1f} ms   {growth / median['clone']:6.2f} × clone   {growth / median['step']:6.2f} × step"
    )


def memory(width: int, add: int) -> None:
    net, optimizer, x, _ = scene(width)
    for parameter in net.parameters():
        parameter.grad = None
    size = sum(t.numel() * t.element_size() for t in touched(net, optimizer))

    def grow() -> None:
        carry(optimizer, widen(net, "0", width + add, example=x[:8]))

    peak = peak_above(grow)
    new = sum(t.numel() * t.element_size() for t in touched(net, optimizer))
    print(
        f"  memory: touched tensors {size / 2**20:.0f} MiB, new ones {new / 2**20:.0f} MiB, peak above the start {peak / 2**20:.0f} MiB"
    )
    print(f"  (peak / new tensors = {peak / new:.2f}; old ones were there before and are gone after)")


def gradmax(width: int, add: int) -> None:
    net, _, x, y = scene(width)
    data, loss = [(x, y)], nn.functional.cross_entropy
    passed = record(net, ("0", "2"), data, loss)
    features, goal = width_problem(net, "0", ("2",), passed, bias=False, project=False)
    few = timed(lambda: leading_svd_of_product(goal, features, add))
    moment = torch.randn(width, width, dtype=torch.float64)
    full = timed(lambda: leading_svd(moment, add))
    whole = timed(lambda: widen(net, "0", width + add, example=x[:8], neurons=GradMax(data, loss)))
    print(
        f"  GradMax, {add} units from {BATCH} rows: {whole:.2f} s for the whole growth, {few:.2f} s of them the singular vectors"
    )
    print(f"  ({add} leading singular vectors of a full {width} × {width} moment, as from many rows: {full:.2f} s)")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--add", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    measure(options.width, options.add, options.repeats)
    memory(options.width, options.add)
    gradmax(options.width, options.add)


if __name__ == "__main__":
    main()
