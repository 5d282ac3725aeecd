"""What the operators do to a net besides growing it: nothing. And what they say when they cannot."""

import copy

import pytest
import torch
from growth_zoo import make
from torch import Tensor, nn

from autogrow.errors import GrowthError
from autogrow.growth import (
    AntisymmetricPair,
    ResidualBlock,
    Split,
    ZeroOutgoing,
    deepen,
    extend_inputs,
    extend_outputs,
    grow_to,
    growth_sites,
    widen,
)
from autogrow.nets import DenseNet


def dense(widths=(6, 6), **more) -> DenseNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DenseNet(4, list(widths), 3, **more)


def output(net: nn.Module, x: Tensor) -> Tensor:
    was = net.training
    net.eval()
    out = net(x).detach()
    net.train(was)
    return out


X = torch.randn(7, 4, generator=torch.Generator().manual_seed(5))


# -- widen


def test_attributes_follow_the_sizes():
    net, example = make("grouped")
    widen(net, "stem", 18, example=example)
    assert (net.stem.out_channels, net.grouped.in_channels, net.grouped.out_channels, net.grouped.groups) == (
        18,
        18,
        36,
        9,
    )
    assert (net.norm.num_channels, net.norm.num_groups, net.head.in_features) == (36, 6, 36)
    net = dense(norm="layer")
    widen(net, "hidden.0.linear", 9)
    assert net.hidden[0].norm.normalized_shape == (9,)
    assert net.hidden[0].norm.eps == pytest.approx(1e-5 * 6 / 9)


def test_moves_say_where_every_entry_came_from():
    net = dense()
    old = dict(net.named_parameters())
    surgery = widen(net, {"hidden.0.linear": 8, "hidden.1.linear": 9}, neurons=Split("equal"))
    assert {m.new_name for m in surgery.moves} == set(old) - {"head.bias"}
    for move in surgery.moves:
        assert move.old is old[move.old_name]
        assert move.new is dict(net.named_parameters())[move.new_name]
        source = move.old.detach()
        for dim, index in move.index.items():
            source = source.index_select(dim, index)
        for dim, factor in move.value.items():
            source = source * factor.float().view([-1 if d == dim else 1 for d in range(source.ndim)])
        assert torch.allclose(move.new, source)
    (inner,) = (m for m in surgery.moves if m.new_name == "hidden.1.linear.weight")
    assert sorted(inner.index) == [0, 1]


def test_only_what_lies_along_the_width_is_replaced():
    net = dense()
    before = dict(net.named_parameters())
    widen(net, "hidden.1.linear", 8)
    after = dict(net.named_parameters())
    assert {n for n in before if after[n] is not before[n]} == {
        "hidden.1.linear.weight",
        "hidden.1.linear.bias",
        "head.weight",
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("neurons", [ZeroOutgoing(), Split(), AntisymmetricPair()], ids=repr)
@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
def test_dtypes_are_kept_and_receipts_know_their_rounding(dtype, neurons, norm):
    net = dense(norm=norm).to(dtype)
    surgery = widen(net, {"hidden.0.linear": 8, "hidden.1.linear": 11}, neurons=neurons)
    assert {p.dtype for p in net.parameters()} == {dtype}
    assert surgery.receipt.max_abs_change <= surgery.receipt.promise


def test_marks_modes_frozen_parameters_and_hooks_stay():
    net = dense(norm="batch").train()
    net.hidden[1].eval()
    net.hidden[0].linear.weight.requires_grad_(False)
    net.hidden[0].linear.weight.no_decay = True
    calls = []
    net.hidden[0].linear.register_forward_hook(lambda *_: calls.append(1))
    modules = [id(m) for m in net.modules()]
    widen(net, "hidden.0.linear", 8)
    weight = net.hidden[0].linear.weight
    assert (weight.requires_grad, weight.no_decay) == (False, True)
    assert net.hidden[0].linear.bias.requires_grad
    assert (net.training, net.hidden[1].training, net.hidden[0].norm.training) == (True, False, True)
    assert modules == [id(m) for m in net.modules()]
    calls.clear()
    net(X)
    assert calls == [1]


def test_running_statistics_and_counters_are_not_touched_by_the_receipt():
    net = dense(norm="batch").train().double()
    net(X.double())
    before = {n: b.clone() for n, b in net.named_buffers()}
    widen(net, "hidden.0.linear", 8, example=X)
    for name, buffer in net.named_buffers():
        assert torch.equal(buffer[:6] if buffer.ndim else buffer, before[name])


def test_weights_that_are_views_of_one_flat_buffer_grow():
    """As DDP buckets, fused optimizers and some loaders leave them: no operator may write through a view."""
    net = dense().double()
    flat = torch.cat([p.detach().flatten() for p in net.parameters()])
    offset = 0
    for p in net.parameters():
        p.data = flat[offset : offset + p.numel()].view(p.shape)
        offset += p.numel()
    net.head.weight.data = net.head.weight.data.t().contiguous().t()
    before, kept = output(net, X.double()), flat.clone()
    widen(net, {"hidden.0.linear": 9, "hidden.1.linear": 7}, neurons=Split())
    assert float((output(net, X.double()) - before).abs().max()) < 1e-12
    assert torch.equal(flat, kept)


def test_channels_last_weights_stay_so():
    net, example = make("conv")
    net = net.to(memory_format=torch.channels_last)
    widen(net, "features.0", 6, example=example)
    assert net.features[4].weight.is_contiguous(memory_format=torch.channels_last)


def test_a_compiled_net_grows_inside():
    net = dense()
    compiled = torch.compile(net, backend="eager")
    before = output(compiled, X)
    surgery = widen(compiled, "hidden.0.linear", 8, example=X)
    assert net.hidden[0].linear.out_features == 8
    assert surgery.moves[0].new_name in dict(net.named_parameters())
    assert torch.allclose(output(compiled, X), before, atol=1e-6)


def test_growth_under_inference_mode_can_be_trained():
    net = dense()
    with torch.inference_mode():
        widen(net, "hidden.0.linear", 8)
        deepen(net, "hidden.1.act")
    net(X).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize("neurons", [ZeroOutgoing(), Split(), AntisymmetricPair()], ids=repr)
def test_draws_come_from_the_generator_alone(neurons):
    def grown(seed: int | None, dtype: torch.dtype = torch.float32) -> list[Tensor]:
        net = dense(norm="layer", activation="gelu").to(dtype)
        generator = torch.Generator().manual_seed(seed) if seed is not None else None
        random = torch.get_rng_state()
        widen(net, "hidden.0.linear", 8, neurons=neurons, generator=generator)
        deepen(net, "hidden.0.act", kind="residual", generator=generator)
        assert torch.equal(random, torch.get_rng_state())
        return [p.detach().double() for p in net.parameters()]

    def same(one: list[Tensor], other: list[Tensor], atol: float = 0.0) -> bool:
        return all(torch.allclose(a, b, rtol=atol, atol=atol) for a, b in zip(one, other, strict=True))

    assert same(grown(1), grown(1))
    assert same(grown(None), grown(None))
    assert not same(grown(1), grown(2))
    assert same(grown(1), grown(1, torch.float64), atol=1e-6)


def test_a_second_growth_does_not_repeat_the_first_ones_draw():
    net = dense()
    widen(net, "hidden.0.linear", 8)
    widen(net, "hidden.0.linear", 10)
    weight = net.hidden[0].linear.weight
    assert not torch.allclose(weight[6:8], weight[8:10])


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ({"hidden.0.linear": 6}, "has 6 channels and can only grow; 6 was asked for"),
        ({"hidden.0.linear": 3}, "can only grow"),
        ({"hidden.0.linear": "8"}, "the new width of 'hidden.0.linear' must be a whole number, got '8'"),
        ({"hidden.0.linear": 8.0}, r"must be a whole number, got 8\.0"),
        ({"hidden.0.linaer": 8}, r"no width is called 'hidden.0.linaer'; did you mean 'hidden.0.linear'"),
        ({"head": 8}, "'head' cannot be grown: it is the net's output"),
        ({}, "no width to grow"),
    ],
)
def test_what_widen_refuses(widths, message):
    with pytest.raises(GrowthError, match=message):
        widen(dense(), widths)


def test_a_width_may_be_named_by_any_layer_that_writes_it_but_once():
    net, example = make("residual")
    with pytest.raises(GrowthError, match="'c' and 'stem' are one width"):
        widen(net, {"stem": 9, "c": 9}, example=example)
    widen(net, "c", 9, example=example)
    assert net.stem.out_features == 9


def test_groups_grow_in_whole_groups():
    net, example = make("grouped")
    with pytest.raises(GrowthError, match="grows in steps of 6 channels; 13 was asked for, 18 would do"):
        widen(net, "stem", 13, example=example)


def test_widen_needs_a_width_for_a_name_and_none_for_a_mapping():
    with pytest.raises(GrowthError, match="needs the new width"):
        widen(dense(), "hidden.0.linear")
    with pytest.raises(GrowthError, match="takes no further width"):
        widen(dense(), {"hidden.0.linear": 8}, 8)


def test_a_width_that_layer_norm_binds_grows_by_multiples_only():
    net, example = make("convnext")
    with pytest.raises(GrowthError, match="only a multiple of 4, by Split, is exact"):
        widen(net, "stem", 6, example=example)
    assert widen(net, "stem", 8, example=example).receipt.max_abs_change < 1e-12  # by copies, without further words
    assert widen(net, "stem", 16, example=example, neurons=Split()).receipt.max_abs_change < 1e-12


# -- deepen


@pytest.mark.parametrize("drop", [None, 0.2])
@pytest.mark.parametrize("members", [1, 2])
def test_an_identity_layer_is_inserted_behind_the_stage(drop, members):
    net = dense(dropout=drop, members=members)
    after = "hidden.0.act" if drop is None else "hidden.0.drop"
    surgery = deepen(net, after, kind="identity")
    stage = net.get_submodule(after)
    kinds = [type(m).__name__ for m in stage]
    layer = "Linear" if members == 1 else "MemberLinear"
    assert kinds == (["ReLU", layer, "ReLU"] if drop is None else ["Dropout", layer, "ReLU", "Dropout"])
    assert torch.equal(stage[1].weight.expand(members, 6, 6), torch.eye(6).expand(members, 6, 6))
    assert [m.new_name for m in surgery.moves] == [f"{after}.1.weight", f"{after}.1.bias"]
    assert all(m.old is None for m in surgery.moves)
    if drop is not None:
        assert stage[3].p == drop


@pytest.mark.parametrize("name", ["hidden.1", "hidden.1.act"])
def test_behind_a_container_means_behind_its_last_module(name):
    net = dense()
    assert deepen(net, name).entry["after"] == "hidden.1.act"
    assert deepen(net, name).entry["after"] == "hidden.1.act.2"
    assert list(growth_sites(net).widths) == [
        "hidden.0.linear",
        "hidden.1.linear",
        "hidden.1.act.1",
        "hidden.1.act.2.1",
    ]


def test_behind_a_layer_only_a_residual_block_is_exact():
    net = dense(norm="batch")
    with pytest.raises(GrowthError, match="it has no activation; kind='residual' is"):
        deepen(net, "hidden.0.linear", kind="identity")
    surgery = deepen(net, "hidden.0.linear")
    assert isinstance(net.hidden[0].linear[1], ResidualBlock)
    renamed = {m.old_name: m.new_name for m in surgery.moves if m.old is not None}
    assert renamed == {f"hidden.0.linear.{p}": f"hidden.0.linear.0.{p}" for p in ("weight", "bias")}
    assert all(m.old is m.new for m in surgery.moves if m.old is not None)


@pytest.mark.parametrize("activation", ["relu", "gelu", "sigmoid", "softplus", "elu"])
@pytest.mark.parametrize("norm", ["none", "batch", "layer", "rms"])
def test_residual_blocks_chain_and_their_widths_grow(activation, norm):
    net = dense([6], activation=activation, norm=norm).double()
    for _ in range(2):
        assert deepen(net, list(growth_sites(net).depths)[-1], kind="residual").receipt.max_abs_change < 1e-12
    sites = growth_sites(net)
    assert len(sites.widths) == 3
    assert len(sites.depths) == 1
    inner = list(sites.widths)[1]
    assert inner.endswith("inner")
    assert widen(net, inner, 10).receipt.max_abs_change < 1e-12
    net(X.double()).sum().backward()
    gates = [p.grad for n, p in net.named_parameters() if n.endswith("outer.weight")]
    assert all(bool(g.any()) for g in gates), "closed gates must learn to open"


@pytest.mark.parametrize("kernel", [1, 3, 5, 2])
def test_a_convolution_identity_has_its_one_in_the_centre(kernel):
    net = nn.Sequential(nn.Conv2d(2, 4, kernel), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    surgery = deepen(net, "1", example=torch.randn(3, 2, 8, 7))
    assert surgery.receipt.max_abs_change < 1e-12
    assert net[1][1].kernel_size == ((kernel, kernel) if kernel % 2 else (1, 1))


def test_a_calibrated_batch_norm_is_exact_in_train_mode_on_its_batch_and_in_eval_mode_on_any():
    net = dense(norm="batch").double()
    with torch.no_grad():
        net.hidden[0].norm.running_mean.normal_(generator=torch.Generator().manual_seed(0))
    x, other = X.double(), torch.randn(9, 4, generator=torch.Generator().manual_seed(6)).double()
    twin = copy.deepcopy(net)
    surgery = deepen(net, "hidden.0.act", kind="identity", calibration=x)
    assert [type(m).__name__ for m in net.hidden[0].act] == ["ReLU", "Linear", "BatchNorm1d", "ReLU"]
    assert surgery.receipt.max_abs_change_train < 1e-12
    assert torch.allclose(output(net, other), output(twin, other), atol=1e-12)
    assert torch.allclose(copy.deepcopy(net).train()(x), copy.deepcopy(twin).train()(x), atol=1e-12)
    assert not torch.allclose(copy.deepcopy(net).train()(other), copy.deepcopy(twin).train()(other), atol=1e-2)


def test_hooks_of_a_copied_activation_stay_with_the_original():
    net = dense()
    calls = []
    net.hidden[0].act.register_forward_hook(lambda *_: calls.append(1))
    deepen(net, "hidden.0.act")
    calls.clear()
    net(X)
    assert calls == [1]


@pytest.mark.parametrize("train", [True, False])
def test_inserted_modules_take_the_mode_of_where_they_are(train):
    net = dense(norm="batch", dropout=0.1).train(train)
    deepen(net, "hidden.0.drop", kind="residual")
    assert {m.training for m in net.modules()} == {train}


@pytest.mark.parametrize(
    ("case", "after", "kind", "message"),
    [
        ("plain", "4", "auto", "nothing can be inserted behind '4': '4' is the net's output"),
        ("plain", "8", "auto", "no module is called '8' to insert behind; known: 1, 3"),
        ("plain", "1", "identiy", "'identiy' is not a way to insert a layer; did you mean 'identity'"),
        ("shared", "act", "auto", "is called 2 times; give each place a module of its own"),
        ("convnext", "norm", "auto", "does not have its features where 'depth' wants them"),
    ],
)
def test_what_deepen_refuses(case, after, kind, message):
    net, example = make(case)
    with pytest.raises(GrowthError, match=message):
        deepen(net, after, kind=kind, example=example)


class Listed(nn.Module):
    """Calls its activation from a plain list, where a wrapper put at its name is not seen."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.last = nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)
        self.order = [self.first, self.act, self.last]

    def forward(self, x: Tensor) -> Tensor:
        for module in self.order:
            x = module(x)
        return x


def test_an_insertion_that_the_forward_does_not_reach_is_refused():
    net = Listed()
    with pytest.raises(GrowthError, match=r"does not call what was put behind 'act'"):
        deepen(net, "act", example=X)
    assert isinstance(net.act, nn.ReLU)


def test_an_identity_layer_is_refused_where_the_activation_is_not_idempotent():
    with pytest.raises(GrowthError, match=r"'hidden.0.act' applied twice is not itself; kind='residual' is"):
        deepen(dense(activation="gelu"), "hidden.0.act", kind="identity")


# -- whole targets, inputs, outputs


@pytest.mark.parametrize(
    ("start", "target", "depth", "ends"),
    [
        ([4], [8, 6, 6], None, [8, 6, 6]),
        ([4, 6], [5, 6], 2, [5, 6]),
        ([4, 6], None, 4, [4, 6, 6, 6]),
        ([4], [4], None, [4]),
    ],
)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_whole_target(start, target, depth, ends, activation):
    net = dense(start, activation=activation).double()
    before = output(net, X.double())
    grow_to(net, target, depth, example=X)
    assert [s.size for s in growth_sites(net).widths.values()] == ends
    assert float((output(net, X.double()) - before).abs().max()) < 1e-12


@pytest.mark.parametrize(
    ("widths", "depth", "message"),
    [
        (None, None, "needs the target's widths, its depth or both"),
        ([8], None, r"has 2 hidden widths, \[6, 6\], and cannot be grown to 1"),
        ([8, 4], None, r"widths only grow: \[6, 6\].*cannot become \[8, 4\]"),
        ([8, 8, 4], None, r"widths only grow: \[6, 6, 6\]"),
        ([8, 8], 3, "was given 2 widths and depth 3"),
    ],
)
def test_what_grow_to_refuses(widths, depth, message):
    with pytest.raises(GrowthError, match=message):
        grow_to(dense(), widths, depth)


@pytest.mark.parametrize("case", ["plain", "residual", "conv", "inverted", "functional", "members", "gated"])
def test_more_inputs_leave_the_output_as_it_was_and_are_learnt_at_once(case):
    net, example = make(case)
    surgery = extend_inputs(net, 2, example=example)
    assert surgery.receipt.max_abs_change < 1e-12
    dim = -1 if case in ("plain", "residual", "members", "gated") else 1
    shape = list(example.shape)
    shape[dim] += 2
    out = net(torch.randn(shape, generator=torch.Generator().manual_seed(0)).double())
    out.pow(2).sum().backward()
    for move in surgery.moves:
        if not isinstance(move.new, nn.Parameter) or (case == "inverted" and "head" not in str(move.new_name)):
            continue  # the input is also added to a stream: what else carries it learns through the head
        (axis,) = move.index
        new = (move.index[axis] < 0).nonzero().flatten()
        assert bool(move.new.grad.index_select(axis, new).any())


@pytest.mark.parametrize("case", ["plain", "conv", "flatten", "members", "images", "convnext"])
def test_more_outputs_leave_the_old_ones_as_they_were_and_are_learnt_at_once(case):
    net, example = make(case)
    before = output(net, example)
    surgery = extend_outputs(net, 2, example=example)
    after = net.eval()(example)
    assert after.shape[-1] == before.shape[-1] + 2
    assert float((after.detach()[..., :-2] - before).abs().max()) < 1e-12
    assert surgery.receipt.max_abs_change < 1e-12
    (after - 1).pow(2).sum().backward()
    assert all(bool(m.new.grad[..., -1:, :].any()) for m in surgery.moves if m.new_name.endswith("weight"))


@pytest.mark.parametrize(
    ("grow", "case", "count", "message"),
    [
        (extend_inputs, "images", 1, "the net's input is not one axis that layers read"),
        (extend_inputs, "plain", 0, "input can only grow; 0 was asked for"),
        (extend_outputs, "concat", 1, "output is not one axis that layers write"),
    ],
)
def test_ends_that_cannot_be_extended_are_refused(grow, case, count, message):
    net, example = make(case)
    before = [id(p) for p in net.parameters()]
    with pytest.raises(GrowthError, match=message):
        grow(net, count, example=example)
    assert before == [id(p) for p in net.parameters()]


def test_a_norm_over_the_input_refuses_more_inputs():
    net = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    with pytest.raises(GrowthError, match="'0' normalises over the net's input"):
        extend_inputs(net, 1)
