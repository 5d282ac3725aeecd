"""The process that a run is in: its threads, its signals, Lightning's chatter,
and the versions of what made the numbers.
"""

from __future__ import annotations

import logging
import platform
import re
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import SIGTERMException

from autogrow.errors import InterruptedRunError, TrainingError
from autogrow.interruption import heard_signals, raise_interrupted
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
def leave_on_signal(controller: LifeCycleController, folder: Path | None) -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP end the run between two bursts, with its folder ready to be resumed; Ctrl-C a second
    time, at once. Raises InterruptedRunError, whatever Lightning makes of it.
    """

    def ask_to_leave(number: int) -> None:
        again = number == signal.SIGINT == controller.interrupted
        several = torch.distributed.is_available() and torch.distributed.is_initialized()
        if again and not several:  # of several processes none goes before the others
            raise_interrupted(number)
        controller.interrupted = number

    try:
        with heard_signals(ask_to_leave) as hear:
            controller.hear = hear
            yield
    except SIGTERMException:  # a SystemExit with code 0, of Lightning's own
        controller.interrupted = signal.SIGTERM
    finally:  # also where it came after our last look, or while something else ended the run
        if controller.interrupted is not None:
            raise InterruptedRunError(controller.interrupted, folder) from None


@contextmanager
def beside_others(trainer: pl.Trainer) -> Iterator[None]:
    """Raises TrainingError, in one line, where another process of this run has gone: it says why, if it can."""
    try:
        yield
    except RuntimeError as error:
        of_the_way = isinstance(error, torch.distributed.DistError) or re.search("gloo|nccl", str(error), re.IGNORECASE)
        if trainer.world_size == 1 or not of_the_way:
            raise
        said = str(error).split("] ", 1)[-1].split(". ")[0]  # behind a place in torch's source, before advice
        raise TrainingError(f"process {trainer.global_rank} of this run has lost the others ({said})") from None
