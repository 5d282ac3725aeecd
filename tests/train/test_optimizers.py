"""Our optimizers are torch's: the same bits, the same states, the same hooks."""

import copy

import pytest
import torch

from autogrow.train.fit.net import optimizers

KINDS = {
    "AdamW": {"lr": 0.1, "weight_decay": 0.05, "betas": (0.8, 0.9), "fused": True},
    "Adam": {"lr": 0.1, "fused": True},
    "SGD": {"lr": 0.1, "momentum": 0.9},
}


def made(make, told):
    torch.manual_seed(0)
    net = torch.nn.Linear(3, 2)
    return net, make([{"params": [net.weight]}, {"params": [net.bias], "weight_decay": 0.0}], **told)


def steps(net, optimizer, count=5):
    x = torch.linspace(-1, 1, 12).reshape(4, 3)
    for _ in range(count):
        optimizer.zero_grad()
        net(x).square().sum().backward()
        assert optimizer.step() is None
    return [p.detach().clone() for p in net.parameters()]


@pytest.mark.parametrize("name", KINDS)
def test_they_step_as_torchs_do_to_the_bit(name):
    nets = [made(getattr(home, name), KINDS[name]) for home in (optimizers, torch.optim)]
    for ours, torchs in zip(*(steps(*pair) for pair in nets), strict=True):
        assert torch.equal(ours, torchs)
    states = [optimizer.state_dict() for _, optimizer in nets]
    assert str(states[0]) == str(states[1])
    assert [g.keys() for g in states[0]["param_groups"]] == [g.keys() for g in states[1]["param_groups"]]


@pytest.mark.parametrize("name", KINDS)
def test_a_state_of_torchs_goes_on_in_ours(name):
    (their_net, theirs), (net, ours) = (made(getattr(home, name), KINDS[name]) for home in (torch.optim, optimizers))
    steps(their_net, theirs, 3)
    net.load_state_dict(their_net.state_dict())
    ours.load_state_dict(copy.deepcopy(theirs.state_dict()))
    for a, b in zip(steps(net, ours), steps(their_net, theirs), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", KINDS)
def test_hooks_hear_of_each_step_once(name):
    net, ours = made(getattr(optimizers, name), KINDS[name])
    heard = []
    ours.register_step_pre_hook(lambda *_: heard.append("before"))
    ours.register_step_post_hook(lambda *_: heard.append("after"))
    steps(*made(getattr(torch.optim, name), KINDS[name]), 1)  # torch's own class is hooked from now on
    steps(net, ours, 2)
    assert heard == ["before", "after"] * 2


@pytest.mark.parametrize("name", KINDS)
def test_a_closure_has_gradients_and_gives_the_loss(name):
    net, ours = made(getattr(optimizers, name), KINDS[name])

    def closure():
        ours.zero_grad()
        loss = net(torch.ones(1, 3)).sum()
        loss.backward()
        return loss

    assert ours.step(closure).requires_grad
    assert net.weight.grad is not None
    assert not ours.state[net.weight].get("exp_avg", torch.zeros(())).requires_grad
