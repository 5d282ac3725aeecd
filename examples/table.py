"""A table with numbers and categories: embeddings and a dense net that grows while it trains.

python examples/table.py TABLE.csv TARGET    numbers in the target are predicted, all other columns are read
"""

import sys

import pandas as pd
import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset, random_split

from autogrow import GrowthController
from autogrow.policy import recipe


def tensors(table, target):
    numbers = table.drop(columns=target).select_dtypes("number")
    numbers = ((numbers - numbers.mean()) / numbers.std()).fillna(0)
    words = table.drop(columns=target).select_dtypes(exclude="number").astype("category")
    codes = words.apply(lambda column: column.cat.codes + 1)  # 0: missing
    y = (table[target] - table[target].mean()) / table[target].std()
    sizes = [int(codes[name].max()) + 1 for name in codes]
    return [
        torch.tensor(part.to_numpy())
        for part in (numbers.astype("float32"), codes.astype("int64"), y.astype("float32"))
    ], sizes


class Regressor(pl.LightningModule):
    def __init__(self, numbers, sizes, width=16):
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(size, 4) for size in sizes)
        self.dense = nn.Sequential(nn.Linear(numbers + 4 * len(sizes), width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, numbers, codes):
        learned = [embed(codes[:, i]) for i, embed in enumerate(self.embeddings)]
        return self.dense(torch.cat([numbers, *learned], 1))[:, 0]

    def training_step(self, batch, _, name="train_loss"):
        loss = F.mse_loss(self(*batch[:2]), batch[2])
        self.log(name, loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, _):
        self.training_step(batch, _, "val_loss")

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=3e-3)


def run(path, target, epochs=60):
    pl.seed_everything(0, verbose=False)
    columns, sizes = tensors(pd.read_csv(path), target)
    train, val = random_split(TensorDataset(*columns), [0.8, 0.2])
    grower = GrowthController(recipe(refit=False), net="", example=[part[:2] for part in columns[:2]])
    trainer = pl.Trainer(max_epochs=epochs, callbacks=[grower], logger=False, enable_checkpointing=False)
    trainer.fit(net := Regressor(columns[0].shape[1], sizes), DataLoader(train, 64, shuffle=True), DataLoader(val, 500))
    return net, grower.rows


if __name__ == "__main__":
    for row in run(*sys.argv[1:])[1]:
        print(row.check, f"{row.val_loss:.4f}", list(row.widths.values()), row.reason)
