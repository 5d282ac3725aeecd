"""`to=torch`: weights in a plain file of torch, and the few lines that make a module of them without autogrow."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from autogrow.deploy.export import plain_net
from autogrow.deploy.export.net import PortableNet
from autogrow.deploy.export.target import Written, one_thread, timed
from autogrow.deploy.export.torch_module import held_by
from autogrow.errors import UsageError


class TorchFile:
    """`net.pt`, read with `weights_only=True`, and `net.py`, which needs torch alone."""

    file = "net.pt"
    runtime = "torch, eager"
    promise = 1e-4

    def check(self, net: PortableNet, *, int8: bool) -> None:
        """Any net; no int8."""
        if int8:
            raise UsageError("to=torch has no int8: to=onnx and to=c have")

    def write(self, net: PortableNet, *, int8: bool, calibration: np.ndarray) -> Written:
        """The two files."""
        held = io.BytesIO()
        torch.save(held_by(net, torch.float32), held)
        code = Path(plain_net.__file__).read_bytes()
        return Written({self.file: held.getvalue(), "net.py": code}, {"torch": torch.__version__})

    @contextmanager
    def run(self, net: PortableNet, folder: Path, *, int8: bool) -> Iterator[TorchRunning]:
        """The module of `net.py` on the file, in this process."""
        with one_thread():
            yield TorchRunning(net, plain_net.load(folder / self.file))


class TorchRunning:
    """A module that is asked in this process."""

    def __init__(self, net: PortableNet, module: torch.nn.Module) -> None:
        self.net, self.module = net, module

    def answers(self, rows: np.ndarray) -> np.ndarray:
        """Rows → answers."""
        with torch.inference_mode():
            found: np.ndarray = self.module(torch.from_numpy(self.net.as_given(rows))).double().numpy()
        return found

    def seconds(self, row: np.ndarray, calls: int) -> np.ndarray:
        """Of one call each."""
        given = torch.from_numpy(self.net.as_given(row))
        with torch.inference_mode():
            return timed(lambda: self.module(given), calls)
