"""Nets for images from scratch, as people write them: each builder takes sizes, each case has inputs as well."""

from __future__ import annotations

import torch
from peoples_transformers import Sizes
from torch import Tensor, nn
from torch.nn import functional as F


class Patches(nn.Module):
    """Image to patch embeddings, as timm writes it."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, d, kernel_size=2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.num_heads, self.scale = s.heads, s.head**-0.5
        self.qkv, self.proj = nn.Linear(s.d, s.d * 3), nn.Linear(s.d, s.d)

    def forward(self, x: Tensor) -> Tensor:
        B, N, C = x.shape
        qkv = self.qkv(x).reshape(B, N, 3, self.num_heads, C // self.num_heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        attn = (q @ k.transpose(-2, -1)) * self.scale
        return self.proj((attn.softmax(dim=-1) @ v).transpose(1, 2).reshape(B, N, C))


class Block(nn.Module):
    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(s.d), Attention(s), nn.LayerNorm(s.d)
        self.mlp = nn.Sequential(nn.Linear(s.d, s.hidden), nn.GELU(), nn.Dropout(0.1), nn.Linear(s.hidden, s.d))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """A class token, learned positions, pre-norm blocks."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.patch_embed, self.pos_drop = Patches(s.d), nn.Dropout(0.1)
        self.cls_token, self.pos_embed = nn.Parameter(torch.randn(1, 1, s.d)), nn.Parameter(torch.randn(1, 17, s.d))
        self.blocks = nn.Sequential(*[Block(s) for _ in range(s.blocks)])
        self.norm, self.head = nn.LayerNorm(s.d), nn.Linear(s.d, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)
        x = self.blocks(self.pos_drop(x + self.pos_embed))
        return self.head(self.norm(x)[:, 0])


class MixerBlock(nn.Module):
    """Mixes tokens, then channels."""

    def __init__(self, s: Sizes, patches: int) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(s.d), nn.LayerNorm(s.d)
        self.tokens = nn.Sequential(nn.Linear(patches, s.hidden), nn.GELU(), nn.Linear(s.hidden, patches))
        self.channels = nn.Sequential(nn.Linear(s.d, s.hidden + 1), nn.GELU(), nn.Linear(s.hidden + 1, s.d))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.ln1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.ln2(x))


class Mixer(nn.Module):
    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.patch_embed = Patches(s.d)
        self.blocks = nn.ModuleList([MixerBlock(s, 16) for _ in range(s.blocks)])
        self.norm, self.head = nn.LayerNorm(s.d), nn.Linear(s.d, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(dim=1))


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, LayerNorm over the channels, and a layer scale."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.dwconv, self.norm = nn.Conv2d(d, d, kernel_size=7, padding=3, groups=d), nn.LayerNorm(d, eps=1e-6)
        self.pwconv1, self.act, self.pwconv2 = nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d)
        self.gamma = nn.Parameter(1e-6 * torch.ones(d))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.gamma * self.pwconv2(self.act(self.pwconv1(y)))
        return x + y.permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.stem, self.stages = nn.Conv2d(3, s.d, 2, 2), nn.Sequential(*[ConvNeXtBlock(s.d) for _ in range(s.blocks)])
        self.norm, self.head = nn.LayerNorm(s.d, eps=1e-6), nn.Linear(s.d, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.stages(self.stem(x)).mean([-2, -1])))


class GroupBlock(nn.Module):
    """conv, GroupNorm, ReLU, twice, and a shortcut where channels change."""

    def __init__(self, inputs: int, outputs: int, groups: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.GroupNorm(groups, outputs)
        self.conv2, self.norm2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.GroupNorm(groups, outputs)
        self.relu, self.shortcut = nn.ReLU(inplace=True), nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.GroupNorm(groups, outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        out += self.shortcut(x)
        return self.relu(out)


class GroupResNet(nn.Module):
    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, s.d, 3, padding=1), nn.GroupNorm(s.heads, s.d), nn.ReLU())
        self.layer1 = nn.Sequential(GroupBlock(s.d, s.d, s.heads, 1), GroupBlock(s.d, s.d, s.heads, 1))
        self.layer2 = nn.Sequential(GroupBlock(s.d, 2 * s.d, s.heads, 2))
        self.fc = nn.Linear(2 * s.d, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(self.layer1(self.stem(x)))
        x = F.avg_pool2d(x, x.size()[2:])
        return self.fc(torch.flatten(x, 1))


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Sequential(
            nn.Linear(channels, squeezed), nn.ReLU(), nn.Linear(squeezed, channels), nn.Hardsigmoid()
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        b, c, _, _ = x.size()
        return x * self.fc(self.pool(x).view(b, c)).view(b, c, 1, 1)


class InvertedResidual(nn.Module):
    """Expand, depthwise, squeeze-excite, project."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.use_res = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.Hardswish(),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.Hardswish(),
            SqueezeExcite(hidden, 4), nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.use_res else self.conv(x)


class MobileNet(nn.Module):
    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, s.d, 3, 2, 1, bias=False), nn.BatchNorm2d(s.d), nn.Hardswish()),
            InvertedResidual(s.d, s.hidden, s.d, 1), InvertedResidual(s.d, s.hidden + 2, s.d + 3, 2),
            nn.Sequential(nn.Conv2d(s.d + 3, 15, 1), nn.BatchNorm2d(15), nn.ReLU6()),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(15, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean([2, 3]))


class UNetBlock(nn.Module):
    """Two convolutions with GroupNorm, told the time, as diffusion nets have it."""

    def __init__(self, inputs: int, outputs: int, groups: int, time: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(groups, outputs)
        self.conv2, self.norm2 = nn.Conv2d(outputs, outputs, 3, padding=1), nn.GroupNorm(groups, outputs)
        self.time, self.act = nn.Linear(time, outputs), nn.SiLU()

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        h = self.act(self.norm1(self.conv1(x)))
        h = h + self.time(t)[:, :, None, None]
        return self.act(self.norm2(self.conv2(h)))


class SpatialAttention(nn.Module):
    """Over all places of the image, by 1×1 convolutions."""

    def __init__(self, s: Sizes, channels: int) -> None:
        super().__init__()
        self.heads, self.norm = s.heads, nn.GroupNorm(s.heads, channels)
        self.qkv, self.proj = nn.Conv2d(channels, channels * 3, 1), nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x))
        q, k, v = qkv.reshape(b, 3, self.heads, c // self.heads, h * w).unbind(1)
        attn = torch.softmax(q.transpose(-2, -1) @ k * (c // self.heads) ** -0.5, dim=-1)
        out = (v @ attn.transpose(-2, -1)).reshape(b, c, h, w)
        return x + self.proj(out)


class AttentionUNet(nn.Module):
    """Down, attention in the middle, up, skips joined by cat; conditioned on the time."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(1, s.hidden), nn.SiLU(), nn.Linear(s.hidden, s.hidden))
        self.down1, self.down2 = UNetBlock(3, s.d, s.heads, s.hidden), UNetBlock(s.d, 2 * s.d, s.heads, s.hidden)
        self.pool, self.attn = nn.Conv2d(s.d, s.d, 2, stride=2), SpatialAttention(s, 2 * s.d)
        self.up, self.up1 = nn.ConvTranspose2d(2 * s.d, s.d, 2, stride=2), UNetBlock(2 * s.d, s.d, s.heads, s.hidden)
        self.out = nn.Conv2d(s.d, 3, 1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        t = self.embed(t)
        x1 = self.down1(x, t)
        x2 = self.attn(self.down2(self.pool(x1), t))
        return self.out(self.up1(torch.cat([self.up(x2), x1], dim=1), t))


class Generator(nn.Module):
    """A GAN's: noise to image by transposed convolutions, BatchNorm and a pixel shuffle."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.c = s.hidden
        self.fc = nn.Linear(s.d, s.hidden * 4)
        self.body = nn.Sequential(
            nn.BatchNorm2d(s.hidden), nn.ReLU(True),
            nn.ConvTranspose2d(s.hidden, s.d, 4, 2, 1, bias=False), nn.BatchNorm2d(s.d), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(s.d, 4 * s.heads, 3, padding=1), nn.PixelShuffle(2), nn.PReLU(), nn.Conv2d(s.heads, 3, 3, padding=1),
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.body(self.fc(z).view(-1, self.c, 2, 2)))


class ConvVAE(nn.Module):
    """Mean and logarithm of the variance are two halves of one layer; what is drawn goes on."""

    def __init__(self, s: Sizes, latent: int = 4) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, s.d, 4, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(s.d * 16, s.hidden), nn.ReLU()
        )
        self.latent, self.moments = latent, nn.Linear(s.hidden, 2 * latent)
        self.enter = nn.Linear(latent, s.d * 16)
        self.decoder = nn.Sequential(
            nn.Unflatten(1, (s.d, 4, 4)), nn.ReLU(), nn.ConvTranspose2d(s.d, 3, 4, 2, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = self.moments(self.encoder(x)).chunk(2, dim=1)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.decoder(self.enter(z)), mu, logvar


class Siamese(nn.Module):
    """One encoder, two images, their distance."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(3, s.d, 3), nn.BatchNorm2d(s.d), nn.ReLU(), nn.AdaptiveMaxPool2d(2))
        self.fc = nn.Sequential(nn.Linear(s.d * 4, s.hidden), nn.ReLU(), nn.Linear(s.hidden, 7))
        self.out = nn.Linear(7, 1)

    def once(self, x: Tensor) -> Tensor:
        x = self.cnn(x)
        return self.fc(x.view(x.size(0), -1))

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return torch.sigmoid(self.out(torch.abs(self.once(one) - self.once(other))))


def window_partition(x: Tensor, window: int) -> Tensor:
    B, H, W, C = x.shape
    x = x.view(B, H // window, window, W // window, window, C)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, window, window, C)


def window_reverse(windows: Tensor, window: int, H: int, W: int) -> Tensor:
    B = int(windows.shape[0] / (H * W / window / window))
    x = windows.view(B, H // window, W // window, window, window, -1)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(B, H, W, -1)


class WindowAttention(nn.Module):
    """With a table of relative positions."""

    def __init__(self, s: Sizes, window: int) -> None:
        super().__init__()
        self.num_heads, self.scale, self.window = s.heads, s.head**-0.5, window
        self.table = nn.Parameter(torch.randn((2 * window - 1) ** 2, s.heads))
        at = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        relative = (at[:, :, None] - at[:, None, :]).permute(1, 2, 0) + window - 1
        self.register_buffer("index", relative[..., 0] * (2 * window - 1) + relative[..., 1])
        self.qkv, self.proj = nn.Linear(s.d, s.d * 3), nn.Linear(s.d, s.d)

    def forward(self, x: Tensor) -> Tensor:
        B_, N, C = x.shape
        qkv = self.qkv(x).reshape(B_, N, 3, self.num_heads, C // self.num_heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        attn = (q * self.scale) @ k.transpose(-2, -1)
        bias = self.table[self.index.view(-1)].view(N, N, -1).permute(2, 0, 1).contiguous()
        attn = (attn + bias.unsqueeze(0)).softmax(dim=-1)
        return self.proj((attn @ v).transpose(1, 2).reshape(B_, N, C))


class SwinBlock(nn.Module):
    """Attention in shifted windows."""

    def __init__(self, s: Sizes, side: int, shift: int) -> None:
        super().__init__()
        self.side, self.shift, self.window = side, shift, 2
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(s.d), WindowAttention(s, 2), nn.LayerNorm(s.d)
        self.mlp = nn.Sequential(nn.Linear(s.d, s.hidden), nn.GELU(), nn.Linear(s.hidden, s.d))

    def forward(self, x: Tensor) -> Tensor:
        B, L, C = x.shape
        assert self.side * self.side == L, "input feature has wrong size"
        y = self.norm1(x).view(B, self.side, self.side, C)
        y = torch.roll(y, shifts=(-self.shift, -self.shift), dims=(1, 2))
        windows = window_partition(y, self.window).view(-1, self.window * self.window, C)
        windows = self.attn(windows).view(-1, self.window, self.window, C)
        y = torch.roll(window_reverse(windows, self.window, self.side, self.side), (self.shift, self.shift), (1, 2))
        x = x + y.view(B, L, C)
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    """Four neighbours become one, of twice the width."""

    def __init__(self, side: int, d: int) -> None:
        super().__init__()
        self.side, self.norm, self.reduction = side, nn.LayerNorm(4 * d), nn.Linear(4 * d, 2 * d, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        B, _, C = x.shape
        x = x.view(B, self.side, self.side, C)
        x = torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)
        return self.reduction(self.norm(x.view(B, -1, 4 * C)))


class Swin(nn.Module):
    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.patch_embed, self.merge = Patches(s.d), PatchMerging(4, s.d)
        self.blocks = nn.ModuleList([SwinBlock(s, 4, shift) for shift in (0, 1)])
        self.norm, self.head = nn.LayerNorm(2 * s.d), nn.Linear(2 * s.d, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(self.merge(x)).mean(1))


def _images(_: Sizes) -> tuple[Tensor, ...]:
    return (torch.randn(3, 3, 8, 8),)


IMAGES = {
    "vit": (ViT, _images),
    "mixer": (Mixer, _images),
    "convnext": (ConvNeXt, _images),
    "resnet with groupnorm": (GroupResNet, _images),
    "mobilenet": (MobileNet, _images),
    "unet with attention": (AttentionUNet, lambda _: (torch.randn(3, 3, 8, 8), torch.rand(3, 1))),
    "gan": (Generator, lambda s: (torch.randn(3, s.d),)),
    "vae": (ConvVAE, _images),
    "siamese": (Siamese, lambda _: (torch.randn(3, 3, 8, 8), torch.randn(3, 3, 8, 8))),
    "swin": (Swin, _images),
}  # fmt: skip
