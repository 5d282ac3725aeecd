"""What asks a process to end: Ctrl-C, SIGTERM, and SIGHUP, which says that the terminal was closed.

A command raises `Interrupted` wherever it is; who has a better way (a run that writes its checkpoint first, a sweep
that ends its children) hears the signals itself for as long. What this process was started to ignore (nohup, a job in
the background) stays ignored.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from autogrow.ranks import is_first_rank

ASK_TO_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end. `number`: which."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def signal_of(interrupt: KeyboardInterrupt) -> int:
    """The number of the signal behind it: SIGINT where nothing else is said."""
    return interrupt.number if isinstance(interrupt, Interrupted) else signal.SIGINT


def raise_interrupted(number: int) -> None:
    """The way of a command that is doing nothing special: end, wherever it is."""
    raise Interrupted(number)


@contextmanager
def heard_signals(act: Callable[[int], None]) -> Iterator[Callable[[], None]]:
    """While the block runs, a signal that asks to end calls `act` with its number. Another thread than the main one
    hears none. The value has them heard again, where somebody has put handlers of their own in the place of ours.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None  # only the main thread may set handlers
        return
    before = {number: signal.getsignal(number) for number in ASK_TO_END}

    def hear() -> None:
        for number, there in before.items():
            signal.signal(number, there if there == signal.SIG_IGN else lambda number, _frame: act(number))

    try:
        hear()
        with _let_through():
            yield hear
    finally:
        for number, there in before.items():
            signal.signal(number, there)


def wait_for_the_first_rank() -> None:
    """Keep signals that ask to end until the block of a `heard_signals`.

    A process that another of the same run has started ends when that one does, between two steps: gone before, it would
    take the others with it.
    """
    if not is_first_rank():
        signal.pthread_sigmask(signal.SIG_BLOCK, ASK_TO_END)


@contextmanager
def _let_through() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, ASK_TO_END)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
