"""New units beside old ones: what is measured is what each unit has, and copies stand as their originals do."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from autogrow.growth import Split, ZeroOutgoing, deepen, growth_sites, widen
from autogrow.growth.newborns import standing, units_of
from autogrow.nets import DenseNet

X = torch.randn(32, 6, generator=torch.Generator().manual_seed(1))
Y = torch.randint(0, 3, (32,), generator=torch.Generator().manual_seed(2))


def make(widths=(4, 5), **more):
    torch.manual_seed(0)
    return DenseNet(6, list(widths), 3, **more)


def looked_at(net, x=X, y=Y):
    """Units, with a movement of a hundredth of the gradient."""
    nn.functional.cross_entropy(net(x).flatten(0, -2), y).backward()
    gradients = {name: p.grad for name, p in net.named_parameters()}
    weights = {name: p.detach() for name, p in net.named_parameters()}
    for parameter in net.parameters():
        parameter.requires_grad_(False)  # from here on they are only compared
    return units_of(growth_sites(net, x), weights, gradients, {name: g / 100 for name, g in gradients.items()})


def test_a_unit_is_its_row_its_bias_and_its_column():
    net = make()
    units = looked_at(net)
    first, second, head = net.hidden[0].linear, net.hidden[1].linear, net.head
    assert {name: u.entries for name, u in units.items()} == {
        "hidden.0.linear": 6 + 1 + 5,
        "hidden.1.linear": 4 + 1 + 3,
    }
    one = units["hidden.0.linear"]
    for i in range(4):
        assert one.into[i] == pytest.approx(float(first.weight[i].square().sum() + first.bias[i] ** 2), rel=1e-5)
        assert one.out[i] == pytest.approx(float(second.weight[:, i].square().sum()), rel=1e-5)
        gradient = (
            first.weight.grad[i].square().sum() + first.bias.grad[i] ** 2 + second.weight.grad[:, i].square().sum()
        )
        assert one.gradient[i] == pytest.approx(float(gradient), rel=1e-5)
        assert one.moved[i] == pytest.approx(float(gradient) / 1e4, rel=1e-5)
    assert units["hidden.1.linear"].out[2] == pytest.approx(float(head.weight[:, 2].square().sum()), rel=1e-5)


def test_members_count_as_one_unit():
    net = make(members=2)
    units = looked_at(net, torch.stack([X, X]), torch.cat([Y, Y]))["hidden.0.linear"]
    assert (len(units.into), units.entries) == (4, 2 * (6 + 1 + 5))
    assert units.into[3] == pytest.approx(
        float(net.hidden[0].linear.weight[:, 3].square().sum() + net.hidden[0].linear.bias[:, 3].square().sum()),
        rel=1e-5,
    )


def test_copies_stand_as_their_originals_do():
    net = make()
    widen(net, {"hidden.0.linear": 8}, example=X, neurons=Split("equal"))
    found = standing(looked_at(net), {"hidden.0.linear": 4, "hidden.1.linear": 5}, growth_sites(net, X).sizes)
    assert (found.gradient, found.update, found.weights) == pytest.approx((1, 1, 1))


def test_units_without_outgoing_weights_are_handed_no_gradient_but_there():
    """What newborns start with: no weight product, and only their outgoing weights learn."""
    net = make()
    before = growth_sites(net, X).sizes
    widen(net, {"hidden.0.linear": 8}, example=X, neurons=ZeroOutgoing(), generator=torch.Generator().manual_seed(0))
    units = looked_at(net)
    found = standing(units, before, growth_sites(net, X).sizes)
    assert found.weights == 0
    assert 0 < found.gradient < 1
    assert net.hidden[0].linear.weight.grad[4:].abs().max() == 0


def test_a_new_layer_stands_beside_all_old_units():
    net = make()
    before = growth_sites(net, X).sizes
    deepen(net, "hidden.1.act", example=X)
    units = looked_at(net)
    (new,) = growth_sites(net, X).sizes.keys() - before.keys()
    found = standing(units, before, growth_sites(net, X).sizes)
    products = torch.cat([(units[name].into * units[name].out).sqrt() for name in before])
    own = (units[new].into * units[new].out).sqrt()
    assert found.weights == pytest.approx(float(own.mean() / products.mean()), rel=1e-5)


def test_units_are_compared_with_those_before_their_growth_and_not_with_later_ones():
    one = looked_at(make((8, 5)))["hidden.0.linear"]
    products, gradients = (one.into * one.out).sqrt(), one.gradient
    found = standing({"hidden.0.linear": one}, {"hidden.0.linear": 4}, {"hidden.0.linear": 6})
    assert found.weights == pytest.approx(float(products[4:6].mean() / products[:4].mean()))
    assert found.gradient == pytest.approx(float((gradients[4:6].mean() / gradients[:4].mean()).sqrt()))
    assert found.update == pytest.approx(found.gradient)  # each has moved by a hundredth of it


def test_no_unit_was_added():
    units = looked_at(make())
    same = {"hidden.0.linear": 4, "hidden.1.linear": 5}
    assert standing(units, same, same) is None
