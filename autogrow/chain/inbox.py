"""Files that appear in a folder, and what became of each: kept in one file that is whole at any moment.

A file is noticed, settles (its size and its time of writing stay the same for a while), and is copied; from then on the
copy is what is learned from, whatever happens to the file. A file with the same contents as one before is skipped, also
under another name.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from autogrow.data import found_files
from autogrow.errors import CheckpointError, ConfigError
from autogrow.plain import fault_of_fields
from autogrow.train.record.contents import Drop, Watched
from autogrow.train.record.files import Draft, drafting, write_json
from autogrow.train.record.folder import COPIES, WATCHED, read_plain

PENDING, TAKEN, SKIPPED, ASIDE = "pending", "taken", "skipped", "set aside"
_BLOCK = 1 << 20


@dataclass
class WatchedFile:
    """One file as it was when it had settled. copy: its name among the copies.
    run: the folder of the run that learns from it.
    """

    name: str
    size: int
    mtime_ns: int
    sha256: str = ""
    state: str = PENDING
    why: str = ""
    copy: str = ""
    run: str = ""


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
    _seen: dict[str, tuple[tuple[int, int], float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            kind = "is a file" if self.folder.exists() else "does not exist"
            raise ConfigError(f"watch {self.folder}: the folder {kind}")
        path = self.out / WATCHED
        if not path.is_file():
            return
        try:
            state = read_plain(path, kind=Watched)
            self.files = [_file(drop) for drop in state["drops"]]
            watched = state["folder"]
        except CheckpointError as error:
            raise CheckpointError(f"{path} is not the state of a watched folder: {error}") from None
        if watched != str(self.folder.resolve()):
            raise ConfigError(f"{self.out} watches {watched}, not {self.folder}; give another hydra.run.dir")

    @property
    def copies(self) -> Path:
        """Where the copies are."""
        return self.out / COPIES

    def of_state(self, state: str) -> list[WatchedFile]:
        """The drops in this state, in the order in which they were noticed."""
        return [file for file in self.files if file.state == state]

    def settled(self) -> Iterator[str]:
        """Names of new (or changed) files whose size and time of writing have been the same for long enough,
        by name.
        """
        now, there = self.clock(), {}
        for name in found_files(self.folder, self.source):
            stamp = self._stamp(name)
            if stamp is None or self._known(name, stamp):
                continue
            before = self._seen.get(name)
            there[name] = before if before is not None and before[0] == stamp else (stamp, now)
        self._seen = there
        return (name for name, (_, since) in there.items() if now - since >= self.settle_seconds)

    def settling(self) -> int:
        """How many new files have not settled yet, as of the last look."""
        return len(self._seen)

    def look_again(self, name: str) -> None:
        """Let a file settle anew before the next try."""
        self._seen.pop(name, None)

    def take(self, name: str, run: str) -> WatchedFile | None:
        """Copy a file and note it: pending for `run`, or skipped where its contents are known.
        None: it is being written to.

        The note is on disk when this returns. Raises ConfigError where the file cannot be read.
        """
        stamp = self._stamp(name)
        if stamp is None:
            return None
        self.copies.mkdir(parents=True, exist_ok=True)
        with drafting(self.copies) as copy:
            try:
                sha256 = _copied(self.folder / name, copy)
            except OSError as error:
                raise ConfigError(f"{self.folder / name} cannot be copied to {self.copies}: {error.strerror}") from None
            if self._stamp(name) != stamp:
                self.look_again(name)
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
                file.copy = self._free_name(name)
                copy.put(self.copies / file.copy)
        # what is known of an earlier version that taught nothing is out of date
        self.files = [f for f in self.files if f.name != name or f.state == TAKEN] + [file]
        self.save()
        return file

    def settle(self, file: WatchedFile, state: str, why: str = "") -> None:
        """Note what became of a file: on disk when this returns."""
        file.state, file.why = state, why
        if state == ASIDE and file.copy:
            (self.copies / file.copy).unlink(missing_ok=True)
            file.copy, file.run = "", ""
        self.save()

    def save(self) -> None:
        """Write the state, whole or not at all."""
        self.out.mkdir(parents=True, exist_ok=True)
        state: dict[str, Any] = {"version": 1, "folder": str(self.folder.resolve())}
        write_json(self.out / WATCHED, {**state, "drops": [asdict(file) for file in self.files]})

    def _known(self, name: str, stamp: tuple[int, int]) -> bool:
        return any((f.name, f.size, f.mtime_ns) == (name, *stamp) for f in self.files)

    def _stamp(self, name: str) -> tuple[int, int] | None:
        try:
            found = (self.folder / name).stat()
        except FileNotFoundError:
            return None
        return found.st_size, found.st_mtime_ns

    def _free_name(self, name: str) -> str:
        used = {file.copy for file in self.files}
        stem, dot, suffix = name.partition(".")
        names = (name, *(f"{stem}~{n}{dot}{suffix}" for n in range(2, len(used) + 3)))
        return next(free for free in names if free not in used)


def _file(plain: dict[str, Any]) -> WatchedFile:
    found = fault_of_fields(plain, WatchedFile, get_type_hints(Drop, include_extras=True))
    if found:
        raise CheckpointError(f"of a file, {found}")
    return WatchedFile(**plain)


def _copied(source: Path, copy: Draft) -> str:
    """Copy a file; the sha256 of what was copied."""
    digest = hashlib.sha256()
    with source.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            copy.file.write(block)
    return digest.hexdigest()
