"""An estimator leaves the process as it found it, and ends where its user says so."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from autogrow.errors import InterruptedRunError

SEED_VARIABLE = "PL_GLOBAL_SEED"
"""Where Lightning leaves a seed for processes that it would start."""


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Every global generator, and Lightning's word about them, afterwards as before."""
    python, array, said = random.getstate(), np.random.get_state(), os.environ.get(SEED_VARIABLE)
    cuda = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices=cuda):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(array)
        if said is None:
            os.environ.pop(SEED_VARIABLE, None)
        else:
            os.environ[SEED_VARIABLE] = said


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C is a KeyboardInterrupt as everywhere, and SIGTERM ends the process: a search must not take either for a
    setting that failed, and go on.
    """
    try:
        yield
    except InterruptedRunError as error:
        if error.exit_code == 128 + signal.SIGINT:
            raise KeyboardInterrupt from None
        raise SystemExit(error.exit_code) from None
