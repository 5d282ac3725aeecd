"""What strangers bring to a fit: streams, noise, callbacks, optimizers, the other Lightning. None ends the fit."""

from __future__ import annotations

import copy
import importlib
import itertools
import json
import random
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import BackboneFinetuning
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from autogrow.errors import ConfigError
from autogrow.growth import GradMax, Tiny, carry, place_state, state_by_name, widen
from autogrow.policy.history import Deepen, Keep, Row, Widen
from autogrow.train.guest import monitors
from autogrow.train.guest.loading import Growable, load_grown

sys.path.insert(0, str(Path(__file__).parent))
from lit import (
    BATCH,
    CLASSES,
    EXAMPLE,
    INPUTS,
    STEPS,
    Lit,
    Net,
    Planned,
    controller,
    data,
    fingerprint,
    loaders,
    trainer,
)

WIDER = Widen({"body.0.lin": 12})


def fit(folder, *callbacks, module=None, policy=None, epochs=3, train=None, options=None, **settings):
    pl.seed_everything(3, verbose=False)
    run = trainer(folder, [controller(policy or Planned(((0, WIDER),)), **(options or {})), *callbacks], epochs=epochs, **settings)  # fmt: skip
    usual, val = loaders("plain")
    run.fit(module or Lit(), usual if train is None else train, val)
    return run


def rows_of(run):
    return next(c for c in run.callbacks if hasattr(c, "rows")).rows


# -- a growth that fails ---------------------------------------------------------------------------------------------
class Written(Net):
    """The size of its width stands in the forward, where no trace sees it: a growth runs, and is not exact."""

    def forward(self, x):
        out = super().forward(x)
        return out + len(self.body[0].lin.extra_repr())


class Failing(Lit):
    def __init__(self):
        super().__init__(p=0.0)
        self.model = Written((8, 8), p=0.0)


ASKED = {"body.0.lin": Widen({"body.0.lin": 12}), "body.1.drop": Deepen("body.1.drop", kind="nonsense")}


@pytest.mark.parametrize("site", ASKED)
def test_a_growth_that_fails_is_a_refusal_in_the_row_and_is_not_tried_again(tmp_path, site):
    shown = []

    def policy(history, options):
        shown.append({*options.widths, *options.depths})
        return Planned(((0, ASKED[site]), (2, ASKED[site])))(history, options)

    run = fit(tmp_path, module=Failing(), policy=policy, epochs=5, options={"ledger": tmp_path})
    rows = rows_of(run)
    assert [list(row.refused) for row in rows] == [[], [site], [], [], []]
    assert rows[1].refused[site]
    assert site in shown[0]
    assert all(site not in seen for seen in shown[1:])
    assert rows[2].action == Keep()
    assert "refused before" in rows[2].reason
    assert rows[-1].widths == rows[0].widths
    assert run.current_epoch == 5
    kept = [Row.from_plain(json.loads(line)) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert [row.comparable() for row in kept] == [row.comparable() for row in rows]


def test_a_refusal_is_remembered_by_a_checkpoint_written_before_its_row(tmp_path):
    run = fit(tmp_path, module=Failing(), policy=Planned(()), epochs=1)
    ours = run.callbacks[0]
    ours.book.refuse(["body.0.lin"], "it fails")
    other = controller()
    other.load_state_dict(copy.deepcopy(ours.state_dict()))
    assert other.book.all_refused == {"body.0.lin": "it fails"}


class Grouped(nn.Module):
    """Channels that grow in groups of three."""

    def __init__(self):
        super().__init__()
        self.stem, self.groups = nn.Conv1d(1, 6, 3, padding=1), nn.Conv1d(6, 6, 3, padding=1, groups=2)
        self.head = nn.Linear(6, CLASSES)

    def forward(self, x):
        return self.head(self.groups(self.stem(x[:, None])).mean(-1))


def test_a_width_between_two_units_is_rounded_up(tmp_path):
    module = Lit()
    module.model = Grouped()
    costs = []

    def policy(history, options):
        if not costs:
            costs.append(options.cost(Widen({"stem": 7})).parameters)
        return Planned(((0, Widen({"stem": 7})),))(history, options)

    rows = rows_of(fit(tmp_path, module=module, policy=policy))
    assert rows[-1].widths == {"stem": 9}
    assert "whole units" in rows[0].reason
    assert costs[0] == rows[1].parameters


# -- data without a length -------------------------------------------------------------------------------------------
class Endless(IterableDataset):
    def __iter__(self):
        yield from data()


def test_a_loader_without_a_length_trains_and_its_steps_are_what_epochs_took(tmp_path):
    told = []

    def policy(history, options):
        told.append(options.max_steps)
        return Planned(((0, WIDER),))(history, options)

    run = fit(tmp_path, policy=policy, train=DataLoader(Endless(), BATCH), epochs=4)
    assert rows_of(run)[-1].widths == {"body.0.lin": 12}
    assert told == [4 * STEPS] * 4
    assert monitors.max_steps(run, 0) is None  # before an epoch has ended nobody knows


# -- nets that draw --------------------------------------------------------------------------------------------------
class Vae(nn.Module):
    """A forward that draws in eval mode too, by torch and by Python."""

    def __init__(self):
        super().__init__()
        self.into, self.mean, self.spread = (nn.Linear(i, o) for i, o in ((INPUTS, 8), (8, 3), (8, 3)))
        self.out, self.head = nn.Linear(3, 8), nn.Linear(8, CLASSES)

    def forward(self, x):
        hidden = torch.relu(self.into(x))
        mean = self.mean(hidden)
        drawn = mean + torch.randn_like(mean) * self.spread(hidden).exp()
        return self.head(torch.relu(self.out(drawn))) + random.random()


@pytest.mark.parametrize("site", ["into", "out"])
def test_a_net_that_draws_in_eval_mode_grows_and_the_global_random_state_is_left_alone(site):
    net = Vae()
    torch.manual_seed(7)
    random.seed(7)
    receipt = widen(net, site, 12, example=EXAMPLE).receipt
    drawn = torch.rand(1), random.random()
    torch.manual_seed(7)
    random.seed(7)
    assert (torch.rand(1), random.random()) == drawn
    assert receipt.max_abs_change < 1e-9


# -- optimizers and their groups -------------------------------------------------------------------------------------
class Preconditioned(torch.optim.Optimizer):
    """What SOAP and Shampoo keep: a list of matrices beside a moment."""

    def __init__(self, params):
        super().__init__(params, {"lr": 1e-2})

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                state = self.state[p]
                flat = p.grad.flatten(1) if p.ndim > 1 else p.grad[:, None]
                if not state:
                    state["exp_avg"] = torch.zeros_like(p)
                    state["GG"] = [torch.zeros(len(flat), len(flat))]
                state["GG"][0] += flat @ flat.T
                state["exp_avg"].lerp_(p.grad, 0.1)
                p -= group["lr"] * state["exp_avg"] / (1 + state["GG"][0].trace())
        return loss


OPTIMIZERS = {
    "adafactor": lambda p: torch.optim.Adafactor(p, lr=0.01),
    "lbfgs": lambda p: torch.optim.LBFGS(p, lr=0.1),
    "preconditioned": Preconditioned,
}


class With(Lit):
    def __init__(self, make):
        super().__init__(p=0.0)
        self.make = make
        self.model = Net((8, 8), p=0.0)

    def configure_optimizers(self):
        return self.make(self.parameters())


@pytest.mark.parametrize("action", [WIDER, Deepen("body.0.act")], ids=["widen", "deepen"])
@pytest.mark.parametrize(("name", "mode"), list(itertools.product(OPTIMIZERS, ("carry", "fresh"))))
def test_growth_goes_on_under_optimizers_whose_state_cannot_be_carried(tmp_path, name, mode, action):
    run = fit(
        tmp_path, module=With(OPTIMIZERS[name]), policy=Planned(((0, action),)), options={"optimizer_state": mode}
    )
    assert rows_of(run)[1].event.grew
    assert run.current_epoch == 3


@pytest.mark.parametrize("name", ["adafactor", "preconditioned"])
def test_tensors_that_the_growth_does_not_touch_keep_their_state_whatever_it_is(name):
    torch.manual_seed(0)
    net = Net((8, 8), p=0.0)
    optimizer = OPTIMIZERS[name](net.parameters())
    net(EXAMPLE).square().sum().backward()
    optimizer.step()
    saved = copy.deepcopy(state_by_name(optimizer, {p: n for n, p in net.named_parameters()}))
    surgery = widen(net, "body.0.lin", 12, example=EXAMPLE)
    touched = {m.new_name for m in surgery.moves}
    assert touched < set(saved)
    again = OPTIMIZERS[name](net.parameters())
    names = {p: n for n, p in net.named_parameters()}
    place_state(again, names, saved, surgery.moves, "fresh")
    carry(optimizer, surgery, mode="fresh")
    for one in (again, optimizer):
        assert {names[p] for p, state in one.state.items() if state} == set(saved) - touched
        torch.testing.assert_close(
            {names[p]: dict(s) for p, s in one.state.items()},
            {n: saved[n] for n in set(saved) - touched},
            rtol=0,
            atol=0,
        )
    started = place_state(again, names, saved, surgery.moves, "carry", unknown="reset")
    assert bool(started) == (name == "preconditioned")  # Adafactor's can follow
    assert set(started) <= touched
    assert all(not again.state.get(p) for p, name in names.items() if name in started)


class Backbone(Lit):
    def __init__(self):
        super().__init__(p=0.0)
        self.backbone = nn.Sequential(nn.Linear(INPUTS, INPUTS), nn.ReLU())

    def loss(self, batch):
        return nn.functional.cross_entropy(self.model(self.backbone(batch[0])), batch[1])

    def configure_optimizers(self):
        o = torch.optim.Adam([p for p in self.parameters() if p.requires_grad], lr=1e-2)
        return [o]


@pytest.mark.parametrize("action", [WIDER, Deepen("body.0.act")], ids=["widen", "deepen"])
def test_a_group_that_a_callback_added_is_made_again(tmp_path, action):
    thaw = BackboneFinetuning(unfreeze_backbone_at_epoch=1, verbose=False)
    run = fit(tmp_path, thaw, module=Backbone(), policy=Planned(((2, action),)), epochs=5)
    names = {p: n for n, p in run.lightning_module.named_parameters()}
    head, backbone = ([names[p] for p in group["params"]] for group in run.optimizers[0].param_groups)
    assert backbone == ["backbone.0.weight", "backbone.0.bias"]
    assert head == [n for n in names.values() if n not in backbone]
    rates = [group["lr"] for group in run.optimizers[0].param_groups]
    assert rates[0] > rates[1] > 0
    assert rows_of(run)[3].event.grew


# -- the other Lightning ---------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore:The dirpath has changed:UserWarning")  # the second fit writes elsewhere
@pytest.mark.parametrize("package", ["pytorch_lightning", "lightning.pytorch"])
def test_whichever_lightning_the_trainer_is_of(tmp_path, package):
    other = pytest.importorskip(package, reason="lightning is not installed beside pytorch_lightning")
    callbacks = importlib.import_module(f"{package}.callbacks")

    class Theirs(Growable, other.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = Net(p=0.0)

        training_step, validation_step = Lit.training_step, Lit.validation_step

        def loss(self, batch):
            return nn.functional.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=1e-2)

    ours = controller(Planned(((0, WIDER), (1, Deepen("body.0.act")))))
    average = callbacks.EMAWeightAveraging(decay=0.8)

    def trained(*more, epochs):
        saver = callbacks.ModelCheckpoint(tmp_path / f"{epochs}", filename="{epoch}", save_top_k=-1)
        return other.Trainer(
            callbacks=[*more, saver], accelerator="cpu", devices=1, max_epochs=epochs, logger=False,
            enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
        )  # fmt: skip

    trained(ours, average, epochs=4).fit(Theirs(), *loaders())
    assert [row.event and row.event.do for row in ours.rows] == [None, "widen", "deepen", None]
    last = tmp_path / "4/epoch=3.ckpt"
    assert load_grown(Theirs(), last).model.body[0].lin.out_features == 12
    assert Theirs.load_from_checkpoint(tmp_path / "4/epoch=0.ckpt").model.body[0].lin.out_features == 8
    assert Theirs.load_from_checkpoint(last).model.body[0].lin.out_features == 12
    resumed = trained(controller(Planned(())), callbacks.EMAWeightAveraging(decay=0.8), epochs=5)
    resumed.fit(Theirs(), *loaders(), ckpt_path=last, weights_only=True)
    assert rows_of(resumed)[-1].widths == ours.rows[-1].widths


# -- units computed from data ----------------------------------------------------------------------------------------
LEARNED = {"gradmax": GradMax(loss=nn.functional.cross_entropy), "tiny": Tiny(loss=nn.functional.cross_entropy)}


class Sloped(Lit):
    """Behind a tanh, where both kinds of units can be computed."""

    def __init__(self):
        super().__init__(p=0.0)
        self.model.body[0].act = nn.Tanh()


@pytest.mark.parametrize("kind", LEARNED)
def test_units_are_computed_from_the_last_batches_and_the_receipt_says_what_they_changed(tmp_path, kind):
    seen, module = [], Sloped()
    module.on_train_batch_end = lambda outputs, batch, index: seen.append(batch)
    run = fit(tmp_path, module=module, options={"neurons": LEARNED[kind]}, epochs=2)
    (event,) = [row.event for row in rows_of(run) if row.event]
    exact = kind == "gradmax"
    assert (event.receipt["promise"] is not None) == exact
    assert (event.receipt["max_abs_change"] < 1e-6) == exact
    assert rows_of(run)[-1].widths == {"body.0.lin": 12}
    assert len(run.callbacks[0]._batches.kept) == 4
    assert all(kept[0] is batch[0] for kept, batch in zip(run.callbacks[0]._batches.kept, seen[-4:], strict=True))


@pytest.mark.parametrize("step", [2, 4, 6])
def test_a_resumed_fit_computes_the_same_units(tmp_path, step):
    def run(folder, **more):
        pl.seed_everything(3, verbose=False)
        ours = controller(Planned(((0, WIDER),)), neurons=LEARNED["gradmax"])
        made = trainer(folder, [ours], epochs=2, where="mid-epoch and last batch")
        made.fit(Sloped(), *loaders(), **more)
        return made

    whole = run(tmp_path)
    (path,) = tmp_path.glob(f"*-step={step}.ckpt")
    again = run(tmp_path / "again", ckpt_path=str(path), weights_only=True)
    assert fingerprint(again) == fingerprint(whole)


@pytest.mark.parametrize(
    ("neurons", "module", "said"),
    [(GradMax(), Sloped, "GradMax\\(loss=F.cross_entropy\\)"), (LEARNED["tiny"], "other form", "of another form")],
    ids=["no loss", "other batches"],
)
def test_what_cannot_be_computed_is_refused_at_the_first_batch(tmp_path, neurons, module, said):
    train = None
    if module == "other form":
        train = DataLoader([{"x": torch.zeros(INPUTS), "y": torch.tensor(0)}] * BATCH, BATCH)
        module = Keyed
    with pytest.raises(ConfigError, match=said):
        fit(tmp_path, module=module(), train=train, options={"neurons": neurons})


class Keyed(Sloped):
    """Training batches are dicts."""

    def training_step(self, batch, batch_idx):
        return super().training_step((batch["x"], batch["y"]), batch_idx)
