"""Nets for sequences from scratch, as people write them: each builder takes sizes, each case has inputs as well."""

from __future__ import annotations

import torch
from peoples_transformers import Sizes
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Encoder(nn.Module):
    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(11, s.d), nn.LSTM(s.d, s.hidden, batch_first=True, bidirectional=True)
        self.fc_h, self.fc_c = nn.Linear(2 * s.hidden, s.hidden), nn.Linear(2 * s.hidden, s.hidden)

    def forward(self, src: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        outputs, (h, c) = self.rnn(self.embedding(src))
        h = torch.tanh(self.fc_h(torch.cat((h[-2], h[-1]), dim=1)))
        c = torch.tanh(self.fc_c(torch.cat((c[-2], c[-1]), dim=1)))
        return outputs, h.unsqueeze(0), c.unsqueeze(0)


class AdditiveAttention(nn.Module):
    """Of Bahdanau."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.attn, self.v = nn.Linear(3 * hidden, hidden), nn.Linear(hidden, 1, bias=False)

    def forward(self, h: Tensor, outputs: Tensor) -> Tensor:
        h = h[-1].unsqueeze(1).expand(-1, outputs.shape[1], -1)
        energy = torch.tanh(self.attn(torch.cat((h, outputs), dim=2)))
        weights = F.softmax(self.v(energy).squeeze(2), dim=1)
        return torch.bmm(weights.unsqueeze(1), outputs)


class Seq2Seq(nn.Module):
    """An LSTM reads, another writes, word by word, looking back."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.encoder, self.attention, self.embedding = Encoder(s), AdditiveAttention(s.hidden), nn.Embedding(7, s.d)
        self.rnn = nn.LSTM(2 * s.hidden + s.d, s.hidden, batch_first=True)
        self.out = nn.Linear(3 * s.hidden + s.d, 7)

    def forward(self, src: Tensor, tgt: Tensor) -> Tensor:
        outputs, h, c = self.encoder(src)
        answers = []
        for t in range(tgt.shape[1]):
            word = self.embedding(tgt[:, t]).unsqueeze(1)
            context = self.attention(h, outputs)
            output, (h, c) = self.rnn(torch.cat((word, context), dim=2), (h, c))
            answers.append(self.out(torch.cat((output, context, word), dim=2).squeeze(1)))
        return torch.stack(answers, dim=1)


class Tagger(nn.Module):
    """Packed sentences of different lengths through a bidirectional LSTM."""

    def __init__(self, s: Sizes, kind: str = "LSTM", batch_first: bool = True) -> None:
        super().__init__()
        self.batch_first, self.embedding = batch_first, nn.Embedding(11, s.d, padding_idx=0)
        self.rnn = getattr(nn, kind)(
            s.d, s.hidden, num_layers=2, batch_first=batch_first, bidirectional=True, dropout=0.1
        )
        self.fc = nn.Linear(2 * s.hidden, 5)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        x = self.embedding(tokens if self.batch_first else tokens.t())
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=self.batch_first, enforce_sorted=False)
        output, _ = self.rnn(packed)
        output, _ = pad_packed_sequence(output, batch_first=self.batch_first)
        return self.fc(output)


class LastState(nn.Module):
    """A GRU over packed sentences, whose last states are classified."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.embedding, self.rnn, self.fc = (
            nn.Embedding(11, s.d),
            nn.GRU(s.d, s.hidden, batch_first=True),
            nn.Linear(s.hidden, 3),
        )

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False)
        _, h = self.rnn(packed)
        return self.fc(h[-1])


class Projected(nn.Module):
    """An LSTM that projects its hidden width."""

    def __init__(self, s: Sizes, layers: int = 2) -> None:
        super().__init__()
        self.rnn = nn.LSTM(5, s.hidden, layers, batch_first=True, proj_size=s.heads, bidirectional=True)
        self.fc = nn.Linear(2 * s.heads, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rnn(x)[0].mean(1))


class GatedLayer(nn.Module):
    """Dilated, causal, gated by halves of one convolution; residual and skip."""

    def __init__(self, s: Sizes, dilation: int) -> None:
        super().__init__()
        self.pad, self.conv = dilation, nn.Conv1d(s.d, 2 * s.hidden, 2, dilation=dilation)
        self.res, self.skip = nn.Conv1d(s.hidden, s.d, 1), nn.Conv1d(s.hidden, s.head, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = self.conv(F.pad(x, (self.pad, 0))).chunk(2, dim=1)
        z = torch.tanh(a) * torch.sigmoid(b)
        return x + self.res(z), self.skip(z)


class WaveNet(nn.Module):
    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.enter = nn.Conv1d(1, s.d, 1)
        self.layers = nn.ModuleList([GatedLayer(s, 2**i) for i in range(3)])
        self.out = nn.Sequential(nn.ReLU(), nn.Conv1d(s.head, s.hidden, 1), nn.ReLU(), nn.Conv1d(s.hidden, 4, 1))

    def forward(self, x: Tensor) -> Tensor:
        x, skips = self.enter(x), 0
        for layer in self.layers:
            x, skip = layer(x)
            skips = skips + skip
        return self.out(skips)


class Block(nn.Module):
    """As in Karpathy's nanoGPT."""

    def __init__(self, s: Sizes, block_size: int) -> None:
        super().__init__()
        self.n_head, self.n_embd = s.heads, s.d
        self.ln_1, self.ln_2 = nn.LayerNorm(s.d), nn.LayerNorm(s.d)
        self.c_attn, self.c_proj = nn.Linear(s.d, 3 * s.d), nn.Linear(s.d, s.d)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(s.d, 4 * s.d), "act": nn.GELU(), "c_proj": nn.Linear(4 * s.d, s.d)})
        self.register_buffer("bias", torch.tril(torch.ones(block_size, block_size)).view(1, 1, block_size, block_size))

    def attend(self, x: Tensor) -> Tensor:
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(self.n_embd, dim=2)
        k = k.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        q = q.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        v = v.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        att = (q @ k.transpose(-2, -1)) * (1.0 / (k.size(-1) ** 0.5))
        att = F.softmax(att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf")), dim=-1)
        return self.c_proj((att @ v).transpose(1, 2).contiguous().view(B, T, C))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attend(self.ln_1(x))
        m = self.mlp
        return x + m.c_proj(m.act(m.c_fc(self.ln_2(x))))


class GPT2(nn.Module):
    """Weights tied, logits of the last place alone where nothing is asked for."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(11, s.d), "wpe": nn.Embedding(16, s.d), "drop": nn.Dropout(0.1),
            "h": nn.ModuleList([Block(s, 16) for _ in range(s.blocks)]), "ln_f": nn.LayerNorm(s.d),
        })  # fmt: skip
        self.lm_head = nn.Linear(s.d, 11, bias=False)
        self.transformer.wte.weight = self.lm_head.weight

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        pos = torch.arange(0, idx.size(1), dtype=torch.long, device=idx.device)
        x = self.transformer.drop(self.transformer.wte(idx) + self.transformer.wpe(pos))
        for block in self.transformer.h:
            x = block(x)
        x = self.transformer.ln_f(x)
        if targets is None:
            return self.lm_head(x[:, [-1], :]), None
        logits = self.lm_head(x)
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)


def _sentences(s: Sizes) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([s.tokens - 2, s.tokens, s.tokens - 1])
    return torch.randint(1, 11, (3, s.tokens)), lengths


def _words(s: Sizes) -> tuple[Tensor, Tensor]:
    return torch.randint(11, (3, s.tokens)), torch.randint(7, (3, 3))


SEQUENCES = {
    "seq2seq with attention": (Seq2Seq, _words),
    "tagger, packed": (Tagger, _sentences),
    "tagger, packed, time first": (lambda s: Tagger(s, "GRU", batch_first=False), _sentences),
    "last state, packed": (LastState, _sentences),
    "lstm with projection": (Projected, lambda s: (torch.randn(3, s.tokens, 5),)),
    "wavenet": (WaveNet, lambda s: (torch.randn(3, 1, s.tokens),)),
    "nanogpt": (GPT2, lambda s: (torch.randint(11, (3, s.tokens)),)),
    "nanogpt, with targets": (GPT2, lambda s: (torch.randint(11, (3, s.tokens)), torch.randint(11, (3, s.tokens)))),
}  # fmt: skip
