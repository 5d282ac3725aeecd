"""A character GPT grows in width, heads and blocks; its last size from scratch at equal FLOPs beside it: gpt.png."""

import math
from pydoc_data.topics import topics

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from autogrow import GrowthController
from autogrow.policy import Cycle, Factor, FixedSchedule, Growth, Never

TEXT = "".join(topics[name] for name in sorted(topics))
CHARS = sorted(set(TEXT))
LENGTH, HEAD, BATCH, STEPS = 64, 16, 16, 50  # characters a sample, width of a head, samples a step, steps a check


class Block(nn.Module):
    def __init__(self, d, heads, hidden):
        super().__init__()
        self.norm1, self.qkv, self.out = nn.LayerNorm(d), nn.Linear(d, 3 * heads * HEAD), nn.Linear(heads * HEAD, d)
        self.norm2, self.mlp = nn.LayerNorm(d), nn.Sequential(nn.Linear(d, hidden), nn.GELU(), nn.Linear(hidden, d))

    def forward(self, x):
        heads = (part.unflatten(-1, (-1, HEAD)).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, -1))
        mixed = nn.functional.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class GPT(pl.LightningModule):
    def __init__(self, steps, d=32, heads=2, hidden=96, blocks=2):
        super().__init__()
        self.rate = lambda t: min(1, t / 50) * 0.5 * (1 + math.cos(math.pi * min(1, t / steps)))  # warm up, then fall
        self.embed, self.place = nn.Embedding(len(CHARS), d), nn.Parameter(0.02 * torch.randn(LENGTH, d))
        self.blocks = nn.Sequential(*(Block(d, heads, hidden) for _ in range(blocks)))
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, len(CHARS))

    def forward(self, codes):
        return self.head(self.norm(self.blocks(self.embed(codes) + self.place)))

    def training_step(self, batch, _):
        loss = nn.functional.cross_entropy(self(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        self.log("train_loss" if self.training else "val_loss", loss, on_step=False, on_epoch=True)
        return loss

    validation_step = training_step

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=3e-3)
        return [optimizer], [{"scheduler": torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate), "interval": "step"}]


def train(checks, seed, growth, **sizes):
    pl.seed_everything(seed, verbose=False)
    pieces = torch.tensor([CHARS.index(c) for c in TEXT]).unfold(0, LENGTH + 1, LENGTH + 1)
    val, train = pieces.tensor_split([len(pieces) // 10])
    net, grower = GPT(checks * STEPS, **sizes), GrowthController(growth, net="", example=val[:2, :-1])
    fit = pl.Trainer(max_epochs=checks, limit_train_batches=STEPS, callbacks=[grower], enable_checkpointing=False).fit
    fit(net, DataLoader(train, BATCH, shuffle=True), DataLoader(val[:256], 64))
    return net.blocks, grower.rows


def compare(checks=40, seed=0):
    when = FixedSchedule((0.1, 0.2, 0.3, 0.4), "fraction")
    blocks, rows = train(checks, seed, Growth(when, Cycle("WDWD", max_depth=99), Factor(1.5, multiple=16)))
    first, checks = blocks[0], round(rows[-1].train_flops / (rows[-1].train_flops - rows[-2].train_flops))
    sizes = {"d": first.out.out_features, "heads": first.out.in_features // HEAD, "blocks": len(blocks)}
    return rows, train(checks, seed, Growth(Never()), hidden=first.mlp[0].out_features, **sizes)[1]


if __name__ == "__main__":
    import matplotlib.pyplot as plt

    for name, rows in zip(("grown", "from scratch"), compare(), strict=True):
        plt.plot([row.train_flops for row in rows], [row.val_loss for row in rows], label=name)
    plt.legend(title="validation loss against training FLOPs")
    plt.savefig("gpt.png")
