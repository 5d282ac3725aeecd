"""Small nets of every topology that growth claims to handle, and what in them is a width.

Each entry: a builder taking an activation class, an example's shape (or a tensor) and {site: size}.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autogrow.nets import DenseNet

Act = Callable[[], nn.Module]


class Residual(nn.Module):
    """A stream that three layers write and four read."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self.stem = nn.Linear(5, 8)
        self.a, self.b = nn.Linear(8, 6), nn.Linear(6, 8)
        self.c = nn.Linear(8, 8)
        self.norm = nn.BatchNorm1d(8)
        self.act_a, self.act_c = act(), act()
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.b(self.act_a(self.a(x)))
        x = x + self.act_c(self.c(self.norm(x)))
        return self.head(x)


class Concat(nn.Module):
    """Two branches side by side, one of them the input itself, and two answers."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(5, 4), nn.Linear(5, 6)
        self.norm = nn.BatchNorm1d(15)
        self.act = act()
        self.one, self.two = nn.Linear(15, 2), nn.Linear(15, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.act(self.norm(torch.cat([self.left(x), x, self.right(x)], dim=1)))
        return self.one(h), self.two(h)


class SmallConv(nn.Module):
    """conv → BatchNorm → pool → flatten → linear, with strides, padding, dilation."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), act(), nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3, stride=2, padding=2, dilation=2), act(), nn.AvgPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Dropout(0.3), nn.Linear(6, 7), act(), nn.Linear(7, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.features(x), 1))


class FlattenBlocks(nn.Module):
    """A channel takes 4 neighbouring inputs of the linear layer behind flatten."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(2, 3, 3), act()
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.conv(x))
        return self.head(x.view(x.size(0), -1))


class Inverted(nn.Module):
    """Expansion, depthwise, squeeze-and-excite, projection: what MobileNet and EfficientNet are made of."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self.expand, self.n1 = nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8)
        self.depth, self.n2 = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8)
        self.pool, self.fc1, self.fc2 = nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)
        self.project, self.act1, self.act2, self.act3 = nn.Conv2d(8, 3, 1), act(), act(), act()
        self.gate = nn.Sigmoid()
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.act2(self.n2(self.depth(self.act1(self.n1(self.expand(x))))))
        h = h * self.gate(self.fc2(self.act3(self.fc1(self.pool(h)))))
        return self.head((x + self.project(h)).mean((2, 3)))


class Grouped(nn.Module):
    """Grouped convolution and group norm with another number of groups: units are groups of channels."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self.stem, self.grouped = nn.Conv1d(2, 12, 3), nn.Conv1d(12, 24, 3, groups=6)
        self.norm, self.act = nn.GroupNorm(4, 24), act()
        self.head = nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.norm(self.grouped(self.stem(x)))).amax(-1))


class Gated(nn.Module):
    """Chunked gates: one layer writes two widths that must stay one."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self.both, self.act, self.more = nn.Linear(5, 12), act(), nn.Linear(6, 8)
        self.glu, self.head = nn.GLU(dim=-1), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.both(x).chunk(2, dim=-1)
        return self.head(self.glu(self.more(a * self.act(b))))


class Mixer(nn.Module):
    """Token and channel mixing in turns: MLP-Mixer without its LayerNorms' trouble."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 6, 2, stride=2)
        self.tokens = nn.Sequential(nn.Linear(4, 5), act(), nn.Linear(5, 4))
        self.norm = nn.LayerNorm(6)
        self.channels = nn.Sequential(nn.Linear(6, 9), act(), nn.Dropout(0.1), nn.Linear(9, 6))
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.norm(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.norm(x))
        return self.head(x.mean(dim=1))


class Convnext(nn.Module):
    """Channels last in the middle, a layer scale, stochastic depth left out."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self.stem, self.depth = nn.Conv2d(2, 4, 2, stride=2), nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.norm, self.up, self.act, self.down = nn.LayerNorm(4), nn.Linear(4, 10), act(), nn.Linear(10, 4)
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        h = self.down(self.act(self.up(self.norm(self.depth(x).permute(0, 2, 3, 1)))))
        return self.head((x + self.scale * h.permute(0, 3, 1, 2)).mean([2, 3]))


class TokenStream(nn.Module):
    """A pre-norm stream: embedding and position written, LayerNorm in front of every reader but the last sum."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self.embed, self.position = nn.Embedding(11, 6), nn.Parameter(torch.randn(4, 6))
        self.n1, self.up, self.act, self.down = nn.LayerNorm(6), nn.Linear(6, 8), act(), nn.Linear(8, 6)
        self.n2, self.head = nn.LayerNorm(6), nn.Linear(6, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.position
        x = x + self.down(self.act(self.up(self.n1(x))))
        return self.head(self.n2(x)).mean(1)


class Shared(nn.Module):
    """One encoder called twice, and a layer that reads what it wrote."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(5, 7), act(), nn.Linear(7, 6))
        self.again, self.act, self.head = nn.Linear(6, 6), act(), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.encoder(x) - self.encoder(x.flip(0))
        return self.head(self.act(self.again(self.act(self.again(h)))))


class Functional(nn.Module):
    """Activations as functions, PReLU with a slope per channel, a transposed convolution, keyword arguments."""

    def __init__(self, _act: Act) -> None:
        super().__init__()
        self.down, self.slope = nn.Conv1d(2, 6, 4, stride=2), nn.PReLU(6)
        self.up, self.head = nn.ConvTranspose1d(6, 4, 4, stride=2), nn.Conv1d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = F.gelu(self.up(self.slope(self.down(x))), approximate="tanh")
        return self.head(F.max_pool1d(torch.clamp(h, min=-1.0), 2)).squeeze(0)


class Rearranged(nn.Module):
    """Padding, resizing, stacking, a class token, squeezes and reshapes by -1: none of them mixes the channels."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self.one, self.two, self.act = nn.Conv2d(2, 4, 3), nn.Conv2d(2, 4, 3), act()
        self.token, self.mix = nn.Parameter(torch.randn(1, 1, 4)), nn.Linear(4, 5)
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.stack([F.pad(self.one(x), (1, 1, 1, 1)), F.pad(self.two(x), [1, 1, 1, 1], value=0.5)], dim=1)
        x = F.interpolate(both.mean(1), scale_factor=0.5).unsqueeze(-1).squeeze(-1)
        x = x.reshape(x.shape[0], x.shape[1], -1).permute(0, 2, 1)
        x = torch.cat((self.token.expand(x.size(0), -1, -1), x), dim=1)
        x = self.act(self.mix(x[:, 1:]) * self.mix(x[:, :1]).expand(-1, x.size(1) - 1, -1))
        return self.head(x[..., None, :].swapaxes(-1, -2).transpose(2, 3).flatten(2).sum(dim=1))


class TwoInputs(nn.Module):
    """Two arguments, one of them with a default, and an answer in a dictionary."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self.left, self.right, self.act, self.head = nn.Linear(5, 6), nn.Linear(5, 6), act(), nn.Linear(6, 2)

    def forward(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        y = x if y is None else y
        return {"logits": self.head(torch.maximum(self.act(self.left(x)), 0.5 * self.right(y) + 1) / 2)}


@dataclass(frozen=True)
class Case:
    build: Callable[[Act], nn.Module]
    example: tuple[int, ...]
    widths: dict[str, int]
    tokens: int = 0  # > 0: the example is made of integers below it


CASES: dict[str, Case] = {
    "plain": Case(lambda a: nn.Sequential(nn.Linear(5, 7), a(), nn.Linear(7, 6), a(), nn.Linear(6, 3)), (9, 5), {"0": 7, "2": 6}),
    "residual": Case(Residual, (9, 5), {"stem": 8, "a": 6}),
    "concat": Case(Concat, (9, 5), {"left": 4, "right": 6}),
    "conv": Case(SmallConv, (4, 2, 10, 10), {"features.0": 4, "features.4": 6, "classifier.1": 7}),
    "flatten": Case(FlattenBlocks, (4, 2, 4, 4), {"conv": 3}),
    "inverted": Case(Inverted, (4, 3, 5, 5), {"expand": 8, "fc1": 2}),
    "grouped": Case(Grouped, (4, 2, 9), {"stem": 12}),
    "gated": Case(Gated, (9, 5), {"both": 6, "more": 4}),
    "mixer": Case(Mixer, (4, 3, 4, 4), {"tokens.0": 5, "channels.0": 9}),
    "convnext": Case(Convnext, (4, 2, 6, 6), {"up": 10}),
    "stream": Case(TokenStream, (5, 4), {"embed": 6, "up": 8}, tokens=11),
    "shared": Case(Shared, (9, 5), {"encoder.0": 7, "encoder.2": 6}),
    "functional": Case(Functional, (4, 2, 10), {"down": 6, "up": 4}),
    "rearranged": Case(Rearranged, (4, 2, 6, 6), {"one": 4, "mix": 5}),
    "two_inputs": Case(TwoInputs, (9, 5), {"left": 6}),
    "dense_batch": Case(lambda _: DenseNet(5, [6, 6], 3, norm="batch", residual=True), (9, 5), {"hidden.0.linear": 6}),
    "members": Case(lambda _: DenseNet(5, [6, 7], 3, members=2), (2, 9, 5), {"hidden.0.linear": 6, "hidden.1.linear": 7}),
    "rms": Case(lambda _: DenseNet(5, [6, 7], 3, norm="rms", members=2), (2, 9, 5), {"hidden.0.linear": 6, "hidden.1.linear": 7}),
    "images": Case(lambda _: DenseNet((2, 3, 3), [6], 3, dropout=0.2), (9, 2, 3, 3), {"hidden.0.linear": 6}),
}  # fmt: skip

ACTS: dict[str, Act] = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "selu": nn.SELU}


def make(case: str, act: str = "relu", seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Tensor]:
    """A net with weights, biases and norm statistics far from their defaults, and an example."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = CASES[case].build(ACTS[act]).to(dtype)
    unsettle(net, generator)
    if CASES[case].tokens:
        return net, torch.randint(CASES[case].tokens, CASES[case].example, generator=generator)
    return net, torch.randn(CASES[case].example, generator=generator).to(dtype)


def unsettle(net: nn.Module, generator: torch.Generator) -> None:
    """Norm weights, biases and statistics that are not what they were initialised to."""
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim == 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5 + 0.7)
        for name, buffer in net.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator))
            if name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)


def answers(net: nn.Module, x: Tensor) -> list[Tensor]:
    """All tensors a net answers with."""
    out = net(x)
    if isinstance(out, dict):
        return list(out.values())
    return list(out) if isinstance(out, tuple) else [out]
