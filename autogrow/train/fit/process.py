"""The process that a run is in: its threads, its signals, Lightning's chatter,
and the versions of what made the numbers.
"""

from __future__ import annotations

import logging
import platform
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from autogrow.train.fit.controller import LifeCycleController
from autogrow.train.fit.spec import AUTO, FitSpec
from autogrow.version import __version__


def versions() -> dict[str, str]:
    """What made the numbers: autogrow, Python, torch, Lightning, NumPy, platform."""
    return {
        "autogrow": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "pytorch_lightning": version("pytorch-lightning"),
        "numpy": np.__version__,
        "platform": platform.platform(),
    }


@contextmanager
def threads(spec: FitSpec) -> Iterator[None]:
    """One thread for small nets, whose matrix products are too small to share; the number before is put back."""
    before = torch.get_num_threads()
    wanted = spec.trainer.threads
    if wanted == AUTO:
        wanted = 1 if spec.net.kind == "dense" and spec.trainer.accelerator == "cpu" else before
    torch.set_num_threads(int(wanted))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Lightning's banners and hints aside: our display says what there is to say."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning.*")
            warnings.filterwarnings("ignore", module="lightning_fabric.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def leave_on_signal(controller: LifeCycleController) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the run between two bursts, with its folder ready to be resumed."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]

    def ask_to_leave(number: int, _frame: Any) -> None:
        controller.interrupted = number

    for number in numbers:
        signal.signal(number, ask_to_leave)
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
