"""What a chain of runs is made of, as plain dataclasses: the schema of the config nodes `stage` and `watch`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass
class StageSpec:
    """How stages train.

    patience, finish: of every stage but the last, whose net is only where the next one starts, so that it need not
    be finished: factors on the stop rule's patience and on the length of the anneal, 0 for none.  refit: whether
    those stages, too, repeat their anneal on training and validation rows, as the last one does where the finish
    says so; the next stage goes on from the net before that, so that the refit changes what is handed back there
    and no more.  shrink, perturb: of the last, whose net is what counts: the shares of the old weights and of a
    fresh draw in what it starts from (see `WarmStart`; 1 and 0: the same function, as chains of before these keys
    have it).
    """

    patience: float = 0.25
    finish: float = 0.25
    refit: bool = False
    shrink: float = 1.0
    perturb: float = 0.0


@dataclass
class WatchSpec:
    """What to watch, and when to end.

    files: end when so many have been taken in, in all.  idle_seconds: end when nothing has happened for so long.  once:
    take in what is there, and end.  settle_seconds: how long a file's size and time must stay the same.  poll_seconds:
    between two looks. attempts: how often a file that cannot be learned from is looked at before it is set aside.
    """

    folder: str | None = None
    files: int | None = None
    idle_seconds: float | None = None
    once: bool = False
    settle_seconds: float = 2.0
    poll_seconds: float = 1.0
    attempts: int = 3


def stage_folder(out: Path, number: int) -> Path:
    """The run folder of a stage."""
    return out / f"stage_{number}"
