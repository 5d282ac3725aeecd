"""Guests with nets as people have them: transformers normalised behind their sums, rotated heads, recurrent nets over
packed sentences. Each grows wider, by blocks and goes back, and resumes bit for bit, compiled or not.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "growth"))
from lit import EXAMPLE, INPUTS, Lit, Planned, controller, fingerprint, loaders, trainer
from peoples_transformers import LlamaBlock, RMSNorm, Sizes, rotary

from autogrow.growth import check_optimizer
from autogrow.policy.history import Deepen, Undo, Widen
from autogrow.train.guest.loading import load_grown

SIZES = Sizes(heads=2, groups=1, head=4, hidden=10, blocks=2, tokens=INPUTS)
CLASSES = 3


class PostNorm(nn.Module):
    """Numbers as tokens through torch's encoder as it is by default."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(INPUTS, SIZES.d)), nn.Parameter(torch.zeros(INPUTS, SIZES.d))
        layer = nn.TransformerEncoderLayer(SIZES.d, SIZES.heads, SIZES.hidden, batch_first=True)
        self.encoder, self.head = (
            nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
            nn.Linear(SIZES.d, CLASSES),
        )

    def forward(self, x):
        return self.head(self.encoder(x[..., None] * self.weight + self.bias).mean(1))


class Rotated(nn.Module):
    """Numbers as tokens through a Llama's blocks."""

    def __init__(self):
        super().__init__()
        self.enter, self.norm, self.head = nn.Linear(1, SIZES.d), RMSNorm(SIZES.d), nn.Linear(SIZES.d, CLASSES)
        self.layers = nn.ModuleList(LlamaBlock(SIZES, False, "sliced") for _ in range(2))
        cos, sin = rotary(SIZES.head, INPUTS)
        self.register_buffer("cos", cos)
        self.register_buffer("sin", sin)

    def forward(self, x):
        h = self.enter(x[..., None])
        for layer in self.layers:
            h = layer(h, self.cos, self.sin)
        return self.head(self.norm(h).mean(1))


class Packed(nn.Module):
    """An LSTM that projects, over packed sentences."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(1, 9, 2, batch_first=True, proj_size=4), nn.Linear(4, CLASSES)

    def forward(self, x):
        lengths = torch.arange(len(x)) % (INPUTS - 1) + 2
        packed = nn.utils.rnn.pack_padded_sequence(x[..., None], lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.rnn(packed)[1][0][-1])


@dataclass(frozen=True)
class Kind:
    """A net, and what happens to it: check → action."""

    net: type[nn.Module]
    plan: tuple


KINDS = {
    "post-norm": Kind(PostNorm, (
        (0, Widen({"encoder.layers.0.linear1": 13})), (1, Deepen("encoder.layers.1", "block")), (2, Undo(1)),
        (3, Deepen("encoder.layers.0", "copy")), (4, Widen({"encoder.layers.1.linear1": 15})),
    )),
    "rotated": Kind(Rotated, (
        (0, Widen({"layers.0.attention.q_proj": 12})), (1, Deepen("layers.1", "block")), (2, Undo(1)),
        (3, Widen({"layers.1.feed_forward.w12": 14})), (4, Widen({"enter": 10})),
    )),
    "packed": Kind(Packed, (
        (0, Widen({"rnn[0:9]": 12})), (1, Widen({"rnn[0:4]": 6})), (2, Undo(1)), (3, Widen({"rnn[0:4]": 7})),
    )),
}  # fmt: skip


@dataclass(frozen=True)
class Going(Planned):
    """One that may go back."""

    needs: ClassVar[frozenset[str]] = frozenset({"undo"})


class Guest(Lit):
    """Its net is one of these."""

    def __init__(self, kind: str, compiled: bool = False):
        super().__init__()
        torch.manual_seed(0)
        self.save_hyperparameters()
        net = KINDS[kind].net()
        self.model = torch.compile(net, backend="eager") if compiled else net


def fit(folder, kind, *, compiled=False, ckpt=None, where=None):
    pl.seed_everything(3, verbose=False)
    run = trainer(folder, [controller(Going(KINDS[kind].plan))], epochs=6, where=where)
    run.fit(Guest(kind, compiled), *loaders("stream"), ckpt_path=ckpt)
    return run


@pytest.mark.parametrize("compiled", [False, True], ids=["", "compiled"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_grows_goes_back_and_resumes_bit_for_bit(tmp_path, kind, compiled):
    whole = fit(tmp_path / "whole", kind, compiled=compiled, where="epoch end")
    rows = whole.callbacks[0].rows
    assert [row.event.done for row in rows if row.event] == [action for _, action in KINDS[kind].plan]
    assert all(not row.refused and row.finite() for row in rows)
    receipts = [row.event.receipt for row in rows if row.event and row.event.receipt]
    assert all(receipt["max_abs_change"] <= receipt["promise"] < 1e-3 for receipt in receipts)
    check_optimizer(whole.optimizers[0], whole.lightning_module)
    files = sorted((tmp_path / "whole").glob("*.ckpt"), key=lambda file: int(file.stem.split("step=")[1]))
    for file in (files[2], files[4]) if not compiled else files[3:4]:
        again = fit(tmp_path / file.stem, kind, compiled=compiled, ckpt=file)
        assert fingerprint(again) == fingerprint(whole)
    loaded = load_grown(Guest(kind, compiled), files[-1])
    assert torch.equal(loaded.eval().model(EXAMPLE), whole.lightning_module.eval().model(EXAMPLE))
