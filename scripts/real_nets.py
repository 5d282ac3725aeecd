"""The growth engine on nets nobody here wrote: how many widths and places it finds, how many of them grow exactly when
they are tried, and why others are refused.

    python scripts/real_nets.py [NAME …] [tries=6] [out=FILE.md]

Any name of torchvision's or timm's (they need a torch they were built for), `unet` or `dense`. Random weights, random
norms, float64. Up to `tries` widths, spread over the net, are grown by half on a copy each, as many of those that grow
by whole multiples alone are doubled, and as many places get a layer or block; the net's receipt is read. A growth that
is not exact raises, so "exact" means: in eval mode, and in train mode where there is a norm, the output changed by no
more than the promise.
"""

from __future__ import annotations

import copy
import importlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from autogrow.errors import AutogrowError
from autogrow.growth import deepen, growth_sites, widen

PIXELS = 64
NETS = (
    "resnet18 resnet50 resnetv2_50 convnext_atto vit_tiny_patch16_224 swin_t mobilenet_v2 mobilenetv3_small_100 "
    "efficientnet_lite0 repvgg_a0 densenet121 regnety_002 mixer_s16_224 unet dense"
)


@dataclass(frozen=True)
class Row:
    """One net's line of the table: what was found, what was tried and exact, and what stands in the way, how often."""

    name: str
    parameters: int
    seconds: float
    found: tuple[int, ...]
    tried: tuple[int, ...]
    exact: tuple[int, ...]
    largest: float
    refused: Counter[str]

    def __str__(self) -> str:
        cells = (f"{f} ({e} of {t})" if f else "—" for f, t, e in zip(self.found, self.tried, self.exact, strict=True))
        why = "; ".join(f"{count} × {text}" for text, count in self.refused.most_common(4))
        return (
            f"| {self.name} | {self.parameters / 1e6:.1f} M | {self.seconds:.1f} s | {' | '.join(cells)} | "
            f"{self.largest:.0e} | {sum(self.refused.values())} | {why} |"
        )


HEAD = (
    "| net | parameters | traced in | widths (exact of tried) | by multiples alone (×2 exact of tried) | "
    "places (exact of tried) | largest change | refused | why |\n|---|---|---|---|---|---|---|---|---|"
)


class UNet(nn.Module):
    """Down, up, and the skips joined by cat."""

    def __init__(self, base: int = 8) -> None:
        super().__init__()
        sizes = [base, 2 * base, 4 * base]
        self.down = nn.ModuleList(_double(i, o) for i, o in zip([3, *sizes], sizes, strict=False))
        self.up = nn.ModuleList(nn.ConvTranspose2d(o, i, 2, stride=2) for i, o in pairwise(sizes))
        self.join = nn.ModuleList(_double(2 * size, size) for size in sizes[:-1])
        self.pool, self.head = nn.MaxPool2d(2), nn.Conv2d(base, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, 2, H, W)."""
        skips: list[Tensor] = []
        for block in self.down:
            x = block(self.pool(x) if skips else x)
            skips.append(x)
        for up, join, skip in reversed(list(zip(self.up, self.join, skips, strict=False))):
            x = join(torch.cat([skip, up(x)], dim=1))
        return self.head(x)


def _double(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in (inputs, outputs):
        layers += [nn.Conv2d(i, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def build(name: str) -> tuple[nn.Module, Tensor]:
    """A net with random weights, and an input for it."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    images = torch.randn(2, 3, PIXELS, PIXELS, generator=generator)
    if name == "dense":
        net = nn.Sequential(
            nn.Linear(30, 100), nn.ReLU(), nn.Dropout(0.2), nn.Linear(100, 50), nn.GELU(), nn.Linear(50, 2)
        )
        return net, torch.randn(8, 30, generator=generator)
    if name == "unet":
        return UNet(), images
    models = importlib.import_module("torchvision.models")
    if name in vars(models):
        sized = {"image_size": PIXELS} if name.startswith("vit") else {}
        return getattr(models, name)(weights=None, **sized), images
    sized = {"img_size": PIXELS} if name.startswith(("mixer", "vit", "deit", "swin")) else {}
    return importlib.import_module("timm").create_model(name, num_classes=10, **sized), images


def spread(net: nn.Module) -> nn.Module:
    """Random norms, so that a wrong map over them shows."""
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.LayerNorm) and module.weight is not None:
            with torch.no_grad():
                module.weight.add_(0.3 * torch.randn(module.weight.shape, generator=generator))
                module.bias.add_(0.3 * torch.randn(module.bias.shape, generator=generator))
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.add_(0.3 * torch.randn(module.running_mean.shape, generator=generator))
                module.running_var.mul_(0.5 + torch.rand(module.running_var.shape, generator=generator))
    return net


def attempt(net: nn.Module, grow: Callable[[nn.Module], object]) -> tuple[float | None, str]:
    """The change that a growth of a copy made, or why it was refused."""
    grown = copy.deepcopy(net)
    try:
        receipt = grow(grown).receipt
    except AutogrowError as error:
        return None, str(error)
    return max(receipt.max_abs_change, receipt.max_abs_change_train or 0.0), ""


def chosen(places: Sequence[str], tries: int) -> list[str]:
    """As many places as are tried, spread from the first to the last."""
    if len(places) <= tries:
        return list(places)
    return [places[i * (len(places) - 1) // (tries - 1)] for i in range(tries)]


def reason(text: str) -> str:
    """The reason without the names, so that the same reason counts as one."""
    return " ".join("…" if word.startswith(("'", '"')) else word for word in text.split())[:150].replace("|", "/")


def measure(name: str, tries: int) -> Row:
    """Find a net's widths and places, and try some of each."""
    net, example = build(name)
    net = spread(net.double().eval())
    example = example.double()
    start = time.perf_counter()
    sites = growth_sites(net, example)
    seconds = time.perf_counter() - start
    by_copies = {name: site for name, site in sites.fixed.items() if site.refused is None}
    refused: Counter[str] = Counter(reason(why) for name, why in sites.refused.items() if name not in by_copies)
    widths = {**sites.widths, **sites.inner}
    found = {"widths": widths, "multiples": by_copies, "places": sites.depths}
    tried, exact, largest = dict.fromkeys(found, 0), dict.fromkeys(found, 0), 0.0
    for kind, places in found.items():
        for place in chosen(list(places), tries):
            tried[kind] += 1
            if kind == "places":
                change, why = attempt(net, lambda copied, p=place: deepen(copied, p, example=example))
            else:
                site = places[place]
                more = site.size + (max(1, site.units // 2) * site.unit if kind == "widths" else site.size)
                change, why = attempt(net, lambda copied, p=place, w=more: widen(copied, p, w, example=example))
            if change is None:
                refused[reason(why)] += 1
                continue
            exact[kind], largest = exact[kind] + 1, max(largest, change)
    parameters = sum(p.numel() for p in net.parameters())
    counts = tuple(len(places) for places in found.values())
    return Row(name, parameters, seconds, counts, (*tried.values(),), (*exact.values(),), largest, refused)


def main(arguments: Sequence[str]) -> None:
    """Print the table, a line as each net is done; `out` holds it as well."""
    options = dict(a.split("=", 1) for a in arguments if "=" in a)
    lines = [HEAD]
    print(HEAD)
    for name in [a for a in arguments if "=" not in a] or NETS.split():
        lines.append(str(measure(name, int(options.get("tries", 6)))))
        print(lines[-1], flush=True)
        if "out" in options:
            Path(options["out"]).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
