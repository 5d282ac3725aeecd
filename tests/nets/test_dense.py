"""Dense nets: shapes, members as independent nets, and what is refused."""

import pytest
import torch

from autogrow.errors import ConfigError
from autogrow.nets import ACTIVATIONS, DenseNet, MeanOfMembers


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("norm", ["none", "batch", "layer", "rms"])
def test_maps_inputs_to_outputs(activation, norm):
    net = DenseNet((1, 4, 4), [8, 6], 3, activation=activation, norm=norm, dropout=0.1)
    assert net(torch.randn(5, 1, 4, 4)).shape == (5, 3)


def test_a_member_is_a_net_of_its_own():
    torch.manual_seed(0)
    net = DenseNet(4, [8, 6], 3, members=2).double()
    x = torch.randn(2, 5, 4, dtype=torch.float64)
    out = net(x)
    for m in range(2):
        alone = DenseNet(4, [8, 6], 3).double()
        alone.load_state_dict({k: v[m] for k, v in net.state_dict().items()})
        assert torch.allclose(out[m], alone(x[m]), atol=1e-12)
    same = torch.randn(5, 4, dtype=torch.float64)
    expected = net(torch.stack([same, same])).mean(0)
    assert torch.allclose(MeanOfMembers(net, 2)(same), expected, atol=1e-12)
    of = MeanOfMembers(net, 2, probabilities=True)(same)
    assert torch.allclose(of.exp(), net(torch.stack([same, same])).softmax(-1).mean(0), atol=1e-12)
    assert torch.allclose(MeanOfMembers(net, 2, probabilities=True, sharpness=1.7)(same), 1.7 * of, atol=1e-12)


def test_residual_stages_add_their_input():
    net = DenseNet(4, [4, 4], 2, residual=True)
    x = torch.randn(3, 4)
    first = net.hidden[0](x)
    assert torch.allclose(net(x), net.head(first + net.hidden[1](first)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": [0]}, "net.widths must be at least 1, got 0"),
        ({"widths": [-3]}, "net.widths must be at least 1, got -3"),
        ({"widths": [4], "activation": "rellu"}, "did you mean 'relu'"),
        ({"widths": [4], "norm": "bach"}, "did you mean 'batch'"),
        ({"widths": [4], "dropout": 1.0}, r"net.dropout must be in \[0, 1\), got 1.0"),
        ({"widths": [4, 8], "residual": True}, r"net.residual needs equal net.widths, got \[4, 8\]"),
        ({"widths": [4], "members": 2, "norm": "batch"}, "BatchNorm would mix the members"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ConfigError, match=message):
        DenseNet(4, outputs=2, **arguments)
