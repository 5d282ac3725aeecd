"""`autogrow watch DIR`: learn from each file that appears in a folder; every run continues from the one before."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, open_dict

from autogrow.chain.dropped import printable
from autogrow.chain.inbox import TAKEN, Inbox, WatchedFile
from autogrow.chain.spec import WatchSpec
from autogrow.chain.watch import check_watch, watch
from autogrow.commands.tasks.fit import finish_folder
from autogrow.config import spec_from, typed
from autogrow.data.found import SUFFIXES
from autogrow.errors import ConfigError
from autogrow.kept_config import read_kept_config
from autogrow.overrides import as_text, quoted, quoted_if_needed
from autogrow.policy.history import History, Row
from autogrow.show import words
from autogrow.train.fit.run import fit
from autogrow.train.fit.spec import validate
from autogrow.train.fit.view import View
from autogrow.train.record.folder import is_begun, is_complete, read_result
from autogrow.train.record.lock import lock

OWN = ("watch", "hydra")


def watch_folder(cfg: DictConfig, out: Path) -> int:
    """Learn from file after file; how many have been taken in."""
    spec: WatchSpec = typed(cfg.watch, WatchSpec)
    check_watch(spec)
    _check_data(cfg)
    inbox = Inbox(Path(str(spec.folder)).expanduser(), out, cfg.data.source, spec.settle_seconds)
    # what cannot be right is said before anything is written
    validate(spec_from(_for_run(cfg, inbox, ["unknown"], None), out=None))
    inbox.save()
    where = os.path.relpath(out)
    _say(f"watching {inbox.folder} for {cfg.data.source} files; runs, state and latest.json are in {where}")
    known = [file.name for file in inbox.of_state(TAKEN)]
    if known:
        _say(f"{words.times(len(known), 'file')} taken in before: {', '.join(known[-5:])}")
    return watch(spec, inbox, _Learner(cfg, inbox), _say)


class _Learner:
    """One run for one file, in a run folder like any other;
    a run that was interrupted goes on with the config it began with.
    """

    def __init__(self, cfg: DictConfig, inbox: Inbox) -> None:
        self.cfg, self.inbox = cfg, inbox
        self.said: set[str] = set()

    def __call__(self, file: WatchedFile, copies: list[str], before: str | None) -> dict[str, Any]:
        out = self.inbox.out / file.run
        if not is_complete(out):
            begun = is_begun(out)
            previous = None if before is None else self.inbox.out / before
            cfg: Any = _for_run(self.cfg, self.inbox, copies, previous)
            if begun:
                cfg = read_kept_config(out, self.cfg)
            spec = spec_from(cfg, out=out)
            start = "starts from nothing" if before is None else f"continues from {before}"
            files = ",".join(quoted(Path(copy)) for copy in copies)
            again = [f"data={cfg.data.source}", f"data.path={quoted_if_needed(Path(str(spec.data.path)))}"]
            with lock(out, "autogrow watch"):
                with _Lines(f"{file.name}: {file.run} {'goes on' if begun else start}", self.said) as view:
                    result = fit(spec, display=view, resume=begun)
                finish_folder(result, spec.config, [*again, "data.arrival=files", f"data.files=[{files}]"])
        return read_result(out)


class _Lines(View):
    """A run in a few lines: what it learns from, what is new in it, and each growth.

    said: the notes that need not be said again; those of this run come to them.
    """

    def __init__(self, title: str, said: set[str]) -> None:
        self.title, self.said = title, said

    def start(self, title: str, card: Mapping[str, Any]) -> None:
        """Say how many rows there are, and of the notes on them those that are new."""
        splits = ", ".join(f"{part} {rows:,}" for part, rows in card["splits"].items())
        _say(f"{self.title}; {card['rows']:,} rows ({splits})")
        for note in card["notes"]:
            if note not in self.said and not note.startswith("stage "):  # which the file's name says
                _say(f"  {note}")
        self.said.update(card["notes"])

    def check(self, row: Row) -> None:
        """Say what was applied, if it made the net larger."""
        if row.event is not None and row.event.grew:
            _say(f"  {words.deed(row.event)}: {words.proof(row.event.receipt)}")

    def finish(self, result: Mapping[str, Any], folder: str, rows: History | None = None) -> None:
        """Nothing: the watch says how it ended."""


def _check_data(cfg: DictConfig) -> None:
    if cfg.data.source not in SUFFIXES:
        raise ConfigError(f"watch goes with data={' or data='.join(SUFFIXES)}, got data={cfg.data.name}")
    for key in ("path", "arrival", "files", "stage", "stages"):
        given = cfg.data[key]
        if given not in (None, "none") and list(given):
            raise ConfigError(f"watch sets data.{key} itself, so it cannot be given, got {given}")
    if cfg.resume is not None:
        raise ConfigError("watch goes on by itself: give the same command again, without resume=")
    if cfg.trainer.devices != 1:  # further processes would be watches too
        raise ConfigError(f"watch goes with trainer.devices=1, got {cfg.trainer.devices}")


def _for_run(cfg: DictConfig, inbox: Inbox, copies: Sequence[str], before: Path | None) -> DictConfig:
    """The config of one run: all files so far, the last of which has just arrived."""
    own = cfg.copy()
    with open_dict(own):
        for key in OWN:
            own.pop(key, None)
        own.data.path = as_text(str(inbox.copies.resolve()))
        own.data.arrival = "files"
        own.data.files = [as_text(name) for name in copies]
        own.data.stage = len(copies) - 1
        if before is not None:
            own.continue_from = as_text(str(before))
    return own


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {printable(line)}", flush=True)
