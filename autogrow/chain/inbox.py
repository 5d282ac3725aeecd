"""Files that appear in a folder, and what became of each: kept in one file that is whole at any moment.

A file is noticed, settles (its size and its time of writing stay the same for a while), and is copied; from then on the
copy is what is learned from, whatever happens to the file. A file with the same contents as one before is skipped, also
under another name.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from autogrow.chain.dropped import ChangedError, Dropped, Stamp, copy_name, printable
from autogrow.data import found_files
from autogrow.errors import CheckpointError, ConfigError
from autogrow.plain import fault_of_fields
from autogrow.train.record.contents import Drop, Watched
from autogrow.train.record.files import drafting, write_json
from autogrow.train.record.folder import COPIES, LEDGER, WATCHED, read_plain

PENDING, TAKEN, SKIPPED, ASIDE = "pending", "taken", "skipped", "set aside"


@dataclass
class WatchedFile:
    """One file as it was when it had settled. copy: its name among the copies.
    run: the folder of the run that learns from it.

    starts: how often that run has been started since it last came further; reached: how far that was, in bytes of its
    ledger.
    """

    name: str
    size: int
    mtime_ns: int
    sha256: str = ""
    state: str = PENDING
    why: str = ""
    copy: str = ""
    run: str = ""
    starts: int = 0
    reached: int = 0


@dataclass
class Inbox:
    """A folder that files are dropped into, and `<out>/watch.json`, which says what became of them.

    Raises ConfigError where `out` watches another folder, CheckpointError where its state cannot be read.
    """

    folder: Path
    out: Path
    source: str = "csv"
    settle_seconds: float = 2.0
    clock: Callable[[], float] = time.monotonic
    files: list[WatchedFile] = field(default_factory=list)
    _home: str = ""
    _seen: dict[str, tuple[Dropped, Stamp, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            kind = "is a file" if self.folder.exists() else "does not exist"
            raise ConfigError(f"watch {self.folder}: the folder {kind}")
        self._home = printable(str(self.folder.resolve()))
        path = self.out / WATCHED
        if not path.is_file():
            return
        try:
            state = read_plain(path, kind=Watched)
            self.files = [_file(drop) for drop in state["drops"]]
            watched = state["folder"]
        except CheckpointError as error:
            raise CheckpointError(f"{path} is not the state of a watched folder: {error}") from None
        if watched != self._home:
            raise ConfigError(f"{self.out} watches {watched}, not {self.folder}; give another hydra.run.dir")

    @property
    def copies(self) -> Path:
        """Where the copies are."""
        return self.out / COPIES

    def of_state(self, state: str) -> list[WatchedFile]:
        """The drops in this state, in the order in which they were noticed."""
        return [file for file in self.files if file.state == state]

    def settled(self) -> list[str]:
        """Names of new (or changed) files whose size and time of writing have been the same for long enough,
        by name. Raises OSError where the folder cannot be looked into.
        """
        now, there = self.clock(), {}
        for found in found_files(self.folder, self.source):
            file = Dropped(self.folder / found)
            stamp = file.stamp()
            if stamp is None or self._known(file.name, stamp):
                continue
            before = self._seen.get(file.name)
            there[file.name] = before if before is not None and before[:2] == (file, stamp) else (file, stamp, now)
        self._seen = there
        return [name for name, (_, _, since) in there.items() if now - since >= self.settle_seconds]

    def settling(self) -> int:
        """How many new files have not settled yet, as of the last look."""
        return len(self._seen)

    def waits(self, name: str) -> bool:
        """Whether a file was there at the last look, and nothing has become of it yet."""
        return name in self._seen

    def look_again(self, name: str) -> None:
        """Let a file settle anew before the next try."""
        if name in self._seen:
            file, stamp, _ = self._seen[name]
            self._seen[name] = (file, stamp, self.clock())

    def take(self, name: str, run: str) -> WatchedFile | None:
        """Copy a file that has settled and note it: pending for `run`, or skipped where its contents are known.
        None: it is being written to, or has gone.

        The note is on disk when this returns. Raises DataError where the file cannot be read or there is no room for
        it, OSError where the copy cannot be written.
        """
        found, stamp, _ = self._seen[name]
        self.copies.mkdir(parents=True, exist_ok=True)
        with drafting(self.copies) as copy:
            try:
                sha256 = found.copy(copy, stamp)
            except ChangedError:
                return None
            file = WatchedFile(name, *stamp, sha256=sha256, run=run)
            same = next((f for f in self.files if f.sha256 == sha256 and f.state in (TAKEN, PENDING)), None)
            if same is not None:
                file.state, file.run = SKIPPED, ""
                file.why = (
                    f"it holds the same as {same.name} (sha256 {sha256[:12]})"
                    if same.name != name
                    else "touched, not changed"
                )
            else:
                file.copy = copy_name(name, {file.copy for file in self.files})
                copy.put(self.copies / file.copy)
        self._note(file)
        return file

    def start(self, file: WatchedFile) -> int:
        """Note that the run of a pending file is started; how often it has been since it last came further."""
        ledger = self.out / file.run / LEDGER
        reached = ledger.stat().st_size if ledger.is_file() else 0
        file.starts = 1 if reached > file.reached else file.starts + 1
        file.reached = reached
        self.save()
        return file.starts

    def not_started(self, file: WatchedFile) -> None:
        """Take the note of a start back: there was none."""
        file.starts -= 1
        self.save()

    def taken(self, file: WatchedFile) -> None:
        """Note that a file has been learned from."""
        file.state, file.why = TAKEN, ""
        self.save()

    def set_aside(self, name: str, why: str) -> None:
        """Note why a file, pending or only seen, is not learned from: until it changes."""
        file = next((f for f in self.of_state(PENDING) if f.name == name), None)
        if file is not None:
            file.state, file.why, gone = ASIDE, why, file.copy
            file.copy = file.run = ""
            self.save()
            self._remove_copy(gone)
        else:
            self._note(WatchedFile(name, *self._seen[name][1], state=ASIDE, why=why))

    def forget(self, file: WatchedFile) -> None:
        """Take a pending file for one that was never seen, so that it is copied anew."""
        self.files.remove(file)
        self.save()
        self._remove_copy(file.copy)
        self.look_again(file.name)

    def save(self) -> None:
        """Write the state, whole or not at all."""
        self.out.mkdir(parents=True, exist_ok=True)
        state: dict[str, Any] = {"version": 1, "folder": self._home}
        write_json(self.out / WATCHED, {**state, "drops": [asdict(file) for file in self.files]})

    def _note(self, file: WatchedFile) -> None:
        # what is known of an earlier version that taught nothing is out of date
        self.files = [f for f in self.files if f.name != file.name or f.state == TAKEN] + [file]
        self._seen.pop(file.name, None)
        self.save()

    def _remove_copy(self, copy: str) -> None:
        if copy:
            (self.copies / copy).unlink(missing_ok=True)

    def _known(self, name: str, stamp: Stamp) -> bool:
        return any((f.name, f.size, f.mtime_ns) == (name, *stamp) for f in self.files)


def _file(plain: dict[str, Any]) -> WatchedFile:
    found = fault_of_fields(plain, WatchedFile, get_type_hints(Drop, include_extras=True))
    if found:
        raise CheckpointError(f"of a file, {found}")
    return WatchedFile(**plain)
