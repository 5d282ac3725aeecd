"""What tracing finds in nets of every topology, what it refuses and why, and that it leaves the net alone."""

import copy

import pytest
import torch
from growth_zoo import CASES, make
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from autogrow.errors import GrowthError
from autogrow.growth import LayerType, Span, growth_sites, register_layer, widen
from autogrow.growth.activations import ACTIVATION_FUNCTIONS, activation_facts
from autogrow.growth.sites.axes import Segment, Width, blocked, length, resolve, unify
from autogrow.nets import DenseNet

# -- what is found


@pytest.mark.parametrize("case", CASES)
def test_every_hidden_width_is_found_by_name(case):
    net, example = make(case)
    assert {name: site.size for name, site in growth_sites(net, example).widths.items()} == CASES[case].widths


@pytest.mark.parametrize(
    ("case", "width", "writers", "readers", "through"),
    [
        ("residual", "stem", ["stem", "b", "c"], ["a", "c", "head"], ["add", "norm", "act_c", "add_1"]),
        ("residual", "a", ["a"], ["b"], ["act_a"]),
        ("concat", "right", ["right"], ["one", "two"], ["cat", "norm", "act"]),
        ("inverted", "expand", ["expand", "fc2"], ["fc1", "project"], ["n1", "act1", "depth", "n2", "act2", "pool", "gate", "mul"]),
        ("conv", "features.0", ["features.0"], ["features.4"], ["features.1", "features.2", "features.3"]),
        ("shared", "encoder.2", ["encoder.2", "again"], ["again", "head"], ["sub", "act"]),
        ("members", "hidden.0.linear", ["hidden.0.linear"], ["hidden.1.linear"], ["hidden.0.act"]),
    ],
)  # fmt: skip
def test_what_a_width_is_written_by_passes_and_is_read_by(case, width, writers, readers, through):
    net, example = make(case)
    site = growth_sites(net, example).widths[width]
    assert list(dict.fromkeys(p.module for p in site.writers)) == writers
    assert list(dict.fromkeys(p.module for p in site.readers)) == readers
    assert set(site.through) == set(through)


@pytest.mark.parametrize(
    ("case", "width", "parameter", "spans"),
    [
        ("flatten", "conv", "head.weight", (Span(0, 4),)),
        ("concat", "right", "one.weight", (Span(9, 1),)),
        ("concat", "right", "norm.running_var", (Span(9, 1),)),
        ("gated", "both", "both.weight", (Span(0, 1), Span(6, 1))),
        (
            "grouped",
            "stem",
            "stem.weight",
            (Span(0, 6),),
        ),  # 6 groups of the convolution, 4 of the norm: units of 6 channels
        ("grouped", "stem", "head.weight", (Span(0, 12),)),
        ("images", "hidden.0.linear", "head.weight", (Span(0, 1),)),
    ],
)
def test_where_a_width_lies_in_a_parameter(case, width, parameter, spans):
    net, example = make(case)
    site = growth_sites(net, example).widths[width]
    (port,) = (p for p in (*site.writers, *site.readers, *site.carried) if p.name == parameter)
    assert port.spans == spans


def test_a_group_of_coupled_layers_prints():
    net, example = make("inverted")
    assert str(growth_sites(net, example).widths["expand"]) == (
        "expand: 8\n"
        "  written by expand, fc2\n"
        "  through    n1, act1, depth, n2, act2, pool, gate, mul\n"
        "  read by    fc1, project"
    )


@pytest.mark.parametrize("residual", [False, True])
def test_insertion_sites_of_the_default_net(residual):
    net = DenseNet(4, [6, 6], 2, activation="tanh", dropout=0.1, residual=residual, norm="layer")
    depths = growth_sites(net).depths
    assert list(depths) == ["hidden.0.drop", "hidden.1.drop"]
    site = depths["hidden.1.drop"]
    assert (site.size, site.like, site.activation, site.norm, site.dropout, site.kinds) == (
        6, "hidden.1.linear", "hidden.1.act", "hidden.1.norm", "hidden.1.drop", ("residual",)
    )  # fmt: skip


# -- what is refused


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode, self.act, self.decode, self.head = nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 6), nn.Linear(6, 2)
        self.twin = nn.Linear(6, 4)
        self.twin.weight = self.encode.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.decode(self.act(self.encode(x)) + self.twin(x)))


class Lambda(nn.Module):
    """linear → any function of (self, h) → linear."""

    def __init__(self, between, **modules: nn.Module) -> None:
        super().__init__()
        self.first, self.last, self.between = nn.Linear(4, 6), nn.Linear(6, 2), between
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.between(self, self.first(x)))


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def _parametrized() -> nn.Module:
    net = Lambda(lambda _, h: h)
    nn.utils.parametrizations.orthogonal(net.first)
    return net


def _weight_normed() -> nn.Module:
    net = Lambda(lambda _, h: h)
    net.first = nn.utils.spectral_norm(net.first)
    return net


def _pruned() -> nn.Module:
    from torch.nn.utils import prune

    net = Lambda(lambda _, h: h)
    prune.l1_unstructured(net.first, "weight", amount=0.5)
    return net


class TwoWidths(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.norm, self.head = nn.Linear(4, 3), nn.Linear(4, 2), nn.LayerNorm(5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(torch.cat([self.a(x), self.b(x)], 1)))


REFUSED = {
    "control flow in a submodule": (lambda: Lambda(lambda s, h: s.b(h), b=Branching()), "first", "'b' (Branching): its forward cannot be traced"),
    "constant reshape": (lambda: Lambda(lambda _, h: h.view(-1, 6)), "first", "writes the size 6 into the code; use -1 or flatten(1)"),
    "reshape cuts": (lambda: Lambda(lambda _, h: h.view(-1, 2, 3).flatten(1)), "first", "a reshape cuts or mixes it"),
    "reshape with the batch": (lambda: Lambda(lambda _, h: h.reshape(-1).view(h.size(0), -1)), "first", "a reshape mixes it with the batch"),
    "attention": (lambda: Lambda(lambda s, h: s.m(h, h, h)[0], m=nn.MultiheadAttention(6, 2, add_bias_kv=True)), "first", "'m' (MultiheadAttention)"),
    "recurrent": (lambda: Lambda(lambda s, h: s.m(h), m=nn.GRUCell(6, 6)), "first", "'m' (GRUCell)"),
    "softmax": (lambda: Lambda(lambda _, h: h.softmax(-1)), "first", "softmax runs over it"),
    "softmax module": (lambda: Lambda(lambda s, h: s.m(h), m=nn.Softmax(dim=1)), "first", "Softmax runs over it"),
    "matmul": (lambda: Lambda(lambda _, h: h @ torch.ones(6, 6)), "first", "it goes through matmul()"),
    "functional layer": (lambda: Lambda(lambda s, h: F.linear(h, s.last.weight.t() @ s.last.weight)), "first", "it goes through linear()"),
    "global maximum": (lambda: Lambda(lambda _, h: h / h.max()), "first", "it goes through max()"),
    "mean over units": (lambda: Lambda(lambda _, h: h - h.mean(-1, keepdim=True)), "first", "mean runs over it"),
    "slice": (lambda: Lambda(lambda _, h: torch.cat([h[:, :3], h[:, 3:]], 1)), "first", "by numbers written in the code"),
    "split": (lambda: Lambda(lambda _, h: torch.cat(h.split(2, 1), 1)), "first", "split writes the size"),
    "meets a constant": (lambda: Lambda(lambda _, h: h + torch.ones(6)), "first", "it meets"),
    "one unit for all": (lambda: Lambda(lambda s, h: h * s.gate(h), gate=nn.Linear(6, 1)), "gate", "a single unit that is spread over a whole axis"),
    "parametrized": (_parametrized, "first", "it is parametrized"),
    "weight norm": (_weight_normed, "first", "its weight is not a parameter but computed"),
    "pruned": (_pruned, "first", "its weight is not a parameter but computed"),
    "several dimensions": (lambda: nn.Sequential(nn.Conv1d(2, 4, 1), nn.LayerNorm([4, 3]), nn.Flatten(), nn.Linear(12, 2)), "0", "normalises over several dimensions"),
    "norm over two widths": (TwoWidths, "a", "normalises it together with others"),
    "output": (lambda: Lambda(lambda _, h: h), "last", "it is the net's output"),
    "max_norm": (lambda: nn.Sequential(nn.Embedding(5, 4, max_norm=1.0), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)), "0", "max_norm"),
}  # fmt: skip


INPUTS = {"several dimensions": (5, 2, 3)}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_grown_is_refused_by_name_with_the_reason(case):
    build, name, reason = REFUSED[case]
    net = build()
    example = torch.randint(5, (3, 2)) if case == "max_norm" else torch.randn(INPUTS.get(case, (5, 4)))
    sites = growth_sites(net, example)
    assert name not in sites.widths
    assert reason in sites.refused[name]
    before = {n: id(p) for n, p in net.named_parameters()}
    with pytest.raises(GrowthError, match=r"cannot be (grown|widened)"):
        widen(net, name, 12, example=example)
    assert before == {n: id(p) for n, p in net.named_parameters()}


def test_layers_that_share_a_weight_are_one_width():
    net, example = Tied().double(), torch.randn(5, 6).double()
    assert growth_sites(net, example).sizes == {"encode": 4, "decode": 6}
    assert widen(net, "encode", 7, example=example).receipt.max_abs_change < 1e-9
    assert net.twin.weight is net.encode.weight
    assert net.twin.out_features == 7


def test_a_forward_that_branches_on_data_is_refused_with_what_to_do():
    with pytest.raises(GrowthError, match=r"Branching cannot be traced.*submodule of its own"):
        growth_sites(Branching(), torch.ones(2))


@pytest.mark.parametrize(
    ("net", "example", "message"),
    [
        (nn.Conv2d(1, 2, 3), None, "cannot be inferred from its first layer; pass example="),
        (nn.Linear(3, 2), torch.ones(2, 5), "Linear does not run on the example"),
        (nn.Linear(3, 2), {"x": torch.ones(2, 3)}, "argument 'x' is not one of the net's: input"),
        (DenseNet(3, [4], 2), {}, "the example lacks the net's argument 'x'"),
    ],
)
def test_an_example_that_does_not_fit_is_refused(net, example, message):
    with pytest.raises(GrowthError, match=message):
        growth_sites(net, example)


def test_functional_activations_are_named_with_the_line_to_change():
    net, example = make("functional")
    assert "self.act = nn." in growth_sites(net, example).refused["gelu"]


# -- what is left alone


@pytest.mark.parametrize("case", ["conv", "dense_batch", "mixer"])
def test_looking_changes_nothing(case):
    net, example = make(case)
    net.train()
    before, modes = copy.deepcopy(net.state_dict()), [m.training for m in net.modules()]
    random = torch.get_rng_state()
    growth_sites(net, example)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert modes == [m.training for m in net.modules()]
    assert torch.equal(random, torch.get_rng_state())


def test_hooks_never_see_symbols():
    net, example = make("conv")
    seen = []
    for module in net.modules():
        module.register_forward_hook(lambda _module, _args, out: seen.append(type(out)))
    growth_sites(net, example)
    assert set(seen) <= {Tensor}
    assert all(m._forward_hooks for m in net.modules())


def test_a_compiled_net_is_looked_into():
    net = torch.compile(DenseNet(3, [4], 2), backend="eager")
    assert list(growth_sites(net).widths) == ["hidden.0.linear"]


def test_examples_as_tensor_sequence_and_mapping_say_the_same():
    net = DenseNet(3, [4], 2)
    x = torch.randn(5, 3)
    assert growth_sites(net, x).widths == growth_sites(net, [x]).widths == growth_sites(net, {"x": x}).widths


# -- layers of one's own


class Doubled(nn.Module):
    """A layer type nobody knows: its weight lies the other way round."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x @ self.matrix


def test_a_registered_layer_grows():
    build = lambda: nn.Sequential(Doubled(3, 4), nn.Tanh(), Doubled(4, 2))  # noqa: E731
    assert growth_sites(build(), torch.randn(5, 3)).widths == {}
    register_layer(Doubled, LayerType({"matrix": 1}, {"matrix": 0}))
    net = build()
    assert widen(net, "0", 7, example=torch.randn(5, 3)).receipt.max_abs_change < 1e-9
    assert net[0].matrix.shape == (3, 7)
    assert net[2].matrix.shape == (7, 2)
    assert net[0].matrix[:, 4:].all(), "new units' incoming weights are drawn"


def test_a_subclass_with_a_forward_of_its_own_is_not_taken_for_its_base():
    class Squared(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) ** 2

    class Named(nn.Linear):
        pass

    own = growth_sites(nn.Sequential(Squared(3, 4), nn.ReLU(), nn.Linear(4, 2)), torch.randn(5, 3))
    assert list(own.widths) == ["0"]  # its forward is followed: a layer, and a power of what it answers
    assert "pow_1" in own.widths["0"].through
    assert list(growth_sites(nn.Sequential(Named(3, 4), nn.ReLU(), nn.Linear(4, 2))).widths) == ["0"]


# -- activations, as PyTorch has them


@pytest.mark.parametrize(
    ("activation", "at_zero", "slope", "idempotent"),
    [
        (nn.ReLU(), 0, 0, True), (nn.ReLU6(), 0, 0, True), (nn.LeakyReLU(), 0, 0.01, False), (nn.GELU(), 0, 0.5, False),
        (nn.SiLU(), 0, 0.5, False), (nn.Tanh(), 0, 1, False), (nn.ELU(), 0, 1, False), (nn.Sigmoid(), 0.5, 0.25, False),
        (nn.Hardtanh(), 0, 1, True), (nn.Hardtanh(0.5, 2.0), 0.5, 0, True), (nn.Threshold(0.0, 0.0), 0, 0, True),
        (nn.PReLU(), 0, 1, False), (torch.abs, 0, 0, True), (lambda x: x.clamp(min=0), 0, 1, True),
    ],
)  # fmt: skip
def test_facts_of_activations(activation, at_zero, slope, idempotent):
    facts = activation_facts(activation)
    assert (facts.at_zero, facts.slope_at_zero, facts.idempotent) == (at_zero, pytest.approx(slope), idempotent)


def test_every_function_in_the_table_is_elementwise():
    """The table is trusted by the tracer: a function in it may not look at neighbours."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(6, dtype=torch.float64, generator=generator) + 0.1
    arguments = {"threshold": (0.5, 0.0), "clamp": (0.2, 0.5), "clamp_min": (0.3,), "clamp_max": (0.4,), "pow": (2,)}
    for name, function in ACTIVATION_FUNCTIONS.items():
        more = arguments.get(name, ())
        whole = function(x.clone(), *more)
        one_by_one = torch.stack([function(v.clone(), *more) for v in x])
        assert torch.equal(whole, one_by_one), name


# -- unification


def axes(total: int) -> st.SearchStrategy[tuple[Segment, ...]]:
    """Axes of `total` positions, cut anywhere, with blocks that divide each part."""

    @st.composite
    def build(draw: st.DrawFn) -> tuple[Segment, ...]:
        parts, left = [], total
        while left:
            size = draw(st.integers(1, left))
            block = draw(st.sampled_from([b for b in range(1, size + 1) if size % b == 0]))
            parts.append(Segment(Width(size // block), block))
            left -= size
        return tuple(parts)

    return build()


@given(st.integers(1, 24).flatmap(lambda n: st.tuples(axes(n), axes(n))))
def test_unified_axes_are_one_row_or_refused(pair):
    one, other = pair
    total = length(one)
    unify(one, other)
    assert length(resolve(one)) == length(resolve(other)) == total
    if all(s.width.fixed is None for s in (*resolve(one), *resolve(other))):
        assert resolve(one) == resolve(other)


@given(st.integers(1, 8).flatmap(axes), st.integers(1, 3), st.integers(1, 3))
def test_blocks_and_repeats_multiply_positions(axis, block, repeats):
    assert length(blocked(axis, block, repeats)) == length(axis) * block * repeats
