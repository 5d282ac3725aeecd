"""Watch a folder: each file that appears in it is learned from, by a run that continues from the one before.

Killed at any moment and started again, it goes on: what a file has come to is on disk before the next step begins.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autogrow.chain.inbox import ASIDE, PENDING, SKIPPED, TAKEN, Inbox, WatchedFile
from autogrow.errors import ConfigError, DataError, GrowthError, TrainingError
from autogrow.show import words
from autogrow.train.record.files import write_json
from autogrow.train.record.folder import BEST, CHECKPOINTS, LATEST

Plain = dict[str, Any]
Learn = Callable[[WatchedFile, list[str], str | None], Plain]
"""Learns from a file: (the file, the copies to learn from, the run to continue from) → what its `result.json` holds."""


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
    """Take in files until `spec` says to end; how many have been taken in, in all."""
    tries: dict[str, int] = {}
    last_event = inbox.clock()
    for file in inbox.of_state(PENDING):
        say(f"{file.name}: going on where it was interrupted ({file.run})")
        _try(file, inbox, learn, say, tries, spec)
        last_event = inbox.clock()
    patience = 10 * spec.settle_seconds + spec.poll_seconds  # what is written to without an end does not hold `once` up
    while True:
        for name in list(inbox.settled()):
            if _enough(spec, inbox):
                break
            taken = inbox.take(name, _next_run(inbox))
            if taken is None:
                say(f"{name}: is still being written to")
                continue
            if taken.state == SKIPPED:
                say(f"{name}: skipped: {taken.why}")
            else:
                _try(taken, inbox, learn, say, tries, spec)
            last_event = inbox.clock()
        taken_in, idle = len(inbox.of_state(TAKEN)), inbox.clock() - last_event
        if _enough(spec, inbox):
            say(f"done: {words.times(taken_in, 'file')} taken in (watch.files={spec.files})")
            return taken_in
        waiting = inbox.settling() or tries
        if spec.once and (not waiting or idle > patience):
            left = f"; {words.times(inbox.settling(), 'file')} still being written to" if inbox.settling() else ""
            say(f"done: {words.times(taken_in, 'file')} taken in{left}")
            return taken_in
        if spec.idle_seconds is not None and not waiting and idle >= spec.idle_seconds:
            say(f"done: nothing new for {words.duration(idle)}; {words.times(taken_in, 'file')} taken in")
            return taken_in
        sleep(spec.poll_seconds)


def _try(
    file: WatchedFile, inbox: Inbox, learn: Learn, say: Callable[[str], None], tries: dict[str, int], spec: WatchSpec
) -> None:
    """Learn from a file. One that cannot be learned from is looked at again, and in the end set aside:
    it stays where it is.
    """
    known = inbox.of_state(TAKEN)
    before = known[-1].run if known else None
    try:
        result = learn(file, [*(f.copy for f in known), file.copy], before)
    except TrainingError as error:
        inbox.settle(file, ASIDE, str(error))
        say(f"{file.name}: set aside: {error}")
        return
    except (DataError, GrowthError) as error:
        tries[file.name] = tries.get(file.name, 0) + 1
        why = str(error).replace(f"{inbox.copies.resolve()}/", "")
        if tries[file.name] < spec.attempts:
            say(f"{file.name}: cannot be learned from yet ({why}); looking again")
            inbox.settle(file, ASIDE, why)
            inbox.files.remove(file)
            inbox.look_again(file.name)
            inbox.save()
        else:
            del tries[file.name]
            inbox.settle(file, ASIDE, why)
            say(f"{file.name}: set aside: {why}; it is taken up again when it changes")
        return
    tries.pop(file.name, None)
    write_latest(inbox, file, result)
    inbox.settle(file, TAKEN)
    say(
        f"{file.name}: taken in; {describe(result)}; newest net: {os.path.relpath(inbox.out / file.run / CHECKPOINTS / BEST)}"
    )


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


def _enough(spec: WatchSpec, inbox: Inbox) -> bool:
    return spec.files is not None and len(inbox.of_state(TAKEN)) >= spec.files


def _next_run(inbox: Inbox) -> str:
    numbers = [int(p.name[4:]) for p in inbox.out.glob("run_*") if p.name[4:].isdigit()]
    return f"run_{max(numbers, default=-1) + 1}"
