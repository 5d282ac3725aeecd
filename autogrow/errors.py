"""One family of errors. Each says the name, the rule and the value, and what would have been right.

`AutogrowError` ends a command with exit code 1 (a run that failed); its subclass `UsageError` with exit code 2
(something that was given: a command, a key, a table, a net). The command line prints the message alone.
"""

from __future__ import annotations

import difflib
import signal
from collections.abc import Iterable


class AutogrowError(Exception):
    """Base of everything autogrow raises on purpose."""

    exit_code = 1


class UsageError(AutogrowError):
    """What was given cannot be right, and nothing has been done with it."""

    exit_code = 2


class ConfigError(UsageError):
    """A key, a group, an option or a combination of them that the run cannot be built from."""


class InUseError(ConfigError):
    """A folder in which another process is at work."""


class DataError(UsageError):
    """A table, a file or a target that cannot be learned from."""


class GrowthError(UsageError):
    """A growth that this net does not allow. The net is exactly as it was."""


class ParityError(AutogrowError):
    """A growth whose receipt exceeds its promise. The net is exactly as it was."""


class CheckpointError(UsageError):
    """A file that is not a checkpoint of ours, or not a whole one."""


class TrainingError(AutogrowError):
    """Training cannot go on; what was best so far has been kept."""


class InterruptedRunError(AutogrowError):
    """The run was asked to end (Ctrl-C, SIGTERM, SIGHUP) and ended cleanly: its folder can be resumed."""

    def __init__(self, signal_number: int, folder: object = None, *, again: str = "") -> None:
        how = again if folder is None else f"go on with: autogrow fit resume={folder}"
        super().__init__("; ".join(filter(None, [f"interrupted by {signal.Signals(signal_number).name}", how])))
        self.exit_code = 128 + signal_number  # the shell's own convention


def nearest(name: str, known: Iterable[str], *, most: int = 3) -> str:
    """The right answers closest to a wrong one, as a phrase to end an error with.

    >>> nearest("fashion_mnst", ["digits", "fashion_mnist", "moons"])
    "did you mean 'fashion_mnist'? (known: digits, fashion_mnist, moons)"
    """
    names = [str(k) for k in known]
    close = difflib.get_close_matches(str(name), names, n=most, cutoff=0.5)
    listed = f"known: {', '.join(names)}" if names else "there are none"
    if not close:
        return listed
    return f"did you mean {' or '.join(repr(c) for c in close)}? ({listed})"
