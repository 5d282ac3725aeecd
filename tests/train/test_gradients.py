"""Gradients that are written out are those of autograd, bit for bit, wherever they are written out."""

import pytest
import torch
from torch import nn

from autogrow import deepen, refine, widen
from autogrow.nets import DenseNet
from autogrow.train.fit.net.gradients import written_gradients
from autogrow.train.fit.net.measure import sample_loss

BATCHES = (1, 2, 7, 32, 100, 128, 129)


@pytest.mark.parametrize("smoothing", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("widths", [[], [1], [16], [64, 64], [168, 33, 5]], ids=str)
@pytest.mark.parametrize("outputs", [2, 3, 10])
def test_of_classes(widths, outputs, smoothing):
    torch.manual_seed(0)
    net = DenseNet(13, widths, outputs)
    for rows in BATCHES:
        check_same_bits(net, torch.randn(rows, 13), torch.randint(outputs, (rows,)), "classification", smoothing)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("widths", [[], [16], [64, 64]], ids=str)
def test_with_dropout_whose_masks_are_drawn_as_its_own_are(widths, share):
    torch.manual_seed(0)
    net, x = DenseNet(13, widths, 3, dropout=share), torch.randn(100, 13)
    for rows in BATCHES:
        check_same_bits(net, torch.randn(rows, 13), torch.randint(3, (rows,)), "classification", 0.05)
    if widths:
        deepen(net, "hidden.0.drop", example=x)
        check_same_bits(net, x, torch.randint(3, (100,)), "classification", 0.05)


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("inputs", [(13,), (5, 6)])
def test_of_values_and_of_images(inputs, outputs):
    torch.manual_seed(0)
    net = DenseNet(inputs, [20, 8], outputs)
    for rows in BATCHES:
        check_same_bits(net, torch.randn(rows, *inputs), torch.randn(rows, outputs), "regression")


def test_of_a_net_that_has_grown():
    torch.manual_seed(0)
    net, x = DenseNet(6, [8], 3), torch.randn(50, 6)
    y = torch.randint(3, (50,))
    widen(net, "hidden.0.linear", 12, example=x)
    deepen(net, "hidden.0.act", example=x)
    check_same_bits(net, x, y, "classification", 0.05)
    refine(net, 2, [-1.0, 0.0, 1.0], example=x)
    check_same_bits(net, x, y, "classification", 0.05)


@pytest.mark.parametrize(
    "net",
    [
        DenseNet(4, [8, 8], 3, residual=True),
        DenseNet(4, [8], 3, members=2),
        DenseNet(4, [8], 3, norm="layer"),
        DenseNet(4, [8], 3, activation="gelu"),
        DenseNet(4, [8], 3, dropout=0.1, norm="layer"),
        DenseNet(4, [8], 3).double(),
        DenseNet(4, [8], 3).requires_grad_(False),
        nn.Sequential(nn.Linear(4, 3)),
    ],
    ids=["residual", "members", "norm", "gelu", "dropout and norm", "double", "frozen", "another"],
)
def test_what_is_no_plain_stack_is_left_to_autograd(net):
    assert written_gradients(net, "classification", 0.0) is None


def check_same_bits(net, x, y, task, smoothing=0.0):
    net.zero_grad()
    before = torch.get_rng_state()
    sample_loss(task, net(x), y, smoothing=smoothing).backward()
    found, after = {name: p.grad for name, p in net.named_parameters()}, torch.get_rng_state()
    net.zero_grad()
    torch.set_rng_state(before)
    written = written_gradients(net, task, smoothing)
    assert written is not None
    written(x, y)
    assert torch.equal(torch.get_rng_state(), after)
    for name, p in net.named_parameters():
        assert torch.equal(p.grad, found[name]), name
        assert p.grad.stride() == found[name].stride(), name
