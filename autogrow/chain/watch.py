"""Watch a folder: each file that appears in it is learned from, by a run that continues from the one before.

Killed at any moment and started again, it goes on: what a file has come to is on disk before the next step begins.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autogrow.chain.dropped import full_disk, printable
from autogrow.chain.inbox import PENDING, SKIPPED, TAKEN, Inbox, WatchedFile
from autogrow.chain.spec import WatchSpec
from autogrow.errors import AutogrowError, ConfigError, DataError, InterruptedRunError, InUseError, TrainingError
from autogrow.show import words
from autogrow.train.record.files import write_json
from autogrow.train.record.folder import BEST, CHECKPOINTS, LATEST

Plain = dict[str, Any]
Learn = Callable[[WatchedFile, list[str], str | None], Plain]
"""Learns from a file: (the file, the copies to learn from, the run to continue from) → what its `result.json` holds."""

MOST_STARTS = 10
"""A file at which the watch has ended so often, without a step forward in between, is taken for what ends it."""


def check_watch(spec: WatchSpec) -> None:
    """Raises ConfigError naming key, rule and value."""
    if not spec.folder:
        raise ConfigError("watch takes the folder that files appear in: autogrow watch DIR data.target=…")
    for key, least in (("files", 1), ("idle_seconds", 0), ("settle_seconds", 0), ("attempts", 1)):
        value = getattr(spec, key)
        if value is not None and value < least:
            raise ConfigError(f"watch.{key} must be at least {least}, got {value}")
    if spec.poll_seconds <= 0:
        raise ConfigError(f"watch.poll_seconds must be above 0, got {spec.poll_seconds}")


def watch(
    spec: WatchSpec,
    inbox: Inbox,
    learn: Learn,
    say: Callable[[str], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Take in files until `spec` says to end; how many have been taken in, in all.

    A file that cannot be taken in is set aside, whatever the reason, and the next one is tried. Raises OSError where
    the disk is full or the state cannot be written, and what a signal raises: nothing else ends it.
    """
    return _Watch(spec, inbox, learn, say, sleep).run()


class _Watch:
    def __init__(
        self,
        spec: WatchSpec,
        inbox: Inbox,
        learn: Learn,
        say: Callable[[str], None],
        sleep: Callable[[float], None],
    ) -> None:
        self.spec, self.inbox, self.learn, self.sleep = spec, inbox, learn, sleep
        self.tell = say
        self.tries: dict[str, int] = {}
        self.last_event = inbox.clock()
        self.trouble = ""

    def run(self) -> int:
        for file in self.inbox.of_state(PENDING):
            self.say(f"{file.name}: going on where it was interrupted ({file.run})")
        while True:
            for file in self.inbox.of_state(PENDING):
                self.try_to_learn(file)
            for name in self.looked():
                if self.enough() or self.inbox.of_state(PENDING):
                    break
                self.take(name)
            ending = self.ending()
            if ending is not None:
                self.say(f"done: {ending}")
                return len(self.inbox.of_state(TAKEN))
            self.sleep(self.spec.poll_seconds)

    def looked(self) -> list[str]:
        """The names of files that have settled; none where the folder cannot be looked into just now."""
        try:
            names = self.inbox.settled()
        except OSError as error:
            self.say_once(f"{self.inbox.folder} cannot be looked into ({error.strerror}); looking again")
            return []
        self.tries = {name: count for name, count in self.tries.items() if self.inbox.waits(name)}
        return names

    def take(self, name: str) -> None:
        try:
            file = self.inbox.take(name, _next_run(self.inbox))
        except DataError as error:
            self.refuse(name, str(error))
            return
        if file is None:
            self.say(f"{name}: is still being written to, or has gone")
            self.inbox.look_again(name)
            return
        if file.state == SKIPPED:
            self.last_event = self.inbox.clock()
            self.say(f"{name}: skipped: {file.why}")
        else:
            self.try_to_learn(file)

    def try_to_learn(self, file: WatchedFile) -> None:
        """Learn from a file. One that cannot be learned from is looked at again, and in the end set aside:
        it stays where it is.
        """
        inbox = self.inbox
        known = inbox.of_state(TAKEN)
        before = known[-1].run if known else None
        if inbox.start(file) > MOST_STARTS:
            self.set_aside(file.name, f"the watch has ended {MOST_STARTS} times at work on it, without a step forward")
            return
        try:
            result = self.learn(file, [*(f.copy for f in known), file.copy], before)
        except InterruptedRunError:
            raise
        except InUseError as error:
            inbox.not_started(file)
            self.say_once(f"{file.name}: waits: {error}")
            return
        except Exception as error:
            full = full_disk(error)
            if full is not None:
                raise full from error
            self.refuse(file.name, self.reason(error), file, for_good=isinstance(error, (TrainingError, MemoryError)))
            return
        self.tries.pop(file.name, None)
        write_latest(inbox, file, result)
        inbox.taken(file)
        self.last_event = inbox.clock()
        newest = os.path.relpath(inbox.out / file.run / CHECKPOINTS / BEST)
        self.say(f"{file.name}: taken in; {describe(result)}; newest net: {newest}")

    def refuse(self, name: str, why: str, file: WatchedFile | None = None, *, for_good: bool = False) -> None:
        """Look at a file again, which may not be whole yet, or set it aside."""
        self.last_event = self.inbox.clock()
        self.tries[name] = self.tries.get(name, 0) + 1
        if for_good or self.tries[name] >= self.spec.attempts:
            self.set_aside(name, why)
            return
        self.say(f"{name}: cannot be learned from yet ({why}); looking again")
        self.inbox.look_again(name)
        if file is not None:
            self.inbox.forget(file)
            shutil.rmtree(self.inbox.out / file.run, ignore_errors=True)

    def set_aside(self, name: str, why: str) -> None:
        self.tries.pop(name, None)
        self.inbox.set_aside(name, why)
        self.say(f"{name}: set aside: {why}; it is taken up again when it changes")

    def reason(self, error: Exception) -> str:
        """Why a file could not be learned from, in one line."""
        said = " ".join(str(error).split()).replace(f"{self.inbox.copies.resolve()}/", "")
        if isinstance(error, MemoryError):
            said = f"there is not enough memory for it {said}".strip()
        elif not isinstance(error, AutogrowError):
            said = f"{type(error).__name__}: {said}"
        return printable(said)

    def ending(self) -> str | None:
        """Why the watch is over; None while it is not."""
        spec, inbox = self.spec, self.inbox
        taken, idle = words.times(len(inbox.of_state(TAKEN)), "file"), inbox.clock() - self.last_event
        if self.enough():
            return f"{taken} taken in (watch.files={spec.files})"
        waiting = inbox.settling() or self.tries or inbox.of_state(PENDING)
        patience = 10 * spec.settle_seconds + spec.poll_seconds  # what is written to without an end does not hold it up
        if spec.once and (not waiting or idle > patience):
            left = f"; {words.times(inbox.settling(), 'file')} still being written to" if inbox.settling() else ""
            return f"{taken} taken in{left}"
        if spec.idle_seconds is not None and not waiting and idle >= spec.idle_seconds:
            return f"nothing new for {words.duration(idle)}; {taken} taken in"
        return None

    def enough(self) -> bool:
        return self.spec.files is not None and len(self.inbox.of_state(TAKEN)) >= self.spec.files

    def say(self, line: str) -> None:
        self.trouble = ""
        self.tell(line)

    def say_once(self, line: str) -> None:
        """Say what is in the way, and not again at each look."""
        if line != self.trouble:
            self.tell(line)
        self.trouble = line


def write_latest(inbox: Inbox, file: WatchedFile, result: Plain) -> None:
    """Point `latest.json` to the newest complete net."""
    keys = ("task", "widths", "parameters", "val", "test", "train_flops", "seconds", "growth_events")
    files = [f.name for f in (*inbox.of_state(TAKEN), file)]
    found = {key: result[key] for key in keys if key in result}
    where = {"run": file.run, "checkpoint": str(Path(file.run) / CHECKPOINTS / BEST)}
    write_json(inbox.out / LATEST, {**where, "files": files, **found})


def describe(result: Plain) -> str:
    """What a run found, in a line."""
    metric = words.measure_name(result["task"])
    cost = f"{words.flops(result['train_flops'])}, {words.duration(result['seconds'])}"
    return f"test {metric} {words.measure(metric, result['test'][metric])}, widths {words.widths(result['widths'])}, {cost}"


def _next_run(inbox: Inbox) -> str:
    numbers = [int(p.name[4:]) for p in inbox.out.glob("run_*") if p.name[4:].isdigit()]
    return f"run_{max(numbers, default=-1) + 1}"
