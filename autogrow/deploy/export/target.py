"""What a target of `autogrow export` is, and which there are.

To add one: a module of this room with a class that has what `Target` asks for, and a line in `TARGETS`. Everything
around it (the rows to compare on, the receipt, export.json, moving files to their names) is done for all alike in
`write.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from autogrow.deploy.export.net import PortableNet
from autogrow.errors import ConfigError, nearest


@dataclass(frozen=True)
class Written:
    """What a target wrote: `files` by their names, the artefact first; `facts`: what `export.json` is to say of it
    beside what it says of all (opset, tool versions, flash and RAM bytes).
    """

    files: Mapping[str, bytes]
    facts: Mapping[str, Any] = field(default_factory=dict)


class Running(Protocol):
    """An artefact that is being run in the runtime that it was written for, on one thread."""

    def answers(self, rows: np.ndarray) -> np.ndarray:
        """Rows (n, *input_shape) in float64 → answers (n, O), computed in one batch of n."""
        ...

    def seconds(self, row: np.ndarray, calls: int) -> np.ndarray:
        """How long each of so many calls with a batch of one row (1, *input_shape) takes, in seconds (calls,)."""
        ...


class Target(Protocol):
    """Something that a net can be exported to."""

    file: str
    """The artefact's name."""
    runtime: str
    """What runs it, in words: the latency is measured in it."""
    promise: float
    """The most that an answer may differ from the delivered net's: of a probability or a logit as it is, of a value
    as a share of the standard deviation of its target in training."""

    def check(self, net: PortableNet, *, int8: bool) -> None:
        """Raise UsageError, in one line, where the runtime is not installed (and what to install), or for a net, or
        int8, that the target cannot express. Nothing is written before.
        """
        ...

    def write(self, net: PortableNet, *, int8: bool, calibration: np.ndarray) -> Written:
        """Make the files. calibration: training rows (n, *input_shape), float64, for int8; none where it is not asked
        for.
        """
        ...

    def run(self, net: PortableNet, folder: Path, *, int8: bool) -> AbstractContextManager[Running]:
        """Run what `write` has made, which stands in `folder` under its names: from these files alone."""
        ...


TARGETS = {
    "c": "c_source.target.CFile",
    "onnx": "onnx_file.OnnxFile",
    "pt2": "pt2_file.Pt2File",
    "sklearn": "sklearn_file.SklearnFile",
    "torch": "torch_file.TorchFile",
}
"""Where each one's class is, in this room; imported when it is asked for."""


def target_of(name: str) -> Target:
    """The target of this name. Raises ConfigError for an unknown one."""
    if name not in TARGETS:
        raise ConfigError(f"to={name}: there is no such target; {nearest(name, TARGETS)}")
    module, _, cls = TARGETS[name].rpartition(".")
    target: Target = getattr(import_module(f"autogrow.deploy.export.{module}"), cls)()
    return target


def timed(call: Callable[[], Any], calls: int) -> np.ndarray:
    """How long each of so many calls in this process takes, in seconds (calls,)."""
    found = np.empty(calls)
    for i in range(calls):
        start = time.perf_counter()
        call()
        found[i] = time.perf_counter() - start
    return found


@contextmanager
def one_thread() -> Iterator[None]:
    """torch on one thread; the number before is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
