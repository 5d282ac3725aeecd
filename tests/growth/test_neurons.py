"""What new units start as: each initializer's promise, draw and plain form."""

import copy
import json
import math

import pytest
import torch
from growth_zoo import make
from torch import nn
from torch.nn import functional as F

from autogrow.errors import GrowthError
from autogrow.growth import (
    AntisymmetricPair,
    GradMax,
    Neurons,
    NewUnits,
    ShrinkPerturb,
    SmallOutgoing,
    Split,
    VarianceTransfer,
    ZeroOutgoing,
    widen,
)
from autogrow.growth.neurons.drawn import Request
from autogrow.nets import DenseNet

ALL = [
    ZeroOutgoing(), SmallOutgoing(0.3), AntisymmetricPair(0.5), VarianceTransfer(), Split(), Split("equal"), Split("dirichlet"),
    Split(noise=0.1), ShrinkPerturb(), ShrinkPerturb(Split(), shrink=0.8),
]  # fmt: skip


def net_of(width: int = 40, members: int = 1) -> DenseNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DenseNet(30, [width], 20, members=members).double()


@pytest.mark.parametrize("neurons", ALL, ids=repr)
def test_the_contract(neurons):
    """Every initializer: old units stay in place, its promise is what its receipt says, it is plain data."""
    net = net_of()
    before = copy.deepcopy(net)
    surgery = widen(net, "hidden.0.linear", 64, neurons=neurons)
    assert isinstance(neurons, Neurons)
    assert (surgery.receipt.promise is not None) == neurons.exact
    assert (surgery.receipt.max_abs_change < 1e-9) == neurons.exact
    if not isinstance(neurons, ShrinkPerturb):
        assert torch.equal(net.hidden[0].linear.weight[:40], before.hidden[0].linear.weight)
    assert torch.equal(net.head.bias, before.head.bias)
    assert json.loads(json.dumps(surgery.entry["neurons"]))["name"] == type(neurons).__name__


@pytest.mark.parametrize("members", [1, 2])
def test_fresh_units_have_the_layers_own_std_and_bias_zero(members):
    net = net_of(members=members)
    std = float(net.hidden[0].linear.weight.detach().std())
    widen(net, "hidden.0.linear", 400)
    fresh, bias = net.hidden[0].linear.weight.detach()[..., 40:, :], net.hidden[0].linear.bias.detach()[..., 40:]
    assert float(fresh.std()) == pytest.approx(std, rel=0.03)
    assert not bias.any()
    assert not net.head.weight[..., 40:].any()
    if members == 2:
        assert not torch.allclose(fresh[0], fresh[1])


@pytest.mark.parametrize(
    ("neurons", "factor"),
    [(SmallOutgoing(0.3), 0.3), (AntisymmetricPair(0.5), 0.5), (VarianceTransfer(), math.sqrt(0.1))],
)
def test_outgoing_weights_are_drawn_in_proportion_to_their_own_std(neurons, factor):
    net = net_of()
    std = float(net.head.weight.detach().std())
    widen(net, "hidden.0.linear", 400, neurons=neurons)
    assert float(net.head.weight.detach()[:, 40:].std()) == pytest.approx(factor * std, rel=0.03)


def test_variance_transfer_scales_the_old_outgoing_weights():
    net = net_of()
    before = net.head.weight.detach().clone()
    widen(net, "hidden.0.linear", 160, neurons=VarianceTransfer())
    assert torch.allclose(net.head.weight[:, :40], before / 2)


@pytest.mark.parametrize("added", [1, 4, 5])
def test_pairs_have_equal_incoming_and_opposite_outgoing_weights(added):
    net = net_of()
    widen(net, "hidden.0.linear", 40 + added, neurons=AntisymmetricPair())
    incoming, outgoing = net.hidden[0].linear.weight[40:], net.head.weight[:, 40:]
    half = -(-added // 2)
    for i in range(half):
        if i + half < added:
            assert torch.equal(incoming[i], incoming[i + half])
            assert torch.equal(outgoing[:, i], -outgoing[:, i + half])
            assert bool(outgoing[:, i].any())
        else:
            assert not outgoing[:, i].any()


@pytest.mark.parametrize("shares", ["equal", "dirichlet", "antisymmetric"])
def test_shares_of_a_units_copies_sum_to_its_own(shares):
    net = net_of(5)
    before = net.head.weight.detach().clone()
    surgery = widen(net, "hidden.0.linear", 13, neurons=Split(shares, outgoing_noise=0.5))
    (move,) = (m for m in surgery.moves if m.new_name == "head.weight")
    total = torch.zeros_like(before).index_add_(1, move.index[1], net.head.weight.detach())
    assert torch.allclose(total, before, atol=1e-12)
    copies = torch.bincount(move.index[1])
    assert int(copies.max() - copies.min()) <= 1
    drawn = net.head.weight.detach()[:, move.index[1] == int(copies.argmax())]
    assert bool((drawn[:, 0] != drawn[:, 1]).any()) == (shares != "equal")


def test_noise_is_relative_to_the_weights():
    """An absolute 0.01 moves a 784-input net by a quarter of its output; relative noise scales with what is there."""
    changes = []
    for scale in (1.0, 1000.0):
        net = net_of()
        with torch.no_grad():
            net.hidden[0].linear.weight.mul_(scale)
        before = net.hidden[0].linear.weight.detach().clone()
        surgery = widen(net, "hidden.0.linear", 80, neurons=Split("equal", noise=0.05))
        index = surgery.moves[-1].index[0]
        new = net.hidden[0].linear.weight.detach()
        changes.append(float((new - before[index]).std() / before.std()))
        assert torch.equal(new[:40], before)
    assert changes[0] == pytest.approx(changes[1], rel=1e-6)


def test_shrink_and_perturb():
    net = net_of()
    before = copy.deepcopy(net)
    surgery = widen(net, "hidden.0.linear", 48, neurons=ShrinkPerturb(shrink=0.25, perturb=0.0))
    assert torch.allclose(net.hidden[0].linear.weight[:40], before.hidden[0].linear.weight / 4)
    assert torch.allclose(net.head.weight[:, :40], before.head.weight / 4)
    assert torch.equal(net.hidden[0].linear.bias[:40], before.hidden[0].linear.bias)
    (move,) = (m for m in surgery.moves if m.new_name == "head.weight")
    assert torch.allclose(move.value[1], torch.full((48,), 0.25, dtype=torch.float64))
    perturbed = net_of()
    widen(perturbed, "hidden.0.linear", 48, neurons=ShrinkPerturb(shrink=1.0, perturb=0.5))
    added = perturbed.head.weight.detach()[:, :40] - before.head.weight.detach()
    assert float(added.std()) == pytest.approx(0.5 / math.sqrt(3 * 40), rel=0.1)


@pytest.mark.parametrize(
    ("activation", "norm", "start", "alive"),
    [
        ("gelu", "layer", "mean", True),
        ("relu", "layer", "mean", False),
        ("gelu", "rms", "zero", True),
        ("relu", "rms", "copy", True),
    ],
)
def test_norms_over_all_units_decide_how_new_ones_start(activation, norm, start, alive):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = DenseNet(5, [6], 3, activation=activation, norm=norm).double()
    before = net.hidden[0].linear.weight.detach().clone()
    widen(net, "hidden.0.linear", 9)
    linear, stage_norm, outgoing = net.hidden[0].linear, net.hidden[0].norm, net.head.weight[:, 6:]
    expected = {"mean": before.mean(0).expand(3, 5), "zero": torch.zeros(3, 5).double()}
    if start in expected:
        assert torch.allclose(linear.weight[6:], expected[start])
        assert torch.allclose(stage_norm.weight[:6], torch.full((6,), math.sqrt(6 / 9), dtype=torch.float64))
    else:  # a zero unit in front of ReLU would be dead: units are split by scaling instead
        assert torch.allclose((linear.weight**2).sum(), (before**2).sum())
    assert bool(outgoing.any()) == alive
    if not alive:
        assert bool((stage_norm.bias[6:] > 0).all())
        assert len(set(stage_norm.bias[6:].tolist())) == 3


class Given:
    """An initializer that brings its own values, in the coordinates of the net as it was."""

    exact = True

    def propose(self, request: Request) -> NewUnits:
        writer, reader = request.site.writers[0], request.site.readers[0]
        old_in = request.net.get_submodule(writer.module).weight.shape[1]
        old_out = request.net.get_submodule(reader.module).weight.shape[0]
        index = torch.cat([torch.arange(request.site.units), torch.full((2,), -1)])
        incoming = torch.full((2, old_in), 7.0)
        return NewUnits(index, torch.ones(len(index)), {writer.name: incoming}, {reader.name: torch.zeros(old_out, 2)})

    def to_plain(self) -> dict:
        return {"name": "Given"}


def test_values_that_an_initializer_brings_fit_even_if_their_inputs_grow_too():
    net, example = make("plain")
    widen(net, {"0": 9, "2": 8}, example=example, neurons=Given())
    assert torch.equal(net[2].weight[6:, :7], torch.full((2, 7), 7.0, dtype=torch.float64))
    assert not net[2].weight[6:, 7:].any()


def test_an_unknown_sharing_is_named():
    with pytest.raises(GrowthError, match=r"Split\(shares='dirichle'\) is unknown; did you mean 'dirichlet'"):
        Split("dirichle")


def test_a_closed_gate_draws_with_a_std_of_its_own():
    """Weights that are all zero have no std to draw with: new units would never learn."""
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 2))
    nn.init.zeros_(net[2].weight)
    widen(net, "2", 8)
    assert bool(net[2].weight[6:].any())


def test_widths_that_nothing_can_be_computed_for_start_otherwise():
    net = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    batches = [(torch.randn(20, 6).double(), torch.randint(3, (20,)))]
    with pytest.raises(GrowthError, match="statistics over all of them"):
        widen(net, {"0": 9, "2": 7}, neurons=GradMax(batches, F.cross_entropy))
    neurons = GradMax(batches, F.cross_entropy, otherwise=ZeroOutgoing())
    surgery = widen(net, {"0": 9, "2": 7}, neurons=neurons)
    assert surgery.receipt.max_abs_change < 1e-9
    assert surgery.entry["neurons"]["otherwise"] == {"name": "ZeroOutgoing"}
    assert not GradMax(otherwise=SmallOutgoing()).exact
    with pytest.raises(GrowthError, match="was given none"):
        widen(net, "2", 9, neurons=GradMax(otherwise=ZeroOutgoing()))
