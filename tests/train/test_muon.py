"""`optimizer=muon`: its steps are Muon's, its arithmetic is charged, and its momentum follows a growth by the law."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from autogrow.growth import Split, ZeroOutgoing, widen
from autogrow.growth.carry.optimizer import carry, check_optimizer, place_state, state_by_name
from autogrow.nets import DenseNet
from autogrow.policy import EarlyRamp, Factor, Growth
from autogrow.train.fit.net.module import make_optimizer
from autogrow.train.fit.net.muon import Muon, orthogonal_flops, orthogonalized
from autogrow.train.fit.run import fit
from autogrow.train.fit.spec import NetSpec, OptimizerSpec

SHAPES = [(5, 12), (12, 5), (8, 8), (160, 200), (2, 6, 9)]
X = torch.randn(64, 6, generator=torch.Generator().manual_seed(1))
Y = torch.randint(0, 3, (64,), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_all_directions_get_about_the_same_length(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    out = orthogonalized(matrix)
    assert (out.shape, out.dtype) == (matrix.shape, matrix.dtype)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    along = (u.mT @ out @ v.mT).diagonal(dim1=-2, dim2=-1)
    large = along[..., : max(1, along.shape[-1] * 3 // 4)]  # five steps leave the smallest ones behind
    assert ((large > 0.5) & (large < 1.4)).all()


def test_nothing_stays_nothing():
    assert orthogonalized(torch.zeros(3, 4)).abs().max() == 0


def test_members_are_made_orthogonal_each_alone():
    both = torch.randn(2, 6, 9, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(orthogonalized(both), torch.stack([orthogonalized(one) for one in both]), atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_its_flops_are_those_that_a_counter_sees(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        orthogonalized(matrix)
    assert orthogonal_flops(shape) == counter.get_total_flops()


def spec_like(make_spec, **more):
    return make_spec(optimizer=OptimizerSpec(name="muon", lr=1e-2), **more)


def net_of(widths=(8, 8), members=1):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DenseNet(6, list(widths), 3, members=members)


def step(net, optimizer, scale=1.0):
    optimizer.zero_grad()
    (scale * nn.functional.cross_entropy(net(X), Y)).backward()
    optimizer.step()


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
def test_its_steps_are_those_of_torch_and_adamw(make_spec):
    """torch's works in 16 bits throughout, and ours from 128 units on."""
    spec = spec_like(make_spec)
    ours, theirs = net_of(), net_of()
    optimizer = make_optimizer(spec, ours)
    hidden = [theirs.hidden[0].linear.weight, theirs.hidden[1].linear.weight]
    biases = [p for p in theirs.parameters() if p.ndim == 1]
    settings = {"lr": 1e-2, "weight_decay": 1e-2}
    muon = torch.optim.Muon(hidden, momentum=0.9, adjust_lr_fn="match_rms_adamw", **settings)
    rest = [{"params": [theirs.head.weight]}, {"params": biases, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(rest, fused=True, **settings)
    begun = [p.detach().clone() for p in ours.parameters()]
    for _ in range(3):
        step(ours, optimizer)
        muon.zero_grad()
        step(theirs, adamw)
        muon.step()
    for one, other, start in zip(ours.parameters(), theirs.parameters(), begun, strict=True):
        assert (one - other).abs().max() < 0.05 * (one - start).abs().max()


def test_what_is_hidden_is_orthogonal_and_the_rest_is_adamws(make_spec):
    net = net_of(members=2)
    optimizer = make_optimizer(spec_like(make_spec, net=NetSpec(widths=[8, 8], members=2)), net)
    check_optimizer(optimizer, net)
    groups = {group["orthogonal"]: group["params"] for group in optimizer.param_groups if group["weight_decay"]}
    assert [id(p) for p in groups[True]] == [id(stage.linear.weight) for stage in net.hidden]
    assert [id(p) for p in groups[False]] == [id(net.head.weight)]


@pytest.mark.parametrize("neurons", [Split("equal"), Split("dirichlet"), ZeroOutgoing()], ids=repr)
def test_momentum_follows_a_growth_as_if_the_net_had_been_that_large(make_spec, neurons):
    """What is carried is what the grown net's own gradients would have come to: the weights stand still meanwhile."""
    spec = spec_like(make_spec)
    net, grown = net_of(), net_of()
    grow = {"example": X, "neurons": neurons, "generator": None}
    still, large = make_optimizer(spec, net), None
    for group in still.param_groups:
        group["lr"] = 0.0
    for _ in range(3):
        step(net, still)
    surgery = widen(net, {"hidden.0.linear": 12}, **{**grow, "generator": torch.Generator().manual_seed(3)})
    carry(still, surgery)
    widen(grown, {"hidden.0.linear": 12}, **{**grow, "generator": torch.Generator().manual_seed(3)})
    large = make_optimizer(spec, grown)
    for group in large.param_groups:
        group["lr"] = 0.0
    for _ in range(3):
        step(grown, large)
    for name in ("hidden.0.linear", "hidden.1.linear"):
        mine = still.state[net.get_submodule(name).weight]["momentum_buffer"]
        theirs = large.state[grown.get_submodule(name).weight]["momentum_buffer"]
        assert mine.shape == theirs.shape
        old = slice(None) if isinstance(neurons, Split) else slice(8)  # fresh units start without any
        rows, columns = (old, slice(None)) if name == "hidden.0.linear" else (slice(None), old)
        assert torch.allclose(mine[rows, columns], theirs[rows, columns], atol=1e-6)
        assert theirs.abs().max() > 1e-4


def test_its_state_goes_by_name_into_an_optimizer_built_anew(make_spec):
    spec = spec_like(make_spec)
    net = net_of()
    optimizer = make_optimizer(spec, net)
    step(net, optimizer)
    names = {p: n for n, p in net.named_parameters()}
    again = make_optimizer(spec, net)
    place_state(again, names, state_by_name(optimizer, names))
    assert isinstance(again, Muon)
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            assert torch.equal(again.state[parameter][key], value)


@pytest.mark.parametrize("members", [1, 2])
def test_a_run_pays_for_what_it_computes(make_spec, members):
    growth = Growth(EarlyRamp(2, 6), amount=Factor(2.0, 8, 32))
    policy = make_spec().policy
    net = NetSpec(widths=[8], members=members)
    spec = spec_like(make_spec, max_epochs=20, net=net, policy=type(policy)(growth=growth))
    spec.optimizer_state = "carry"
    with FlopCounterMode(display=False) as counter:
        run = fit(spec)
    charged = run.summary["train_flops"] + run.summary["eval_flops"]
    assert charged <= counter.get_total_flops() < 1.002 * charged
    assert run.summary["growth_events"] >= 2
