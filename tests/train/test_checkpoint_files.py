"""Checkpoint files are whole or are refused in one line."""

import pickle
from pathlib import Path

import pytest
import torch

import autogrow
from autogrow.errors import CheckpointError
from autogrow.train.record.checkpoint import newest_whole, read_checkpoint, save_atomically


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
    def step(_path, content):
        return content["n"]

    folder = tmp_path / "checkpoints"
    save_atomically({"n": 1}, folder / "previous.ckpt")
    save_atomically({"n": 2}, folder / "last.ckpt")
    assert newest_whole(tmp_path, step) == (folder / "last.ckpt", 2, [])
    (folder / "last.ckpt").write_bytes(b"\x80\x02torn")
    path, found, complaints = newest_whole(tmp_path, step)
    assert (path, found) == (folder / "previous.ckpt", 1)
    assert "last.ckpt" in complaints[0]
    (folder / "previous.ckpt").unlink()
    assert newest_whole(tmp_path / "died-at-once", step) == (None, None, [])
    with pytest.raises(CheckpointError, match=r"holds no checkpoint to resume from; .*last.ckpt"):
        newest_whole(tmp_path, step)


def test_load_says_in_one_line_what_is_wrong(make_spec, tmp_path):
    run = tmp_path / "run"
    autogrow.fit(make_spec(run, max_epochs=20))
    best = run / "checkpoints" / "best.ckpt"
    whole = read_checkpoint(best)

    def altered(**changes):
        save_atomically({**whole, "autogrow": {**whole["autogrow"], **changes}}, tmp_path / "altered.ckpt")
        return tmp_path / "altered.ckpt"

    save_atomically({"x": 1}, tmp_path / "others.ckpt")
    less = dict(whole["autogrow"])
    del less["recipe"]
    save_atomically({**whole, "autogrow": less}, tmp_path / "less.ckpt")
    cases = [
        (tmp_path / "others.ckpt", "not a checkpoint of autogrow"),
        (altered(version=99), "version 99; this autogrow reads version 1"),
        (tmp_path / "less.ckpt", "incomplete: it has no 'recipe'"),
    ]
    for path, message in cases:
        with pytest.raises(CheckpointError, match=message) as caught:
            autogrow.load(path)
        assert "\n" not in str(caught.value)
    for changes, message in (
        ({"recipe": []}, "do not fit its recipe"),
        ({"builder": {"net": "os.system", "arguments": {}}}, "cannot be built from the checkpoint alone"),
    ):
        with pytest.raises(CheckpointError, match=message) as caught:
            autogrow.load(altered(**changes))
        assert "\n" not in str(caught.value)


def test_load_gives_back_a_net_of_somebodys_own_class(tmp_path):
    import pytorch_lightning as pl
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    from autogrow.policy import FixedSchedule, Growth

    class Lit(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.body = fresh()

        def training_step(self, batch, i):
            loss = nn.functional.mse_loss(self.body(batch[0]), batch[1])
            self.log("train_loss", loss, on_epoch=True, on_step=False)
            self.log("val_loss", loss, on_epoch=True, on_step=False)
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.01)

    def fresh():
        torch.manual_seed(3)
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    loader = DataLoader(TensorDataset(torch.randn(32, 4), torch.randn(32, 1)), 8)
    growth = autogrow.GrowthController(Growth(when=FixedSchedule((0, 1))), net="body", example=torch.randn(2, 4))
    quiet = {
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
    }
    trainer = pl.Trainer(max_epochs=4, callbacks=[growth], accelerator="cpu", **quiet)
    module = Lit()
    trainer.fit(module, loader)
    trainer.save_checkpoint(tmp_path / "own.ckpt")
    x = torch.randn(5, 4)
    net = autogrow.load(tmp_path / "own.ckpt", net=fresh())
    assert sum(p.numel() for p in net.parameters()) > sum(p.numel() for p in fresh().parameters())
    assert torch.equal(net(x), module.body(x))
    with pytest.raises(CheckpointError, match=r"Sequential at 'body'\): give a fresh instance"):
        autogrow.load(tmp_path / "own.ckpt")
