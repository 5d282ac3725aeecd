"""Knowledge transfer: the larger net answers as the smaller one did, in our files and in a user's own,
and goes on learning.
"""

import copy
import json
import re
from collections import OrderedDict

import pytest
import torch
from torch import nn

import autogrow
from autogrow.cli import main
from autogrow.deploy import transfer, transfer_torch
from autogrow.deploy.larger import grown_net
from autogrow.errors import CheckpointError, GrowthError
from autogrow.nets import ConvNet, DenseNet

DENSE = [
    ({"activation": a, "norm": n, "members": m}, widths)
    for a in ("relu", "gelu", "tanh")
    for n in ("none", "batch", "layer")
    for m, widths in ((1, [24, 16]), (2, [16, 24]))
    if not (m > 1 and n == "batch")
]


def trained(net, example, steps=3):
    """A net whose norms and weights are no longer those of the start."""
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.randn_like(example)).square().mean().backward()
        optimizer.step()
    return net.eval()


def change(before, after, example):
    x = torch.randn(example.shape, dtype=torch.float64)
    with torch.no_grad():
        return float((copy.deepcopy(before).double()(x) - copy.deepcopy(after).double()(x)).abs().max())


@pytest.mark.parametrize(("arguments", "widths"), DENSE)
def test_a_wider_dense_net_computes_the_same(arguments, widths):
    torch.manual_seed(0)
    members = arguments["members"]
    example = torch.randn(*([members] if members > 1 else []), 8, 5)
    before = trained(DenseNet(5, [16, 16], 3, dropout=0.1, **arguments), example)
    after = copy.deepcopy(before)
    grown = grown_net(after, widths if min(widths) >= 16 else [16, 16], example)
    bound = 1e-6 if arguments["norm"] == "layer" else 1e-9  # a layer norm's values are stored rescaled, in float32
    assert change(before, after, example) <= bound
    assert grown.receipt.max_abs_change <= grown.receipt.promise
    assert (grown.before, grown.after) == ((16, 16), tuple(widths))


@pytest.mark.parametrize("widths", [[16, 16], [16, 16, 24], [16, 40, 24, 24]])
def test_a_deeper_one_too(widths):
    example = torch.randn(8, 5)
    before = trained(DenseNet(5, [16], 3), example)
    after = copy.deepcopy(before)
    assert grown_net(after, widths, example).after == tuple(widths)
    assert change(before, after, example) <= 1e-9


def test_a_conv_net():
    example = torch.randn(8, 1, 12, 12)
    before = trained(ConvNet((1, 12, 12), [4, 8], 3), example)
    after = copy.deepcopy(before)
    assert grown_net(after, [8, 8], example).after == (8, 8)
    assert change(before, after, example) <= 1e-9


def test_new_units_learn_and_differ():
    torch.manual_seed(0)
    example = torch.randn(64, 5)
    net = trained(DenseNet(5, [8], 3), example)
    grown_net(net, [24, 24], example)
    start = copy.deepcopy(net.state_dict())
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    y = example[:, :3].argmax(1)
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(example), y).backward()
        optimizer.step()
    incoming = net.hidden[0][0].weight.detach()
    head = net.head.weight.detach()
    assert (head - start["head.weight"]).abs().amax(0).min() > 0
    assert torch.pdist(incoming).min() > 1e-3


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    with pytest.raises(SystemExit) as ended:
        main(["fit", "data=iris", "trainer.max_epochs=30", f"hydra.run.dir={folder}"])
    assert ended.value.code == 0
    return folder


def call(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["transfer", *arguments])
    return ended.value.code


def test_from_a_run_to_a_checkpoint_that_answers_alike(run, tmp_path, capsys):
    out = tmp_path / "larger.ckpt"
    assert call(f"checkpoint={run}", "widths=[64,64,64]", f"out={out}") == 0
    assert "64-64-64: outputs change by at most" in capsys.readouterr().out
    before, after = autogrow.load(run / "checkpoints" / "best.ckpt"), autogrow.load(out)
    x = torch.rand(50, 4) * 8
    torch.testing.assert_close(before(x), after(x), atol=1e-5, rtol=1e-5)
    assert (before.predict(x.numpy()) == after.predict(x.numpy())).all()
    content = torch.load(out, weights_only=True)
    assert content["result"]["widths"] == [64, 64, 64]
    assert content["receipt"]["max_abs_change"] <= content["receipt"]["promise"]
    twice = tmp_path / "twice.ckpt"
    assert call(f"checkpoint={out}", "widths=[80,64,72]", f"out={twice}") == 0
    torch.testing.assert_close(before(x), autogrow.load(twice)(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("norm", [False, True])
def test_a_state_dict_of_dense_layers(norm, tmp_path):
    norms = [nn.BatchNorm1d(8)] if norm else []
    net = nn.Sequential(nn.Linear(4, 8), *norms, nn.Tanh(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3))
    net = trained(net, torch.randn(16, 4))
    if norm:  # a norm stands behind its layer
        net = net[:2].append(net[2]).append(net[3]).append(net[4]).append(net[5]).eval()
    torch.save(net.state_dict(), tmp_path / "net.pt")
    larger, state, grown = transfer_torch(tmp_path / "net.pt", [16, 12], activation="tanh")
    assert grown.after == (16, 12)
    assert set(state) == set(larger.state_dict())
    assert change(net, larger.eval(), torch.randn(9, 4)) <= 1e-9


class Used(nn.Module):
    """Layers that are registered in one order and used in another."""

    def __init__(self, order, **layers):
        super().__init__()
        self.order = order
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        for i, name in enumerate(self.order):
            layer = getattr(self, name)
            x = layer(x.tanh() if i and isinstance(layer, nn.Linear) else x)
        return x


def square():
    return nn.Linear(5, 5)


ORDERED = {
    "as registered": Used(["a", "b"], a=nn.Linear(4, 8), b=nn.Linear(8, 3)),
    "backwards": Used(["a", "b"], b=nn.Linear(8, 3), a=nn.Linear(4, 8)),
    "the last one first": Used(["a", "b", "head"], head=nn.Linear(6, 3), a=nn.Linear(4, 8), b=nn.Linear(8, 6)),
    "numbered": Used(["fc1", "fc2", "fc3"], fc1=square(), fc2=square(), fc3=square()),
    "numbered, and a head": Used(["fc1", "fc2", "head"], head=nn.Linear(5, 3), fc1=square(), fc2=square()),
    "norms behind": Used(
        ["fc1", "norm1", "fc2", "norm2", "fc3"], fc1=nn.Linear(4, 5), fc2=square(), fc3=nn.Linear(5, 2),
        norm1=nn.LayerNorm(5), norm2=nn.LayerNorm(5),
    ),
    "a norm that fits once": Used(["a", "n", "b"], n=nn.LayerNorm(8), a=nn.Linear(4, 8), b=nn.Linear(8, 3)),
    "a list": nn.Sequential(OrderedDict([("0", nn.Linear(4, 8)), ("act", nn.Tanh()), ("1", nn.Linear(8, 3))])),
    "a container": nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.LayerNorm(5), nn.Linear(5, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 2)),
}  # fmt: skip


@pytest.mark.parametrize("what", ORDERED)
def test_a_state_dict_is_read_in_the_order_of_use(what, tmp_path):
    net = ORDERED[what].eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    torch.save(net.state_dict(), tmp_path / "net.pt")
    first = next(m for m in net.modules() if isinstance(m, nn.Linear) and m.in_features in (4, 5))
    example = torch.randn(9, first.in_features)
    sites = autogrow.growth_sites(net, example).sizes
    larger, _, grown = transfer_torch(tmp_path / "net.pt", [12] * len(sites), activation="tanh")
    assert grown.after == (12,) * len(sites)
    assert change(net, larger.eval(), example) <= 1e-6


def test_what_a_flat_state_dict_cannot_hold_is_refused(tmp_path):
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    torch.save(net.state_dict(), tmp_path / "net.pt")
    with pytest.raises(GrowthError, match=r"is a residual block.*give 1 widths"):
        transfer_torch(tmp_path / "net.pt", [12, 12], activation="tanh")
    torch.save(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).state_dict(), tmp_path / "net.pt")
    larger, _, grown = transfer_torch(tmp_path / "net.pt", [12, 12], activation="relu")
    assert grown.after == (12, 12)
    assert [type(m) for m in larger] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]


OPEN = {
    "one shape": (Used("ab", b=square(), a=square()), "layers=[b,a]"),
    "backwards by number": (Used(["fc1", "fc2"], fc2=square(), fc1=square()), "fit in more than one order"),
    "there and back": (Used("ab", a=nn.Linear(4, 7), b=nn.Linear(7, 4)), "'a' (4 → 7), 'b' (7 → 4) fit in more than"),
    "a norm that fits twice": (Used("anb", a=nn.Linear(4, 8), n=nn.LayerNorm(8), b=nn.Linear(8, 8)), "'n' stands"),
    "no stack": (Used("ab", a=nn.Linear(4, 8), b=nn.Linear(7, 3)), "not a stack of layers"),
    "two in a row": (
        nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)), "nowhere between two of them",
    ),
    "two places": (
        nn.Sequential(nn.Linear(4, 8), nn.Dropout(), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 3)), "more than one place",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", OPEN)
def test_an_order_that_a_state_dict_leaves_open_is_asked_for(what, tmp_path):
    net, message = OPEN[what]
    torch.save(net.state_dict(), tmp_path / "net.pt")
    with pytest.raises(CheckpointError, match=re.escape(message)):
        transfer_torch(tmp_path / "net.pt", [16], activation="tanh")


def test_the_order_that_was_asked_for(tmp_path, capsys):
    net = OPEN["one shape"][0]
    torch.save(net.state_dict(), tmp_path / "net.pt")
    told = [f"checkpoint={tmp_path / 'net.pt'}", "widths=[16]", "activation=tanh", f"out={tmp_path / 'out.pt'}"]
    assert call(*told, "layers=[a]") == 2
    assert "layers must name each of b, a once, got a" in capsys.readouterr().err
    assert call(*told, "layers=[a,c]") == 2
    assert "has no layer 'c'" in capsys.readouterr().err
    assert call(*told, "layers=[a,b]") == 0
    larger, _, _ = transfer_torch(tmp_path / "net.pt", [16], activation="tanh", layers=["a", "b"])
    assert change(net, larger.eval(), torch.randn(9, 5)) <= 1e-6
    assert torch.load(tmp_path / "out.pt", weights_only=True)["0.weight"].shape == (16, 5)


def test_a_pickled_module_needs_to_be_trusted(tmp_path, capsys):
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    path, out = tmp_path / "net.pt", tmp_path / "out.pt"
    torch.save(net, path)
    assert call(f"checkpoint={path}", "widths=[16]", f"out={out}") == 2
    assert "allow_pickle=true" in capsys.readouterr().err
    assert not out.exists()
    with pytest.warns(UserWarning, match="runs whatever code it holds"):
        assert call(f"checkpoint={path}", "widths=[16]", f"out={out}", "allow_pickle=true") == 0
    grown = torch.load(out, weights_only=False)
    x = torch.randn(5, 4)
    torch.testing.assert_close(net(x), grown(x))
    assert json.loads(out.with_suffix(".json").read_text())["after"] == [16]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "one of them"),
        (["checkpoint={run}"], "widths=[512,512,256]"),
        (["checkpoint={run}", "widths=[4]"], "cannot"),
        (["checkpoint={run}", "widths=[0,64]"], "whole numbers of at least 1, got 0"),
        (["checkpoint={run}", "widths=[64,many]"], "got 'many'"),
        (["checkpoint={run}", "widths=64"], "must be a list"),
        (["checkpoint=nowhere", "widths=[64]"], "nowhere"),
        (["checkpoint={here}", "widths=[64]"], "not the folder of a finished run"),
        (["checkpoint={here}/broken.ckpt", "widths=[64]"], "not a whole checkpoint"),
        (["checkpoint={here}/broken.pt", "widths=[64]"], "broken.pt"),
        (["checkpoint={here}/dense.pt", "widths=[64]"], "give activation=relu"),
        (["checkpoint={here}/dense.pt", "widths=[64]", "activation=relo"], "did you mean 'relu'"),
        (["checkpoint={here}/conv.pt", "widths=[64]", "activation=relu"], "save the whole module"),
        (["checkpoint={run}", "widths=[64,64,64]", "out={here}/dense.pt"], "overwrite=true"),
        (["checkpoint={run}", "widths=[64,64,64]", "out={here}/no/x.ckpt"], "there is no folder"),
        (["checkpoint={run}", "width=[64]"], "did you mean 'widths'?"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(arguments, message, run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.ckpt").write_text("no")
    (tmp_path / "broken.pt").write_text("no")
    torch.save(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).state_dict(), tmp_path / "dense.pt")
    torch.save(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 1)).state_dict(), tmp_path / "conv.pt")
    before = sorted(p.name for p in tmp_path.rglob("*")), sorted(p.name for p in run.rglob("*"))
    assert call(*(a.format(run=run, here=tmp_path) for a in arguments)) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert (sorted(p.name for p in tmp_path.rglob("*")), sorted(p.name for p in run.rglob("*"))) == before


def test_a_smaller_target_names_both(run):
    with pytest.raises(GrowthError, match=r"cannot"):
        transfer(run, [2, 2, 2])
