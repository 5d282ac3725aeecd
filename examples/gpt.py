"""A character GPT that grows wider, by heads and by blocks while it trains, beside its last size from scratch at equal
FLOPs. The text comes with Python: `python examples/gpt.py`, or `python examples/gpt.py CHECKS SEED PICTURE.png`.
"""

import math
import sys
from pydoc_data.topics import topics

import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from autogrow import GrowthController
from autogrow.policy import Cycle, Factor, FixedSchedule, Growth, Never

TEXT = "".join(topics[name] for name in sorted(topics))
CHARS = sorted(set(TEXT))
CODES = torch.tensor([CHARS.index(c) for c in TEXT])
LENGTH, HEAD, BATCH, STEPS = 64, 16, 16, 50  # characters a sample, width of a head, samples a step, steps a check


class Block(nn.Module):
    def __init__(self, d, heads, hidden):
        super().__init__()
        self.norm1, self.qkv, self.out = nn.LayerNorm(d), nn.Linear(d, 3 * heads * HEAD), nn.Linear(heads * HEAD, d)
        self.norm2, self.mlp = nn.LayerNorm(d), nn.Sequential(nn.Linear(d, hidden), nn.GELU(), nn.Linear(hidden, d))

    def forward(self, x):
        heads = (part.unflatten(-1, (-1, HEAD)).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, -1))
        x = x + self.out(F.scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class GPT(pl.LightningModule):
    def __init__(self, checks, d=32, heads=2, hidden=96, blocks=2):
        super().__init__()
        self.steps = checks * STEPS
        self.embed, self.place = nn.Embedding(len(CHARS), d), nn.Parameter(0.02 * torch.randn(LENGTH, d))
        self.blocks = nn.ModuleList(Block(d, heads, hidden) for _ in range(blocks))
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, len(CHARS))

    def forward(self, codes):
        x = self.embed(codes) + self.place
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))

    def training_step(self, batch, _, name="train_loss"):
        loss = F.cross_entropy(self(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        self.log(name, loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, _):
        self.training_step(batch, _, "val_loss")

    def configure_optimizers(self):  # a linear warm-up, then a cosine to nothing
        rate = lambda t: min(1, t / 50) * 0.5 * (1 + math.cos(math.pi * min(1, t / self.steps)))  # noqa: E731
        optimizer = torch.optim.AdamW(self.parameters(), lr=3e-3)
        return [optimizer], [{"scheduler": torch.optim.lr_scheduler.LambdaLR(optimizer, rate), "interval": "step"}]


def train(checks, seed, growth, **sizes):
    pl.seed_everything(seed, verbose=False)
    pieces = CODES[: len(CODES) // (LENGTH + 1) * (LENGTH + 1)].view(-1, LENGTH + 1)
    train, val = pieces[pieces.shape[0] // 10 :], pieces[: pieces.shape[0] // 10][:256]
    net, grower = GPT(checks, **sizes), GrowthController(growth, net="", example=torch.zeros(2, LENGTH).long())
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = pl.Trainer(max_epochs=checks, limit_train_batches=STEPS, callbacks=[grower], accelerator="cpu", **quiet)
    trainer.fit(net, DataLoader(train, BATCH, shuffle=True), DataLoader(val, 64))
    return net, grower.rows


def compare(checks=40, seed=0):
    when = FixedSchedule(at=(0.1, 0.2, 0.3, 0.4), unit="fraction")
    grown, rows = train(checks, seed, Growth(when, Cycle("WDWD", max_depth=99), Factor(1.5, multiple=16)))
    first, last_check = grown.blocks[0], rows[-1].train_flops - rows[-2].train_flops
    sizes = {"d": grown.embed.embedding_dim, "heads": first.out.in_features // HEAD, "blocks": len(grown.blocks)}
    checks = round(rows[-1].train_flops / last_check)
    _, scratch = train(checks, seed, Growth(Never()), hidden=first.mlp[0].out_features, **sizes)
    return {"grown": rows, "from scratch": scratch}


if __name__ == "__main__":
    arms = compare(*map(int, sys.argv[1:3]))
    for name, rows in arms.items():
        print(name, [f"{row.train_flops / 1e9:.0f} GFLOP: {row.val_loss:.3f}" for row in rows[:: len(rows) // 8]])
    if len(sys.argv) > 3:
        import matplotlib.pyplot as plt

        for name, rows in arms.items():
            plt.plot([row.train_flops for row in rows], [row.val_loss for row in rows], label=name)
        plt.gca().set(xlabel="training FLOPs", ylabel="validation loss", xscale="log", yscale="log")
        plt.legend()
        plt.savefig(sys.argv[3])
