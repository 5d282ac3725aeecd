"""State of optimizers people use, over a growth: what is known is carried by its law, the rest starts anew where it was
touched and nowhere else, and that is said.

Where a package is not at hand a stand-in keeps the same entries of the same shapes.
"""

import copy

import pytest
import torch
from torch import nn

from autogrow.errors import GrowthError
from autogrow.growth import Split, carry, check_optimizer, place_state, state_by_name, widen

X, Y = torch.randn(1, 6, dtype=torch.float64), torch.tensor([1])  # one row: its gradients are of rank one


class Keeps(torch.optim.Optimizer):
    """A stand-in: steps by the sign of the gradient, and keeps what `entries(p, g, state)` says."""

    def __init__(self, params):
        super().__init__(params, {"lr": 1e-2})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                self.entries(p, p.grad, self.state[p])
                p.sub_(group["lr"] * p.grad.sign())


def average(state, key, value, beta=0.9):
    state[key] = beta * state.get(key, torch.zeros_like(value)) + (1 - beta) * value


class Lion(Keeps):
    def entries(self, p, g, state):
        average(state, "exp_avg", g)


class Adan(Keeps):
    def entries(self, p, g, state):
        average(state, "exp_avg", g)
        average(state, "exp_avg_sq", g * g)
        average(state, "exp_avg_diff", g)
        state["neg_pre_grad"] = -g


class Sophia(Keeps):
    def entries(self, p, g, state):
        average(state, "exp_avg", g)
        average(state, "hessian", g * g)


class AdEMAMix(Keeps):
    def entries(self, p, g, state):
        average(state, "exp_avg_fast", g)
        average(state, "exp_avg_slow", g, 0.999)
        average(state, "exp_avg_sq", g * g)


class RowsAndColumns(Keeps):
    """Adafactor of fairseq, transformers and timm: no dimension is kept."""

    def entries(self, p, g, state):
        state["step"] = state.get("step", 0) + 1
        if p.ndim > 1:
            average(state, "exp_avg_sq_row", (g * g).mean(-1))
            average(state, "exp_avg_sq_col", (g * g).mean(-2))
        else:
            average(state, "exp_avg_sq", g * g)


class In32Bits(Keeps):
    """bitsandbytes, for tensors too small to be quantised."""

    def entries(self, p, g, state):
        average(state, "state1", g)
        average(state, "state2", g * g)


class AdamWScheduleFree(Keeps):
    def entries(self, p, g, state):
        z = state.setdefault("z", p.clone())
        z.sub_(1e-2 * g)
        average(state, "exp_avg_sq", g * g)


class In8Bits(Keeps):
    """bitsandbytes: codes of the parameter's shape, a scale for each block, a table."""

    def entries(self, p, g, state):
        for i in (1, 2):
            state[f"state{i}"] = torch.randint(255, p.shape, dtype=torch.uint8)
            state[f"absmax{i}"], state[f"qmap{i}"] = torch.ones(-(-p.numel() // 4)), torch.linspace(0, 1, 256)


class In8BitsOneBlock(Keeps):
    """The same where the only scale is a number."""

    def entries(self, p, g, state):
        state["state1"], state["absmax1"] = torch.randint(255, p.shape, dtype=torch.uint8), torch.ones(1)


class Soap(Keeps):
    """Moments in a basis of their own, and the matrices that lead there."""

    def entries(self, p, g, state):
        average(state, "exp_avg", g)
        average(state, "exp_avg_sq", g * g)
        state["GG"] = [torch.eye(n) for n in p.shape] if p.ndim > 1 else []
        state["Q"] = [torch.eye(n) for n in p.shape] if p.ndim > 1 else None


class Shampoo(Keeps):
    """A matrix for each dimension; of a square parameter they have its shape."""

    def entries(self, p, g, state):
        for i, n in enumerate(p.shape):
            state[f"precond_{i}"], state[f"inv_precond_{i}"] = torch.eye(n), torch.eye(n)


class GaLore(Keeps):
    """Moments of a projection."""

    def entries(self, p, g, state):
        average(state, "exp_avg", g[:2])


def muon(parameters):
    """Muon, for matrices alone: the usual mixture."""
    return torch.optim.Muon([p for p in parameters if p.ndim == 2], lr=1e-2)


KNOWN = {
    "Lion": Lion, "Adan": Adan, "Sophia": Sophia, "AdEMAMix": AdEMAMix, "Adafactor, no dimension kept": RowsAndColumns,
    "bitsandbytes in 32 bits": In32Bits, "Adafactor": lambda p: torch.optim.Adafactor(p, lr=1e-2), "Muon": muon,
}  # fmt: skip
UNKNOWN = {
    "bitsandbytes in 8 bits": In8Bits, "in one block": In8BitsOneBlock, "SOAP": Soap, "Shampoo": Shampoo, "GaLore": GaLore,
}  # fmt: skip


def make():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 3)).double()


def step(net, optimizer):
    net.zero_grad()
    nn.functional.cross_entropy(net(X), Y).backward()
    optimizer.step()


@pytest.mark.parametrize("name", KNOWN)
def test_state_after_a_split_is_what_the_grown_net_would_have_come_to(name):
    net, twin = make(), make()
    optimizer = KNOWN[name](net.parameters())
    before = copy.deepcopy(net.state_dict())
    step(net, optimizer)
    net.load_state_dict(before)  # a step's state, at the weights it was taken at
    surgery = widen(net, "0", 12, neurons=Split(shares="dirichlet"))
    assert carry(optimizer, surgery) == []
    check = check_optimizer if name != "Muon" else lambda *_: None  # vectors are another optimizer's
    check(optimizer, net)
    twin.load_state_dict(before)
    surgery.replay(twin)
    twin.load_state_dict(net.state_dict())
    expected = KNOWN[name](twin.parameters())
    step(twin, expected)
    compared = 0
    for mine, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        for key, value in expected.state.get(theirs, {}).items():
            torch.testing.assert_close(optimizer.state[mine][key], value, rtol=1e-9, atol=1e-14)
            compared += isinstance(value, torch.Tensor) and value.numel() > 1
    assert compared >= (3 if name == "Muon" else 6)
    step(net, optimizer)


@pytest.mark.parametrize("name", KNOWN)
def test_fresh_entries_start_at_nothing_and_old_ones_keep_what_they_knew(name):
    net = make()
    optimizer = KNOWN[name](net.parameters())
    step(net, optimizer)
    old = {n: copy.deepcopy(optimizer.state.get(p, {})) for n, p in net.named_parameters()}
    carry(optimizer, widen(net, "0", 9))
    for parameter_name, parameter in net.named_parameters():
        for key, value in old[parameter_name].items():
            now = optimizer.state[parameter][key]
            if not isinstance(value, torch.Tensor) or value.numel() < 2 or now.shape == value.shape:
                continue
            there = tuple(slice(size) for size in value.shape)
            if key in ("row_var", "col_var", "exp_avg_sq_row", "exp_avg_sq_col"):
                continue  # a mean over more entries is another mean
            assert torch.equal(now[there], value)
            assert float(now.abs().sum()) == pytest.approx(float(value.abs().sum()))
    step(net, optimizer)


def test_a_mean_over_more_entries_counts_the_new_ones():
    net = make()
    optimizer = torch.optim.Adafactor(net.parameters())
    step(net, optimizer)
    rows, columns = (optimizer.state[net[2].weight][key].clone() for key in ("row_var", "col_var"))
    carry(optimizer, widen(net, "0", 8))
    state = optimizer.state[net[2].weight]
    torch.testing.assert_close(state["row_var"], rows * 6 / 8)
    torch.testing.assert_close(state["col_var"][:, :6], columns)
    assert not state["col_var"][:, 6:].any()


def test_the_other_sequence_of_a_schedule_free_optimizer_follows_as_values_do():
    net = make()
    optimizer = AdamWScheduleFree(net.parameters())
    for _ in range(3):
        step(net, optimizer)
    surgery = None

    def at_z():
        other = copy.deepcopy(net)
        with torch.no_grad():
            for mine, theirs in zip(other.parameters(), net.parameters(), strict=True):
                mine.copy_(optimizer.state[theirs]["z"])
            return other(X)

    for neurons in ({}, {"neurons": Split(shares="dirichlet")}):
        expected = at_z()
        surgery = widen(net, "0", net[0].out_features + 6, **neurons)
        assert carry(optimizer, surgery) == []
        torch.testing.assert_close(at_z(), expected)
        step(net, optimizer)


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_cannot_follow_starts_anew_where_it_was_touched_and_that_is_said(name):
    net = make()
    optimizer = UNKNOWN[name](net.parameters())
    step(net, optimizer)
    kept = {n: copy.deepcopy(optimizer.state[p]) for n, p in net.named_parameters()}
    saved = state_by_name(optimizer, {p: n for n, p in net.named_parameters()})
    group = list(optimizer.param_groups[0]["params"])
    surgery = widen(net, "0", 9)
    with pytest.raises(GrowthError, match="cannot follow the growth; use unknown='reset'"):
        carry(optimizer, surgery)
    assert all(a is b for a, b in zip(optimizer.param_groups[0]["params"], group, strict=True))
    names = {p: n for n, p in net.named_parameters()}
    again = UNKNOWN[name](net.parameters())
    started = place_state(again, names, saved, surgery.moves, unknown="reset")
    assert sorted(carry(optimizer, surgery, unknown="reset")) == sorted(started)
    touched = {"0.weight", "0.bias", "2.weight"}
    assert {"0.weight", "2.weight"} <= set(started) <= touched
    for one in (optimizer, again):
        for parameter, parameter_name in names.items():
            if parameter_name in started:
                assert not one.state.get(parameter)
            elif parameter_name not in touched:
                assert _same(one.state[parameter], kept[parameter_name])
    step(net, optimizer)


def _same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other
