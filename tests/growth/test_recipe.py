"""A recipe is plain data, rebuilds the architecture on a fresh net, and takes a net back to any earlier state."""

import copy
import io
import json

import pytest
import torch
from drawn_examples import up_to
from growth_zoo import CASES, answers, make
from hypothesis import example, given
from hypothesis import strategies as st
from torch import nn
from torch.optim.swa_utils import AveragedModel

from autogrow.errors import GrowthError
from autogrow.growth import (
    Split,
    ZeroOutgoing,
    deepen,
    extend_inputs,
    extend_outputs,
    grow_to,
    growth_sites,
    replay,
    widen,
)
from autogrow.nets import DenseNet


@st.composite
def histories(draw: st.DrawFn) -> tuple[str, str, list[tuple[str, int]]]:
    case = draw(st.sampled_from(sorted(CASES)))
    steps = draw(st.lists(st.tuples(st.sampled_from(["widen", "deepen"]), st.integers(0, 9)), min_size=1, max_size=3))
    return case, draw(st.sampled_from(["relu", "tanh"])), steps


def grow(net: nn.Module, example: torch.Tensor, step: tuple[str, int]) -> dict | None:
    """One growth somewhere in the net; its entry."""
    kind, pick = step
    sites = growth_sites(net, example)
    if kind == "widen":
        site = list(sites.widths.values())[pick % len(sites.widths)]
        neurons = Split() if pick % 2 else ZeroOutgoing()
        return dict(
            widen(net, site.name, site.size + (1 + pick % 3) * site.unit, example=example, neurons=neurons).entry
        )
    if not sites.depths:
        return None
    return dict(deepen(net, list(sites.depths)[pick % len(sites.depths)], example=example).entry)


@up_to(30)
@given(histories())
@example(("rms", "relu", [("widen", 0)]))  # its norm has no eps of its own before
@example(
    ("concat", "tanh", [("deepen", 0), ("widen", 0), ("deepen", 0)])
)  # the block's norm is narrower than the stream
def test_replayed_on_a_fresh_net_it_holds_the_same_weights_and_computes_the_same(history):
    case, act, steps = history
    net, batch = make(case, act)
    recipe, states = [], [copy.deepcopy(net.state_dict())]
    for step in steps:
        entry = grow(net, batch, step)
        if entry is not None:
            recipe.append(entry)
            states.append(copy.deepcopy(net.state_dict()))
    file = io.BytesIO()
    torch.save(recipe, file)
    file.seek(0)
    recipe = json.loads(json.dumps(torch.load(file, weights_only=True)))
    for length, state in enumerate(states):  # back to any earlier state: a fresh net and a shorter recipe
        fresh, _ = make(case, act, seed=1)
        random = torch.get_rng_state()
        replay(fresh, recipe[:length])
        assert torch.equal(random, torch.get_rng_state())
        fresh.load_state_dict(state)
    for one, other in zip(answers(net.eval(), batch), answers(fresh.eval(), batch), strict=True):
        assert torch.equal(one, other)
    assert growth_sites(fresh, batch).widths == growth_sites(net, batch).widths


def test_every_operation_and_attribute_is_recorded():
    def fresh() -> DenseNet:
        return DenseNet(4, [6], 2, norm="layer", activation="gelu", dropout=0.1)

    net = fresh()
    surgeries = grow_to(net, [9, 8], example=torch.randn(5, 4))
    surgeries += [extend_inputs(net, 2), extend_outputs(net, 3)]
    copied = fresh()
    replay(copied, [s.entry for s in surgeries])
    copied.load_state_dict(net.state_dict())
    x = torch.randn(5, 6)
    assert torch.equal(copied.eval()(x), net.eval()(x))
    assert str(copied) == str(net)
    assert copied.input_shape == net.input_shape == (6,)


def test_a_calibrated_norm_comes_back():
    net, other = (DenseNet(4, [6], 2, norm="batch") for _ in range(2))
    x = torch.randn(8, 4)
    entry = deepen(net, "hidden.0", kind="identity", calibration=x).entry
    replay(other, [entry])
    other.load_state_dict(net.state_dict())
    assert torch.equal(other.train()(x), net.train()(x))


@pytest.mark.parametrize(
    "grown", [DenseNet(4, [16], 2), DenseNet(4, [6, 6], 2, members=2), nn.Sequential(nn.Linear(4, 6))]
)
def test_a_recipe_of_another_net_is_refused_and_changes_nothing(grown):
    net = DenseNet(4, [6], 2)
    recipe = [deepen(net, "hidden.0").entry, widen(net, "hidden.0.linear", 9).entry]
    modules = [id(m) for m in grown.modules()]
    with pytest.raises(GrowthError, match=r"another net|not the net"):
        replay(grown, recipe)
    assert modules == [id(m) for m in grown.modules()]


@pytest.mark.parametrize("op", ["widen", "deepen"])
def test_a_weight_average_is_grown_by_the_same_plan(op):
    net = DenseNet(4, [6], 2, activation="gelu")
    average = AveragedModel(net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1)
    average.update_parameters(net)
    x = torch.randn(5, 4)
    before = average(x)
    surgery = widen(net, "hidden.0.linear", 9) if op == "widen" else deepen(net, "hidden.0.act")
    moves = surgery.replay(average)
    assert [m.new_name for m in moves] == [m.new_name for m in surgery.moves]
    assert torch.allclose(average(x), before, atol=1e-6)
    average.update_parameters(net)  # shapes and order fit
    for name, p in average.module.named_parameters():
        if op == "deepen" and ".1." in name:
            assert torch.allclose(p, dict(net.named_parameters())[name])


def test_a_plan_can_be_replayed_on_several_copies():
    net = DenseNet(4, [6], 2, activation="tanh")
    copies = [copy.deepcopy(net) for _ in range(2)]
    surgery = deepen(net, "hidden.0")
    for other in copies:
        surgery.replay(other)
    first, second = (dict(c.named_parameters()) for c in copies)
    assert all(torch.equal(first[n], p) and torch.equal(second[n], p) for n, p in net.named_parameters())
    assert all(first[n] is not second[n] for n in first)
