"""A small residual ConvNet on Fashion-MNIST: it grows while it trains, returns to its best net, and anneals.

python examples/images.py [FOLDER [EPOCHS]]    a folder with the data set's four files; Debian packages them
"""

import gzip
import sys

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from autogrow import GrowthController
from autogrow.policy import Cycle, Factor, Finish, Growth, LifeCycle, LossPaced, Patience


def read(path, header):
    with gzip.open(path) as file:
        return torch.frombuffer(bytearray(file.read()[header:]), dtype=torch.uint8)


def images(folder, part):
    pixels = read(f"{folder}/{part}-images-idx3-ubyte.gz", 16).view(-1, 1, 28, 28)
    return TensorDataset(pixels / 255, read(f"{folder}/{part}-labels-idx1-ubyte.gz", 8).long())


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.inner = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1))
        self.outer = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x):
        return x + self.outer(self.inner(x))


class Classifier(pl.LightningModule):
    def __init__(self, channels=8):
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 4, stride=4)
        self.blocks = nn.Sequential(Block(channels))
        self.head = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Flatten(), nn.Linear(channels * 49, 10))

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))

    def training_step(self, batch, batch_idx, name="train"):
        logits = self(batch[0])
        loss = nn.functional.cross_entropy(logits, batch[1])
        error = (logits.argmax(1) != batch[1]).float().mean()
        self.log_dict({f"{name}_loss": loss, f"{name}_error": error}, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        self.training_step(batch, batch_idx, "val")

    def test_step(self, batch, batch_idx):
        self.training_step(batch, batch_idx, "test")

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=3e-3)


def run(folder="/usr/share/datasets/fashion-mnist", epochs=20):
    pl.seed_everything(0, verbose=False)
    train, val = random_split(images(folder, "train"), [0.9, 0.1])
    growth = Growth(LossPaced(cooldown=2), Cycle("DW", max_depth=99), Factor(1.5, cap=48))
    life = LifeCycle(growth, stop=Patience(4), finish=Finish())
    grower = GrowthController(life, net="", example=torch.zeros(2, 1, 28, 28), val_error="val_error")
    trainer = pl.Trainer(max_epochs=int(epochs), callbacks=[grower], logger=False, enable_checkpointing=False)
    trainer.fit(net := Classifier(), DataLoader(train, 128, shuffle=True), DataLoader(val, 500))
    return grower.rows, trainer.test(net, DataLoader(images(folder, "t10k"), 500))[0]["test_error"]


if __name__ == "__main__":
    rows, error = run(*sys.argv[1:])
    print(*(f"{row.check} {row.val_error:.4f} {row.parameters} {row.reason}" for row in rows), sep="\n")
    print(f"test error {error:.4f}")
