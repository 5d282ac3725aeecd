"""Transformers from scratch, as people write them: each builder takes sizes and answers with a net and its inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Sizes:
    """Drawn anew for each run of a law."""

    heads: int
    groups: int
    head: int
    hidden: int
    blocks: int
    tokens: int

    @property
    def d(self) -> int:
        """The width of the stream."""
        return self.heads * self.head

    @staticmethod
    def drawn(seed: int) -> Sizes:
        """Small sizes that are rarely equal to each other."""
        draw = Random(seed)
        groups = draw.choice([1, 2])
        return Sizes(
            groups * draw.choice([2, 3]), groups, 2 * draw.randint(1, 3), draw.randint(9, 17), 2, draw.randint(5, 7)
        )


class RMSNorm(nn.Module):
    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps, self.weight = eps, nn.Parameter(torch.ones(dim))

    def _norm(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)

    def forward(self, x: Tensor) -> Tensor:
        return self._norm(x.float()).type_as(x) * self.weight


def rotary(dim: int, length: int) -> tuple[Tensor, Tensor]:
    """Tables of cosines and sines, (T, dim)."""
    frequencies = 1.0 / (10000 ** (torch.arange(0, dim, 2).float() / dim))
    angles = torch.outer(torch.arange(length).float(), frequencies)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate_half(x: Tensor) -> Tensor:
    x1, x2 = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
    return torch.cat((-x2, x1), dim=-1)


class LlamaAttention(nn.Module):
    """Grouped queries, rotated; with `qk_norm` normalised as Gemma does."""

    def __init__(self, s: Sizes, qk_norm: bool) -> None:
        super().__init__()
        self.n_heads, self.n_kv_heads, self.head_dim = s.heads, s.groups, s.head
        self.n_rep = self.n_heads // self.n_kv_heads
        self.q_proj = nn.Linear(s.d, s.heads * s.head, bias=False)
        self.k_proj = nn.Linear(s.d, s.groups * s.head, bias=False)
        self.v_proj = nn.Linear(s.d, s.groups * s.head, bias=False)
        self.o_proj = nn.Linear(s.heads * s.head, s.d, bias=False)
        self.q_norm = RMSNorm(s.head) if qk_norm else nn.Identity()
        self.k_norm = RMSNorm(s.head) if qk_norm else nn.Identity()

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        b, t, _ = x.shape
        q = self.q_norm(self.q_proj(x).view(b, t, self.n_heads, self.head_dim)).transpose(1, 2)
        k = self.k_norm(self.k_proj(x).view(b, t, self.n_kv_heads, self.head_dim)).transpose(1, 2)
        v = self.v_proj(x).view(b, t, self.n_kv_heads, self.head_dim).transpose(1, 2)
        q, k = q * cos + rotate_half(q) * sin, k * cos + rotate_half(k) * sin
        k, v = self.repeat_kv(k), self.repeat_kv(v)
        scores = torch.matmul(q, k.transpose(2, 3)) / math.sqrt(self.head_dim)
        scores = scores + torch.full((t, t), float("-inf")).triu(1).to(scores)
        out = torch.matmul(F.softmax(scores.float(), dim=-1).type_as(q), v)
        return self.o_proj(out.transpose(1, 2).contiguous().view(b, t, -1))

    def repeat_kv(self, x: Tensor) -> Tensor:
        b, groups, t, d = x.shape
        if self.n_rep == 1:
            return x
        return x[:, :, None, :, :].expand(b, groups, self.n_rep, t, d).reshape(b, groups * self.n_rep, t, d)


class SwiGLU(nn.Module):
    def __init__(self, d: int, hidden: int) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(d, hidden, bias=False), nn.Linear(d, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, d, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class FusedGLU(nn.Module):
    """One linear layer of twice the hidden width; its halves are taken by `chunk` or by slices."""

    def __init__(self, d: int, hidden: int, sliced: bool) -> None:
        super().__init__()
        self.w12, self.w3, self.sliced = nn.Linear(d, 2 * hidden), nn.Linear(hidden, d), sliced

    def forward(self, x: Tensor) -> Tensor:
        h = self.w12(x)
        if self.sliced:
            half = h.shape[-1] // 2
            return self.w3(F.silu(h[..., :half]) * h[..., half:])
        gate, up = h.chunk(2, dim=-1)
        return self.w3(F.silu(gate) * up)


class LlamaBlock(nn.Module):
    def __init__(self, s: Sizes, qk_norm: bool, mlp: str) -> None:
        super().__init__()
        self.attention_norm, self.ffn_norm = RMSNorm(s.d), RMSNorm(s.d)
        self.attention = LlamaAttention(s, qk_norm)
        self.feed_forward = SwiGLU(s.d, s.hidden) if mlp == "swiglu" else FusedGLU(s.d, s.hidden, mlp == "sliced")

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x), cos, sin)
        return x + self.feed_forward(self.ffn_norm(x))


class Llama(nn.Module):
    """RMSNorms, rotary positions, grouped queries, gated MLPs, no biases, tied embeddings."""

    def __init__(self, s: Sizes, qk_norm: bool = False, mlp: str = "swiglu") -> None:
        super().__init__()
        self.tok_embeddings = nn.Embedding(11, s.d)
        self.layers = nn.ModuleList(LlamaBlock(s, qk_norm, mlp) for _ in range(s.blocks))
        self.norm, self.output = RMSNorm(s.d), nn.Linear(s.d, 11, bias=False)
        self.output.weight = self.tok_embeddings.weight
        cos, sin = rotary(s.head, 16)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        _, t = tokens.shape
        h = self.tok_embeddings(tokens)
        for layer in self.layers:
            h = layer(h, self.cos[:t], self.sin[:t])
        return self.output(self.norm(h))


class BertAttention(nn.Module):
    """Queries, keys and values of their own, with the size of all heads as an attribute."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.num_attention_heads, self.attention_head_size = s.heads, s.head
        self.all_head_size = self.num_attention_heads * self.attention_head_size
        self.query, self.key = nn.Linear(s.d, self.all_head_size), nn.Linear(s.d, self.all_head_size)
        self.value, self.dropout = nn.Linear(s.d, self.all_head_size), nn.Dropout(0.1)
        self.dense, self.LayerNorm = nn.Linear(self.all_head_size, s.d), nn.LayerNorm(s.d, eps=1e-12)

    def heads(self, x: Tensor) -> Tensor:
        x = x.view(*x.size()[:-1], self.num_attention_heads, self.attention_head_size)
        return x.permute(0, 2, 1, 3)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = self.heads(self.query(x)), self.heads(self.key(x)), self.heads(self.value(x))
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(self.attention_head_size)
        probs = self.dropout(nn.Softmax(dim=-1)(scores + mask))
        context = torch.matmul(probs, v).permute(0, 2, 1, 3).contiguous()
        context = context.view(*context.size()[:-2], self.all_head_size)
        return self.LayerNorm(self.dropout(self.dense(context)) + x)


class BertLayer(nn.Module):
    """Post-norm: the stream itself is normalised."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.attention, self.intermediate, self.output = (
            BertAttention(s),
            nn.Linear(s.d, s.hidden),
            nn.Linear(s.hidden, s.d),
        )
        self.LayerNorm, self.dropout = nn.LayerNorm(s.d, eps=1e-12), nn.Dropout(0.1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.attention(x, mask)
        return self.LayerNorm(x + self.dropout(self.output(F.gelu(self.intermediate(x)))))


class Bert(nn.Module):
    """Word, position and segment embeddings, post-norm blocks, a pooler."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.word, self.position, self.segment = (
            nn.Embedding(11, s.d, padding_idx=0),
            nn.Embedding(16, s.d),
            nn.Embedding(2, s.d),
        )
        self.LayerNorm, self.dropout = nn.LayerNorm(s.d, eps=1e-12), nn.Dropout(0.1)
        self.layer = nn.ModuleList([BertLayer(s) for _ in range(s.blocks)])
        self.pooler, self.activation, self.classifier = nn.Linear(s.d, s.d), nn.Tanh(), nn.Linear(s.d, 3)
        self.register_buffer("position_ids", torch.arange(16).expand((1, -1)))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        mask = (1.0 - attention_mask[:, None, None, :].to(self.word.weight.dtype)) * -1e4
        ids = self.position_ids[:, : input_ids.size(1)]
        x = self.word(input_ids) + self.position(ids) + self.segment(torch.zeros_like(input_ids))
        x = self.dropout(self.LayerNorm(x))
        for layer in self.layer:
            x = layer(x, mask)
        return self.classifier(self.activation(self.pooler(x[:, 0])))


class PositionalEncoding(nn.Module):
    """Sines and cosines in a buffer, as the tutorial has it."""

    def __init__(self, d: int, max_len: int = 16) -> None:
        super().__init__()
        position, pe = torch.arange(max_len).unsqueeze(1), torch.zeros(1, max_len, d)
        div = torch.exp(torch.arange(0, d, 2) * (-math.log(10000.0) / d))
        pe[0, :, 0::2], pe[0, :, 1::2] = torch.sin(position * div), torch.cos(position * div)
        self.dropout = nn.Dropout(0.1)
        self.register_buffer("pe", pe)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(x + self.pe[:, : x.size(1)])


class TutorialEncoder(nn.Module):
    """`nn.TransformerEncoder` with torch's defaults: post-norm, ReLU."""

    def __init__(self, s: Sizes, **options: object) -> None:
        super().__init__()
        self.d_model, self.embedding, self.pos_encoder = s.d, nn.Embedding(11, s.d), PositionalEncoding(s.d)
        layer = nn.TransformerEncoderLayer(s.d, s.heads, s.hidden, batch_first=True, **options)
        self.transformer_encoder = nn.TransformerEncoder(layer, s.blocks, enable_nested_tensor=False)
        self.linear = nn.Linear(s.d, 11)

    def forward(self, src: Tensor) -> Tensor:
        src = self.pos_encoder(self.embedding(src) * math.sqrt(self.d_model))
        mask = nn.Transformer.generate_square_subsequent_mask(src.size(1))
        return self.linear(self.transformer_encoder(src, mask.to(src)))


class Translator(nn.Module):
    """`nn.Transformer` as it is: encoder, decoder, cross attention."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.src, self.tgt = nn.Embedding(11, s.d), nn.Embedding(7, s.d)
        self.transformer = nn.Transformer(s.d, s.heads, 1, 1, s.hidden, batch_first=True)
        self.generator = nn.Linear(s.d, 7)

    def forward(self, src: Tensor, tgt: Tensor) -> Tensor:
        mask = self.transformer.generate_square_subsequent_mask(tgt.size(1))
        return self.generator(self.transformer(self.src(src), self.tgt(tgt), tgt_mask=mask.to(self.src.weight)))


class FTTransformer(nn.Module):
    """A table: a token for each number and each category, a CLS token in front, pre-norm blocks."""

    def __init__(self, s: Sizes, prenorm: bool = True) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(4, s.d)), nn.Parameter(torch.randn(4, s.d))
        self.categories = nn.ModuleList([nn.Embedding(c, s.d) for c in (3, 5)])
        self.cls = nn.Parameter(torch.randn(1, 1, s.d))
        layer = nn.TransformerEncoderLayer(s.d, s.heads, s.hidden, 0.1, "gelu", batch_first=True, norm_first=prenorm)
        self.encoder = nn.TransformerEncoder(layer, s.blocks, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(s.d), nn.ReLU(), nn.Linear(s.d, 2))

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        x = numbers.unsqueeze(-1) * self.weight + self.bias
        embedded = [emb(categories[:, i]) for i, emb in enumerate(self.categories)]
        x = torch.cat([self.cls.expand(len(numbers), -1, -1), x, torch.stack(embedded, dim=1)], dim=1)
        return self.head(self.encoder(x)[:, 0])


class TabTransformer(nn.Module):
    """Embedded categories through attention, then beside the normalised numbers into an MLP."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.embed = nn.Embedding(8, s.d)
        self.norm, self.attn = nn.LayerNorm(s.d), nn.MultiheadAttention(s.d, s.heads, batch_first=True)
        self.num_norm = nn.LayerNorm(4)
        self.mlp = nn.Sequential(nn.Linear(2 * s.d + 4, s.hidden), nn.SELU(), nn.Linear(s.hidden, 2))
        self.register_buffer("offsets", torch.tensor([0, 3]))

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        x = self.embed(categories + self.offsets)
        h = self.norm(x)
        x = x + self.attn(h, h, h)[0]
        return self.mlp(torch.cat([x.flatten(1), self.num_norm(numbers)], dim=1))


def _tokens(s: Sizes, high: int = 11) -> Tensor:
    return torch.randint(high, (3, s.tokens))


def _table(_: Sizes) -> tuple[Tensor, Tensor]:
    return torch.randn(3, 4), torch.stack([torch.randint(3, (3,)), torch.randint(5, (3,))], 1)


TRANSFORMERS = {
    "llama": (Llama, lambda s: (_tokens(s),)),
    "gemma-like, q and k normalised": (lambda s: Llama(s, qk_norm=True), lambda s: (_tokens(s),)),
    "llama, gate by chunk": (lambda s: Llama(s, mlp="chunk"), lambda s: (_tokens(s),)),
    "llama, gate by slices": (lambda s: Llama(s, mlp="sliced"), lambda s: (_tokens(s),)),
    "bert": (Bert, lambda s: (_tokens(s), torch.ones(3, s.tokens))),
    "tutorial encoder, post-norm": (TutorialEncoder, lambda s: (_tokens(s),)),
    "tutorial encoder, pre-norm": (lambda s: TutorialEncoder(s, norm_first=True), lambda s: (_tokens(s),)),
    "translator": (Translator, lambda s: (_tokens(s), _tokens(s, 7))),
    "ft-transformer": (FTTransformer, _table),
    "ft-transformer, post-norm": (lambda s: FTTransformer(s, prenorm=False), _table),
    "tabtransformer": (TabTransformer, _table),
}  # fmt: skip
