"""The one writer: whole or not at all, under a name that nobody can guess, never through a link."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest
import torch

from autogrow.errors import CheckpointError
from autogrow.policy.history import Row
from autogrow.train.record import files
from autogrow.train.record.checkpoint import save_atomically
from autogrow.train.record.files import (
    copy_file,
    drafting,
    open_to_append,
    remove_leftovers,
    write_atomically,
    write_bytes,
    write_json,
    writing,
)
from autogrow.train.record.ledger import Ledger, write_metrics

LEFT = ".0123456789abcdef.autogrow"  # as a process that was killed leaves one


class FullError(OSError):
    """No space left on the device."""


def copied(path: Path, content: str) -> None:
    source = path.with_name("source")
    source.write_text(content)
    try:
        copy_file(source, path)
    finally:
        source.unlink()


def drafted(path: Path, content: str) -> None:
    """As Lightning writes: by the draft's name, another file moved there."""
    with drafting(path.parent) as draft:
        other = path.with_name("other")
        other.touch(mode=0o600)
        other.write_text(content)
        other.rename(draft.path)
        draft.put(path)


WRITERS = {
    "text": write_atomically,
    "bytes": lambda path, content: write_bytes(path, content.encode()),
    "json": write_json,
    "copy": copied,
    "draft": drafted,
    "torch": lambda path, content: save_atomically({"content": content}, path),
}


def read(how: str, path: Path) -> str:
    if how == "torch":
        return torch.load(path, weights_only=True)["content"]
    return json.loads(path.read_text()) if how == "json" else path.read_text()


@pytest.mark.parametrize("how", WRITERS)
def test_what_was_written_is_there_and_nothing_else(how, tmp_path):
    for content in ("old", "new, with an é"):
        WRITERS[how](tmp_path / "file", content)
        assert read(how, tmp_path / "file") == content
        assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("how", WRITERS)
@pytest.mark.parametrize("at", ["fsync", "replace"])
@pytest.mark.parametrize("before", ["precious", None])
def test_a_file_is_whole_or_as_it_was(how, at, before, tmp_path, monkeypatch):
    if before is not None:
        (tmp_path / "file").write_text(before)

    def fail(*arguments):
        raise FullError

    monkeypatch.setattr(os, at, fail)
    with pytest.raises(FullError):
        WRITERS[how](tmp_path / "file", "half")
    assert [p.read_text() for p in tmp_path.iterdir()] == ([] if before is None else [before])


def test_a_writer_that_raises_midway_leaves_what_was_there(tmp_path):
    (tmp_path / "file").write_text("precious")

    def interrupted():
        with writing(tmp_path / "file") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [p.read_text() for p in tmp_path.iterdir()] == ["precious"]


def test_it_is_on_disk_before_it_is_in_its_place_and_its_name_thereafter(tmp_path, monkeypatch):
    done, sync, replace = [], os.fsync, os.replace

    def note_sync(handle):
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else os.fstat(handle).st_size)
        sync(handle)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("moved"), replace(*names)))
    write_atomically(tmp_path / "file", "four")
    assert done == [4, "moved", "folder"]


def test_names_of_drafts_are_hidden_in_the_same_folder_short_and_never_alike(tmp_path):
    seen = set()
    for _ in range(50):
        with drafting(tmp_path) as draft:
            assert [p.name for p in tmp_path.iterdir()] == [draft.path.name]
            assert draft.path.name.startswith(".")
            seen.add(draft.path.name)
    assert len(seen) == 50
    write_atomically(tmp_path / ("x" * 255), "as long as a name can be")


@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_a_name_that_somebody_guessed_is_refused(kind, tmp_path, monkeypatch):
    victim, guessed = tmp_path / "victim", tmp_path / LEFT
    if kind != "dangling link":
        victim.write_text("precious")
    if kind == "file":
        victim.rename(guessed)
    else:
        guessed.symlink_to(victim)
    before = {p.name for p in tmp_path.iterdir()}
    monkeypatch.setattr(files.secrets, "token_hex", lambda n: LEFT[1:17])
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "file", "ours")
    assert {p.name for p in tmp_path.iterdir()} == before
    if kind != "dangling link":
        assert guessed.read_text() == "precious"


@pytest.mark.parametrize("how", WRITERS)
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_is_replaced_and_never_written_through(how, dangling, tmp_path):
    victim, path = tmp_path / "victim", tmp_path / "run" / "file"
    path.parent.mkdir()
    if not dangling:
        victim.write_text("precious")
    path.symlink_to(victim)
    WRITERS[how](path, "ours")
    assert not path.is_symlink()
    assert read(how, path) == "ours"
    assert (victim.read_text() if victim.exists() else None) == (None if dangling else "precious")


@pytest.mark.parametrize("name", ["file", "ledger.jsonl", "metrics.csv", "last.ckpt"])
def test_links_at_the_names_that_drafts_once_had_are_not_followed(name, tmp_path):
    victim, once = tmp_path / "victim", tmp_path / f".{name}.tmp"
    victim.write_text("precious")
    once.symlink_to(victim)
    Ledger(tmp_path).cut_back([])
    write_metrics(tmp_path, [])
    save_atomically({}, tmp_path / "last.ckpt")
    write_atomically(tmp_path / "file", "ours")
    assert victim.read_text() == "precious"
    assert once.is_symlink()


@pytest.mark.parametrize("how", WRITERS)
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002, 0o027])
def test_a_file_has_the_permissions_of_an_ordinary_one(how, umask, tmp_path):
    before = os.umask(umask)
    try:
        WRITERS[how](tmp_path / "file", "content")
        open_to_append(tmp_path / "log").close()
        (tmp_path / "ordinary").write_text("")
    finally:
        os.umask(before)
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "log", "ordinary")}
    assert modes == {0o666 & ~umask}


def test_appending_refuses_a_link_in_one_line(tmp_path):
    victim, ledger = tmp_path / "victim", tmp_path / "ledger.jsonl"
    victim.write_text("precious")
    ledger.symlink_to(victim)
    row = Row(0, 1, 0.5, "grow", 0, 1.0, 1.0, 0.1, 0.1, 1.0, 0.0, 0.1, {"a": 1}, 1, 1, 1, 1)
    with pytest.raises(CheckpointError, match=r"ledger.jsonl is a link, which is not written through") as caught:
        Ledger(tmp_path).append(row)
    assert "\n" not in str(caught.value)
    assert victim.read_text() == "precious"
    ledger.unlink()
    Ledger(tmp_path).append(row)
    Ledger(tmp_path).append(row)
    assert len(ledger.read_text().splitlines()) == 2


def test_leftovers_go_and_everything_else_stays(tmp_path):
    (tmp_path / LEFT).write_text("half")
    theirs = [f"{LEFT[:-9]}.tmp", ".file.tmp", LEFT[1:], LEFT.upper(), f"{LEFT}.old", "last.ckpt"]
    for name in theirs:
        (tmp_path / name).write_text("theirs")
    link, folder = tmp_path / f".{'a' * 16}.autogrow", tmp_path / f".{'b' * 16}.autogrow"
    link.symlink_to(tmp_path / "last.ckpt")
    folder.mkdir()
    with drafting(tmp_path) as draft:  # somebody is at work on it
        draft.file.write(b"whole")
        remove_leftovers(tmp_path)
        draft.put(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "whole"
    assert {p.name for p in tmp_path.iterdir()} == {*theirs, link.name, folder.name, "file"}
    assert (tmp_path / "last.ckpt").read_text() == "theirs"


def test_writers_side_by_side_never_mix(tmp_path):
    path, texts = tmp_path / "file", [str(k) * 100_000 for k in range(4)]
    workers = [threading.Thread(target=write_atomically, args=(path, text)) for text in texts * 5]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        assert not path.exists() or path.read_text() in texts
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
