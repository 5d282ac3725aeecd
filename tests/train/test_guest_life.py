"""A guest's whole run: the return to the best, the anneal, undo, scores and columns from given rows, the module itself
as the net, and what is logged step by step.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging, ModelCheckpoint
from torch import nn

from autogrow.errors import CheckpointError, ConfigError
from autogrow.growth import GradMax
from autogrow.policy import Dropout, Finer, Finish, Growth, LifeCycle, NoFinish, WidestGain, recipe
from autogrow.policy.finish import deliverable
from autogrow.policy.history import Anneal, Deepen, Keep, Stop, Undo, Widen
from autogrow.policy.stop import NeverStop
from autogrow.policy.verdict import Verdict
from autogrow.train.guest.loading import Growable, load_grown

sys.path.insert(0, str(Path(__file__).parent))
from lit import BATCH, CLASSES, EXAMPLE, INPUTS, STEPS, Lit, Planned, controller, data, fingerprint, loaders, trainer

WIDER, DEEPER = Widen({"body.0.lin": 12}), Deepen("body.0.drop")
ROWS = [tuple(t[:48] for t in data().tensors), tuple(t[16:] for t in data().tensors)]
GIVEN = {"batches": ROWS, "loss": nn.functional.cross_entropy}


def fit(
    folder, policy, *callbacks, module=None, epochs=9, kind="stream", ckpt=None, where=None, options=None, **settings
):
    pl.seed_everything(3, verbose=False)
    run = trainer(folder, [controller(policy, **(options or {})), *callbacks], epochs=epochs, where=where, **settings)
    run.fit(module or Lit(p=0.0), *loaders(kind), ckpt_path=ckpt)
    return run


def rows_of(run):
    return next(c for c in run.callbacks if hasattr(c, "rows")).rows


@dataclass(frozen=True)
class At:
    """Stops at a check."""

    check: int = 4

    def __call__(self, history, options):
        return Verdict(history[-1].check >= self.check, f"check {self.check} is there")


@dataclass(frozen=True)
class Undoes:
    """Widens, deepens, and goes back to before the deepening."""

    needs: ClassVar[frozenset[str]] = frozenset({"undo"})
    plan: Planned = field(default_factory=lambda: Planned(((0, WIDER), (2, DEEPER), (4, Undo(2)))))

    def __call__(self, history, options):
        return self.plan(history, options)


class Rates(pl.Callback):
    """The rate of every optimizer step."""

    def __init__(self):
        self.seen = []

    def on_before_optimizer_step(self, trainer, module, optimizer):
        self.seen.append([group["lr"] for group in optimizer.param_groups])


def val_loss(module):
    module.eval()
    with torch.no_grad():
        return float(module.loss([torch.stack(t) for t in zip(*data(32, seed=1), strict=True)]))


LIFE = LifeCycle(growth=Planned(((0, WIDER), (2, DEEPER))), stop=At(5), finish=Finish(share=0.25))


# -- back to the best, and the anneal --------------------------------------------------------------------------------
def test_the_run_returns_to_the_best_net_decays_the_rate_to_nothing_and_hands_back_the_best(tmp_path):
    rates = Rates()
    run = fit(tmp_path, LIFE, rates, epochs=40)
    rows = rows_of(run)
    began = next(i for i, row in enumerate(rows) if isinstance(row.action, Anneal))
    anneal = rows[began].action
    assert rows[began + 1].event.done == anneal
    assert rows[began + 1].widths == rows[anneal.back_to].widths
    steps = rates.seen[(began + 1) * STEPS :]
    assert len(steps) == anneal.steps
    expected = [0.01 * (1 - (k + 0.5) / anneal.steps) for k in range(anneal.steps)]
    assert [pair[0] for pair in steps] == pytest.approx(expected)
    assert isinstance(rows[-1].action, Stop)
    best = rows[deliverable(rows)]
    assert val_loss(run.lightning_module) == pytest.approx(best.val_loss, rel=1e-5)
    assert sum(p.numel() for p in run.lightning_module.model.parameters()) == best.parameters


def test_with_a_scheduler_the_anneal_is_refused_and_the_best_can_still_be_handed_back(tmp_path):
    with pytest.raises(ConfigError, match=r"your scheduler's \(CosineAnnealingLR\).*NoFinish"):
        fit(tmp_path, LIFE, module=Lit(schedule="cosine"))
    life = LifeCycle(growth=LIFE.growth, stop=At(5), finish=NoFinish())
    run = fit(tmp_path, life, module=Lit(schedule="cosine", p=0.0), options={"restore_best": True})
    rows = rows_of(run)
    assert len(rows) == 6
    assert val_loss(run.lightning_module) == pytest.approx(min(row.val_loss for row in rows), rel=1e-5)


def test_a_best_net_smaller_than_the_last_is_handed_back_as_it_was(tmp_path):
    measured = iter([1.0, 0.5, 2.0, 3.0])

    def measure(module):
        return {"train_loss": 1.0, "val_loss": next(measured)}

    late = Planned(((1, WIDER), (2, DEEPER)))
    run = fit(tmp_path, late, epochs=4, options={"restore_best": True, "measure": measure})
    assert [s.lin.out_features for s in run.lightning_module.model.body] == [8]
    assert rows_of(run)[-1].widths == {"body.0.lin": 12, "body.0.drop.1": 12}


def test_max_epochs_is_a_budget_that_the_anneal_fits_into(tmp_path):
    life = LifeCycle(growth=Planned(((0, WIDER),)), stop=NeverStop(), finish=Finish(share=0.3))
    rows = rows_of(fit(tmp_path, life, epochs=10))
    assert len(rows) == 10
    assert isinstance(rows[-1].action, Stop)
    assert any(isinstance(row.action, Anneal) for row in rows)


def test_the_recipe_without_its_refit_is_a_guests_policy(tmp_path):
    assert rows_of(fit(tmp_path, recipe(refit=False), epochs=6, options=GIVEN))
    with pytest.raises(ConfigError, match="your loaders are yours"):
        controller(recipe())


def test_dropout_of_ones_own_module_is_ones_own(tmp_path):
    life = LifeCycle(finish=NoFinish(), regularize=Dropout())
    with pytest.raises(ConfigError, match="the policy needs dropout, which GrowthController does not offer"):
        fit(tmp_path, life)


# -- undo ------------------------------------------------------------------------------------------------------------
class State(pl.Callback):
    """Weights, moments and average at the end of an epoch, and when the first batch of one begins."""

    def __init__(self, ends, begins):
        self.ends, self.begins = ends, begins

    def look(self, trainer, module):
        average = next(c for c in trainer.callbacks if isinstance(c, EMAWeightAveraging))._average_model
        names = {p: n for n, p in module.named_parameters()}
        moments = {names[p]: s["exp_avg"].clone() for p, s in trainer.optimizers[0].state.items()}
        nets = {n: p.detach().clone() for n, p in (*module.named_parameters(), *average.named_parameters())}
        return nets, moments

    def on_train_epoch_end(self, trainer, module):
        if trainer.current_epoch == self.ends:
            self.before = self.look(trainer, module)

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == (self.begins, 0):
            self.after = self.look(trainer, module)


def test_undo_puts_back_net_average_and_moments_and_the_run_goes_on(tmp_path):
    state = State(ends=2, begins=5)  # the undo decided at check 4 goes back to the end of check 2
    run = fit(tmp_path, Undoes(), EMAWeightAveraging(decay=0.9), state, epochs=7)
    rows = rows_of(run)
    assert [row.event.do for row in rows if row.event] == ["widen", "deepen", "undo"]
    assert rows[5].widths == rows[2].widths == {"body.0.lin": 12}
    assert set(rows[4].widths) > set(rows[2].widths)
    for before, after in zip(state.before, state.after, strict=True):
        assert list(before) == list(after)
        assert [name for name in before if not torch.equal(before[name], after[name])] == []
    assert [row.step for row in rows] == [STEPS * (i + 1) for i in range(7)]


def test_a_net_that_was_not_kept_is_not_gone_back_to(tmp_path):
    rows = rows_of(fit(tmp_path, Planned(((0, WIDER), (2, Undo(0)))), epochs=4))
    assert rows[2].action == Keep()
    assert "was not kept" in rows[2].reason


RUNS = {"undo": (Undoes(), 7), "anneal": (LIFE, 40)}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_goes_back_resumes_bit_for_bit_from_anywhere(tmp_path, name):
    policy, epochs = RUNS[name]
    whole = fit(tmp_path / "whole", policy, epochs=epochs, where="epoch end")
    files = sorted((tmp_path / "whole").glob("epoch=*.ckpt"), key=lambda f: f.stat().st_mtime)
    assert len(files) > 5
    for file in files[2:-1:2]:
        torch.load(file, weights_only=True)
        again = fit(tmp_path / file.stem, policy, epochs=epochs, ckpt=file)
        assert fingerprint(again) == fingerprint(whole), file.stem


# -- rows that are given ---------------------------------------------------------------------------------------------
def test_scores_newborns_and_columns_come_from_given_rows(tmp_path):
    scored = rows_of(fit(tmp_path, Growth(where=WidestGain()), epochs=6, options=GIVEN))
    assert any("per FLOP" in row.reason for row in scored)
    learned = rows_of(
        fit(tmp_path, Planned(((0, WIDER),)), epochs=2, options={"neurons": GradMax(loss=nn.functional.cross_entropy)})
    )
    assert learned[1].event.receipt["max_abs_change"] < 1e-9
    assert not learned[1].refused
    fine = Finer(Planned(()), knots=4, every=1, above=0.0)
    rows = rows_of(fit(tmp_path, fine, epochs=3, options=GIVEN))
    assert rows[1].event.do == "refine"
    assert rows[1].event.receipt["max_abs_change"] < 1e-9
    assert rows[-1].knots
    assert set(rows[-1].knots) <= {f"inputs[{i}]" for i in range(INPUTS)}


@pytest.mark.parametrize(
    ("given", "words"),
    [({"batches": ROWS}, "go together"), ({"batches": [ROWS[0][0]], "loss": nn.MSELoss()}, "pairs")],
)
def test_rows_that_cannot_be_are_refused(given, words):
    with pytest.raises(ConfigError, match=words):
        controller(Planned(()), **given)


# -- which net -------------------------------------------------------------------------------------------------------
class Two(Lit):
    """A net of two attributes, and a forward."""

    def __init__(self):
        super().__init__(p=0.0)
        del self.model
        self.encoder, self.head = nn.Sequential(nn.Linear(INPUTS, 8), nn.ReLU()), nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, CLASSES))  # fmt: skip

    def forward(self, x):
        return self.head(self.encoder(x)) * self.scale

    def loss(self, batch):
        return nn.functional.cross_entropy(self(batch[0]), batch[1])


BOTH = Planned(((0, Widen({"encoder.0": 12, "head.0": 10})), (1, Deepen("encoder.1")), (3, Widen({"encoder.0": 14}))))


def test_the_module_itself_grows_and_resumes_bit_for_bit(tmp_path):
    whole = fit(tmp_path / "whole", BOTH, module=Two(), epochs=5, where="epoch end", options={"net": ""})
    assert rows_of(whole)[-1].widths == {"encoder.0": 14, "encoder.1.1": 12, "head.0": 10}
    module = whole.lightning_module
    assert module.encoder[0].out_features == 14
    for file in (tmp_path / "whole").glob("epoch=[123]*.ckpt"):
        again = fit(tmp_path / file.stem, BOTH, module=Two(), epochs=5, ckpt=file, options={"net": ""})
        assert fingerprint(again) == fingerprint(whole)
    last = max((tmp_path / "whole").glob("epoch=4*.ckpt"))
    loaded = load_grown(Two(), last)
    assert torch.equal(loaded(EXAMPLE), module(EXAMPLE))


def test_the_module_itself_goes_back(tmp_path):
    policy = Undoes(Planned(((0, BOTH.plan[0][1]), (2, Deepen("encoder.1")), (4, Undo(2)))))
    run = fit(tmp_path, policy, module=Two(), epochs=6, options={"net": ""})
    assert rows_of(run)[-1].widths == {"encoder.0": 12, "head.0": 10}
    assert run.lightning_module.trainer is run


class Sized(pl.LightningModule):
    """Keeps a width as a number, and in settings; both follow."""

    def __init__(self):
        super().__init__()
        self.width, self.config = 8, SimpleNamespace(width=8)
        self.inner, self.outer = nn.Linear(INPUTS, 8), nn.Linear(8, CLASSES)
        self.kept = {"epochs": 0}

    def forward(self, x):
        hidden = self.inner(x).relu().view(-1, self.config.width // 2, 2)
        return self.outer(hidden.reshape(-1, self.width))

    training_step, validation_step, loss = Lit.training_step, Lit.validation_step, Two.loss

    def on_train_epoch_end(self):
        self.kept["epochs"] += 1

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def test_numbers_of_the_module_go_back_with_it_and_what_else_it_keeps_stays(tmp_path):
    policy = Undoes(Planned(((0, Widen({"inner": 12})), (2, Widen({"inner": 16})), (4, Undo(2)))))
    run = fit(tmp_path, policy, module=Sized(), epochs=6, options={"net": ""})
    module = run.lightning_module
    assert [row.widths["inner"] for row in rows_of(run)] == [8, 12, 12, 16, 16, 12]
    assert (module.width, module.config.width) == (12, 12)
    assert module.kept == {"epochs": 6}


def test_of_a_list_of_parts_only_what_they_hold_grows(tmp_path):
    shown = []

    def policy(history, options):
        shown.append((set(options.widths), set(options.depths)))
        return Planned(((0, Widen({"head.0": 10})),))(history, options)

    run = fit(tmp_path, policy, module=Two(), epochs=3, options={"net": ["head"]})
    assert shown[0] == ({"head.0"}, {"head.1"})
    assert rows_of(run)[-1].widths == {"head.0": 10}


NETS = {
    "a part": ({"net": ["encoder", "haed"]}, "'haed' is not a submodule.*head"),
    "no forward": ({"net": ""}, "has none"),
    "nothing": ({"net": ["scale_of"]}, "not a submodule"),
}


@pytest.mark.parametrize("name", NETS)
def test_a_net_that_is_not_there_is_refused(tmp_path, name):
    options, words = NETS[name]
    with pytest.raises(ConfigError, match=words):
        fit(tmp_path, Planned(()), module=Lit() if name == "no forward" else Two(), epochs=1, options=options)


# -- whole blocks ----------------------------------------------------------------------------------------------------
class Residual(nn.Module):
    """A block of a residual stream."""

    def __init__(self):
        super().__init__()
        self.norm, self.inner, self.outer = nn.LayerNorm(8), nn.Linear(8, 12), nn.Linear(12, 8)

    def forward(self, x):
        return x + self.outer(self.inner(self.norm(x)).relu())


class Deep(Lit):
    """A net of blocks."""

    def __init__(self):
        super().__init__(p=0.0)
        self.model = nn.Sequential(nn.Linear(INPUTS, 8), nn.Sequential(Residual(), Residual()), nn.Linear(8, CLASSES))


BLOCKS = Planned(((0, Deepen("1.0", "block")), (1, Widen({"1.1.inner": 16})), (2, Deepen("1", "stack")), (4, Undo(2))))


def test_blocks_and_a_stack_of_them_resume_bit_for_bit_and_go_back(tmp_path):
    def run(folder, ckpt=None, where=None):
        average = EMAWeightAveraging(decay=0.9)
        return fit(folder, Undoes(BLOCKS), average, module=Deep(), epochs=6, ckpt=ckpt, where=where)

    whole = run(tmp_path / "whole", where="epoch end")
    rows = rows_of(whole)
    assert [row.event.do for row in rows if row.event] == ["deepen", "widen", "deepen", "undo"]
    assert [row.event.receipt["promise"] is None for row in rows[1:4]] == [False, False, True]
    assert [len([n for n in row.widths if n.endswith("inner")]) for row in rows] == [2, 3, 3, 6, 6, 3]
    for file in sorted((tmp_path / "whole").glob("epoch=[24]*.ckpt")):
        assert fingerprint(run(tmp_path / file.stem, ckpt=file)) == fingerprint(whole), file.stem


# -- what is logged step by step -------------------------------------------------------------------------------------
class Stepwise(Lit):
    """Logs its training loss as most people do: per step alone."""

    def __init__(self):
        super().__init__(p=0.0)
        self.seen = []

    def training_step(self, batch, batch_idx):
        loss = self.loss(batch)
        self.log("train_loss", loss)
        self.seen.append((float(loss.detach()), len(batch[0])))
        return loss


def test_a_value_logged_per_step_is_averaged_over_the_rows_of_the_epoch(tmp_path):
    module = Stepwise()
    rows = rows_of(fit(tmp_path, Planned(((0, WIDER),)), module=module, epochs=3))
    for i, row in enumerate(rows):
        seen = module.seen[i * STEPS : (i + 1) * STEPS]
        assert row.train_loss == pytest.approx(sum(v * n for v, n in seen) / sum(n for _, n in seen), rel=1e-6)
    assert sum(n for _, n in module.seen[:STEPS]) == BATCH * STEPS


def test_an_average_over_steps_goes_on_after_a_resume_within_the_epoch(tmp_path):
    whole = fit(
        tmp_path / "whole", Planned(((0, WIDER),)), module=Stepwise(), epochs=3, where="mid-epoch and last batch"
    )
    for step in (2, 4, 6):
        file = next((tmp_path / "whole").glob(f"*step={step}.ckpt"))
        again = fit(tmp_path / file.stem, Planned(((0, WIDER),)), module=Stepwise(), epochs=3, ckpt=file)
        assert [r.train_loss for r in rows_of(again)] == [r.train_loss for r in rows_of(whole)]


# -- checkpoints of several sizes ------------------------------------------------------------------------------------
class Loadable(Growable, Lit):
    """As the README says, for `load_from_checkpoint`."""


def test_checkpoints_of_every_size_are_tested_loaded_and_let_go(tmp_path):
    saver = ModelCheckpoint(tmp_path, monitor="val_loss", save_top_k=3, save_last=True)
    policy = Planned(((0, WIDER), (1, DEEPER), (2, Widen({"body.0.lin": 15}))))
    run = fit(tmp_path, policy, saver, module=Loadable(p=0.0), epochs=5, enable_checkpointing=True)
    assert len(saver.best_k_models) == 3
    sizes = set()
    for path in saver.best_k_models:
        module = Loadable.load_from_checkpoint(path)
        sizes.add(sum(p.numel() for p in module.model.parameters()))
        plain = load_grown(Lit(p=0.0), path)
        assert torch.equal(plain.model(EXAMPLE), module.model(EXAMPLE))
    assert len(sizes) > 1
    (best,) = run.test(run.lightning_module, loaders()[1], ckpt_path="best", verbose=False)
    assert best["test_loss"] == pytest.approx(float(saver.best_model_score), rel=1e-5)


def test_a_class_that_cannot_load_its_grown_checkpoints_is_told_the_line_to_write(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("autogrow.train.guest.loading.rank_zero_info", said.append)
    fit(tmp_path, Planned(((0, WIDER), (1, DEEPER))), epochs=3)
    fit(tmp_path, Planned(((0, WIDER),)), module=Loadable(p=0.0), epochs=2)
    lines = [line for line in said if "load_from_checkpoint" in line]
    assert len(lines) == 1
    assert "class Lit(Growable, …)" in lines[0]
    assert "load_grown(Lit(…), path)" in lines[0]


class Hooked(Lit):
    """Has hooks of its own, and calls Lightning's."""

    def on_load_checkpoint(self, checkpoint):
        super().on_load_checkpoint(checkpoint)


@pytest.mark.parametrize("kind", [Lit, Hooked])
def test_a_plain_class_refuses_a_grown_checkpoint_in_one_line_and_loads_one_from_before(tmp_path, kind):
    saver = ModelCheckpoint(tmp_path, save_top_k=-1)
    run = fit(tmp_path, Planned(((1, WIDER),)), saver, module=kind(), epochs=3, enable_checkpointing=True)
    grown, fresh = saver.best_model_path, next(tmp_path.glob("epoch=0*.ckpt"))
    line = rf"write class {kind.__name__}\(Growable, …\).*load_grown\({kind.__name__}\(…\), path\)$"
    with pytest.raises(CheckpointError, match=line):
        kind.load_from_checkpoint(grown)
    with pytest.raises(CheckpointError, match=line):
        trainer(tmp_path, []).test(kind(), loaders()[1], ckpt_path=grown, verbose=False)
    run.test(kind(), loaders()[1], ckpt_path=grown, verbose=False)  # with the controller it is rebuilt
    assert kind.load_from_checkpoint(fresh).model.body[0].lin.out_features == 8
