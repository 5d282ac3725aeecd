"""Mistakes that published implementations of growth make, as deliberately wrong operators: our laws see each of them.

Every wrong operator stands beside the right one, which differs in the one place that matters and passes the same law.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from autogrow.errors import GrowthError, ParityError
from autogrow.growth import Split, widen
from autogrow.growth.carry.optimizer import carry, check_optimizer
from autogrow.growth.surgery.parity import EXACT, Probe


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def spread(net: nn.Module) -> nn.Module:
    """Biases, gains and running statistics that are not what they start as."""
    generator = torch.Generator().manual_seed(1)
    net = net.double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4 + 0.1)
        for name, buffer in net.named_buffers():
            if name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
            elif name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator))
    return net


def holds(net: nn.Module, example: Tensor, operator: Callable[[nn.Module], None]) -> bool:
    """The law of function preservation: largest change of any output, in float64, in eval and train mode."""
    probe = Probe(net, example)
    operator(net)
    try:
        probe.receipt(EXACT)
    except ParityError:
        return False
    return True


MAP = torch.tensor([0, 1, 2, 3, 0, 2])  # four units become six
SHARE = 1 / torch.bincount(MAP)[MAP].double()


def set_linear(layer: nn.Linear, weight: Tensor, bias: Tensor) -> None:
    layer.weight, layer.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    layer.out_features, layer.in_features = weight.shape


# -- dense: Net2WiderNet


def wider_dense(mistake: str = "") -> Callable[[nn.Module], None]:
    @torch.no_grad()
    def operate(net: nn.Module) -> None:
        first, last = net[0], net[2]
        share = torch.ones_like(SHARE) if mistake == "outgoing weights are not shared out" else SHARE
        incoming = first.weight[MAP]
        if mistake == "absolute noise":
            incoming[4:] += 0.01 * randn(2, incoming.shape[1])
        bias = torch.zeros_like(last.bias) if mistake == "the next layer's bias is dropped" else last.bias
        set_linear(first, incoming, first.bias[MAP])
        set_linear(last, last.weight[:, MAP] * share, bias)

    return operate


@pytest.mark.parametrize(
    "mistake", ["the next layer's bias is dropped", "outgoing weights are not shared out", "absolute noise"]
)
def test_dense(mistake):
    def build() -> nn.Module:
        return spread(nn.Sequential(nn.Linear(784, 4), nn.ReLU(), nn.Linear(4, 3)))

    example = randn(16, 784, seed=2)
    assert holds(build(), example, wider_dense())
    assert not holds(build(), example, wider_dense(mistake))


def test_a_signed_sum_of_log_softmax_hides_what_the_largest_change_sees():
    net, example = spread(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))), randn(16, 6, seed=2)
    before = net(example)
    constant = 100.0

    @torch.no_grad()
    def shift(net: nn.Module) -> None:
        net[2].bias += constant

    assert not holds(net, example, shift)
    change = torch.log_softmax(net(example), 1) - torch.log_softmax(before, 1)
    assert abs(float(change.sum().detach())) < 1e-9  # all logits are wrong by 100, and this test would pass
    assert float((net(example) - before).abs().max().detach()) == pytest.approx(constant)


# -- batch norm


def wider_normed(mistake: str = "") -> Callable[[nn.Module], None]:
    @torch.no_grad()
    def operate(net: nn.Module) -> None:
        first, norm, last = net[0], net[1], net[3]
        set_linear(first, first.weight[MAP], first.bias[MAP])
        set_linear(last, last.weight[:, MAP] * SHARE, last.bias)
        norm.num_features = len(MAP)
        for name in ("weight", "bias", "running_mean", "running_var"):
            old = getattr(norm, name).detach()
            new = old[MAP].clone()
            if mistake == "copied behind the loop":  # so that only the last new channel gets what it should
                new[4:5] = 1.0 if name in ("weight", "running_var") else 0.0
            if mistake == "running statistics stay fresh" and name.startswith("running"):
                new[4:] = 1.0 if name == "running_var" else 0.0
            setattr(norm, name, nn.Parameter(new) if isinstance(getattr(norm, name), nn.Parameter) else new)

    return operate


@pytest.mark.parametrize("mistake", ["copied behind the loop", "running statistics stay fresh"])
def test_batch_norm(mistake):
    def build() -> nn.Module:
        return spread(nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3)))

    example = randn(16, 6, seed=2)
    assert holds(build(), example, wider_normed())
    assert not holds(build(), example, wider_normed(mistake))


def test_an_inserted_batch_norm_that_looks_right_in_eval_mode():
    def insert(*, calibrated: bool) -> Callable[[nn.Module], None]:
        @torch.no_grad()
        def operate(net: nn.Module) -> None:
            layer, norm = nn.Linear(4, 4, bias=False).double(), nn.BatchNorm1d(4).double()
            layer.weight.copy_(torch.eye(4))
            if calibrated:
                here = net[:2](example)
                mean, var = here.mean(0), here.var(0, unbiased=False)
                norm.weight.copy_((var + norm.eps).sqrt()), norm.bias.copy_(mean)
                norm.running_mean.copy_(mean), norm.running_var.copy_(var)
            net[1] = nn.Sequential(net[1], layer, norm, nn.ReLU())

        return operate

    def build() -> nn.Module:
        return spread(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)))

    example = randn(16, 6, seed=2)
    net = build()
    before = net.eval()(example)
    insert(calibrated=False)(net)
    assert torch.allclose(net.eval()(example), before, rtol=1e-4)  # mean 0, variance 1: in eval mode next to nothing
    assert not _holds_in_train_mode(build, example, insert(calibrated=False))
    assert _holds_in_train_mode(build, example, insert(calibrated=True))


def _holds_in_train_mode(
    build: Callable[[], nn.Module], example: Tensor, operator: Callable[[nn.Module], None]
) -> bool:
    net = nn.Sequential(build(), nn.BatchNorm1d(3).double())  # a net with a norm is proved in train mode as well
    return holds(net, example, lambda whole: operator(whole[0]))


# -- topology


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter, self.inner, self.leave = nn.Linear(6, 4), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.enter(x)
        return self.leave(h + torch.relu(self.inner(h)))


@pytest.mark.parametrize(
    ("other", "right"), [([0, 1, 2, 3, 0, 2], True), ([0, 1, 2, 3, 1, 3], False)], ids=["one", "two"]
)
def test_the_writers_of_a_residual_stream_share_one_map(other, right):
    @torch.no_grad()
    def operate(net: nn.Module) -> None:
        second = torch.tensor(other)
        set_linear(net.enter, net.enter.weight[MAP], net.enter.bias[MAP])
        set_linear(net.inner, net.inner.weight[second][:, MAP] * SHARE, net.inner.bias[second])
        set_linear(net.leave, net.leave.weight[:, MAP] * SHARE, net.leave.bias)

    assert holds(spread(Residual()), randn(16, 6, seed=2), operate) is right


@pytest.mark.parametrize(("blocks", "right"), [(True, True), (False, False)], ids=["blocks", "interleaved"])
def test_a_flattened_channel_is_a_block_of_columns(blocks, right):
    @torch.no_grad()
    def operate(net: nn.Module) -> None:
        conv, last = net[0], net[3]
        conv.weight, conv.bias = nn.Parameter(conv.weight[MAP]), nn.Parameter(conv.bias[MAP])
        conv.out_channels = len(MAP)
        size = last.in_features // 4
        columns = (
            (MAP[:, None] * size + torch.arange(size)) if blocks else (MAP[None, :] + 4 * torch.arange(size)[:, None])
        )
        share = (SHARE[:, None].expand(-1, size) if blocks else SHARE.expand(size, -1)).flatten()
        set_linear(last, last.weight[:, columns.flatten()] * share, last.bias)

    net = spread(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)))
    assert holds(net, randn(8, 1, 5, 5, seed=2), operate) is right


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize(("counted_from", "right"), [(0, True), (1, False)], ids=["0-based", "1-based"])
def test_the_centre_of_an_identity_kernel(kernel, counted_from, right):
    @torch.no_grad()
    def operate(net: nn.Module) -> None:
        conv = nn.Conv2d(4, 4, kernel, padding=kernel // 2).double()
        conv.weight.zero_(), conv.bias.zero_()
        centre = kernel // 2 + counted_from
        conv.weight[range(4), range(4), centre, centre] = 1.0
        net[1] = nn.Sequential(net[1], conv, nn.ReLU())

    net = spread(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)))
    assert holds(net, randn(8, 1, 8, 8, seed=2), operate) is right


@pytest.mark.parametrize(
    ("activation", "right"), [(nn.ReLU, True), (nn.Tanh, False), (nn.GELU, False), (nn.LeakyReLU, False)]
)
def test_an_identity_layer_needs_an_activation_that_is_the_same_twice(activation, right):
    @torch.no_grad()
    def operate(net: nn.Module) -> None:
        layer = nn.Linear(4, 4).double()
        layer.weight.copy_(torch.eye(4)), layer.bias.zero_()
        net[1] = nn.Sequential(net[1], layer, activation())

    net = spread(nn.Sequential(nn.Linear(6, 4), activation(), nn.Linear(4, 3)))
    assert holds(net, randn(16, 6, seed=2), operate) is right


# -- state


def test_new_tensors_that_no_group_holds():
    net, example = spread(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))), randn(16, 6, seed=2)
    optimizer = torch.optim.Adam(net.parameters())
    surgery = widen(net, "0", 6, example=example)
    before = net[0].weight.detach().clone()
    net(example).sum().backward()
    optimizer.step()
    assert torch.equal(net[0].weight, before)  # it trains on without a word, and nothing learns
    with pytest.raises(GrowthError, match=r"not in the net \(any more\)"):
        check_optimizer(optimizer, net)
    carry(optimizer, surgery)
    check_optimizer(optimizer, net)
    net(example).sum().backward()
    optimizer.step()
    assert not torch.equal(net[0].weight, before)


def write_noise(net: nn.Module, _example: Tensor) -> None:
    weight = net[0].weight.data
    weight[:2] += 0.1 * randn(2, 6)
    set_linear(net[0], weight[MAP], net[0].bias[MAP])


def add_noise(net: nn.Module, example: Tensor) -> None:
    widen(net, "0", 6, example=example, neurons=Split("equal", noise=0.1))


@pytest.mark.parametrize(("operator", "right"), [(add_noise, True), (write_noise, False)], ids=["added", "written"])
def test_noise_is_not_written_into_arrays_that_the_caller_holds(operator, right):
    net = spread(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)))
    held = net[0].weight
    before = held.detach().clone()
    operator(net, randn(16, 6, seed=2))
    assert torch.equal(held, before) is right
    assert net[0].weight.shape == (6, 6)
