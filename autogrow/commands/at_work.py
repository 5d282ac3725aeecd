"""A command at work in a run folder: alone, and in one line where it does not come to its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autogrow.errors import CheckpointError, InterruptedRunError, TrainingError, UsageError
from autogrow.interruption import signal_of
from autogrow.overrides import quoted_if_needed
from autogrow.train.record.folder import CONFIG, PLAN, RESULT, WATCHED, is_begun, is_complete, is_empty
from autogrow.train.record.lock import lock, remove_lock

WHOLE = "files written before are whole, "


@contextmanager
def at_work(out: Path, command: str, again: str = "") -> Iterator[None]:
    """Be the only one at work in a run folder, as `command`.

    What was given wrong leaves no empty folder behind. An interruption, and a disk that is full or cannot be written,
    are errors that say how to go on: with `again`, or the same command.
    """
    again = again or f"the same command with hydra.run.dir={quoted_if_needed(out)} goes on"
    try:
        with lock(out, f"autogrow {command}"):
            yield
    except UsageError:
        remove_if_empty(out)
        raise
    except (InterruptedRunError, KeyboardInterrupt) as error:
        remove_if_empty(out)
        number = error.exit_code - 128 if isinstance(error, InterruptedRunError) else signal_of(error)
        raise InterruptedRunError(number, again=_how(out, again)) from None
    except OSError as error:
        remove_if_empty(out)
        raise TrainingError(f"{out}: {error.strerror or error}; {_how(out, again, WHOLE)}") from error


def _how(out: Path, again: str, besides: str = "") -> str:
    """How to go on with what is there."""
    if is_complete(out):
        return f"{out} is complete"
    begun = any((out / name).is_file() for name in (CONFIG, PLAN, WATCHED))
    return f"{besides}{again}" if begun else "nothing was written"


def remove_if_empty(folder: Path) -> None:
    """Leave nothing half-written behind: a run folder that holds nothing goes, and parents that were made for it."""
    for path in (folder, *list(folder.parents)[:2]):
        if not path.is_dir() or not is_empty(path) or Path.cwd().is_relative_to(path) or not remove_lock(path):
            return
        try:
            path.rmdir()
        except OSError:
            return  # somebody has begun in it just now


def check_resumable(folder: Path) -> None:
    """Raise CheckpointError for a folder without a run that can go on."""
    if not is_begun(folder):
        raise CheckpointError(f"resume={folder}: there is no run to go on with (no {CONFIG})")
    if is_complete(folder):
        raise CheckpointError(f"resume={folder}: this run is complete ({RESULT} is there); nothing was done")
