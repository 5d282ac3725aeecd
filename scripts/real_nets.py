"""The growth engine on nets nobody here wrote: how many widths and places it finds, how many grow exactly,
and why others are refused.

    python scripts/real_nets.py [vgg11_bn resnet18 mobilenet_v2 convnext_tiny mixer_b16_224 dense]

Any name of torchvision's or timm's; needs them beside a torch they were built for. Random weights, float64. Each width
is grown by half on a copy of its own, each place gets a layer on a copy of its own, and the net's receipt is read. A
growth that is not exact raises, so "grew" means: eval mode, and train mode where there is a norm, changed by no more
than the promise.
"""

from __future__ import annotations

import copy
import importlib
import sys
import time
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor, nn

from autogrow.errors import AutogrowError
from autogrow.growth import deepen, growth_sites, widen

IMAGES = (2, 3, 64, 64)


def build(name: str) -> tuple[nn.Module, Tensor]:
    generator = torch.Generator().manual_seed(0)
    if name == "dense":
        net = nn.Sequential(
            nn.Linear(30, 100), nn.ReLU(), nn.Dropout(0.2), nn.Linear(100, 50), nn.GELU(), nn.Linear(50, 2)
        )
        return net, torch.randn(8, 30, generator=generator)
    images = torch.randn(IMAGES, generator=generator)
    models = importlib.import_module("torchvision.models")
    if name in vars(models):
        return getattr(models, name)(weights=None), images
    sized = {"img_size": IMAGES[-1]} if name.startswith(("mixer", "vit", "deit")) else {}
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
    grown = copy.deepcopy(net)
    try:
        receipt = grow(grown).receipt
    except AutogrowError as error:
        return None, str(error)
    return max(receipt.max_abs_change, receipt.max_abs_change_train or 0.0), ""


def reason(text: str) -> str:
    """The reason without the names, so that the same reason counts as one."""
    return " ".join("…" if word.startswith(("'", '"')) else word for word in text.split())[:150]


def report(name: str) -> None:
    net, example = build(name)
    net = spread(net.double().eval())
    example = example.double()
    start = time.perf_counter()
    sites = growth_sites(net, example)
    seconds = time.perf_counter() - start
    print(f"\n{name}: {sum(p.numel() for p in net.parameters()):,} parameters, traced in {seconds:.2f} s")
    refused: Counter[str] = Counter(reason(why) for why in sites.refused.values())
    for kind, places in (("widths", sites.widths), ("places for a layer", sites.depths)):
        largest, grew = 0.0, 0
        for place in places:
            if kind == "widths":
                site = sites.widths[place]
                more = site.size + max(1, site.units // 2) * site.unit
                change, why = attempt(net, lambda copied, p=place, w=more: widen(copied, p, w, example=example))
            else:
                change, why = attempt(net, lambda copied, p=place: deepen(copied, p, example=example))
            if change is None:
                refused[reason(why)] += 1
                continue
            grew, largest = grew + 1, max(largest, change)
        print(f"  {kind}: {len(places)} found, {grew} grew exactly (largest change {largest:.1e})")
    for why, count in refused.most_common():
        print(f"  refused {count}×: {why}")


if __name__ == "__main__":
    for chosen in sys.argv[1:] or ["vgg11_bn", "resnet18", "mobilenet_v2", "convnext_tiny", "mixer_b16_224", "dense"]:
        report(chosen)
