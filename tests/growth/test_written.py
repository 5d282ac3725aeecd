"""Nets as people write them: every site that is offered grows exactly, everything else is refused by name."""

import copy
import dataclasses

import pytest
import torch
from growth_zoo import unsettle
from torch import Tensor, nn
from torch.nn import functional as F
from written_zoo import GPT, WRITTEN, Config, Configured, OwnRMSNorm, Separate, Torch, ViT

from autogrow.errors import GrowthError
from autogrow.growth import AntisymmetricPair, Split, growth_sites, replay, widen
from autogrow.growth.sites.axes import new_axis
from autogrow.growth.sites.numbers import Count, SizeInt
from autogrow.growth.sites.sizes import Sizes
from autogrow.growth.written_norms import written_norm


def make(case: str) -> tuple[nn.Module, Tensor]:
    written, generator = WRITTEN[case], torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = written.build().double()
    unsettle(net, generator)
    if written.tokens:
        return net, torch.randint(written.tokens, written.example, generator=generator)
    return net, torch.randn(written.example, generator=generator).double()


@pytest.mark.parametrize("case", WRITTEN)
def test_what_is_offered_and_what_is_refused(case):
    net, example = make(case)
    sites = growth_sites(net, example)
    assert {name: (site.size, site.unit) for name, site in sites.widths.items()} == WRITTEN[case].widths
    assert {name: (site.size, site.unit) for name, site in sites.inner.items()} == WRITTEN[case].inner
    for name, reason in WRITTEN[case].refused.items():
        assert reason in sites.refused[name]


def offered(case: str) -> dict[str, tuple[int, int]]:
    return {**WRITTEN[case].widths, **WRITTEN[case].inner}


@pytest.mark.parametrize(("case", "site"), [(case, site) for case in WRITTEN for site in offered(case)])
def test_every_site_that_is_offered_grows_exactly_twice_and_replays(case, site):
    net, example = make(case)
    fresh, entries = copy.deepcopy(net), []
    size, unit = offered(case)[site]
    for width in (size + unit, 2 * size + unit):  # the second growth reads what the first one left in the attributes
        surgery = widen(net, site, width, example=example)
        entries.append(surgery.entry)
        assert surgery.receipt.max_abs_change < 1e-12
        assert (surgery.receipt.max_abs_change_train or 0.0) < 1e-12
    assert growth_sites(net, example).width(site).size == width
    replay(fresh, entries)
    fresh.load_state_dict(net.state_dict())
    torch.testing.assert_close(fresh.eval()(example), net.eval()(example), rtol=0, atol=0)


@pytest.mark.parametrize("case", ["gpt", "gpt tied", "vit", "separate", "attention", "norm-act", "squeeze-excite"])
def test_what_is_new_learns(case):
    net, example = make(case)
    site = next(iter(WRITTEN[case].widths))
    size, unit = WRITTEN[case].widths[site]
    surgery = widen(net, site, size + unit, example=example)
    before = {m.new_name: m.new.detach().clone() for m in surgery.moves}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    for _ in range(4):
        optimizer.zero_grad()
        net(example).square().sum().backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    moved = [
        m.new_name
        for m in surgery.moves
        for dim, index in m.index.items()
        if isinstance(m.new, nn.Parameter)
        and not torch.equal(m.new.index_select(dim, (index < 0).nonzero().flatten()),
                            before[m.new_name].index_select(dim, (index < 0).nonzero().flatten()))
    ]  # fmt: skip
    parameters = [m.new_name for m in surgery.moves if isinstance(m.new, nn.Parameter)]
    assert len(set(moved)) > 0.7 * len(set(parameters))


@pytest.mark.parametrize(("case", "site"), [(case, site) for case in WRITTEN for site in WRITTEN[case].inner])
def test_copies_share_the_keys_of_a_head(case, site):
    net, example = make(case)
    size, unit = WRITTEN[case].inner[site]
    for neurons, width in ((Split(), 2 * size), (Split("dirichlet"), size + unit), (AntisymmetricPair(), 2 * size)):
        if "tied" not in case or isinstance(neurons, AntisymmetricPair):
            grown = copy.deepcopy(net)
            assert widen(grown, site, width, example=example, neurons=neurons).receipt.max_abs_change < 1e-12


@pytest.mark.parametrize("case", ["gpt", "gpt by hand", "vit", "separate", "attention"])
def test_new_queries_and_keys_of_a_head_learn_and_no_two_alike(case):
    net, example = make(case)
    (site,) = WRITTEN[case].inner
    size, unit = WRITTEN[case].inner[site]
    found = growth_sites(net, example).width(site)
    key = next(p.name for p in found.readers if p.role == "key" and p.name.endswith("weight"))
    surgery = widen(net, site, size + 2 * unit, example=example)
    (move,) = [m for m in surgery.moves if m.new_name == key]
    for _ in range(3):
        net.zero_grad()
        net(example).square().sum().backward()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter -= 0.01 * parameter.grad if parameter.grad is not None else 0.0
    fresh = move.new.detach()[move.index[0] < 0]
    assert torch.linalg.matrix_rank(fresh) == min(fresh.shape)


def test_heads_and_stream_of_a_gpt_are_one_width_and_its_attributes_follow():
    net, example = make("gpt")
    widen(net, "wte", 12, example=example)
    attention = net.h[1].attn
    assert (attention.n_head, attention.n_embd, attention.c_attn.out_features) == (3, 12, 36)
    assert type(attention.n_head) is int
    with pytest.raises(GrowthError, match="grows in steps of 4"):
        widen(net, "wte", 14, example=example)


PRODUCTS = {
    "scaled by no power": (lambda q, k: q @ k.mT / (q.shape[-1] + 1), "not by a power of it"),
    "normalised": (lambda q, k: F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT, "normalize runs over it"),
    "rotated": (lambda q, k: (q.sin() + q) @ k.mT, "it goes through add()"),
    "seen elsewhere": (lambda q, k: q @ k.mT + k.amax(-1, keepdim=True), "amax runs over it"),
    "shifted": (lambda q, k: (q + 1) @ k.mT, "it goes through add()"),
    "by one alone": (lambda q, k: q @ torch.ones(1, 3, 8).to(q).mT.expand(len(k), -1, -1), "meets a tensor that the forward makes"),
}  # fmt: skip


class Scores(nn.Module):
    def __init__(self, scores) -> None:
        super().__init__()
        self.q, self.k, self.v, self.scores = nn.Linear(4, 8), nn.Linear(4, 8), nn.Linear(4, 2), scores

    def forward(self, x):
        return self.scores(self.q(x), self.k(x)).softmax(-1) @ self.v(x)[:, :3]


@pytest.mark.parametrize("case", PRODUCTS)
def test_a_product_whose_queries_and_keys_are_not_plain_rows_is_refused_by_name(case):
    scores, reason = PRODUCTS[case]
    net, example = Scores(scores).double(), torch.randn(3, 3, 4).double()
    assert reason in growth_sites(net, example).refused["q"]


class Half(OwnRMSNorm):
    """Of half the features: of no torch norm."""

    def forward(self, x: Tensor) -> Tensor:
        half = x[..., : x.shape[-1] // 2]
        return self.weight * x * torch.rsqrt(half.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)


def test_a_norm_of_ones_own_is_known_by_what_it_computes():
    state = torch.random.get_rng_state()
    assert written_norm(OwnRMSNorm(5)).kind == "rms"
    assert written_norm(Half(6)) is None
    assert written_norm(OwnNorm()) is None  # its size is its weight's, its eps stands in the code
    assert written_norm(nn.LayerNorm(5)) is None
    assert torch.equal(state, torch.random.get_rng_state())
    net, example = make("llama")
    widen(net, "embed", 9, example=example)
    assert net.norm1.variance_epsilon == pytest.approx(1e-6 * 6 / 9)


def test_settings_that_modules_share_follow_and_those_of_the_caller_stay():
    config = Config()
    net, other = Configured(config), Configured(config)
    example = torch.zeros(2, 3, dtype=torch.long)
    widen(net, "wte", 12, example=example)
    assert (net.config.n_embd, net.config.n_head, net.config.vocab_size) == (12, 3, 11)
    assert net.config is net.blocks[1].config is not config
    assert config == Config() == other.config
    assert (type(config.n_embd), type(net.config.n_embd)) == (int, int)


def test_frozen_settings_are_no_number_that_can_follow():
    config = dataclasses.make_dataclass("Frozen", [("n_embd", int, 8), ("n_head", int, 2)], frozen=True)()
    net, example = Configured(config), torch.zeros(2, 3, dtype=torch.long)
    assert "wte" not in growth_sites(net, example).sizes
    assert "split writes the size of its parts into the code" in growth_sites(net, example).refused["blocks.0.c_attn"]


class Rearranged(nn.Module):
    """Attention as those write it who use einops: its functions, whose memory a look must not trust or fill."""

    def __init__(self, einops) -> None:
        super().__init__()
        self.rearrange, self.heads = einops.rearrange, 2
        self.enter, self.qkv, self.out = nn.Linear(5, 8), nn.Linear(8, 18), nn.Linear(6, 3)

    def forward(self, x):
        q, k, v = self.qkv(torch.tanh(self.enter(x))).chunk(3, dim=-1)
        q, k, v = (self.rearrange(t, "b n (h d) -> b h n d", h=self.heads) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(self.rearrange(y, "b h n d -> b n (h d)"))


def test_attention_through_einops_grows_whatever_was_run_before():
    net, example = Rearranged(pytest.importorskip("einops")).double(), torch.randn(2, 4, 5).double()
    for _ in range(2):
        net(example)
        sites = growth_sites(net, example)
        assert (sites.sizes, dict(sites.inner)["qkv[inner]"].size) == ({"enter": 8, "qkv": 6}, 6)
    assert widen(net, "qkv", 9, example=example).receipt.max_abs_change < 1e-12
    assert widen(net, "qkv[inner]", 12, example=example).receipt.max_abs_change < 1e-12


def test_a_recurrent_layer_computes_with_what_was_grown_and_learns():
    net, example = make("lstm")
    widen(net, "rnn", 6, example=example)
    held = {id(p) for p in net.rnn.parameters()}
    assert all(id(p) in held for p in net.rnn._flat_weights)
    before = net.rnn.weight_hh_l0.detach().clone()
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        net(example).square().sum().backward()
        optimizer.step()
    assert (net.rnn.weight_hh_l0 != before).all()


def test_a_tied_weight_stays_tied_and_cannot_be_grown_by_copies():
    net, example = make("gpt tied")
    with pytest.raises(GrowthError, match="tied"):
        widen(net, "wte", 16, example=example, neurons=Split())
    surgery = widen(net, "wte", 12, example=example)
    assert net.wte.weight is net.lm_head.weight
    assert sum(m.new is net.wte.weight for m in surgery.moves) == 1
    assert {m.new_name for m in surgery.moves} <= set(net.state_dict())


# -- what is refused


class Wrong(nn.Module):
    """linear → any function of (self, h), h of shape (B, T, 8) → linear."""

    def __init__(self, between, **attributes):
        super().__init__()
        self.first, self.last, self.between = nn.Linear(4, 8), nn.Linear(8, 2), between
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.between(self, self.first(x)))


def _attention(heads):
    def between(self, h):
        b, n, c = h.shape
        q = h.view(b, n, heads(self), c // heads(self)).transpose(1, 2)
        return F.scaled_dot_product_attention(q, q, q).transpose(1, 2).reshape(b, n, c)

    return between


def _table(self, h):
    return h + self.table.reshape(1, 5, h.shape[-1])


class OwnNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(8)), nn.Parameter(torch.zeros(8))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


REFUSED = {
    "scale from the size": (lambda _, h: h * h.shape[-1] ** -0.5, {}, "its size enters what mul() computes"),
    "scale by math.sqrt": (lambda _, h: h / h.size(-1) ** 0.5, {}, "its size enters what div() computes"),
    "size as a number": (lambda _, h: h * float(h.size(-1)), {}, "read as a plain number"),
    "an if on the size": (lambda _, h: h if h.shape[-1] % 8 == 0 else h * 2, {}, "an if or an assert"),
    "heads written in the code": (_attention(lambda _: 2), {}, "the inner width of a head"),
    "an attribute used twice": (lambda s, h: h.view(*h.shape[:-1], s.d) + torch.zeros(s.d), {"d": 8}, "it meets a tensor that the forward makes"),
    "eps in the code": (lambda s, h: s.norm(h), {"norm": OwnNorm()}, "keep it as self.eps"),
    "normalize": (lambda _, h: F.normalize(h, dim=-1), {}, "normalize runs over it"),
    "roll": (lambda _, h: torch.roll(h, 1, -1), {}, "roll runs over it"),
    "maximum over it": (lambda _, h: h - torch.max(h, -1, keepdim=True)[0], {}, "max runs over it"),
    "values asked for": (lambda s, h: s.inner(h), {"inner": Wrong(lambda _, h: h if h.max().item() > 0 else -h)}, ""),
    "a cell": (lambda s, h: s.m(h[:, 0])[:, None], {"m": nn.GRUCell(8, 8)}, "'m' (GRUCell)"),
    "itself": (lambda _, h: (h @ h.transpose(1, 2)).softmax(-1) @ h, {}, "'first' is used elsewhere as well"),
    "einsum over it": (lambda _, h: torch.einsum("bic->bi", h)[..., None] * h, {}, "einsum sums over it"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_size_that_is_used_elsewhere_is_refused_by_name(case):
    between, attributes, reason = REFUSED[case]
    if case == "values asked for":
        attributes["inner"].first = nn.Linear(8, 8)
        attributes["inner"].last = nn.Linear(8, 8)
    net, example = Wrong(between, **attributes).double(), torch.randn(3, 5, 4).double()
    sites = growth_sites(net, example)
    assert "first" not in sites.widths
    assert reason in sites.refused["first"]


def test_a_size_that_another_tensor_is_given_links_the_two():
    net, example = Wrong(_table, table=nn.Parameter(torch.randn(40))).double(), torch.randn(3, 5, 4).double()
    assert widen(net, "first", 12, example=example).receipt.max_abs_change < 1e-9
    assert net.table.shape == (60,)


def test_heads_given_as_an_attribute_grow_where_a_number_would_not():
    net, example = Wrong(_attention(lambda s: s.heads), heads=2).double(), torch.randn(3, 5, 4).double()
    site = growth_sites(net, example).widths["first"]
    assert (site.size, site.unit) == (8, 4)
    assert widen(net, "first", 12, example=example).receipt.max_abs_change < 1e-9
    assert net.heads == 3


def test_looking_leaves_attributes_and_the_module_class_as_they_were():
    call = nn.Module.__call__
    for net in (GPT(), ViT(), Separate(), Torch("layer")):
        before = {name: dict(vars(m)) for name, m in net.named_modules()}
        example = torch.zeros(2, 3, dtype=torch.long) if isinstance(net, GPT) else torch.randn(2, 3, 8, 8) if isinstance(net, ViT) else torch.randn(2, 4, 5)  # fmt: skip
        growth_sites(net, example)
        for name, module in net.named_modules():
            kept = {k: v for k, v in vars(module).items() if type(v) is not dict and not k.startswith("_")}
            assert all(before[name][k] is v for k, v in kept.items())
            assert all(type(v) is not SizeInt for v in vars(module).values())
    assert nn.Module.__call__ is call


# -- arguments
ROWS_IN = torch.randn(2, 6, generator=torch.Generator().manual_seed(7))


class Keywords(nn.Module):
    """Arguments that nobody declared."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x, *more, scale=None, **kwargs):
        hidden = torch.relu(self.a(x))
        for extra in more:
            hidden = hidden + extra.mean()
        if kwargs.get("shift") is not None:
            hidden = hidden + kwargs["shift"]
        return self.b(hidden) if scale is None else self.b(hidden) * scale


@pytest.mark.parametrize(
    "example",
    [ROWS_IN, {"x": ROWS_IN}, {"x": ROWS_IN, "shift": torch.ones(2, 1), "unused": 3}, (ROWS_IN, torch.ones(2, 2))],
    ids=["alone", "named", "keywords", "more"],
)
def test_a_forward_with_open_arguments_grows(example):
    net = Keywords()
    assert growth_sites(net, example).sizes == {"a": 8}
    assert widen(net, "a", 12, example=example).receipt.max_abs_change < 1e-9


# -- sizes


def test_a_number_remembers_how_it_came_about():
    axis = new_axis(6)
    c = SizeInt.made(6, Count.of_axis(axis))
    for number, grown in ((3 * c, 24), (c // 2, 4), (c + 1, 9), (c * c, 64), (-c, -8), (2 ** (c - 4), 16), (c % 4, 0)):
        assert number.count.value(lambda _: 8, lambda _: 0) == grown
        assert type(number) is SizeInt
    assert (c**-0.5).count.value(lambda _: 8, lambda _: 0) == 8**-0.5
    shape = torch.zeros(2, c).shape
    assert shape == (2, 6)


@pytest.mark.parametrize(
    ("claimed", "broken"),
    [(lambda c: c // 7, True), (lambda c: c - c, False), (lambda c: 0 * c, False), (lambda c: 2 * c, True)],
)
def test_a_claim_refuses_the_width_whose_growth_would_break_it(claimed, broken):
    sizes, axis = Sizes(), new_axis(6)
    sizes.claim(claimed(SizeInt.made(6, Count.of_axis(axis))), None, "used elsewhere")
    sizes.refuse_broken()
    assert (axis[0].width.fixed == "used elsewhere") is broken
