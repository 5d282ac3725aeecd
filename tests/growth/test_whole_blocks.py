"""Growing deeper by whole blocks: in any residual stream the function stays, and what the others have learnt."""

import copy
import re
from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from autogrow import growth_sites
from autogrow.errors import GrowthError
from autogrow.growth import carry, check_optimizer, deepen, dry_run, replay, widen


class Attention(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (p.view(b, t, self.heads, -1).transpose(1, 2) for p in self.qkv(x).split(c, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(y.transpose(1, 2).reshape(b, t, c))


class PreNorm(nn.Module):
    def __init__(self, d=8, shared=None):
        super().__init__()
        self.n1, self.attention, self.n2 = nn.LayerNorm(d), Attention(d, 2), nn.LayerNorm(d)
        self.mlp = nn.Sequential(nn.Linear(d, 12), nn.GELU(), nn.Linear(12, d), nn.Dropout(0.1))
        self.shared = shared if shared is not None else nn.Identity()

    def forward(self, x):
        x = x + self.attention(self.shared(self.n1(x)))
        return x + self.mlp(self.n2(x))


class PostNorm(PreNorm):
    def forward(self, x):
        x = self.n1(x + self.attention(x))
        return self.n2(x + self.mlp(x))


class RMSPostNorm(PostNorm):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = nn.RMSNorm(8), nn.RMSNorm(8, eps=1e-3)


class Half(PreNorm):
    """Normalises the stream, and adds to it once more."""

    def forward(self, x):
        x = self.n1(x + self.attention(x))
        return x + self.mlp(x)


class Dropped(PostNorm):
    """Something is dropped behind the norm that it ends with."""

    def forward(self, x):
        return self.mlp[3](super().forward(x))


class Scaled(nn.Module):
    """A branch behind a learned gate: LayerScale, or ReZero where it starts at 0."""

    def __init__(self, d=8, start=0.1):
        super().__init__()
        self.inner, self.outer, self.gate = nn.Linear(d, 12), nn.Linear(12, d), nn.Parameter(torch.full((d,), start))

    def forward(self, x):
        return x + self.gate * self.outer(F.silu(self.inner(x)))


class Basic(nn.Module):
    """A residual block of a ResNet: rectified behind its sum."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out)
        self.c2, self.b2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out)
        self.down = None if n_in == n_out else nn.Conv2d(n_in, n_out, 1)

    def forward(self, x):
        y = self.b2(self.c2(F.relu(self.b1(self.c1(x)))))
        return F.relu(y + (x if self.down is None else self.down(x)))


class Stream(nn.Module):
    """An embedding, blocks, a head; images where the stem is a convolution."""

    def __init__(self, blocks, stem=None, head=8):
        super().__init__()
        self.stem, self.blocks = nn.Linear(5, 8) if stem is None else stem, blocks
        self.head = nn.Linear(head, 3)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks if isinstance(self.blocks, nn.ModuleList) else [self.blocks]:
            x = block(x)
        return self.head(x.mean((2, 3)) if x.ndim == 4 else x)


ROWS, IMAGES = torch.randn(4, 6, 5), torch.randn(4, 3, 6, 6)


def rotary():
    return nn.Linear(8, 8)  # stands for whatever blocks share


def shared_blocks():
    table = rotary()
    return nn.ModuleList(PreNorm(shared=table) for _ in range(2))


def stages():
    return nn.Sequential(Basic(3, 6), Basic(6, 6), Basic(6, 10), Basic(10, 10))


def torch_layers(norm_first=True):
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, norm_first=norm_first)
    return nn.ModuleList(copy.deepcopy(layer) for _ in range(2))


NETS = {
    "pre-norm": (lambda: Stream(nn.ModuleList([PreNorm(), PreNorm()])), ROWS, "blocks"),
    "sequential": (lambda: Stream(nn.Sequential(PreNorm(), PreNorm())), ROWS, "blocks"),
    "named": (lambda: Stream(nn.Sequential(OrderedDict(layer_1=PreNorm(), layer_2=PreNorm()))), ROWS, "blocks"),
    "scaled": (lambda: Stream(nn.ModuleList([Scaled(), Scaled()])), ROWS, "blocks"),
    "rezero": (lambda: Stream(nn.ModuleList([Scaled(start=0.0), Scaled(start=0.0)])), ROWS, "blocks"),
    "shared": (lambda: Stream(shared_blocks()), ROWS, "blocks"),
    "torch's": (lambda: Stream(torch_layers()), ROWS, "blocks"),
    "post-norm": (lambda: Stream(nn.ModuleList([PostNorm(), PostNorm()])), ROWS, "blocks"),
    "post-norm, rms": (lambda: Stream(nn.Sequential(RMSPostNorm(), RMSPostNorm())), ROWS, "blocks"),
    "torch's post-norm": (lambda: Stream(torch_layers(norm_first=False)), ROWS, "blocks"),
    "resnet": (lambda: Stream(stages(), nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()), 10), IMAGES, "blocks"),
}  # fmt: skip
CASES = [(name, kind) for name in NETS for kind in ("block", "copy")]


def trained(make):
    """A net that has taken some steps, its optimizer, and an average of it."""
    torch.manual_seed(0)
    net = make().train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    return net, optimizer


def step(net, optimizer, x):
    optimizer.zero_grad()
    net(x).square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_block_behind_any_other_keeps_the_function_and_what_the_others_learnt(name, kind):
    make, x, blocks = NETS[name]
    net, optimizer = trained(make)
    step(net, optimizer, x)
    places = [place for place, site in growth_sites(net, x).depths.items() if kind in site.kinds]
    assert len(places) == len(net.get_submodule(blocks))
    for place in places:
        grown, follower = copy.deepcopy((net, optimizer))
        before, expected = dict(grown.named_parameters()), grown.eval()(x).double()
        learnt = {id(p): copy.deepcopy(follower.state[p]) for p in grown.parameters()}
        surgery = deepen(grown, place, kind=kind, example=x)
        bound = 1e-5 if "post-norm" in name else 1e-9  # in float32 the scale of the last norm is rounded
        assert surgery.receipt.max_abs_change < bound
        assert (surgery.receipt.max_abs_change_train or 0) < bound
        torch.testing.assert_close(grown(x).double(), expected, atol=1e-6, rtol=1e-6)
        carry(follower, surgery)
        check_optimizer(follower, grown)
        opened = {id(move.old) for move in surgery.moves if move.index}  # the norm in front of a post-norm block
        assert bool(opened) == ("post-norm" in name)
        for parameter in (p for p in before.values() if id(p) not in opened):
            for key, value in learnt[id(parameter)].items():
                assert torch.equal(follower.state[parameter][key], value)
        new = [p for p in grown.parameters() if id(p) not in learnt]
        assert new
        values = [p.clone() for p in new]
        for _ in range(2):  # a closed gate opens with the first step, and what lies behind it learns with the second
            step(grown.train(), follower, x)
        assert sum(torch.equal(p, value) for p, value in zip(new, values, strict=True)) == 0, "a new block is alive"


@pytest.mark.parametrize("name", NETS)
def test_a_recipe_and_an_average_follow(name):
    make, x, _ = NETS[name]
    net, optimizer = trained(make)
    average, again = copy.deepcopy(net), copy.deepcopy(net)
    step(net, optimizer, x)
    with torch.no_grad():
        expected = average.eval()(x)
    place = next(p for p, site in growth_sites(net, x).depths.items() if "copy" in site.kinds)
    recipe = []
    for kind in ("copy", "block"):
        surgery = deepen(net, place, kind=kind, example=x)
        surgery.replay(average)
        recipe.append(surgery.entry)
    with torch.no_grad():  # the average is closed at its own blocks
        torch.testing.assert_close(average.eval()(x), expected, atol=1e-6, rtol=1e-6)
    assert [n for n, _ in average.named_parameters()] == [n for n, _ in net.named_parameters()]
    replay(again, recipe, x)
    again.load_state_dict(net.state_dict())
    with torch.no_grad():
        assert torch.equal(again.eval()(x), net.eval()(x))
    again_there = sum(p.numel() for p in again.parameters())
    with pytest.raises(GrowthError, match=r"asks for [\d,]+ numbers"):
        replay(make(), recipe * 40, x, holds=again_there)


def test_names_follow_the_list_and_what_stands_behind_moves_on():
    net = Stream(nn.ModuleList([PreNorm(), PreNorm()]))
    last = net.blocks[1]
    surgery = deepen(net, "blocks.0", example=ROWS)
    assert net.blocks[2] is last
    renamed = {m.old_name: m.new_name for m in surgery.moves if m.old is not None}
    assert renamed["blocks.1.n1.weight"] == "blocks.2.n1.weight"
    named = Stream(nn.Sequential(OrderedDict(layer_1=PreNorm(), layer_2=PreNorm())))
    deepen(named, "blocks.layer_1", example=ROWS)
    assert list(named.blocks._modules) == ["layer_1", "layer_3", "layer_2"]
    widen(named, "blocks.layer_3.mlp.0", 20, example=ROWS)


def test_what_blocks_share_stays_shared():
    net = Stream(shared_blocks())
    deepen(net, "blocks.1", kind="block", example=ROWS)
    assert net.blocks[2].shared is net.blocks[0].shared


def test_a_copy_has_its_neighbours_values_and_a_block_weights_of_its_own_at_their_std():
    net, _ = trained(lambda: Stream(nn.ModuleList([PreNorm(), PreNorm()])))
    with torch.no_grad():
        for parameter in net.blocks.parameters():
            parameter.add_(0.3)
    closed = {"attention.proj.weight", "attention.proj.bias", "mlp.2.weight", "mlp.2.bias"}
    like = dict(net.blocks[1].named_parameters())
    deepen(net, "blocks.1", kind="block", example=ROWS)
    deepen(net, "blocks.1", kind="copy", example=ROWS)
    copied, drawn = (dict(net.blocks[i].named_parameters()) for i in (2, 3))
    for name, value in like.items():
        if name in closed:
            assert not copied[name].any()
            assert not drawn[name].any()
            continue
        assert torch.equal(copied[name], value)
        if value.ndim > 1:
            assert float(drawn[name].detach().std()) == pytest.approx(float(value.detach().std()), rel=0.3)
            assert drawn[name].mean().abs() < 0.1 < value.mean()
        else:
            assert (drawn[name] == (1 if re.match(r"n\d\.weight", name) else 0)).all()


def test_of_a_list_the_last_block_is_meant_and_a_dry_run_costs_as_much():
    net = Stream(nn.ModuleList([PreNorm(), PreNorm()]))
    told = dry_run(net, ROWS, {"do": "deepen", "after": "blocks.1", "kind": "block"})
    stacked = dry_run(net, ROWS, {"do": "deepen", "after": "blocks", "kind": "stack"})
    assert deepen(net, "blocks", example=ROWS).entry["after"] == "blocks.1"
    assert told.parameters == sum(p.numel() for p in net.parameters())
    assert stacked.parameters == told.parameters + sum(p.numel() for p in net.blocks[0].parameters())


def test_a_stack_repeats_the_list_in_order_and_promises_nothing():
    net, optimizer = trained(NETS["pre-norm"][0])
    step(net, optimizer, ROWS)
    first = copy.deepcopy(net.blocks)
    kept = {id(p): copy.deepcopy(optimizer.state[p]) for p in net.parameters()}
    surgery = deepen(net, "blocks", kind="stack", example=ROWS)
    assert surgery.receipt.promise is None
    assert surgery.receipt.max_abs_change > 0
    assert len(net.blocks) == 4
    for i, block in enumerate(net.blocks):
        for mine, theirs in zip(block.parameters(), first[i % 2].parameters(), strict=True):
            assert torch.equal(mine, theirs)
    carry(optimizer, surgery)
    for parameter, state in ((p, optimizer.state[p]) for p in net.parameters() if id(p) in kept):
        assert torch.equal(state["exp_avg"], kept[id(parameter)]["exp_avg"])
    again = NETS["pre-norm"][0]()
    replay(again, [surgery.entry], ROWS)
    again.load_state_dict(net.state_dict())


class Counted(Stream):
    """A forward that says how many blocks there are."""

    def forward(self, x):
        x = self.stem(x)
        for i in range(2):
            x = self.blocks[i](x)
        return self.head(x)


REFUSED = {
    "half post-norm": (lambda: Stream(nn.ModuleList([Half(), Half()])), {}, r"blocks\.1.*normalises the stream itself"),
    "dropped": (lambda: Stream(nn.ModuleList([Dropped(), Dropped()])), {}, r"blocks\.1.*which is not what it answers with"),
    "not called": (lambda: Counted(nn.ModuleList([PreNorm(), PreNorm()])), {}, "does not call what was put behind"),
    "other kind": (lambda: Stream(nn.ModuleList([PreNorm()])), {"kind": "identity"}, "there is block and copy"),
    "no list": (lambda: Stream(nn.ModuleList([PreNorm()])), {"kind": "stack", "after": "stem"}, "no ModuleList or Seq"),
    "no block": (lambda: Stream(nn.ModuleList([nn.Linear(8, 8)])), {"kind": "block"}, "kind 'block' is not for"),
    "mixed": (lambda: Stream(nn.ModuleList([PreNorm(), Scaled()])), {"kind": "stack", "after": "blocks"}, "PreNorm, Scaled"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_by_name_and_the_net_is_as_it_was(name):
    make, asked, reason = REFUSED[name]
    net = make()
    before = copy.deepcopy(net.state_dict())
    last = f"blocks.{len(net.blocks) - 1}"
    with pytest.raises(GrowthError, match=reason):
        deepen(net, asked.get("after", last), kind=asked.get("kind", "auto"), example=ROWS)
    after = net.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_what_growth_put_behind_an_activation_is_no_block_of_the_net():
    net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    deepen(net, "1", kind="residual")
    assert {site.kinds for site in growth_sites(net, ROWS).depths.values()} == {("residual",)}


def test_half_a_post_norm_is_named_among_the_refusals():
    sites = growth_sites(Stream(nn.ModuleList([Half(), Half()])), ROWS)
    assert re.search("pre-norm", sites.refused["blocks.0"])


@pytest.mark.parametrize("make", [PostNorm, RMSPostNorm])
@pytest.mark.parametrize("spread", [1e-2, 1.0, 1e2])
def test_norms_in_a_row_answer_as_the_first_one_did_whatever_the_stream_s_variance(make, spread):
    torch.manual_seed(0)
    net = Stream(nn.ModuleList([make(), make()])).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(spread).add_(0.1 * torch.randn_like(parameter))
    for place in ("blocks.1", "blocks.0", "blocks.0"):
        receipt = deepen(net, place, example=ROWS.double()).receipt
        assert max(receipt.max_abs_change, receipt.max_abs_change_train) < 1e-9
