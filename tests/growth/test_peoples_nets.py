"""Nets from scratch as people write them: whatever is offered is exact at any sizes, the rest is refused with a reason,
and nothing ends in a traceback.
"""

import copy
from contextlib import suppress

import pytest
import torch
from growth_zoo import unsettle
from peoples_images import IMAGES
from peoples_sequences import SEQUENCES
from peoples_transformers import TRANSFORMERS, Sizes

from autogrow.errors import GrowthError
from autogrow.growth import Split, deepen, growth_sites, replay, widen
from autogrow.growth.sites.numbers import SizeInt

NETS = {**TRANSFORMERS, **IMAGES, **SEQUENCES}
SEEDS = (1, 2)
EXACT = 1e-9


def make(case, seed):
    """A net with weights that are not what they were initialised to, and inputs for it, in float64."""
    build, inputs = NETS[case]
    sizes = Sizes.drawn(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net, example = build(sizes).double(), inputs(sizes)
    unsettle(net, torch.Generator().manual_seed(seed))
    return net, tuple(t.double() if t.is_floating_point() else t for t in example)


def check_plain(value):
    """No number of an entry remembers how it came about: it is to be written into a file."""
    assert not isinstance(value, SizeInt)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        check_plain(item)


BLOCKS = {"layers.0", "layers.1"}
# what each offers: widths; widths of heads as well; widths that grow by whole multiples alone; whole blocks
OFFERED = {
    "llama": ({"tok_embeddings", "layers.0.attention.q_proj", "layers.1.feed_forward.gate_proj"}, set(), set(), BLOCKS),
    "gemma-like, q and k normalised": ({"tok_embeddings", "layers.0.attention.q_proj"}, set(), set(), BLOCKS),
    "llama, gate by chunk": ({"tok_embeddings", "layers.0.feed_forward.w12"}, set(), set(), BLOCKS),
    "llama, gate by slices": ({"tok_embeddings", "layers.0.feed_forward.w12"}, set(), set(), BLOCKS),
    "bert": ({"layer.0.attention.query", "layer.0.intermediate", "pooler"}, {"layer.0.attention.query[inner]"}, {"word"}, set()),
    "tutorial encoder, post-norm": ({"transformer_encoder.layers.0.linear1"}, set(), {"embedding"}, set()),
    "tutorial encoder, pre-norm": ({"embedding", "transformer_encoder.layers.0.linear1"}, {"embedding[inner]"}, set(), {"transformer_encoder.layers.0"}),
    "translator": ({"transformer.encoder.layers.0.linear1", "transformer.decoder.layers.0.linear1"}, set(), {"src"}, set()),
    "ft-transformer": ({"categories.0", "encoder.layers.0.linear1"}, {"categories.0[inner]"}, set(), {"encoder.layers.1"}),
    "ft-transformer, post-norm": ({"encoder.layers.0.linear1"}, set(), {"categories.0"}, set()),
    "tabtransformer": ({"embed", "mlp.0"}, {"embed[inner]"}, set(), set()),
    "vit": ({"patch_embed.proj", "blocks.0.mlp.0"}, {"patch_embed.proj[inner]"}, set(), {"blocks.0", "blocks.1"}),
    "mixer": ({"blocks.0.tokens.0", "blocks.0.channels.0"}, set(), {"patch_embed.proj"}, {"blocks.0", "blocks.1"}),
    "convnext": ({"stages.0.pwconv1"}, set(), {"stem"}, {"stages.0", "stages.1"}),
    "resnet with groupnorm": ({"stem.0", "layer1.0.conv1", "layer2.0.conv2"}, set(), set(), {"layer1.0"}),
    "mobilenet": ({"features.0.0", "features.1.conv.0", "features.1.conv.6.fc.0", "features.2.conv.7"}, set(), set(), {"features.1"}),
    "unet with attention": ({"embed.0", "down1.conv1", "pool", "down2.conv2", "up", "up1.conv2"}, {"down2.conv2[inner]"}, set(), set()),
    "gan": ({"fc", "body.2", "body.5"}, set(), set(), set()),
    "vae": ({"encoder.0", "encoder.3", "enter"}, set(), set(), set()),
    "siamese": ({"cnn.0", "fc.0", "fc.2"}, set(), set(), set()),
    "swin": ({"blocks.0.mlp.0", "merge.reduction"}, set(), {"patch_embed.proj"}, {"blocks.0", "blocks.1"}),
    "seq2seq with attention": ({"encoder.embedding", "encoder.rnn", "encoder.fc_h", "embedding", "attention.attn"}, set(), set(), set()),
    "tagger, packed": ({"embedding", "rnn"}, set(), set(), set()),
    "tagger, packed, time first": ({"embedding", "rnn"}, set(), set(), set()),
    "last state, packed": ({"embedding", "rnn"}, set(), set(), set()),
    "lstm with projection": (set(), set(), set(), set()),  # the names hold the sizes
    "wavenet": ({"enter", "layers.0.conv", "layers.1.conv", "layers.0.skip", "out.1"}, set(), set(), set()),
    "nanogpt": ({"transformer.wte", "transformer.h.0.mlp.c_fc"}, {"transformer.wte[inner]"}, set(), {"transformer.h.0"}),
    "nanogpt, with targets": ({"transformer.wte", "transformer.h.0.mlp.c_fc"}, {"transformer.wte[inner]"}, set(), {"transformer.h.1"}),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("case", NETS)
def test_whatever_is_offered_is_exact_and_replays_and_what_is_not_has_a_reason(case, seed):
    net, example = make(case, seed)
    sites = growth_sites(net, example)
    by_copies = {name: 2 * site.size for name, site in sites.fixed.items() if site.refused is None}
    by_units = {name: site.size + site.unit for name, site in {**sites.widths, **sites.inner}.items()}
    widths, inner, multiples, blocks = OFFERED[case]
    assert widths <= set(sites.widths)
    assert inner <= set(sites.inner)
    assert multiples == set(by_copies)
    assert blocks <= set(sites.depths)
    assert all(len(why) > 10 for why in sites.refused.values())
    growths = [lambda other, n=n, w=w: widen(other, n, w, example=example) for n, w in (by_copies | by_units).items()]
    growths += [lambda other, n=n: deepen(other, n, example=example) for n in sites.depths]
    assert growths
    for grow in growths:
        grown, hollow = copy.deepcopy(net), copy.deepcopy(net)
        surgery = grow(grown)
        check_plain(surgery.entry)
        assert surgery.receipt.max_abs_change < EXACT
        assert (surgery.receipt.max_abs_change_train or 0.0) < EXACT
        replay(hollow, [surgery.entry])
        hollow.load_state_dict(grown.state_dict())


# name → a part of the reason
REFUSED = {
    "llama": ("layers.0.attention.q_proj[inner]", r"a rotation by position has its frequencies from it"),
    "bert": ("word", "normalised by 'LayerNorm' and added to .post-norm; a norm in front of each branch allows any width"),
    "convnext": ("stem", "'stages.0.dwconv' gives each channel weights of its own"),
    "mixer": ("patch_embed.proj", "what 'blocks.0.tokens.2' answers for a new unit is no mean"),
    "swin": ("patch_embed.proj", "'merge.norm' normalises 4 parts of it side by side"),
}  # fmt: skip


def _next_size(site):
    return site.size + site.unit


@pytest.mark.parametrize("case", REFUSED)
def test_what_stands_in_the_way_is_named(case):
    net, example = make(case, 1)
    name, reason = REFUSED[case]
    with pytest.raises(GrowthError, match=reason):
        widen(net, name, _next_size(growth_sites(net, example).fixed[name]), example=example)


@pytest.mark.parametrize("case", [case for case, offered in OFFERED.items() if offered[2]])
def test_a_width_that_grows_by_copies_alone_refuses_another_size_and_its_copies_part(case):
    net, example = make(case, 1)
    (name,) = OFFERED[case][2]
    size = growth_sites(net, example).width(name).size
    with pytest.raises(GrowthError, match=f"only a multiple of {size}"):
        widen(net, name, size + growth_sites(net, example).width(name).unit, example=example)
    surgery = widen(net, name, 2 * size, example=example)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        answer = net(*example)
        (answer if isinstance(answer, torch.Tensor) else answer[0]).square().mean().backward()
        optimizer.step()
    writer = growth_sites(net, example).width(name).writers[0]
    (move,) = [m for m in surgery.moves if m.new_name == writer.name]
    rows = dict(net.named_parameters())[writer.name].detach().movedim(writer.dim, 0)
    copied = move.index[writer.dim]
    assert all(not torch.equal(rows[new], rows[int(copied[new])]) for new in range(size, 2 * size))


WRONG = {
    "another shape": lambda example: tuple(t[..., :1] for t in example),
    "one dimension less": lambda example: tuple(t[0] for t in example),
    "none": lambda _: (),
    "too many": lambda example: (*example, *example, *example),
    "words": lambda example: tuple("word" for _ in example),
    "another dtype": lambda example: tuple(t.bool() for t in example),
}


@pytest.mark.parametrize("case", NETS)
def test_no_fault_ends_in_a_traceback(case):
    net, example = make(case, 1)
    for wrong in WRONG.values():
        with suppress(GrowthError):
            growth_sites(net, wrong(example))
    sites = growth_sites(net, example)
    before = {name: t.clone() for name, t in net.state_dict().items()}
    for name in [*(n for n, site in sites.fixed.items() if site.refused), "nothing", ""]:
        with pytest.raises(GrowthError):
            widen(net, name, 7, example=example)
    for name in [*sites.refused, "nothing", ""]:
        with suppress(GrowthError):
            assert deepen(copy.deepcopy(net), name, example=example).receipt.max_abs_change < EXACT
    first = next(iter(sites.widths))
    for width in (0, -1, sites.widths[first].size):
        with pytest.raises(GrowthError, match="can only grow"):
            widen(net, first, width, example=example)
    for name, site in sites.widths.items():  # by copies: exact, or refused, as where a weight is tied
        with suppress(GrowthError):
            grown = widen(copy.deepcopy(net), name, 2 * site.size, example=example, neurons=Split())
            assert grown.receipt.max_abs_change < EXACT
    after = net.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], t) for name, t in before.items())
