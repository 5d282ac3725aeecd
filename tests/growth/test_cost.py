"""The law of cost: equal to what FlopCounterMode counts of a real forward and backward pass."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from autogrow.errors import GrowthError
from autogrow.growth import deepen, growth_sites, widen
from autogrow.growth.cost import cost, dry_run
from autogrow.nets.conv import ConvNet
from autogrow.nets.dense import DenseNet


class Tower(nn.Module):
    """Two branches, a skip, a functional product and an embedding: what hooks on layers would miss."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.left, self.right = nn.Linear(6, 8), nn.Linear(6, 8, bias=False)
        self.matrix = nn.Parameter(torch.randn(8, 5))
        self.table = nn.Buffer(torch.randn(5, 4))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.embed(x)
        return {"out": (self.left(h).relu() + self.right(h)) @ self.matrix @ self.table}


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.out(torch.softmax(q @ k.transpose(1, 2), -1) @ v)


def _frozen_first() -> nn.Module:
    net = nn.Sequential(nn.Linear(7, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    net[0].requires_grad_(False)
    return net


IMAGE = torch.randn(4, 6, 9, 9)
CASES = {
    "dense": (DenseNet(7, [16, 8], 3, norm="batch", dropout=0.5), torch.randn(4, 7)),
    "residual": (DenseNet(7, [8, 8], 3, norm="layer", residual=True), torch.randn(4, 7)),
    "images": (DenseNet((6, 9, 9), [8], 3), IMAGE),
    "members": (DenseNet(7, [16, 8], 3, members=3), torch.randn(3, 4, 7)),
    "no hidden layer": (nn.Linear(7, 3), torch.randn(4, 7)),
    "sequence": (nn.Sequential(nn.Linear(7, 5), nn.GELU(), nn.Linear(5, 5)), torch.randn(4, 6, 7)),
    "frozen first layer": (_frozen_first(), torch.randn(4, 7)),
    "all frozen": (nn.Sequential(nn.Linear(7, 5), nn.Linear(5, 2)).requires_grad_(False), torch.randn(4, 7)),
    "conv": (nn.Sequential(nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3)), IMAGE),
    "transposed": (nn.Sequential(nn.Conv2d(6, 8, 3), nn.ConvTranspose2d(8, 4, 3, stride=2)), IMAGE),
    "conv1d": (nn.Sequential(nn.Conv1d(9, 5, 3), nn.Flatten(), nn.Linear(35, 2)), torch.randn(4, 9, 9)),
    "tower": (Tower(), torch.randint(0, 11, (4,))),
    "attention": (Attention(), torch.randn(4, 5, 8)),
}


def _counted(net: nn.Module, example: Tensor) -> tuple[int, int]:
    with FlopCounterMode(display=False) as forward:
        out = net(example)
    with FlopCounterMode(display=False) as both:
        out = net(example)
        out = out["out"] if isinstance(out, dict) else out
        if out.requires_grad:
            out.sum().backward()
    return forward.get_total_flops(), both.get_total_flops()


@pytest.mark.parametrize("name", CASES)
def test_cost_equals_flop_counter(name):
    net, example = CASES[name]
    batch = example.shape[1 if name == "members" else 0]
    forward, both = _counted(net, example)
    found = cost(net, example)
    assert (found.flops_per_sample * batch, found.train_flops_per_sample * batch) == (forward, both)
    assert found.parameters == sum(p.numel() for p in net.parameters() if p.requires_grad)
    assert cost(net, example[:, :1] if name == "members" else example[:1]) == found


class PerGroup(nn.Module):
    """A grouped convolution as one convolution per group."""

    def __init__(self, channels: int, out: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.parts = nn.ModuleList(nn.Conv2d(channels // groups, out // groups, 3) for _ in range(groups))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([part(c) for part, c in zip(self.parts, x.chunk(self.groups, 1), strict=True)], 1)


@pytest.mark.parametrize("groups", [2, 3, 6], ids=["two", "three", "depthwise"])
def test_grouped_convolution_costs_its_groups(groups):
    # FlopCounterMode charges a grouped convolution's weight gradient `groups` times over, so the groups are written out
    stem = nn.Conv2d(6, 6, 1)
    grouped = cost(nn.Sequential(stem, nn.Conv2d(6, 12, 3, groups=groups)), IMAGE)
    written_out = _counted(nn.Sequential(stem, PerGroup(6, 12, groups)), IMAGE)
    assert (4 * grouped.flops_per_sample, 4 * grouped.train_flops_per_sample) == written_out


def test_training_costs_three_forwards_less_the_first_input_gradient():
    found = cost(DenseNet(784, [100, 50], 10), torch.zeros(2, 784))
    assert found.train_flops_per_sample == 3 * found.flops_per_sample - 2 * 784 * 100


def test_cost_leaves_everything_as_it_was():
    net = DenseNet(5, [8], 2, norm="batch", dropout=0.5).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    random = torch.get_rng_state()
    with torch.inference_mode():
        found = cost(net, torch.randn(6, 5, generator=torch.Generator()))
    assert found == cost(net, torch.zeros(6, 5))
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert net.training
    assert all(p.grad is None for p in net.parameters())


GROWABLE = {
    "dense": (lambda: DenseNet(7, [16, 8], 3, norm="batch", dropout=0.5), torch.randn(4, 7)),
    "layer norm": (lambda: DenseNet(7, [8, 8], 3, norm="layer"), torch.randn(4, 7)),
    "residual": (lambda: DenseNet(7, [8, 8, 8], 3, residual=True), torch.randn(4, 7)),
    "members": (lambda: DenseNet(7, [16, 8], 3, members=3), torch.randn(3, 4, 7)),
    "conv": (lambda: ConvNet((6, 9, 9), [4, 6, 8], 3), IMAGE),
    "flattened": (
        lambda: nn.Sequential(nn.Conv2d(6, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)),
        IMAGE,
    ),
    "depthwise": (
        lambda: nn.Sequential(nn.Conv2d(6, 8, 1), nn.Conv2d(8, 8, 3, groups=8), nn.ReLU(), nn.Conv2d(8, 4, 1)),
        IMAGE,
    ),
}


@pytest.mark.parametrize("name", GROWABLE)
def test_a_dry_run_costs_what_the_growth_will(name):
    build, example = GROWABLE[name]
    net = build()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    sites = growth_sites(net, example)
    assert sites.widths
    actions = [{"do": "widen", "widths": {n: 2 * site.size}} for n, site in sites.widths.items()]
    actions.append({"do": "widen", "widths": {n: 3 * site.size for n, site in sites.widths.items()}})
    actions += [{"do": "deepen", "after": n, "kind": kind} for n, site in sites.depths.items() for kind in site.kinds]
    for action in actions:
        foreseen = dry_run(net, example, action)
        assert foreseen == dry_run(net, example, action, sites=sites)
        grown = copy.deepcopy(net)
        if action["do"] == "widen":
            widen(grown, action["widths"], example=example)
        else:
            deepen(grown, action["after"], kind=action["kind"], example=example)
        assert foreseen == cost(grown, example)
        assert foreseen.parameters > cost(net, example).parameters
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_a_dry_run_names_what_cannot_be():
    net, example = DenseNet(7, [16, 8], 3), torch.randn(4, 7)
    with pytest.raises(GrowthError, match=r"did you mean 'hidden\.0\.linear'"):
        dry_run(net, example, {"do": "widen", "widths": {"hidden.0.liner": 20}})
    with pytest.raises(GrowthError, match="has 16 channels and grows in steps of 1; 8 was asked for"):
        dry_run(net, example, {"do": "widen", "widths": {"hidden.0.linear": 8}})
    with pytest.raises(GrowthError, match=r"did you mean 'hidden\.0\.act'"):
        dry_run(net, example, {"do": "deepen", "after": "hidden.0.atc", "kind": "auto"})
    assert dry_run(net, example, {"do": "keep"}) == cost(net, example)
