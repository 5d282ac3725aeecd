"""`to=pt2`: the whole net as a program of `torch.export`, which torch runs without autogrow."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from autogrow.deploy.export.net import PortableNet
from autogrow.deploy.export.target import Written, one_thread
from autogrow.deploy.export.torch_file import TorchRunning
from autogrow.deploy.export.torch_module import module_of
from autogrow.errors import UsageError


class Pt2File:
    """`net.pt2`: `torch.export.load("net.pt2").module()(rows)`, rows (n, *input_shape) with n free."""

    file = "net.pt2"
    runtime = "torch, eager, of the exported program"
    promise = 1e-4

    def check(self, net: PortableNet, *, int8: bool) -> None:
        """Any net; no int8."""
        if int8:
            raise UsageError("to=pt2 has no int8: to=onnx and to=c have")

    def write(self, net: PortableNet, *, int8: bool, calibration: np.ndarray) -> Written:
        """The program, traced on two rows: a batch of one would become the only one that it takes."""
        rows = torch.from_numpy(net.as_given(np.zeros((2, *net.input_shape))))
        program = torch.export.export(module_of(net), (rows,), dynamic_shapes=({0: torch.export.Dim("n")},))
        content = io.BytesIO()
        torch.export.save(program, content)
        return Written({self.file: content.getvalue()}, {"torch": torch.__version__})

    @contextmanager
    def run(self, net: PortableNet, folder: Path, *, int8: bool) -> Iterator[TorchRunning]:
        """The program of the file, in this process."""
        with one_thread():
            yield TorchRunning(net, torch.export.load(folder / self.file).module())
