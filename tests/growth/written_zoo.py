"""Small nets as people write them: attention, norm-act layers, channel attention, dense blocks, tied weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GPTAttention(nn.Module):
    """Fused queries, keys and values, cut by `split`; sizes from attributes and from x.size()."""

    def __init__(self, n_embd: int = 8, n_head: int = 2, flash: bool = True) -> None:
        super().__init__()
        assert n_embd % n_head == 0
        self.c_attn, self.c_proj = nn.Linear(n_embd, 3 * n_embd), nn.Linear(n_embd, n_embd)
        self.n_head, self.n_embd, self.flash, self.dropout = n_head, n_embd, flash, 0.1
        self.register_buffer("mask", torch.tril(torch.ones(6, 6)).view(1, 1, 6, 6))

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(self.n_embd, dim=2)
        k = k.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        q = q.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        v = v.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        if self.flash:
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0, is_causal=True)
        else:
            att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            att = att.masked_fill(self.mask[:, :, :T, :T] == 0, float("-inf"))
            y = F.softmax(att, dim=-1) @ v
        y = y.transpose(1, 2).contiguous().view(B, T, C)
        return self.c_proj(y)


class GPTBlock(nn.Module):
    def __init__(self, d: int, flash: bool) -> None:
        super().__init__()
        self.ln_1, self.attn, self.ln_2 = nn.LayerNorm(d), GPTAttention(d, flash=flash), nn.LayerNorm(d)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(d, 12), "act": nn.GELU(), "c_proj": nn.Linear(12, d)})

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp["c_proj"](self.mlp["act"](self.mlp["c_fc"](self.ln_2(x))))


class GPT(nn.Module):
    """Embedding and head are one parameter where `tied`."""

    def __init__(self, tied: bool = False, flash: bool = True) -> None:
        super().__init__()
        self.block_size = 6
        self.wte, self.wpe, self.drop = nn.Embedding(11, 8), nn.Embedding(6, 8), nn.Dropout(0.1)
        self.h = nn.ModuleList([GPTBlock(8, flash) for _ in range(2)])
        self.ln_f, self.lm_head = nn.LayerNorm(8), nn.Linear(8, 11, bias=False)
        if tied:
            self.wte.weight = self.lm_head.weight

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> Tensor:
        device = idx.device
        _, t = idx.size()
        assert t <= self.block_size, f"a sequence of {t} is longer than {self.block_size}"
        x = self.drop(self.wte(idx) + self.wpe(torch.arange(0, t, dtype=torch.long, device=device)))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


@dataclass
class Config:
    n_embd: int = 8
    n_head: int = 2
    bias: bool = False
    vocab_size: int = 11


class Configured(nn.Module):
    """Sizes are read from a config that all modules share, in the forward."""

    def __init__(self, config: Config | dict[str, int]) -> None:
        super().__init__()
        self.config = config
        self.wte, self.blocks, self.norm, self.head = (
            nn.Embedding(11, 8),
            nn.ModuleList([ConfiguredBlock(config) for _ in range(2)]),
            nn.LayerNorm(8),
            nn.Linear(8, 11),
        )

    def forward(self, idx: Tensor) -> Tensor:
        x = self.wte(idx)
        for block in self.blocks:
            x = x + block(x)
        return self.head(self.norm(x))


class ConfiguredBlock(nn.Module):
    def __init__(self, config: Config | dict[str, int]) -> None:
        super().__init__()
        self.config, self.norm = config, nn.LayerNorm(8)
        self.c_attn, self.c_proj = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.size()
        of = self.config if isinstance(self.config, dict) else vars(self.config)
        heads, width = of["n_head"], of["n_embd"]
        q, k, v = self.c_attn(self.norm(x)).split(width, dim=2)
        q, k, v = (t.view(B, T, heads, C // heads).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, width))


class ViTAttention(nn.Module):
    """Fused and cut in five dimensions; the size of a head is an attribute."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads, self.head_dim = num_heads, dim // num_heads
        self.scale = self.head_dim**-0.5
        self.qkv, self.proj = nn.Linear(dim, dim * 3, bias=True), nn.Linear(dim, dim)
        self.attn_drop = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        B, N, C = x.shape
        qkv = self.qkv(x).reshape(B, N, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        attn = self.attn_drop(((q * self.scale) @ k.transpose(-2, -1)).softmax(dim=-1))
        return self.proj((attn @ v).transpose(1, 2).reshape(B, N, C))


class ViT(nn.Module):
    def __init__(self, scaled: bool = False) -> None:
        super().__init__()
        self.img_size, self.embed_dim = 8, 6
        self.proj = nn.Conv2d(3, 6, 4, stride=4)
        self.cls_token, self.pos_embed = nn.Parameter(torch.randn(1, 1, 6)), nn.Parameter(torch.randn(1, 5, 6))
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(6), ViTAttention(6, 2), nn.LayerNorm(6)
        self.fc1, self.fc2 = nn.Linear(6, 10), nn.Linear(10, 6)
        self.gamma = nn.Parameter(torch.randn(6)) if scaled else None
        self.norm, self.head = nn.LayerNorm(6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        B, _, H, W = x.shape
        assert H == W == self.img_size, f"an image of {H}x{W}, not {self.img_size}"
        x = self.proj(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(B, -1, -1), x), dim=1) + self.pos_embed
        x = x + self.attn(self.norm1(x))
        y = self.fc2(F.gelu(self.fc1(self.norm2(x))))
        x = x + (y if self.gamma is None else y * self.gamma.reshape(1, 1, -1))
        return self.head(self.norm(x)[:, 0])


class Separate(nn.Module):
    """Separate projections, heads as -1, grouped queries; the stream has a width of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.head_dim = 3
        self.enter, self.norm = nn.Linear(5, 8), nn.LayerNorm(8)
        self.q_proj, self.k_proj = nn.Linear(8, 12, bias=False), nn.Linear(8, 6, bias=False)
        self.v_proj, self.o_proj = nn.Linear(8, 6, bias=False), nn.Linear(12, 8, bias=False)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        h = self.norm(x)
        shape = (*h.shape[:-1], -1, self.head_dim)
        q, k, v = (proj(h).view(shape).transpose(1, 2) for proj in (self.q_proj, self.k_proj, self.v_proj))
        k, v = k.repeat_interleave(2, dim=1), v.repeat_interleave(2, dim=1)
        y = F.scaled_dot_product_attention(q, k, v)
        x = x + self.o_proj(y.transpose(1, 2).flatten(2))
        return self.head(x).mean(1)


class Unflattened(nn.Module):
    """chunk and unflatten; `enable_gqa` in place of a repeat."""

    def __init__(self) -> None:
        super().__init__()
        self.kv_heads, self.enter = 2, nn.Linear(5, 8)
        self.q, self.kv, self.out, self.head = nn.Linear(8, 12), nn.Linear(8, 12), nn.Linear(12, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.enter(x))
        k, v = self.kv(x).chunk(2, dim=-1)
        q = self.q(x).unflatten(-1, (-1, 3)).transpose(1, 2)
        k, v = (t.unflatten(-1, (self.kv_heads, -1)).transpose(1, 2) for t in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
        return self.head(x + self.out(y.transpose(1, 2).flatten(2))).mean(1)


class ScaledByStream(nn.Module):
    """Two heads, written in the code, of a size that is computed; the scale is that of the stream, and of its root."""

    def __init__(self, rms: bool = False) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(8) if rms else nn.LayerNorm(8)
        self.enter, self.qkv, self.leave, self.head = (
            nn.Linear(5, 8),
            nn.Linear(8, 24),
            nn.Linear(8, 8),
            nn.Linear(8, 2),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        b, n, c = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(b, n, 3, 2, c // 2).permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q * c**-0.25) @ k.transpose(-2, -1) / math.sqrt(math.sqrt(c))
        return self.head(x + self.leave((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, c))).mean(1)


class Expanded(nn.Module):
    """Grouped queries as Llama repeats its keys; queries and values have heads of sizes of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.groups, self.qk_dim, self.v_dim = 4, 2, 3, 5
        self.q, self.k, self.v, self.o = nn.Linear(5, 12), nn.Linear(5, 6), nn.Linear(5, 10), nn.Linear(20, 2)

    def forward(self, x: Tensor) -> Tensor:
        b, t, _ = x.shape
        q = self.q(x).view(b, t, self.heads, self.qk_dim).transpose(1, 2)
        k = self.k(x).view(b, t, self.groups, self.qk_dim).transpose(1, 2)
        v = self.v(x).view(b, t, self.groups, self.v_dim).transpose(1, 2)
        times = 2
        k = k[:, :, None].expand(-1, -1, times, -1, -1).reshape(b, 2 * times, t, -1)
        v = v[:, :, None].expand(-1, -1, times, -1, -1).reshape(b, 2 * times, t, -1)
        return self.o(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)).mean(1)


class Einsum(nn.Module):
    """Attention by letters; the same layer and norm are called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.enter, self.norm = 2, nn.Linear(5, 8), nn.LayerNorm(8)
        self.to_q, self.to_kv, self.out, self.head = nn.Linear(8, 6), nn.Linear(8, 12), nn.Linear(6, 8), nn.Linear(8, 2)

    def attend(self, x: Tensor) -> Tensor:
        q, k, v = self.to_q(x), *self.to_kv(x).chunk(2, dim=-1)
        q, k, v = (t.reshape(*t.shape[:2], self.heads, -1) for t in (q, k, v))
        scores = torch.einsum("bihd,bjhd->bhij", q, k) * q.shape[-1] ** -0.5
        return self.out(torch.einsum("bhij,bjhd->bihd", scores.softmax(-1), v).flatten(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        x = x + self.attend(self.norm(x))
        assert x.shape[-1] == self.norm.weight.shape[0]
        return self.head(torch.max(self.norm(x) + x, 1)[0])


class Twice(nn.Module):
    """A layer and a norm that are called twice each, and features counted dimension by dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv, self.norm = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.head = nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for _ in range(2):
            x = x + F.relu(self.norm(self.conv(x)))
        count = 1
        for size in x.size()[1:]:
            count *= size
        return self.head(x.view(-1, count))


class Recurrent(nn.Module):
    """An embedding, a recurrent layer, and a head that reads its answer and its last state."""

    def __init__(self, kind: str, **options: object) -> None:
        super().__init__()
        directions = 2 if options.get("bidirectional") else 1
        self.embed, self.rnn = nn.Embedding(11, 5), getattr(nn, kind)(5, 4, batch_first=True, **options)
        self.head = nn.Linear(4 * directions + 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        answers, state = self.rnn(self.embed(x))
        last = state[0] if isinstance(state, tuple) else state
        return self.head(torch.cat([answers[:, -1], last[-1]], dim=1))


class Cross(nn.Module):
    """Normalised queries look at what is not normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.norm, self.head = nn.Linear(5, 8), nn.LayerNorm(8), nn.Linear(8, 2)
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        return self.head(self.norm(x + self.attn(self.norm(x), x, x)[0])).mean(1)


class OneHead(nn.Module):
    """Scores scaled by the size of a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(5, 8), nn.Linear(5, 8), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        scores = torch.bmm(self.q(x), self.k(x).transpose(1, 2)).mul(self.q.out_features**-0.5)
        return scores.softmax(-1).bmm(self.v(x)).mean(1)


class OwnRMSNorm(nn.Module):
    """As language models write it, in float32 within."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight, self.variance_epsilon = nn.Parameter(torch.ones(features)), 1e-6

    def forward(self, x: Tensor) -> Tensor:
        kind = x.dtype
        x = x.to(torch.float32)
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        return self.weight * x.to(kind)


class Llama(nn.Module):
    """Rotated queries and keys, grouped; gated MLP; RMSNorms of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.groups, self.head_dim = 4, 2, 2
        self.embed, self.norm1, self.norm2, self.norm = nn.Embedding(11, 6), *(OwnRMSNorm(6) for _ in range(3))
        self.wq, self.wk, self.wv = (nn.Linear(6, size, bias=False) for size in (8, 4, 4))
        self.wo, self.w1, self.w2 = (
            nn.Linear(8, 6, bias=False),
            nn.Linear(6, 10, bias=False),
            nn.Linear(10, 6, bias=False),
        )
        self.w3, self.out = nn.Linear(6, 10, bias=False), nn.Linear(6, 11, bias=False)
        angles = torch.outer(torch.arange(8.0), torch.tensor([1.0, 1.0]))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def rotate(self, x: Tensor) -> Tensor:
        one, other = x.chunk(2, dim=-1)
        return x * self.cos[: x.shape[-2]] + torch.cat((-other, one), dim=-1) * self.sin[: x.shape[-2]]

    def attend(self, x: Tensor) -> Tensor:
        B, T, _ = x.shape
        q = self.wq(x).view(B, T, self.heads, self.head_dim).transpose(1, 2)
        k, v = (w(x).view(B, T, self.groups, self.head_dim).transpose(1, 2) for w in (self.wk, self.wv))
        times = self.heads // self.groups
        k, v = (torch.repeat_interleave(t, times, dim=1) for t in (self.rotate(k), v))
        y = F.scaled_dot_product_attention(self.rotate(q), k, v, is_causal=True)
        return self.wo(y.transpose(1, 2).contiguous().view(B, T, -1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        x = x + self.attend(self.norm1(x))
        h = self.norm2(x)
        return self.out(self.norm(x + self.w2(F.silu(self.w1(h)) * self.w3(h))))


class Torch(nn.Module):
    """`nn.MultiheadAttention` and `nn.TransformerEncoderLayer` as they are."""

    def __init__(self, kind: str, **options: object) -> None:
        super().__init__()
        self.enter, self.head = nn.Linear(5, 8), nn.Linear(8, 2)
        if kind == "attention":
            self.norm, self.attn = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        else:
            layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, **options)
            self.encoder = layer if kind == "layer" else nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        if self.kind == "attention":
            h = self.norm(x)
            x = x + self.attn(h, h, h, need_weights=False)[0]
        else:
            x = self.encoder(x)
        return self.head(x).mean(1)


class BatchNormAct2d(nn.BatchNorm2d):
    """A norm-act layer: the norm as a function on its own parameters, the activation behind it."""

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        assert x.ndim == 4, f"expected 4D input (got {x.ndim}D input)"
        training = self.training or (self.running_mean is None and self.running_var is None)
        x = F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, training, 0.1, self.eps)
        return self.act(x)


class LayerNorm2d(nn.LayerNorm):
    """Over the channels of (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class Conv2dSame(nn.Conv2d):
    """A convolution as a function on its own weight, behind a padding that depends on the image."""

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.size()[-2:]
        x = F.pad(x, [0, 1 if h % 2 else 0, 0, 1 if w % 2 else 0])
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class NormAct(nn.Module):
    """A residual block of norm-act layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm1, self.conv1 = (
            nn.Conv2d(2, 4, 3, padding=1),
            BatchNormAct2d(4),
            Conv2dSame(4, 6, 3, padding=1),
        )
        self.norm2, self.conv2 = BatchNormAct2d(6), nn.Conv2d(6, 4, 3, padding=1, bias=False)
        self.norm3, self.head = BatchNormAct2d(4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.conv2(self.norm2(self.conv1(self.norm1(x))))
        assert y.shape == x.shape
        x = self.norm3(x + y)
        return self.head(x.mean((2, 3)))


class ChannelNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.up, self.down = (
            nn.Conv2d(2, 4, 2, stride=2),
            LayerNorm2d(4),
            nn.Conv2d(4, 6, 1),
            nn.Conv2d(6, 4, 1),
        )
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.down(F.silu(self.up(self.norm(x))))
        return self.head(torch.max(x.flatten(2), 2)[0])


class SE(nn.Module):
    """Squeeze and excite with views, and a mask that expand_as spreads."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.act = nn.Conv2d(2, 6, 3), nn.ReLU()
        self.fc = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 6), nn.Sigmoid())
        self.last, self.head = nn.Conv2d(6, 5, 1), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.stem(x))
        b, c, _, _ = x.size()
        y = F.adaptive_avg_pool2d(x, 1).view(b, c)
        x = x * self.fc(y).view(b, c, 1, 1).expand_as(x)
        x = torch.roll(self.last(x), shifts=(1, 1), dims=(2, 3))
        return self.head(F.dropout(x, 0.1, self.training).flatten(2).mean(-1))


class DenseLayer(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm1, self.relu1, self.conv1 = (
            nn.BatchNorm2d(inputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(inputs, 6, 1, bias=False),
        )
        self.norm2, self.relu2, self.conv2 = (
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.Conv2d(6, 3, 3, padding=1, bias=False),
        )

    def forward(self, inputs: Tensor | list[Tensor]) -> Tensor:
        previous = [inputs] if isinstance(inputs, Tensor) else inputs
        y = self.conv1(self.relu1(self.norm1(torch.cat(previous, 1))))
        return self.conv2(self.relu2(self.norm2(y)))


class DenseBlock(nn.ModuleDict):
    def __init__(self) -> None:
        super().__init__(
            {"conv0": nn.Conv2d(2, 4, 3), "one": DenseLayer(4), "two": DenseLayer(7), "head": nn.Linear(10, 2)}
        )

    def forward(self, x: Tensor) -> Tensor:
        features = [self["conv0"](x)]
        for name in ("one", "two"):
            features.append(self[name](features))
        return self["head"](torch.cat(features, 1).mean((2, 3)))


class Window(nn.Module):
    """Window partition and its reverse, with the channels read off the shape."""

    def __init__(self) -> None:
        super().__init__()
        self.window, self.stem, self.norm, self.mix, self.head = (
            2,
            nn.Conv2d(2, 4, 1),
            nn.LayerNorm(4),
            nn.Linear(4, 4),
            nn.Linear(4, 2),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).permute(0, 2, 3, 1)
        B, H, W, C = x.shape
        w = self.window
        assert H % w == 0, f"{H} is not a multiple of the window"
        y = self.norm(x).view(B, H // w, w, W // w, w, C).permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, w * w, C)
        y = self.mix(y).view(-1, w, w, C)
        y = y.view(B, H // w, W // w, w, w, -1).permute(0, 1, 3, 2, 4, 5).contiguous().view(B, H, W, -1)
        return self.head((x + y).mean((1, 2)))


@dataclass(frozen=True)
class Written:
    """`widths`: the sites that grow exactly, with their sizes and units, `inner` those of heads whose number grows too;
    `refused`: name → a part of the reason.
    """

    build: Callable[[], nn.Module]
    example: tuple[int, ...]
    widths: dict[str, tuple[int, int]]
    refused: dict[str, str] = field(default_factory=dict)
    tokens: int = 0
    inner: dict[str, tuple[int, int]] = field(default_factory=dict)


WRITTEN: dict[str, Written] = {
    "gpt": Written(GPT, (3, 5), {"wte": (8, 4), "h.0.mlp.c_fc": (12, 1), "h.1.mlp.c_fc": (12, 1)}, tokens=11, inner={"wte[inner]": (8, 2)}),
    "gpt by hand": Written(lambda: GPT(flash=False), (3, 5), {"wte": (8, 4), "h.0.mlp.c_fc": (12, 1), "h.1.mlp.c_fc": (12, 1)}, tokens=11, inner={"wte[inner]": (8, 2)}),
    "gpt tied": Written(lambda: GPT(tied=True), (3, 5), {"wte": (8, 4), "h.0.mlp.c_fc": (12, 1), "h.1.mlp.c_fc": (12, 1)}, tokens=11, inner={"wte[inner]": (8, 2)}),
    "config": Written(lambda: Configured(Config()), (3, 5), {"wte": (8, 4)}, tokens=11, inner={"wte[inner]": (8, 2)}),
    "config, a dict": Written(lambda: Configured({"n_embd": 8, "n_head": 2}), (3, 5), {"wte": (8, 4)}, tokens=11, inner={"wte[inner]": (8, 2)}),
    "vit": Written(ViT, (3, 3, 8, 8), {"proj": (6, 3), "fc1": (10, 1)}, inner={"proj[inner]": (6, 2)}),
    "vit with a layer scale": Written(lambda: ViT(scaled=True), (3, 3, 8, 8), {"proj": (6, 3), "fc1": (10, 1)}, inner={"proj[inner]": (6, 2)}),
    "separate": Written(Separate, (3, 4, 5), {"enter": (8, 1), "q_proj": (12, 6)}, inner={"q_proj[inner]": (6, 2)}),
    "unflattened": Written(Unflattened, (3, 4, 5), {"enter": (8, 1), "kv": (6, 3)}),
    "scaled by the stream": Written(ScaledByStream, (3, 4, 5), {"enter": (8, 2)}),
    "scaled, rms": Written(lambda: ScaledByStream(rms=True), (3, 4, 5), {"enter": (8, 2)}),
    "expanded": Written(Expanded, (3, 4, 5), {"q": (6, 2), "v": (10, 2)}),
    "llama": Written(Llama, (3, 5), {"embed": (6, 1), "wq": (8, 4), "w1": (10, 1)}, tokens=11),
    "einsum": Written(Einsum, (3, 4, 5), {"enter": (8, 1), "to_q": (6, 3)}, inner={"to_q[inner]": (6, 2)}),
    "twice": Written(Twice, (3, 2, 6, 6), {"stem": (4, 1)}),
    "lstm": Written(lambda: Recurrent("LSTM", num_layers=2, bidirectional=True), (3, 6), {"embed": (5, 1), "rnn": (4, 1)}, tokens=11),
    "gru": Written(lambda: Recurrent("GRU", num_layers=2, dropout=0.2), (3, 6), {"embed": (5, 1), "rnn": (4, 1)}, tokens=11),
    "rnn": Written(lambda: Recurrent("RNN", bias=False), (3, 6), {"embed": (5, 1), "rnn": (4, 1)}, tokens=11),
    "cross": Written(Cross, (3, 4, 5), {"enter": (8, 4)}, inner={"enter[inner]": (8, 2)}),
    "one head": Written(OneHead, (3, 4, 5), {"q": (8, 1)}),
    "attention": Written(lambda: Torch("attention"), (3, 4, 5), {"enter": (8, 4)}, inner={"enter[inner]": (8, 2)}),
    "encoder layer": Written(lambda: Torch("layer"), (3, 4, 5), {"encoder.linear1": (12, 1)}, {"enter": "only a multiple of 8"}),
    "pre-norm layer": Written(lambda: Torch("layer", norm_first=True, activation="gelu"), (3, 4, 5), {"enter": (8, 4), "encoder.linear1": (12, 1)}, inner={"enter[inner]": (8, 2)}),
    "encoder": Written(lambda: Torch("encoder"), (3, 4, 5), {"encoder.layers.0.linear1": (12, 1), "encoder.layers.1.linear1": (12, 1)}, {"enter": "only a multiple of 8"}),
    "norm-act": Written(NormAct, (3, 2, 6, 6), {"stem": (4, 1), "conv1": (6, 1)}),
    "channel norm": Written(ChannelNorm, (3, 2, 6, 6), {"stem": (4, 1), "up": (6, 1)}),
    "squeeze-excite": Written(SE, (3, 2, 5, 5), {"stem": (6, 1), "fc.0": (4, 1), "last": (5, 1)}),
    "dense": Written(DenseBlock, (3, 2, 6, 6), {"conv0": (4, 1), "one.conv1": (6, 1), "one.conv2": (3, 1), "two.conv1": (6, 1), "two.conv2": (3, 1)}),
    "window": Written(Window, (3, 2, 4, 4), {"stem": (4, 1)}),
}  # fmt: skip
