"""The laws of growth, over topologies × widths × activations × norms × initializers, in float64; each law seen failing.

Outputs are pre-softmax, changes are largest absolute ones, biases and norm statistics are far from their defaults.
"""

import copy
import dataclasses

import hypothesis
import pytest
import torch
from drawn_examples import up_to
from growth_zoo import ACTS, CASES, answers, make, unsettle
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from autogrow.errors import AutogrowError, GrowthError, ParityError
from autogrow.growth import (
    AntisymmetricPair,
    NewUnits,
    Split,
    Surgery,
    VarianceTransfer,
    ZeroOutgoing,
    deepen,
    growth_sites,
    widen,
)
from autogrow.growth.carry.optimizer import carry
from autogrow.growth.surgery import layout, plan
from autogrow.growth.surgery import units as layout_units
from autogrow.growth.surgery.moves import Move, move_tensor
from autogrow.growth.surgery.parity import EXACT, Probe
from autogrow.nets import DenseNet

ROUNDING = 1e-11
EXACT_NEURONS = [ZeroOutgoing(), Split(), Split("equal"), Split("dirichlet"), AntisymmetricPair()]

few = up_to(40)


def change(net: nn.Module, grown: nn.Module, x: Tensor, *, train: bool = False) -> float:
    """Largest change of any output; in train mode with dropout off."""
    worst = 0.0
    for one, other in zip(*(answers(_mode(copy.deepcopy(n), train), x) for n in (net, grown)), strict=True):
        worst = max(worst, float((one - other).detach().abs().max()))
    return worst


def _mode(net: nn.Module, train: bool) -> nn.Module:
    net.train(train)
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    return net


def growing(case: str, act: str, widths: dict[str, int]) -> tuple[nn.Module, Tensor, dict[str, int]]:
    """What `growths` draws, by name."""
    return *make(case, act), widths


@st.composite
def growths(draw: st.DrawFn) -> tuple[nn.Module, Tensor, dict[str, int]]:
    """A net of the zoo, an example, and larger sizes for some of its widths."""
    case = draw(st.sampled_from(sorted(CASES)))
    net, example = make(case, draw(st.sampled_from(sorted(ACTS))), seed=draw(st.integers(0, 99)))
    sites = growth_sites(net, example).widths
    names = draw(st.lists(st.sampled_from(sorted(sites)), min_size=1, unique=True))
    return net, example, {n: sites[n].size + sites[n].unit * draw(st.integers(1, 9)) for n in names}


# -- the function is kept


@few
@given(growths(), st.sampled_from(EXACT_NEURONS))
def test_widening_keeps_the_function(growth, neurons):
    net, example, widths = growth
    before = copy.deepcopy(net)
    surgery = widen(net, widths, example=example, neurons=neurons)
    assert change(before, net, example) < ROUNDING
    assert change(before, net, example, train=True) < ROUNDING
    assert surgery.receipt.max_abs_change < ROUNDING
    after = growth_sites(net, example).widths
    assert {name: after[name].size for name in widths} == widths


@pytest.mark.parametrize("case", ["plain", "members", "conv"])
def test_the_function_is_kept_and_proved_on_each_device(case, accelerator):
    """What depends on the case and the draw is held above; here, that nothing is left behind on another device."""
    device = torch.device({"cpu": "cpu", "gpu": "cuda"}[accelerator])
    net, example = make(case, "relu")
    net, example = net.to(device), example.to(device)
    before = copy.deepcopy(net)
    sites = growth_sites(net, example)
    name = next(iter(sites.widths))
    surgery = widen(net, name, sites.widths[name].size + sites.widths[name].unit, example=example)
    assert surgery.receipt.max_abs_change < ROUNDING
    assert change(before, net, example) < ROUNDING
    optimizer = torch.optim.AdamW(net.parameters())
    answers(net, example)[0].square().mean().backward()
    optimizer.step()
    assert {p.device.type for p in net.parameters()} == {device.type}
    carry(optimizer, widen(net, name, sites.widths[name].size + 3 * sites.widths[name].unit, example=example))
    assert {v.device.type for s in optimizer.state.values() for v in s.values() if v.ndim} == {device.type}


NORMED = [(n, a, m) for n in ("layer", "rms") for a in ("relu", "gelu", "sigmoid") for m in (1, 2)]


def normed(norm: str, activation: str, members: int, *, residual: bool = False) -> tuple[nn.Module, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = DenseNet(5, [6, 6], 3, norm=norm, activation=activation, members=members, residual=residual).double()
        example = torch.randn((2, 9, 5) if members > 1 else (9, 5)).double()
    unsettle(net, torch.Generator().manual_seed(4))
    return net, example


@pytest.mark.parametrize(("norm", "activation", "members"), NORMED)
@pytest.mark.parametrize("width", [7, 9, 12, 18])
@pytest.mark.parametrize("neurons", [ZeroOutgoing(), Split(), Split("dirichlet")], ids=repr)
def test_widening_through_norms_over_all_units_keeps_the_function(norm, activation, members, width, neurons):
    net, example = normed(norm, activation, members)
    before = copy.deepcopy(net)
    widen(net, {"hidden.0.linear": width, "hidden.1.linear": width}, neurons=neurons)
    assert change(before, net, example) < ROUNDING


@pytest.mark.parametrize(("norm", "activation", "members"), NORMED)
def test_new_units_learn_whatever_the_norm_and_activation(norm, activation, members):
    """Exactness is worth nothing if new units are dead: in a few steps all their weights move, each its own way."""
    net, example = normed(norm, activation, members)
    widen(net, "hidden.0.linear", 8)
    unit = [-2, -1]
    start = net.hidden[0].linear.weight.detach().clone()[..., unit, :]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    for _ in range(5):
        optimizer.zero_grad()
        (net(example) ** 2).mean().backward()
        optimizer.step()
    moved = net.hidden[0].linear.weight.detach()[..., unit, :] - start
    assert float(moved.abs().amax(-1).min()) > 1e-7
    one, other = moved.unbind(-2)
    assert float((one - other).abs().max()) > 1e-8


@few
@given(growths(), st.data())
def test_deepening_keeps_the_function(growth, data):
    net, example, _ = growth
    depths = growth_sites(net, example).depths
    if not depths:
        return
    site = depths[data.draw(st.sampled_from(sorted(depths)))]
    before = copy.deepcopy(net)
    deepen(net, site.name, kind=data.draw(st.sampled_from(site.kinds)), example=example)
    assert change(before, net, example) < ROUNDING
    assert change(before, net, example, train=True) < ROUNDING


# -- gradients of a split


@few
@given(growths(), st.sampled_from([Split("equal"), Split("dirichlet")]))
@hypothesis.example(growing("rms", "relu", {"hidden.0.linear": 12}), Split("dirichlet"))
def test_gradients_of_a_split_are_its_factors_times_the_old_ones(growth, neurons):
    """∂L/∂U' = λ ∂L/∂U[g] for what writes, ∂L/∂V' = ∂L/∂V[:, g] for what reads: growth.md §1, for every topology."""
    net, example, widths = growth
    if any(isinstance(m, nn.LayerNorm) for m in net.modules()):
        return  # multiples only; below
    before = copy.deepcopy(net)
    surgery = widen(net, widths, example=example, neurons=neurons)
    assert gradient_error(before, net, surgery, example) < ROUNDING


@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize(
    ("width", "shares"), [(12, "equal"), (18, "equal"), (9, "equal"), (9, "dirichlet"), (12, "dirichlet")]
)
def test_gradients_of_a_split_through_norms_over_all_units(norm, members, width, shares):
    if norm == "layer" and (width % 6 or shares != "equal"):
        return  # new units start at the mean row there, no split; and what flows through its statistics has no shares
    net, example = normed(norm, "gelu", members)
    before = copy.deepcopy(net)
    surgery = widen(net, {"hidden.0.linear": width, "hidden.1.linear": width}, neurons=Split(shares))
    assert gradient_error(before, net, surgery, example) < ROUNDING


def gradient_error(before: nn.Module, grown: nn.Module, surgery: Surgery, example: Tensor) -> float:
    """How far the grown net's gradients are from the old ones carried through the moves, factors and all."""
    old, new = (gradients(n, example) for n in (before, grown))
    worst = 0.0
    for move in surgery.moves:
        if move.new_name not in new:
            continue  # a buffer
        expected = move_tensor(move, old[move.old_name])
        for dim, factor in move.grad.items():
            expected = expected * factor.view([-1 if d == dim else 1 for d in range(expected.ndim)])
        worst = max(worst, float((new[move.new_name] - expected).abs().max()))
    return worst


def gradients(net: nn.Module, example: Tensor) -> dict[str, Tensor]:
    net = _mode(copy.deepcopy(net), train=True)
    loss = sum(((o - 0.3) ** 2).mean() for o in answers(net, example))
    loss.backward()
    return {n: p.grad for n, p in net.named_parameters() if p.grad is not None}


# -- one step after

OPTIMIZERS = {
    "sgd": (lambda p: torch.optim.SGD(p, lr=0.05), True),
    "momentum": (lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9), True),
    "nesterov": (lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True), True),
    "adam": (lambda p: torch.optim.Adam(p, lr=0.01, eps=1e-14), False),
}


@few
@given(growths(), st.sampled_from(sorted(OPTIMIZERS)), st.sampled_from([Split("equal"), Split("dirichlet")]))
def test_one_step_law(growth, name, neurons):
    """With the state moved by the closed form, the grown net's next step is the ungrown one's, update factors apart.

    An update has the gradient's factor (Adam's has none) and should have the value's: growth.md §1.
    """
    net, example, widths = growth
    if any(isinstance(m, nn.LayerNorm) for m in net.modules()):
        return
    error, moved = one_step(net, example, widths, name, neurons, rescaled=True)
    assert error < (1e-10 if OPTIMIZERS[name][1] else 1e-6) * max(1.0, moved)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_one_step_law_needs_the_update_factors(name):
    net, example = make("residual", "tanh")
    error, moved = one_step(net, example, {"stem": 12, "a": 9}, name, Split("equal"), rescaled=False)
    assert error > 0.01 * moved


def one_step(
    net: nn.Module, example: Tensor, widths: dict[str, int], name: str, neurons: Split, *, rescaled: bool
) -> tuple[float, float]:
    """How far the grown net is from its ungrown twin after one step of both, and how far that step went."""
    make_optimizer, by_gradient = OPTIMIZERS[name]
    optimizer = make_optimizer(net.parameters())
    for _ in range(3):
        step(net, optimizer, example)
    twin = copy.deepcopy(net)
    twin_optimizer = make_optimizer(twin.parameters())
    twin_optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    start = copy.deepcopy(net)
    surgery = widen(net, widths, example=example, neurons=neurons)
    carry(optimizer, surgery)
    old = {n: p.detach().clone() for n, p in net.named_parameters()}
    step(net, optimizer, example)
    step(twin, twin_optimizer, example)
    new = dict(net.named_parameters())
    for move in surgery.moves if rescaled else ():
        if move.new_name not in new:
            continue
        update = new[move.new_name].detach() - old[move.new_name]
        for dim in move.index:
            factor = move.value.get(dim, torch.ones(1)) / (move.grad.get(dim, torch.ones(1)) if by_gradient else 1.0)
            update = update * factor.view([-1 if d == dim else 1 for d in range(update.ndim)])
        new[move.new_name].data.copy_(old[move.new_name] + update)
    return change(twin, net, example, train=True), change(start, twin, example, train=True)


def step(net: nn.Module, optimizer: torch.optim.Optimizer, example: Tensor) -> None:
    optimizer.zero_grad()
    sum(((o - 0.3) ** 2).mean() for o in answers(_mode(net, train=True), example)).backward()
    optimizer.step()


# -- composition and replay


@few
@given(growths(), st.integers(1, 4))
def test_widening_twice_is_widening_once(growth, more):
    net, example, widths = growth
    sites = growth_sites(net, example).widths
    further = {n: w + more * sites[n].unit for n, w in widths.items()}
    once = copy.deepcopy(net)
    widen(once, further, example=example, neurons=Split())
    widen(net, widths, example=example, neurons=Split())
    widen(net, further, example=example, neurons=Split())
    assert {n: p.shape for n, p in net.named_parameters()} == {n: p.shape for n, p in once.named_parameters()}
    assert change(once, net, example) < ROUNDING


@few
@given(growths(), st.sampled_from(EXACT_NEURONS))
@hypothesis.example(growing("rearranged", "relu", {"mix": 6, "one": 5}), ZeroOutgoing())
def test_a_weight_average_follows_the_same_plan(growth, neurons):
    """The copy keeps its own function. What is new in it is the very draw, and where that is a mean, its own."""
    net, example, widths = growth
    average = copy.deepcopy(net)
    with torch.no_grad():
        for p in average.parameters():
            p.mul_(0.9).add_(0.01)
    old = copy.deepcopy(net), copy.deepcopy(average)
    surgery = widen(net, widths, example=example, neurons=neurons)
    surgery.replay(average)
    assert change(old[1], average, example) < ROUNDING
    for move in surgery.moves:
        owns = [owned(move, tensors(o)[move.old_name]) for o in old]
        one, other = (tensors(n)[move.new_name] for n in (net, average))
        rests = [(one - o) - (other - a) for o, a in zip(*owns, strict=True)]
        assert min(float(rest.abs().max()) for rest in rests) < ROUNDING


def tensors(net: nn.Module) -> dict[str, Tensor]:
    return {name: t.detach() for name, t in (*net.named_parameters(), *net.named_buffers())}


def owned(move: Move, old: Tensor) -> list[Tensor]:
    """What of a grown tensor is the net's own: old entries times their factors, new ones 0 or the mean of the old."""
    found = [old]
    for dim, index in move.index.items():
        shape = [-1 if d == dim else 1 for d in range(old.ndim)]
        factor = move.value.get(dim, torch.ones(len(index)))
        found = [
            torch.where(index.view(shape) < 0, fresh, t.index_select(dim, index.clamp(min=0)) * factor.view(shape))
            for t in found
            for fresh in (torch.zeros(()), t.mean(dim, keepdim=True))
        ]
    return found


# -- symmetry


@pytest.mark.parametrize(
    ("neurons", "rank"),
    [(Split("equal"), 4), (Split(), 8), (Split("dirichlet"), 8), (ZeroOutgoing(), 8), (AntisymmetricPair(), 8), (VarianceTransfer(), 8)],
    ids=repr,
)  # fmt: skip
def test_symmetry_is_broken_except_by_equal_shares(neurons, rank):
    """Rank of the hidden features' matrix after training: copies that stay copies are no growth at all."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)).double()
        x, y = torch.randn(64, 6).double(), torch.randn(64, 3).double()
    widen(net, "0", 8, neurons=neurons)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for _ in range(60):
        optimizer.zero_grad()
        ((net(x) - y) ** 2).mean().backward()
        optimizer.step()
    hidden = net[1](net[0](x)).detach()
    assert int((torch.linalg.svdvals(hidden) > 1e-6).sum()) == rank


# -- every law has teeth: deliberately wrong operators


def wrong_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outgoing weights are copied and not shared out."""
    real = Split.propose
    monkeypatch.setattr(Split, "propose", lambda s, r: dataclasses.replace(real(s, r), share=torch.ones(r.units)))


def wrong_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers follow another map than writers."""
    real = layout._regrow

    def regrow(old, shape, before, dim, laid, generator):
        step = real(old, shape, before, dim, laid, generator)
        return dataclasses.replace(step, index=step.index.flip(0)) if laid[0][0].role == "read" else step

    monkeypatch.setattr(layout, "_regrow", regrow)


def wrong_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Norms get default entries instead of copies."""
    real = layout._regrow

    def regrow(old, shape, before, dim, laid, generator):
        step = real(old, shape, before, dim, laid, generator)
        index = torch.where(torch.arange(len(step.index)) < old.shape[dim], step.index, -1)
        return dataclasses.replace(step, index=index, fill=1.0) if laid[0][0].role == "carry" else step

    monkeypatch.setattr(layout, "_regrow", regrow)


def wrong_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise on incoming weights by a kind that promises to be exact."""
    real = Split.propose
    monkeypatch.setattr(Split, "propose", lambda s, r: dataclasses.replace(real(s, r), incoming_noise=0.01))


WRONG = {"shares": (wrong_shares, "plain"), "map": (wrong_map, "residual"), "noise": (wrong_noise, "conv"), "carried": (wrong_carried, "dense_batch")}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_the_receipt_refuses_a_wrong_operator_and_rolls_back(wrong, monkeypatch):
    damage, case = WRONG[wrong]
    net, example = make(case)
    name, size = next(iter(CASES[case].widths.items()))
    before = {n: (id(t), t.clone()) for n, t in net.state_dict(keep_vars=True).items()}
    damage(monkeypatch)
    with pytest.raises(ParityError, match=r"changes the net's output by .* where it promises at most .*as it was"):
        widen(net, name, size * 2, example=example, neurons=Split())
    after = net.state_dict(keep_vars=True)
    assert all(id(after[n]) == i and torch.equal(after[n], t) for n, (i, t) in before.items())
    assert growth_sites(net, example).widths[name].size == size


NORM_MISTAKES = {
    "gain": lambda g: dataclasses.replace(g, gain=None),
    "eps": lambda g: dataclasses.replace(g, epsilon=1.0),
    "row": lambda g: dataclasses.replace(g, start="draw", row_scale=None),
}


@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("mistake", NORM_MISTAKES)
def test_each_part_of_the_rule_for_norms_over_all_units_is_needed(norm, mistake, monkeypatch):
    net, _ = normed(norm, "gelu", 1)
    net.hidden[0].norm.eps = 1e-3
    real = layout_units.normed_units
    monkeypatch.setattr("autogrow.growth.surgery.widen.normed_units", lambda r, u: NORM_MISTAKES[mistake](real(r, u)))
    with pytest.raises(ParityError):
        widen(net, "hidden.0.linear", 9)


def test_a_gradient_factor_that_is_left_out_is_seen():
    net, example = make("residual")
    before = copy.deepcopy(net)
    surgery = widen(net, "stem", 12, example=example, neurons=Split("equal"))
    bare = dataclasses.replace(surgery, moves=[dataclasses.replace(m, grad={}) for m in surgery.moves])
    assert gradient_error(before, net, surgery, example) < ROUNDING
    assert gradient_error(before, net, bare, example) > 1e-4


class OtherMap:
    """Promises to keep the function and gives old units away."""

    exact = True

    def propose(self, request) -> NewUnits:
        return NewUnits(torch.arange(request.units) % request.site.units, torch.ones(request.units))

    def to_plain(self) -> dict:
        return {"name": "OtherMap"}


def test_a_promise_that_is_not_kept_is_an_error_whoever_makes_it():
    net, example = make("plain")
    with pytest.raises(ParityError):
        widen(net, "0", 9, example=example, neurons=OtherMap())


# -- a failure anywhere leaves the net exactly as it was


@pytest.mark.parametrize("step", ["regrow", "install", "forward", "interrupt"])
def test_a_failed_growth_leaves_the_net_as_it_was(step, monkeypatch):
    net, example = make("inverted")
    before = {n: (id(t), t.clone()) for n, t in net.state_dict(keep_vars=True).items()}
    attributes = plain_attributes(net)
    if step == "regrow":
        monkeypatch.setattr("autogrow.growth.surgery.plan.TensorPlan.build", _fails_at_third(plan.TensorPlan.build))
        expected = RuntimeError
    elif step == "install":
        monkeypatch.setattr("autogrow.growth.surgery.plan.set_attribute", _fails_at_third(plan.set_attribute))
        expected = RuntimeError
    elif step == "forward":
        net.register_forward_hook(lambda *_: _raise(RuntimeError("no")) if net.expand.out_channels > 8 else None)
        expected = GrowthError
    else:
        monkeypatch.setattr(Probe, "receipt", lambda *_, **__: _raise(KeyboardInterrupt()))
        expected = KeyboardInterrupt
    with pytest.raises(expected):
        widen(net, "expand", 12, example=example)
    after = net.state_dict(keep_vars=True)
    assert all(id(after[n]) == i and torch.equal(after[n], t) for n, (i, t) in before.items())
    assert attributes == plain_attributes(net)


def plain_attributes(net: nn.Module) -> dict[str, dict]:
    return {
        name: {k: v for k, v in vars(m).items() if isinstance(v, (int, float, tuple))}
        for name, m in net.named_modules()
    }


def _raise(error: BaseException) -> None:
    raise error


def _fails_at_third(real):
    calls = []

    def fails(*args):
        calls.append(args)
        if len(calls) == 3:
            raise RuntimeError("out of memory")
        return real(*args)

    return fails


def test_a_failed_insertion_leaves_the_net_as_it_was(monkeypatch):
    net, example = make("plain")
    modules = [id(m) for m in net.modules()]
    monkeypatch.setattr(
        "autogrow.growth.surgery.insertion.square", lambda _layer: torch.empty(7, 7)
    )  # forgets the identity
    with pytest.raises(ParityError):
        deepen(net, "1", kind="identity", example=example)
    assert modules == [id(m) for m in net.modules()]


def test_a_whole_target_is_reached_or_nothing():
    from autogrow.growth import grow_to

    net, example = make("plain")
    before = [(n, id(p)) for n, p in net.named_parameters()]
    with pytest.raises(AutogrowError):
        grow_to(net, [9, 9, 9], example=example, neurons=OtherMap())
    assert before == [(n, id(p)) for n, p in net.named_parameters()]
    assert Probe(net, example).receipt(EXACT).max_abs_change == 0
