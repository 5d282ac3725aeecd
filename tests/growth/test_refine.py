"""Growth in the resolution of the inputs: the laws of refining, over nets × knots, in float64; each seen failing."""

import copy

import pytest
import torch
from drawn_examples import up_to
from growth_zoo import answers
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from autogrow.errors import GrowthError
from autogrow.growth import carry, deepen, extend_inputs, growth_sites, refine, replay, widen
from autogrow.growth.carry.optimizer import check_optimizer, place_state, state_by_name
from autogrow.growth.column_scores import score_columns
from autogrow.growth.cost import cost, dry_run
from autogrow.nets import DenseNet, Knots

ROUNDING = 1e-11
COLUMNS = 4


def dense(**changes):
    return DenseNet(COLUMNS, [8, 8], 3, **changes)


NETS = {
    "plain": lambda: (dense(), torch.randn(64, COLUMNS) * 3),
    "no hidden layer": lambda: (DenseNet(COLUMNS, [], 3), torch.randn(64, COLUMNS) * 3),
    "residual, normed": lambda: (dense(residual=True, norm="layer", activation="gelu"), torch.randn(64, COLUMNS) * 3),
    "members": lambda: (dense(members=3), torch.randn(3, 64, COLUMNS) * 3),
    "embedded": lambda: (
        DenseNet(COLUMNS + 1, [8], 3, embeddings=[5]),
        torch.cat([torch.randn(64, COLUMNS) * 3, torch.randint(5, (64, 1)).float()], 1),
    ),
    "a user's": lambda: (
        nn.Sequential(nn.Linear(COLUMNS, 8), nn.ReLU(), nn.Linear(8, 3)),
        torch.randn(64, COLUMNS) * 3,
    ),
}
positions = st.lists(st.floats(-5, 5, width=16), min_size=3, max_size=9, unique=True).map(sorted)
asked = st.dictionaries(st.sampled_from([f"inputs[{i}]" for i in range(COLUMNS)]), positions, min_size=1)
few = up_to(40)


def made(case, seed):
    torch.manual_seed(seed)
    net, x = NETS[case]()
    return net.double(), x.double()


def trained(net):
    """All weights away from zero, those of knots among them."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64))
    return net


def furthest(one, other, x):
    x = torch.cat([x, 40 * x[..., :1, :].expand_as(x)], -2) if x.shape[-1] == COLUMNS else x  # far outside the knots
    pairs = zip(answers(one.eval(), x), answers(other.eval(), x), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


def reader(net):
    return net.get_submodule(growth_sites(net, None).columns.reader)


def sites_of(net, x):
    return growth_sites(net, x)


# -- the function is kept


@few
@given(st.sampled_from(sorted(NETS)), asked, asked, st.integers(0, 99))
def test_refining_keeps_the_function_and_refining_again_splits_what_is_there(case, first, second, seed):
    net, x = made(case, seed)
    before = copy.deepcopy(net)
    surgery = refine(net, first, example=x)
    assert furthest(before, net, x) < ROUNDING
    assert surgery.receipt.max_abs_change < ROUNDING
    trained(net)
    before = copy.deepcopy(net)
    finer = {n: at for n, at in second.items() if set(at) - set(sites_of(net, x).finer[n].knots)}
    if finer:
        refine(net, finer, example=x)
        assert furthest(before, net, x) < 1e-9  # weights are up to 4, and many
        for name, at in finer.items():
            assert set(sites_of(net, x).finer[name].knots) == {*first.get(name, ()), *at}


def test_knots_are_where_the_net_may_bend_and_nowhere_else():
    net = trained(DenseNet(1, [], 1).double())
    refine(net, "inputs[0]", [-1.0, 0.0, 2.0])
    trained(net)
    at = torch.tensor([-9, -5, -1, -0.5, 0, 1, 2, 4, 8], dtype=torch.float64)[:, None]
    y = net(at).detach().flatten()
    slope = (y.diff() / at.flatten().diff()).tolist()
    assert slope[0] == pytest.approx(slope[1])  # outside: the column's own
    assert slope[2] == pytest.approx(slope[3])
    assert slope[4] == pytest.approx(slope[5])
    assert slope[6] == pytest.approx(slope[7]) == pytest.approx(slope[0])
    assert len({round(s, 6) for s in slope}) == 3


# -- the optimizer follows


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.AdamW], ids=["sgd", "adamw"])
@pytest.mark.parametrize("case", ["plain", "members", "a user's"])
def test_the_next_step_moves_what_was_there_as_if_nothing_had_been_refined(case, make):
    net, x = made(case, 1)
    optimizer = make(net.parameters(), lr=0.01, **({"momentum": 0.9} if make is torch.optim.SGD else {}))
    target = torch.randn(*x.shape[:-1], 3, dtype=torch.float64)

    def step(net, optimizer):
        optimizer.zero_grad()
        (net(x) - target).square().mean().backward()
        optimizer.step()

    for _ in range(3):
        step(net, optimizer)
    grown = copy.deepcopy(net)
    own = make(grown.parameters(), lr=0.01, **({"momentum": 0.9} if make is torch.optim.SGD else {}))
    own.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    carry(own, refine(grown, {"inputs[1]": [-1, 0, 1], "inputs[2]": [-2, 0, 1, 2]}, example=x))
    check_optimizer(own, grown)
    step(net, optimizer)
    step(grown, own)
    size = sites_of(net, x).columns.size
    weights = [n.get_submodule(sites_of(n, x).columns.reader).weight for n in (net, grown)]
    assert torch.allclose(weights[0], weights[1][..., :size], rtol=0, atol=1e-12)
    assert float(weights[1][..., size:].detach().abs().max()) > 1e-6  # and what is new learns from the first step on


def test_momentum_goes_on_moving_the_function_as_before_where_a_ramp_is_split():
    net, x = made("plain", 2)
    refine(net, "inputs[0]", [-2.0, 0.0, 2.0])
    trained(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    net(x).square().mean().backward()
    optimizer.step()
    grown = copy.deepcopy(net)
    own = torch.optim.SGD(grown.parameters(), lr=0.01, momentum=0.9)
    own.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    carry(own, refine(grown, "inputs[0]", [-2.0, -0.5, 0.0, 1.0, 2.0], example=x))
    for one, its in ((net, optimizer), (grown, own)):  # a step without a gradient: momentum alone
        for p in one.parameters():
            p.grad = torch.zeros_like(p)
        its.step()
    assert furthest(net, grown, x) < ROUNDING


def test_state_that_was_saved_by_name_finds_what_has_got_another_name():
    net, x = made("a user's", 1)
    optimizer = torch.optim.AdamW(net.parameters())
    net(x).square().mean().backward()
    optimizer.step()
    saved = copy.deepcopy(state_by_name(optimizer, {p: n for n, p in net.named_parameters()}))
    surgery = refine(net, "inputs[1]", [-1, 0, 1], example=x)
    names = [m.new_name for m in surgery.moves]
    assert len(names) == len(set(names))
    fresh = torch.optim.AdamW(net.parameters())
    place_state(fresh, {p: n for n, p in net.named_parameters()}, saved, surgery.moves)
    moment = fresh.state[net.get_submodule("0.1").weight]["exp_avg"]
    assert torch.equal(moment[:, :COLUMNS], saved["0.weight"]["exp_avg"])
    assert not moment[:, COLUMNS:].any()


# -- copies, recipes, what follows


@pytest.mark.parametrize("case", sorted(NETS))
def test_a_recipe_and_a_copy_get_the_same_net(case):
    net, x = made(case, 3)
    fresh, average = copy.deepcopy(net), copy.deepcopy(net)
    surgeries = [refine(net, {"inputs[1]": [-1, 0, 1]}, example=x)]
    trained(net)
    surgeries.append(refine(net, {"inputs[1]": [-1, 0.5, 3], "inputs[0]": [-1, 1, 2]}, example=x))
    replay(fresh, [s.entry for s in surgeries])
    fresh.load_state_dict(net.state_dict())
    assert furthest(net, fresh, x) == 0
    for surgery in surgeries:
        surgery.replay(average)
    average.load_state_dict(net.state_dict())
    assert furthest(net, average, x) == 0


def test_other_growths_go_on_behind_a_refined_column():
    net, x = made("plain", 4)
    refine(net, "inputs[3]", [-1, 0, 1])
    trained(net)
    before = copy.deepcopy(net)
    widen(net, "hidden.0.linear", 12, example=x)
    deepen(net, "hidden.1.act", example=x)
    extend_inputs(net, 2, example=x)
    more = torch.cat([x, torch.randn(64, 2, dtype=torch.float64)], 1)
    assert float((before(x) - net(more)).detach().abs().max()) < 1e-9
    sites = sites_of(net, more)
    assert list(sites.finer) == [f"inputs[{i}]" for i in range(6)]
    assert [s.pieces for s in sites.finer.values()] == [1, 1, 1, 2, 1, 1]
    assert "columns=6, components=2" in str(net)
    refine(net, "inputs[5]", [-1, 0, 1], example=more)
    assert float((before(x) - net(more)).detach().abs().max()) < 1e-9


@pytest.mark.parametrize("case", sorted(NETS))
def test_a_dry_run_knows_what_it_will_cost(case):
    net, x = made(case, 5)
    for action in ({"inputs[1]": [-1, 0, 1]}, {"inputs[1]": [-1, 0.5, 1], "inputs[2]": [0, 1, 2]}):
        promised = dry_run(net, x, {"do": "refine", "knots": action})
        refine(net, action, example=x)
        assert cost(net, x) == promised


# -- what cannot be refined


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return self.one(x) + self.other(x)


REFUSED = {
    "normalised first": (nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3)), {0: [0, 1, 2]}, "as they are"),
    "images": (nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten(), nn.Linear(8, 3)), {0: [0, 1, 2]}, "as they are"),
    "read twice": (Twice(), {0: [0, 1, 2]}, "more than once: by one, other"),
    "no such column": (nn.Sequential(nn.Linear(4, 3)), {"inputs[7]": [0, 1, 2]}, "no column is called"),
    "not increasing": (nn.Sequential(nn.Linear(4, 3)), {"inputs[0]": [0, 2, 1]}, "must be increasing"),
    "not finite": (nn.Sequential(nn.Linear(4, 3)), {"inputs[0]": [0, 1, float("inf")]}, "must be finite"),
    "one piece": (nn.Sequential(nn.Linear(4, 3)), {"inputs[0]": [0, 1]}, "would not become finer"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_cannot_be_refined_is_said_and_left_as_it_was(why):
    net, knots, words = REFUSED[why]
    x = torch.randn(5, 1, 2, 2) if why == "images" else torch.randn(5, 4)
    before = copy.deepcopy(net)
    with pytest.raises(GrowthError, match=words):
        refine(net, {f"inputs[{k}]" if isinstance(k, int) else k: v for k, v in knots.items()}, example=x)
    assert str(net) == str(before)


# -- what it would bring


def test_the_column_that_bends_scores_above_noise_and_the_straight_ones_do_not():
    torch.manual_seed(0)
    x = torch.randn(2048, COLUMNS)
    y = x[:, :1] + 2 * x[:, 1:2].abs() + 0.3 * torch.randn(2048, 1)
    net = DenseNet(COLUMNS, [], 1)
    with torch.no_grad():  # the best linear net: nothing is left but the bend and noise
        design = torch.cat([x, torch.ones(2048, 1)], 1)
        solved = torch.linalg.lstsq(design, y).solution
        net.head.weight.copy_(solved[:-1].T)
        net.head.bias.copy_(solved[-1] + 0.2)  # what a bias could do is no reason for a knot
    knots = {f"inputs[{i}]": torch.quantile(x[:, i], torch.linspace(0, 1, 17)).tolist() for i in range(COLUMNS)}
    scores = score_columns(net, (x, y), nn.functional.mse_loss, growth_sites(net, x), knots)
    assert scores["inputs[1]"] > 10
    assert all(0 < scores[f"inputs[{i}]"] < 3 for i in (0, 2, 3))
    refine(net, {"inputs[1]": knots["inputs[1]"]})
    again = score_columns(net, (x, y), nn.functional.mse_loss, growth_sites(net, x), knots)
    assert "inputs[1]" not in again  # nothing finer is on offer


def test_members_score_as_their_nets_do_together():
    torch.manual_seed(0)
    net, x = dense(members=2), torch.randn(200, COLUMNS)
    y = torch.randint(3, (200,))
    knots = {"inputs[0]": [-2, 0, 2]}
    loss = nn.functional.cross_entropy
    pair = score_columns(
        net, (x.expand(2, 200, COLUMNS), y), lambda z, t: loss(z.flatten(0, 1), t.repeat(2)), growth_sites(net), knots
    )
    assert 0 < pair["inputs[0]"] < 100


def test_knots_say_their_sizes_and_hold_nothing_that_is_trained():
    knots = Knots(2, torch.tensor([1]), torch.tensor([0.0]), torch.tensor([1.0]))
    assert "columns=2, components=1" in str(knots)
    assert list(knots.parameters()) == []
