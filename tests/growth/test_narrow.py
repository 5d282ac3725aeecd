"""Taking units away: shapes, the recipe, what is said of the change, and that the least useful ones go first."""

import copy

import pytest
import torch
from peoples_sequences import SEQUENCES
from peoples_transformers import TRANSFORMERS, Sizes
from torch import nn

from autogrow.errors import GrowthError
from autogrow.growth import Split, deepen, growth_sites, replay, widen
from autogrow.growth.modes import eval_mode
from autogrow.growth.surgery.narrow import narrow
from autogrow.growth.usefulness import remove_units, useful_units
from autogrow.nets import ConvNet, DenseNet

KINDS = {
    "plain": {},
    "layer norm": {"norm": "layer"},
    "batch norm": {"norm": "batch"},
    "residual": {"widths": [12, 12], "residual": True},
    "members": {"members": 2},
    "deep": {"widths": [16, 9, 20], "activation": "tanh"},
}


def drawn(kind):
    """A net of a kind whose units differ in use, with rows for it."""
    torch.manual_seed(1)
    net = DenseNet(6, outputs=3, **{"widths": [16, 12], **kind})
    members = kind.get("members", 1)
    x = torch.randn(300, 6)
    x = x if members == 1 else x.expand(members, *x.shape)
    net.train()(x)
    return net.eval(), x


def outputs(net, x):
    with eval_mode(net):
        return net(x).double()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_taken_away_is_gone_and_the_change_is_said_truly(kind):
    net, x = drawn(KINDS[kind])
    example = x[..., :2, :]
    fresh, before = copy.deepcopy(net), outputs(net, x)
    sizes = growth_sites(net, example).sizes
    wanted = {name: size // 2 + 1 for name, size in sizes.items()}
    surgery = remove_units(net, wanted, x, example=example)
    assert growth_sites(net, example).sizes == wanted
    changed = float((outputs(net, x) - before).abs().max())
    assert surgery.receipt.max_abs_change == pytest.approx(changed, rel=1e-3)
    assert surgery.receipt.promise is None
    assert changed > 1e-3  # half of the units said something
    replay(fresh, [surgery.entry])
    fresh.load_state_dict(net.state_dict())
    assert torch.equal(outputs(fresh, x), outputs(net, x))


@pytest.mark.parametrize("kind", ["plain", "batch norm", "residual", "members", "deep"])
def test_what_stays_makes_up_for_what_goes(kind):
    """The change is far below that of taking the same units away and nothing else; narrowing then changes none."""
    net, x = drawn(KINDS[kind])
    example, before, bare = x[..., :2, :], outputs(net, x), copy.deepcopy(net)
    sites = growth_sites(net, example)
    kept = useful_units(net, x, {name: size * 2 // 3 for name, size in sites.sizes.items()}, sites=sites)
    prepared = outputs(net, x)
    assert narrow(net, kept, example=example).receipt.max_abs_change < 1e-9
    narrow(bare, kept, example=example)
    change, alone = (float((y - before).square().mean()) for y in (prepared, outputs(bare, x)))
    assert change < 0.5 * alone


def test_copies_of_other_units_are_the_first_to_go_and_nothing_is_lost():
    net, x = drawn({"widths": [8]})
    before = outputs(net, x)
    widen(net, "hidden.0.linear", 13, neurons=Split(), example=x[:2])
    surgery = remove_units(net, {"hidden.0.linear": 8}, x, example=x[:2])
    assert surgery.receipt.max_abs_change < 1e-2 * float(before.abs().max())


def test_the_channels_of_a_convolution_are_taken_away():
    torch.manual_seed(0)
    net = ConvNet([1, 8, 8], [6, 8], 3)
    x = torch.randn(20, 1, 8, 8)
    net.train()(x)
    sizes = growth_sites(net, x[:2]).sizes
    remove_units(net, {name: size - 2 for name, size in sizes.items()}, x, example=x[:2])
    assert growth_sites(net, x[:2]).sizes == {name: size - 2 for name, size in sizes.items()}


@pytest.mark.parametrize("units", [[0, 8], [-1, 2], [3, 3], [2, 1], []])
def test_only_units_that_there_are_can_stay(units):
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    with pytest.raises(GrowthError, match="units 0 to 7"):
        narrow(net, {"0": torch.tensor(units, dtype=torch.long)})
    assert net[0].out_features == 8


def test_a_recipe_that_narrows_never_makes_wider():
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    entry = {"op": "narrow", "shapes": {"0.weight": [9, 4]}, "attributes": {}}
    with pytest.raises(GrowthError, match="recorded on another net"):
        replay(net, [entry])


@pytest.mark.parametrize(
    "case", ["tagger, packed", "last state, packed", "lstm with projection", "seq2seq with attention"]
)
def test_of_recurrent_nets_too_what_was_added_can_be_taken_away(case):
    build, inputs = SEQUENCES[case]
    torch.manual_seed(0)
    net, example = build(Sizes.drawn(1)).double().eval(), inputs(Sizes.drawn(1))
    example = tuple(t.double() if t.is_floating_point() else t for t in example)
    fresh, before = copy.deepcopy(net), net(*example)
    entries = []
    for name, size in growth_sites(net, example).sizes.items():
        now = name.replace(f":{size}]", f":{size + 3}]")  # the names of several widths in one layer hold their sizes
        entries.append(widen(net, name, size + 3, example=example).entry)
        entries.append(narrow(net, {now: torch.arange(size)}, example=example).entry)
        assert growth_sites(net, example).sizes[name] == size
    torch.testing.assert_close(net(*example), before, atol=1e-12, rtol=0)
    replay(fresh, entries)
    fresh.load_state_dict(net.state_dict())
    assert torch.equal(fresh.eval()(*example), net(*example))
    assert all(
        any(p is held for held in net.parameters())
        for m in net.modules()
        if isinstance(m, nn.RNNBase)
        for p in m._flat_weights
    )


@pytest.mark.parametrize("case", ["tutorial encoder, post-norm", "llama"])
def test_units_and_heads_of_an_inserted_block_can_be_taken_away(case):
    build, inputs = TRANSFORMERS[case]
    torch.manual_seed(0)
    net, example = build(Sizes.drawn(1)).double().eval(), inputs(Sizes.drawn(1))
    fresh, before = copy.deepcopy(net), net(*example)
    blocks = next(name for name, site in growth_sites(net, example).depths.items() if "block" in site.kinds)
    entries = [deepen(net, blocks, example=example).entry]
    inserted = f"{blocks.removesuffix('0')}1."
    names = [name for name in growth_sites(net, example).widths if name.startswith(inserted)]
    assert names
    for name in names:
        units = growth_sites(net, example).width(name).units
        entries.append(narrow(net, {name: torch.arange(max(1, units // 2))}, example=example).entry)
    torch.testing.assert_close(net(*example), before, atol=1e-9, rtol=0)  # what it adds is nothing still
    replay(fresh, entries)
    fresh.load_state_dict(net.state_dict())
    assert torch.equal(fresh.eval()(*example), net(*example))
