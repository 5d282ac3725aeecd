"""Which of several processes of one run this is: the first speaks and writes for all."""

from __future__ import annotations

import os

_RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")  # as Lightning reads them


def is_first_rank() -> bool:
    """Whether this process is alone, or the first of several."""
    return all(os.environ.get(rank, "0") == "0" for rank in _RANKS)
