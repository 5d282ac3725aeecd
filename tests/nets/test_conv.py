"""The conv net: names that growth relies on, shapes, and what it refuses."""

import pytest
import torch
from torch import nn

from autogrow.errors import ConfigError
from autogrow.nets.conv import ConvNet


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({}, ["conv", "norm", "act", "pool"]),
        ({"norm": "none"}, ["conv", "act", "pool"]),
        ({"pool": 0, "dropout": 0.1}, ["conv", "norm", "act", "drop"]),
    ],
    ids=["default", "no norm", "dropout, no pooling"],
)
def test_stages_have_the_names_growth_knows(arguments, names):
    net = ConvNet((1, 28, 28), [4, 6], 10, **arguments)
    assert [name for name, _ in net.hidden[0].named_children()] == names
    assert isinstance(net.get_submodule("hidden.1.conv"), nn.Conv2d)
    assert isinstance(net.head, nn.Linear)


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 8, 5), (2, 1, 1)], ids=str)
def test_images_become_logits(shape, activation):
    net = ConvNet(shape, [4, 6, 8], 10, activation=activation)
    assert net(torch.randn(5, *shape)).shape == (5, 10)


@pytest.mark.parametrize(("side", "halvings"), [(28, 2), (16, 2), (8, 1), (5, 0)])
def test_pooling_leaves_four_pixels(side, halvings):
    net = ConvNet((1, side, side), [2, 2, 2], 2)
    assert sum(isinstance(m, nn.MaxPool2d) for m in net.modules()) == halvings


def test_a_bias_only_where_no_norm_takes_it_away():
    assert ConvNet((1, 8, 8), [2], 2).hidden[0].conv.bias is None
    assert ConvNet((1, 8, 8), [2], 2, norm="none").hidden[0].conv.bias is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (28, 28)}, r"images of shape \(channels, height, width\), got \(28, 28\)"),
        ({"widths": []}, "at least one"),
        ({"widths": [4, 0]}, "net.widths must be at least 1, got 0"),
        ({"outputs": 0}, "outputs must be at least 1"),
        ({"norm": "bach"}, "did you mean 'batch'"),
        ({"activation": "rleu"}, "did you mean 'relu'"),
        ({"dropout": 1.0}, r"net.dropout must be in \[0, 1\), got 1.0"),
        ({"pool": 3}, "net.pool must be between 0 and 1"),
    ],
    ids=lambda v: str(v) if isinstance(v, dict) else "",
)
def test_what_it_refuses(arguments, message):
    with pytest.raises(ConfigError, match=message):
        ConvNet(**{"input_shape": (1, 8, 8), "widths": [4], "outputs": 2} | arguments)
