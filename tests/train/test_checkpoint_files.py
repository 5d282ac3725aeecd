"""Checkpoint files are whole or are refused in one line."""

import pickle
from pathlib import Path

import pytest
import torch

from autogrow.errors import CheckpointError
from autogrow.train.checkpoint import newest_whole, read_checkpoint, save_atomically


class Harmful:
    def __reduce__(self):
        return (Path.touch, (Path("harm-was-done"),))


def test_refuses_what_is_not_a_whole_safe_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = tmp_path / "whole.ckpt"
    save_atomically({"x": torch.arange(1000.0)}, whole)
    assert read_checkpoint(whole)["x"].sum() == 499500
    cases = {
        "cut.ckpt": (whole.read_bytes()[:2000], "not a whole checkpoint"),
        "empty.ckpt": (b"", "not a whole checkpoint"),
        "text.ckpt": (b"hello, I am no checkpoint", "not a whole checkpoint|refused"),
        "harmful.ckpt": (pickle.dumps(Harmful()), "refused|not a whole checkpoint"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=message) as caught:
            read_checkpoint(tmp_path / name)
        assert "\n" not in str(caught.value)
    torch.save({"x": Harmful()}, tmp_path / "harmful-zip.ckpt")
    with pytest.raises(CheckpointError, match="refused"):
        read_checkpoint(tmp_path / "harmful-zip.ckpt")
    assert not (tmp_path / "harm-was-done").exists()
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        read_checkpoint(tmp_path / "missing.ckpt")
    torch.save(torch.zeros(3), tmp_path / "tensor.ckpt")
    with pytest.raises(CheckpointError, match="holds a Tensor"):
        read_checkpoint(tmp_path / "tensor.ckpt")


def test_the_newest_whole_one_is_used_and_a_damaged_one_named(tmp_path):
    folder = tmp_path / "checkpoints"
    save_atomically({"n": 1}, folder / "previous.ckpt")
    save_atomically({"n": 2}, folder / "last.ckpt")
    assert newest_whole(tmp_path) == (folder / "last.ckpt", [])
    (folder / "last.ckpt").write_bytes(b"\x80\x02torn")
    path, complaints = newest_whole(tmp_path)
    assert path == folder / "previous.ckpt"
    assert "last.ckpt" in complaints[0]
    (folder / "previous.ckpt").unlink()
    assert newest_whole(tmp_path / "died-at-once") == (None, [])
    with pytest.raises(CheckpointError, match=r"holds no checkpoint to resume from; .*last.ckpt"):
        newest_whole(tmp_path)
