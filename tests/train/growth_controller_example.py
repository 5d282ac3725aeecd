import pytorch_lightning as pl
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from autogrow import GrowthController
from autogrow.policy import Cycle, Growth


class Classifier(pl.LightningModule):  # yours: nothing in it knows of growth
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))

    def training_step(self, batch, batch_idx, name="train_loss"):
        loss = nn.functional.cross_entropy(self.model(batch[0]), batch[1])
        self.log(name, loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        self.training_step(batch, batch_idx, "val_loss")

    def configure_optimizers(self):  # called again after each growth; moments, rates and schedule go on
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-2)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=15)]


digits = load_digits()
data = TensorDataset(torch.tensor(digits.data / 16).float(), torch.tensor(digits.target))
train, val = (DataLoader(part, 64, shuffle=True) for part in random_split(data, [1400, 397]))
growth = GrowthController(Growth(where=Cycle("WDW")), net="model", example=torch.randn(2, 64))
trainer = pl.Trainer(max_epochs=15, callbacks=[growth])
trainer.fit(Classifier(), train, val)  # fit(…, ckpt_path=…) goes on, whatever the size then was
for row in growth.rows:
    print(row.check, f"{row.val_loss:.3f}", list(row.widths.values()), row.reason)
