"""Scores and data-driven units, on problems whose answer is known."""

import itertools
import math

import pytest
import torch
from torch import nn

from autogrow.errors import GrowthError
from autogrow.growth import growth_sites, widen
from autogrow.growth.bottleneck.linear_algebra import fit, leading_svd, leading_svd_of_product, whitening
from autogrow.growth.bottleneck.patches import aligned, answer
from autogrow.growth.bottleneck.problem import best_units, record, width_problem
from autogrow.growth.cost import cost
from autogrow.growth.neurons.drawn import ZeroOutgoing
from autogrow.growth.neurons.gradmax import GradMax
from autogrow.growth.neurons.learned import Learned
from autogrow.growth.neurons.tiny import Tiny
from autogrow.growth.scores import score_sites
from autogrow.nets.conv import ConvNet
from autogrow.nets.dense import DenseNet

mse = nn.functional.mse_loss


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def seeded(build, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build().double()


def batches(teacher, *shape: int, count: int = 3, seed: int = 10):
    with torch.no_grad():
        return [(x, teacher(x)) for x in (randn(*shape, seed=seed + i) for i in range(count))]


def error(net: nn.Module, data) -> float:
    """On the last batch."""
    with torch.no_grad():
        return float(mse(net(data[-1][0]), data[-1][1]))


# -- the linear algebra


@pytest.mark.parametrize("shape", [(1, 50, 7), (3, 50, 7), (2, 7, 20)], ids=["tall", "members", "wide"])
def test_whitening_and_least_squares(shape):
    features, goal = randn(*shape), randn(shape[0], shape[1], 4, seed=1)
    base = whitening(features)
    second = features.mT @ features / shape[1]
    inner = base.mT @ second @ base
    rank = min(shape[1:])
    assert torch.linalg.matrix_rank(inner).eq(rank).all()
    assert (inner @ inner - inner).abs().max() < 1e-8  # the identity on the span
    expected = torch.linalg.pinv(features) @ goal
    assert (features @ (fit(features, goal) - expected)).abs().max() < 1e-8


def test_leading_svd_is_that_of_the_whole():
    matrix = randn(700, 30) @ torch.diag(0.7 ** torch.arange(30, dtype=torch.float64)) @ randn(30, 600, seed=1)
    left, values, right = leading_svd(matrix, 5)
    expected = torch.linalg.svdvals(matrix)[:5]
    assert torch.allclose(values, expected, rtol=1e-8)
    assert (matrix @ right - left * values).norm() < 1e-6 * expected[0]
    for one, other in ((matrix[:8], matrix[8:16]), (randn(8, 600), randn(8, 550, seed=1))):  # few rows: never formed
        left, values, right = leading_svd_of_product(one, other, 10)
        assert torch.allclose(values[:8], torch.linalg.svdvals(one.T @ other)[:8], rtol=1e-8)
        assert (one.T @ other @ right - left * values).norm() < 1e-8 * values[0]
        assert (values[8:] == 0).all()
    before = torch.get_rng_state()
    leading_svd(matrix, 5)
    assert torch.equal(torch.get_rng_state(), before)


def test_units_beyond_the_rank_are_zero():
    units = best_units(randn(1, 40, 3), randn(1, 40, 2, seed=1), 5)
    assert units.incoming.shape == (1, 5, 3)
    assert (units.values[:, 2:] == 0).all()
    assert (units.outgoing[..., 2:] == 0).all()


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("padding", [0, 1, 3])
def test_an_aligned_goal_is_the_adjoint_of_the_reader(stride, dilation, padding):
    reader = nn.Conv2d(1, 4, (3, 2), stride=stride, dilation=dilation, padding=padding).double()
    image = randn(2, 1, 8, 9)
    out = nn.functional.conv2d(image, reader.weight, None, stride, padding, dilation)
    goal = randn(*out.shape, seed=1)
    rows = goal.movedim(1, -1).reshape(1, -1, 4)
    at, read_at = torch.Size((2, *out.shape[2:])), torch.Size((2, 8, 9))
    seen = aligned(reader, rows, at, read_at)
    outgoing = reader.weight.detach()[:, 0].reshape(1, -1, 1)
    assert torch.allclose((image.flatten() @ (seen[0] @ outgoing[0]).flatten()), (goal * out).sum())
    assert torch.allclose(answer(reader, image.reshape(1, -1, 1), outgoing, read_at), out)


# -- scores


def linear_chain(*sizes: int) -> nn.Sequential:
    layers = [nn.Sequential(nn.Linear(a, b), nn.Identity()) for a, b in itertools.pairwise(sizes)]
    return nn.Sequential(*layers)


@pytest.mark.parametrize("narrow", [0, 1, 2])
def test_the_bottleneck_of_a_linear_net_is_found(narrow):
    sizes = [6, 6, 6, 6]
    sizes[narrow] = 2
    net, teacher = seeded(lambda: linear_chain(6, *sizes[:3], 6)), seeded(lambda: nn.Linear(6, 6), 1)
    scores = score_sites(net, batches(teacher, 60, 6), mse)
    gains = {name: score.gain for name, score in scores.found.items() if score.action["do"] == "widen"}
    assert len(gains) == 3
    best = max(gains, key=gains.get)
    assert best == f"{narrow}.0"
    assert gains[best] > 0.02
    assert max(g for n, g in gains.items() if n != best) < 1e-6 * gains[best]


class Branches(nn.Module):
    """Two nets side by side, each with an input of its own; the answers are added."""

    def __init__(self, left: int, right: int) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(5, left), nn.Linear(5, right)
        self.c, self.d = nn.Linear(left, 2), nn.Linear(right, 2)

    def forward(self, x):
        return self.c(torch.tanh(self.a(x[:, :5]))) + self.d(torch.tanh(self.b(x[:, 5:])))


@pytest.mark.parametrize("missing", ["a", "b"])
def test_the_branch_with_a_missing_neuron_is_found(missing):
    teacher = seeded(lambda: Branches(4, 4))
    net = seeded(lambda: Branches(3 if missing == "a" else 4, 3 if missing == "b" else 4))
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            source = dict(teacher.named_parameters())[name]
            parameter.copy_(source[tuple(slice(s) for s in parameter.shape)])
    scores = score_sites(
        net, batches(teacher, 400, 10), mse, widths={"a": net.a.out_features + 1, "b": net.b.out_features + 1}
    )
    other = "b" if missing == "a" else "a"
    assert scores.found[missing].gain > 0.001
    assert scores.found[missing].gain > 20 * scores.found[other].gain
    assert scores.per_flop()[missing] > scores.per_flop()[other]


def test_the_missing_neuron_is_found_again():
    teacher = seeded(lambda: nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)))
    with torch.no_grad():
        teacher[0].weight.mul_(0.3)  # near the linear part, where first order is exact
    net = seeded(lambda: nn.Sequential(nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 3)))
    with torch.no_grad():
        net[0].weight.copy_(teacher[0].weight[:3]), net[0].bias.copy_(teacher[0].bias[:3])
        net[2].weight.copy_(teacher[2].weight[:, :3]), net[2].bias.copy_(teacher[2].bias)
    data = batches(teacher, 500, 5)
    before = error(net, data)
    gain = score_sites(net, data, mse, widths={"0": 4}).found["0"].gain
    widen(net, "0", 4, example=data[0][0], neurons=Tiny(data, mse))
    after = error(net, data)
    assert before - after == pytest.approx(gain, rel=0.15)
    directions = torch.stack([teacher[2].weight[:, 3], net[2].weight[:, 3]])
    assert torch.nn.functional.cosine_similarity(*directions, dim=0).abs() > 0.99


def test_nothing_is_gained_where_nothing_is_missing():
    teacher = seeded(lambda: nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)))
    data = [(x, y + 0.5 * randn(*y.shape, seed=50 + i)) for i, (x, y) in enumerate(batches(teacher, 800, 5))]
    scores = score_sites(teacher, data, mse)
    assert all(score.gain < 0.01 * 0.25 for score in scores.found.values())  # of the noise's variance


def test_scores_do_not_depend_on_how_a_net_is_scaled():
    net = seeded(lambda: DenseNet(6, [8, 8], 3))
    data = batches(seeded(lambda: DenseNet(6, [20], 3), 1), 300, 6)
    before = score_sites(net, data, mse).found
    with torch.no_grad():
        for p in net.hidden[0].parameters():
            p.mul_(10)
        net.hidden[1].linear.weight.div_(10)
    after = score_sites(net, data, mse).found
    assert before.keys() == after.keys() == {"hidden.0.linear", "hidden.1.linear", "hidden.0.act", "hidden.1.act"}
    for name, score in before.items():
        assert after[name].gain == pytest.approx(score.gain, rel=1e-6)
        assert score.gain > 0


def test_members_score_as_the_sum_of_their_nets():
    net = seeded(lambda: DenseNet(5, [4], 2, members=3))
    teacher = seeded(lambda: DenseNet(5, [9], 2, members=3), 1)
    data = batches(teacher, 3, 200, 5)
    together = score_sites(net, data, mse, widths={"hidden.0.linear": 6}).found["hidden.0.linear"]
    slopes = []
    for m in range(3):
        single = DenseNet(5, [4], 2).double()
        state = {k: v[m] for k, v in net.state_dict().items()}
        single.load_state_dict(state)
        part = [(x[m], y[m]) for x, y in data]
        slopes.append(score_sites(single, part, mse, widths={"hidden.0.linear": 6}).found["hidden.0.linear"].slope)
    # a member's loss counts a third, so its goal does, and its slope a ninth
    assert together.slope == pytest.approx(sum(slopes) / 9, rel=1e-6)


def test_scores_leave_the_net_alone_and_count_what_growth_adds():
    net = seeded(lambda: DenseNet(6, [8, 8], 3, norm="batch", dropout=0.2)).train()
    x, y = randn(64, 6), torch.randint(0, 3, (64,), generator=torch.Generator().manual_seed(0))
    state, random = {k: v.clone() for k, v in net.state_dict().items()}, torch.get_rng_state()
    scores = score_sites(net, [(x, y)], nn.functional.cross_entropy)
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert net.training
    assert all(p.grad is None for p in net.parameters())
    before = cost(net, x).train_flops_per_sample
    widen(net, "hidden.0.linear", 12, example=x)
    assert scores.found["hidden.0.linear"].train_flops == cost(net, x).train_flops_per_sample - before


def test_frozen_nets_can_be_scored():
    net = seeded(lambda: DenseNet(6, [4], 3)).requires_grad_(False)
    data = batches(seeded(lambda: DenseNet(6, [20], 3), 1), 300, 6)
    assert score_sites(net, data, mse).found["hidden.0.linear"].gain > 0


def test_convolutions_are_scored_where_places_correspond():
    net = seeded(lambda: ConvNet((1, 8, 8), [3, 3, 3], 2, pool=1, activation="gelu"))
    data = batches(seeded(lambda: ConvNet((1, 8, 8), [8, 8], 2, pool=0), 1).eval(), 40, 1, 8, 8)
    scores = score_sites(net, data, mse)
    assert scores.found["hidden.1.conv"].gain > 0
    assert "pooling, flatten" in scores.refused["hidden.0.conv"]


# -- data-driven neurons


def gradmax_net(activation: nn.Module) -> tuple[nn.Module, list]:
    net = seeded(lambda: nn.Sequential(nn.Linear(6, 5), activation, nn.Linear(5, 4)))
    return net, batches(seeded(lambda: nn.Linear(6, 4), 1), 50, 6, count=1)


def new_gradient(net: nn.Module, data, part: str) -> torch.Tensor:
    gradients = torch.autograd.grad(mse(net(data[0][0]), data[0][1]), list(net.parameters()))
    return gradients[0][5:] if part == "incoming" else gradients[2][:, 5:]


@pytest.mark.parametrize(
    ("activation", "part"), [(nn.Tanh(), "incoming"), (nn.GELU(), "incoming"), (nn.ReLU(), "outgoing")], ids=str
)
def test_gradmax_gets_the_largest_gradient_for_its_size(activation, part):
    net, data = gradmax_net(activation)
    passed = record(net, ("0", "2"), data, mse)
    features, goal = width_problem(net, "0", ("2",), passed, bias=False, project=False)
    values = torch.linalg.svdvals(goal[0].mT @ features[0] / features.shape[1])[:3]
    surgery = widen(net, "0", 8, example=data[0][0], neurons=GradMax(data, mse))
    assert surgery.receipt.promise is not None
    found = new_gradient(net, data, part).norm(dim=1 if part == "incoming" else 0)
    if part == "incoming":  # GradMax's own: σ′(0) · σ_i · ‖outgoing‖
        slope = 1.0 if isinstance(activation, nn.Tanh) else 0.5
        assert torch.allclose(found, slope * values * net[2].weight[:, 5:].norm(dim=0), rtol=1e-6)
    drawn_norms = []
    for seed in range(20):
        # Ky Fan: of all orthonormal directions the leading singular vectors have the largest sum of squares
        outgoing, incoming = torch.linalg.qr(randn(4, 3, seed=seed)).Q, torch.linalg.qr(randn(6, 3, seed=seed)).Q.T
        with torch.no_grad():
            other, _ = gradmax_net(activation)
            widen(other, "0", 8, example=data[0][0])
            if part == "incoming":
                other[0].weight[5:] = 0
                other[2].weight[:, 5:] = outgoing * net[2].weight[:, 5:].norm(dim=0)
            else:
                other[0].weight[5:] = incoming * net[0].weight[5:].norm(dim=1, keepdim=True)
                other[0].bias[5:] = 0
        drawn_norms.append(float(new_gradient(other, data, part).norm()))
    if part == "incoming":
        assert max(drawn_norms) < found.norm()
    else:  # of a ReLU only the linear half is looked at
        assert sum(drawn_norms) / len(drawn_norms) < 0.9 * found.norm()


@pytest.mark.parametrize(
    ("activation", "why"),
    [
        (nn.ReLU(), "derivative at 0 is 0"),
        (nn.Sigmoid(), "is 0.5 at 0"),
        (nn.Sequential(nn.BatchNorm1d(5), nn.Tanh()), "no variance"),
    ],
    ids=["relu", "sigmoid", "batch norm"],
)
def test_gradmax_refuses_or_switches(activation, why):
    net, data = gradmax_net(activation)
    with pytest.raises(GrowthError, match=f"{why}.*use side='incoming'"):
        widen(net, "0", 8, example=data[0][0], neurons=GradMax(data, mse, side="outgoing"))
    widen(net, "0", 8, example=data[0][0], neurons=GradMax(data, mse))
    assert (net[2].weight[:, 5:] == 0).all()
    assert (net[0].weight[5:].norm(dim=1) > 0).all()


@pytest.mark.parametrize(("rows", "rank"), [(50, 4), (2, 2)], ids=["as many as outputs", "as many as rows"])
def test_units_that_the_data_has_no_direction_for_are_drawn(rows, rank):
    net, _ = gradmax_net(nn.Tanh())
    data = batches(seeded(lambda: nn.Linear(6, 4), 1), rows, 6, count=1)
    widen(net, "0", 12, example=data[0][0], neurons=GradMax(data, mse))
    found = slice(5, 5 + rank)
    drawn = slice(5 + rank, None)
    assert (net[0].weight[found] == 0).all()
    assert (net[2].weight[:, found].norm(dim=0) > 0).all()
    assert (net[0].weight[drawn].norm(dim=1) > 0).all()
    assert (net[2].weight[:, drawn] == 0).all()


@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu"])
@pytest.mark.parametrize("kind", ["dense", "members", "conv"])
def test_tiny_units_decrease_the_loss(activation, kind):
    if kind == "conv":
        net, shape = (
            seeded(lambda: ConvNet((1, 6, 6), [2, 2], 2, pool=0, norm="none", activation=activation)),
            (40, 1, 6, 6),
        )
        teacher, name = seeded(lambda: ConvNet((1, 6, 6), [8, 8], 2, pool=0, norm="none"), 1), "hidden.0.conv"
    else:
        members = 2 if kind == "members" else 1
        net = seeded(lambda: DenseNet(6, [3], 2, activation=activation, members=members))
        teacher = seeded(lambda: DenseNet(6, [8], 2, members=members), 1)
        shape, name = ((2, 200, 6) if members > 1 else (200, 6)), "hidden.0.linear"
    data = batches(teacher, *shape)
    x, before = data[-1][0], error(net, data)
    surgery = widen(net, name, growth_sites(net, x).widths[name].size + 2, example=x, neurons=Tiny(data, mse))
    assert surgery.receipt.promise is None
    assert error(net, data) < before - 1e-4 * before


def test_tiny_predicts_the_first_order_decrease():
    net = seeded(lambda: nn.Sequential(nn.Linear(6, 3), nn.Tanh(), nn.Linear(3, 2)))
    data = batches(seeded(lambda: nn.Linear(6, 2), 1), 300, 6, count=1)
    passed = record(net, ("0", "2"), data, mse)
    values = best_units(*width_problem(net, "0", ("2",), passed), 2).values
    amplitude = 1e-5
    before = error(net, data)
    widen(net, "0", 5, example=data[0][0], neurons=Tiny(data, mse, amplitude=amplitude))
    decrease = before - error(net, data)
    assert decrease == pytest.approx(amplitude * float(values.square().sum()), rel=1e-2)


@pytest.mark.parametrize("neurons", [GradMax, Tiny])
def test_refusals_name_the_reason(neurons):
    x = randn(20, 6)
    y = randn(20, 3, seed=1)
    normed = seeded(lambda: DenseNet(6, [5], 3, norm="layer"))
    with pytest.raises(GrowthError, match=r"'hidden\.0\.norm' takes statistics over all of them"):
        widen(normed, "hidden.0.linear", 8, example=x, neurons=neurons([(x, y)], mse))
    residual = seeded(lambda: DenseNet(6, [5, 5], 3, residual=True))
    with pytest.raises(GrowthError, match="written by several layers"):
        widen(residual, "hidden.0.linear", 8, example=x, neurons=neurons([(x, y)], mse))
    pooled = seeded(lambda: ConvNet((1, 8, 8), [3, 3], 3, pool=1, norm="none"))
    image = randn(5, 1, 8, 8)
    with pytest.raises(GrowthError, match="pooling, flatten or a permutation lies between"):
        widen(pooled, "hidden.0.conv", 5, example=image, neurons=neurons([(image, randn(5, 3))], mse))
    assert math.prod(pooled.hidden[0].conv.weight.shape) == 27


@pytest.mark.parametrize("neurons", [GradMax(side="incoming", scale=0.3), Tiny(amplitude=0.01)])
def test_data_may_be_given_after_the_settings(neurons):
    data = batches(seeded(lambda: nn.Linear(6, 3), 1), 50, 6)
    early, late = (seeded(lambda: DenseNet(6, [5], 3)) for _ in range(2))
    with pytest.raises(GrowthError, match=rf"{type(neurons).__name__} computes new units from data and was given none"):
        widen(late, "hidden.0.linear", 8, example=data[0][0], neurons=neurons)
    assert late.hidden[0].linear.out_features == 5
    settings = {k: v for k, v in neurons.to_plain().items() if k != "name"}
    widen(early, "hidden.0.linear", 8, example=data[0][0], neurons=type(neurons)(data, mse, **settings))
    widen(late, "hidden.0.linear", 8, example=data[0][0], neurons=neurons.on(data, mse))
    assert all(torch.equal(a, b) for a, b in zip(early.parameters(), late.parameters(), strict=True))
    assert isinstance(neurons, Learned)
    assert not isinstance(ZeroOutgoing(), Learned)


def test_data_driven_neurons_say_what_they_are():
    assert GradMax([], mse).to_plain() == {"name": "GradMax", "side": "auto", "scale": 0.5}
    assert Tiny([], mse).to_plain() == {"name": "Tiny", "amplitude": None}
    with pytest.raises(GrowthError, match="did you mean 'incoming'"):
        GradMax([], mse, side="incomming")
