"""Where a run computes: with `trainer.accelerator=auto` on a GPU where a step is large enough to pay for its launches.

A GPU starts the kernels of a step, half a hundred, one after the other, and that takes it half a millisecond to a whole
one however small they are; a core of a CPU does 50 MFLOP in that time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from autogrow.data import BatchStream, TensorStream
from autogrow.train.fit.net.module import GrowingModule
from autogrow.train.fit.spec import AUTO, FitSpec

PAYS_FROM = (
    50_000_000  # FLOPs of an optimizer step of the starting net: a millisecond of one core (38 GFLOP/s measured)
)
_SHARE = 0.5  # of what a device has free: what the rows may take of it


@dataclass(frozen=True)
class Chosen:
    """The spec of a run with the accelerator settled, and why, in words; none where nobody asked us to choose."""

    spec: FitSpec
    reason: str = ""


def choose(spec: FitSpec, module: GrowingModule, stream: BatchStream) -> Chosen:
    """Settle `trainer.accelerator=auto` for the net that a run starts with. Never MPS, which has no 64-bit receipts.

    It does not depend on how far a run is: a run that is resumed on the same machine goes on where it was.
    """
    if spec.trainer.accelerator != AUTO:
        return Chosen(spec)
    flops = module.train_flops_per_step(stream.batch_size)
    there, large = torch.cuda.is_available(), flops >= PAYS_FROM
    name = "gpu" if there and large else "cpu"
    found = f"a step takes {flops / 1e6:.3g} MFLOP, and a GPU pays from {PAYS_FROM / 1e6:g}"
    reason = f"accelerator {name}: {found if there else f'there is no GPU here ({found})'}"
    return Chosen(replace(spec, trainer=replace(spec.trainer, accelerator=name)), reason)


def keep_there(stream: BatchStream, device: torch.device) -> None:
    """Move rows in memory to the device that learns from them, once, where they fit; else each burst is sent to it."""
    if not isinstance(stream, TensorStream):
        return
    if device.type != "cuda" or stream.bytes <= _SHARE * torch.cuda.mem_get_info(device)[0]:
        stream.move_to(device)
