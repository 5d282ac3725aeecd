"""GrowthController in somebody else's Lightning run: beside their callbacks, schedulers and loggers,
and what it refuses.
"""

from __future__ import annotations

import copy
import math
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import (
    EarlyStopping,
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy, DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from autogrow.errors import CheckpointError, ConfigError, GrowthError
from autogrow.policy import Cycle, DataArrival, Growth, LifeCycle, NoFinish, Patience, Plateau, Score, recipe
from autogrow.policy.history import Deepen, Keep, Stop, Widen
from autogrow.train.guest.architecture import record_of
from autogrow.train.guest.loading import Growable, load_grown
from autogrow.train.guest.reconnect import grow_hot
from autogrow.train.rewire.rewire import check_strategy

sys.path.insert(0, str(Path(__file__).parent))
from lit import (
    CLASSES,
    EXAMPLE,
    GROW,
    INPUTS,
    ROWS,
    STEPS,
    ByLoss,
    Lit,
    Planned,
    controller,
    data,
    fingerprint,
    loaders,
    trainer,
)


def fit(
    folder, *callbacks, module=None, policy=GROW, epochs=5, seed=3, kind="stream", ckpt=None, options=None, **settings
):
    pl.seed_everything(seed, verbose=False)
    run = trainer(folder, [controller(policy, **(options or {})), *callbacks], epochs=epochs, **settings)
    run.fit(module or Lit(schedule="onecycle"), *loaders(kind), ckpt_path=ckpt)
    return run


def rows_of(run):
    return next(c for c in run.callbacks if hasattr(c, "rows")).rows


def widths(run):
    return [stage.lin.out_features for stage in run.lightning_module.model.body]


# -- growth ----------------------------------------------------------------------------------------------------------
class Watch(pl.Callback):
    """Output, optimizer state and rate at the end of the first epoch, and when the second one's first batch begins."""

    def on_train_epoch_end(self, trainer, module):  # decisions are applied at the next epoch's start
        if trainer.current_epoch == 0:
            self.before = self.look(trainer, module)

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if batch_idx == 0 and trainer.current_epoch == 1:
            self.after = self.look(trainer, module)

    def look(self, trainer, module):
        names = {p: n for n, p in module.named_parameters()}
        with torch.no_grad():
            output = module.eval().model(data().tensors[0])
        module.train()
        return SimpleNamespace(
            output=output,
            state=copy.deepcopy({names[p]: state for p, state in trainer.optimizers[0].state.items()}),
            weights={name: p.detach().clone() for name, p in module.named_parameters()},
            rate=trainer.optimizers[0].param_groups[0]["lr"],
        )


def test_a_growth_changes_no_output_keeps_every_moment_and_trains_what_is_new(tmp_path):
    watch = Watch()
    run = fit(tmp_path, watch, epochs=2, policy=Planned(((0, Widen({"body.0.lin": 12})),)))
    before, after = watch.before, watch.after
    assert widths(run) == [12]
    assert rows_of(run)[1].event.receipt["max_abs_change"] < 1e-9
    torch.testing.assert_close(after.output, before.output, atol=1e-6, rtol=0)
    assert after.rate == before.rate
    old, new = (look.state["model.body.0.lin.weight"] for look in (before, after))
    for key in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"):
        torch.testing.assert_close(new[key][:8], old[key], rtol=0, atol=0)
        assert not new[key][8:].any()
    assert new["step"] == old["step"]
    torch.testing.assert_close(after.state["scale"], before.state["scale"], rtol=0, atol=0)
    for name, p in run.lightning_module.named_parameters():
        assert bool((p != after.weights[name]).flatten(1 if p.ndim > 1 else 0).any(-1).all()), (
            f"{name} has rows that did not train"
        )


def test_the_row_says_what_was_measured_decided_and_applied(tmp_path):
    run = fit(tmp_path, options={"ledger": tmp_path})
    rows = rows_of(run)
    assert [row.check for row in rows] == [0, 1, 2, 3, 4]
    assert [row.step for row in rows] == [STEPS * (i + 1) for i in range(5)]
    assert [row.lineage for row in rows] == [0, 1, 1, 2, 3]
    assert rows[1].event.before.widths == {"body.0.lin": 8}
    assert rows[1].event.after.widths == rows[1].widths == {"body.0.lin": 12}
    assert rows[0].gap == rows[0].val_loss - rows[0].train_loss
    flops = [row.train_flops for row in rows]
    assert flops[0] == ROWS * (3 * 2 * (6 * 8 + 8 * CLASSES) - 2 * 6 * 8)
    assert flops == sorted(flops)
    assert len((tmp_path / "ledger.jsonl").read_text().splitlines()) == 5
    assert rows[0].options["widths"] == {"body.0.lin": 8}


SCHEDULES = [
    ("adamw", "onecycle", False),
    ("sgd", "cosine", True),
    ("adamw", "sequential", False),
    ("adamw", "sequential", True),
    ("adamw", "lambda", True),
]


@pytest.mark.parametrize(("optimizer", "schedule", "named"), SCHEDULES)
def test_the_rate_goes_on_as_if_nothing_had_grown(tmp_path, optimizer, schedule, named):
    class Rates(pl.Callback):
        def on_train_batch_start(self, trainer, *args):
            seen.append([group["lr"] for group in trainer.optimizers[0].param_groups])

    rates = []
    for policy in (Planned(((0, Widen({"body.0.lin": 12})), (1, Deepen("body.0.act")))), Planned(())):
        seen = []
        fit(tmp_path, Rates(), module=Lit(optimizer, schedule, named=named), policy=policy, epochs=3)
        rates.append(seen)
    assert rates[0] == rates[1]
    assert len(rates[0]) == 3 * STEPS


# -- beside other callbacks, precisions and loggers ------------------------------------------------------------------
def test_best_and_last_checkpoints_load_whatever_the_size(tmp_path):
    saver = ModelCheckpoint(tmp_path, monitor="train_loss", mode="max", filename="best", save_last=False)
    run = fit(tmp_path, saver, EarlyStopping("val_loss", patience=99), LearningRateMonitor(), enable_checkpointing=True,
              logger=CSVLogger(tmp_path), log_every_n_steps=3)  # fmt: skip
    assert widths(run) == [15]
    run.save_checkpoint(tmp_path / "last.ckpt")
    grown, rows = copy.deepcopy(run.lightning_module.state_dict()), len(rows_of(run))
    test = DataLoader(data(32, seed=5), 16)
    run.test(run.lightning_module, test, ckpt_path="best", verbose=False)
    assert widths(run) == [8]
    assert isinstance(run.lightning_module.model.body[0].act, torch.nn.ReLU)
    assert len(rows_of(run)) == rows
    run.test(run.lightning_module, test, ckpt_path=str(tmp_path / "last.ckpt"), verbose=False)
    assert widths(run) == [15]
    torch.testing.assert_close(dict(run.lightning_module.state_dict()), dict(grown), rtol=0, atol=0)
    columns = next(tmp_path.glob("lightning_logs/*/metrics.csv")).read_text().splitlines()[0]
    assert "autogrow/parameters" in columns
    assert "lr-AdamW/pg1" in columns


BESIDE = {
    "accumulate and clip": {"accumulate_grad_batches": 2, "gradient_clip_val": 0.5},
    "bf16-mixed": {"precision": "bf16-mixed"},
    "bf16-true": {"precision": "bf16-true"},
    "64-true": {"precision": "64-true"},
    "two validations an epoch": {"val_check_interval": 0.5},
    "no validation in odd epochs": {"check_val_every_n_epoch": 2},
    "tensorboard": {"logger": True},
}


@pytest.mark.parametrize("settings", BESIDE.values(), ids=BESIDE.keys())
def test_growth_goes_on_beside(tmp_path, settings):
    if settings.get("logger"):
        settings = {"logger": TensorBoardLogger(tmp_path), "log_every_n_steps": 3}
    run = fit(tmp_path, epochs=6 if "check_val_every_n_epoch" in settings else 3, **settings)
    rows = rows_of(run)
    assert len(rows) == 3
    assert widths(run) == [12]
    assert all(row.finite() for row in rows)


def test_an_average_grows_with_the_net_and_is_what_is_validated(tmp_path):
    run = fit(tmp_path, EMAWeightAveraging(decay=0.9))
    average = next(c for c in run.callbacks if isinstance(c, EMAWeightAveraging))._average_model.module
    assert {n: p.shape for n, p in average.named_parameters()} == {
        n: p.shape for n, p in run.lightning_module.named_parameters()
    }
    for row in rows_of(run)[1:]:
        assert row.finite()


class WithAverage(Lit):
    """An average of its own, in the module."""

    def __init__(self) -> None:
        super().__init__()
        self.averaged = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
        self.copied = copy.deepcopy(self.model).requires_grad_(False)

    def on_train_batch_end(self, *args):
        self.averaged.update_parameters(self.model)


def test_averages_in_the_module_grow_and_come_back_from_a_checkpoint(tmp_path):
    options = {"averages": ["copied"]}
    run = fit(tmp_path, module=WithAverage(), options=options)
    module = run.lightning_module
    for other in (module.averaged.module, module.copied):
        assert [p.shape for p in other.parameters()] == [p.shape for p in module.model.parameters()]
    run.save_checkpoint(tmp_path / "end.ckpt")
    again = load_grown(WithAverage(), tmp_path / "end.ckpt")
    torch.testing.assert_close(again.state_dict(), module.state_dict(), rtol=0, atol=0)


def test_once_swa_has_started_nothing_grows_and_the_record_says_why(tmp_path):
    run = fit(tmp_path, StochasticWeightAveraging(1e-2, swa_epoch_start=3), module=Lit(schedule="cosine"))
    rows = rows_of(run)
    assert [type(row.action) for row in rows] == [Widen, Keep, Keep, Keep, Keep]
    assert "stochastic weight averaging has started" in rows[2].reason
    with pytest.raises(GrowthError, match="has started"):
        grow_hot(run, run.lightning_module, record_of(run.lightning_module), Widen({"body.0.lin": 20}), seed=0)


# -- what a policy may ask for ---------------------------------------------------------------------------------------
def test_a_stop_ends_the_fit_also_after_a_resume(tmp_path):
    policy = Planned(((0, Widen({"body.0.lin": 12})), (2, Stop())))
    saver = ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
    run = fit(tmp_path, saver, policy=policy, enable_checkpointing=True)
    assert len(rows_of(run)) == 3
    again = fit(tmp_path / "again", policy=policy, ckpt=str(tmp_path / "epoch=2.ckpt"), seed=9)
    assert fingerprint(again) == fingerprint(run)


def test_a_life_cycle_stops_by_its_own_rule(tmp_path):
    policy = LifeCycle(Growth(where=Cycle("W")), Patience(checks=2, after_growth=2, improvement=0.9), NoFinish())
    rows = rows_of(fit(tmp_path, policy=policy, epochs=9))
    assert isinstance(rows[-1].action, Stop)
    assert len(rows) < 9
    assert rows[-1].phase == "grow"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_losses_that_are_not_finite_never_grow(tmp_path, bad):
    measured = {"train_loss": 1.0, "val_loss": bad}
    run = fit(tmp_path, options={"measure": lambda module: measured}, epochs=3)
    assert [type(row.action) for row in rows_of(run)] == [Keep] * 3
    assert "not finite" in rows_of(run)[0].reason


def test_measure_is_called_in_eval_mode_without_gradients_and_leaves_the_modes(tmp_path):
    modes = []

    def measure(module):
        modes.append((module.training, torch.is_grad_enabled(), module.model.body[0].drop.training))
        return {"train_loss": 1.0, "val_loss": 2.0, "val_error": 0.25}

    run = fit(tmp_path, options={"measure": measure}, epochs=2)
    assert modes == [(False, False, False)] * 2
    assert run.lightning_module.model.body[0].drop.training
    assert [(row.gap, row.val_error) for row in rows_of(run)] == [(1.0, 0.25)] * 2


REFUSED = {
    "refit": (recipe(), "Finish.refit=False"),
    "scores": (Growth(when=Score()), "batches="),
    "time": (Growth(when=DataArrival()), "needs train_rows"),
    "error": (Growth(when=Plateau()), "val_error="),
    "none": (None, "must be callable"),
}


@pytest.mark.parametrize(("policy", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_at_construction(policy, words):
    with pytest.raises(ConfigError, match=words):
        controller(policy)


def test_a_policy_that_watches_the_error_is_welcome_where_there_is_one():
    assert controller(Growth(when=Plateau()), val_error="val_error")
    assert controller(Growth(when=Plateau(watch="loss")))


MISTAKES = {
    "monitor": (
        {"val_monitor": "valid_loss"},
        "val_monitor='valid_loss' is not in what was logged per epoch; did you mean 'val_loss'",
    ),
    "measure": ({"measure": lambda module: {"train_loss": 1.0}}, "'val_loss' is not in what measure"),
    "net": ({"net": "modle"}, "did you mean 'model'"),
    "no example": ({"example": None}, "example must be a tensor"),
    "nothing to grow": ({"net": "model.head", "example": torch.zeros(2, 8)}, "nothing in 'model.head' can grow"),
    "mode": ({"optimizer_state": "kept"}, "optimizer_state='kept'"),
}


@pytest.mark.parametrize(("options", "words"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_answered_with_what_would_have_been_right(tmp_path, options, words):
    with pytest.raises(ConfigError, match=words):
        fit(tmp_path, options=options, epochs=1)


SHARDED = [FSDPStrategy, DeepSpeedStrategy, ModelParallelStrategy]


@pytest.mark.parametrize("strategy", SHARDED)
def test_strategies_that_own_the_parameters_are_refused_and_told_the_staged_way(strategy):
    with pytest.raises(GrowthError, match=f"{strategy.__name__}.*staged growth"):
        check_strategy(SimpleNamespace(strategy=object.__new__(strategy)))


def test_spawned_ddp_is_refused():
    strategy = DDPStrategy(start_method="fork")
    strategy._launcher = SimpleNamespace(_start_method="fork")
    with pytest.raises(GrowthError, match="use strategy 'ddp'"):
        check_strategy(SimpleNamespace(strategy=strategy))


# -- what a module may do wrong --------------------------------------------------------------------------------------
class Cached(Lit):
    """Hands out the parameters it listed when it was made."""

    def __init__(self) -> None:
        super().__init__()
        self.listed = list(self.parameters())

    def configure_optimizers(self):
        return torch.optim.SGD(self.listed, lr=0.1)


class Forgetful(Lit):
    """Lists by a name that an inserted layer does not have."""

    def configure_optimizers(self):
        known = ("model.body.0.lin", "model.head", "scale")
        return torch.optim.SGD([p for n, p in self.named_parameters() if n.startswith(known)], lr=0.1)


class OnePerLayer(Lit):
    """A group for each tensor: their number changes."""

    def configure_optimizers(self):
        return torch.optim.SGD([{"params": [p]} for p in self.parameters()], lr=0.1)


WRONG = [
    (Cached, Widen({"body.0.lin": 12}), "still hands out model.body.0.lin.weight as it was"),
    (Forgetful, Deepen("body.0.act"), "is in 0 groups"),
    (OnePerLayer, Deepen("body.0.act"), "made 5 parameter groups before the growth and 7"),
]


@pytest.mark.parametrize(("kind", "action", "words"), WRONG)
def test_parameters_that_would_never_train_are_an_error(tmp_path, kind, action, words):
    with pytest.raises(GrowthError, match=words):
        fit(tmp_path, module=kind(), policy=Planned(((0, action),)), epochs=2)


def test_parameters_left_out_on_purpose_stay_left_out(tmp_path):
    class Frozen(Lit):
        def configure_optimizers(self):
            return torch.optim.SGD(self.model.parameters(), lr=0.1)

    run = fit(tmp_path, module=Frozen())
    assert widths(run) == [15]
    assert torch.equal(run.lightning_module.scale, torch.ones(CLASSES))


class TwoOptimizers(Lit):
    """Manual optimization: one optimizer for the body, one for the rest, both with a schedule stepped by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        for optimizer in self.optimizers():
            optimizer.zero_grad()
        loss = super().training_step(batch, batch_idx)
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()
        for schedule in self.lr_schedulers():
            schedule.step()

    def configure_optimizers(self):
        body = torch.optim.Adam(self.model.body.parameters(), lr=1e-2)
        rest = torch.optim.SGD([*self.model.head.parameters(), self.scale], lr=0.1, momentum=0.9)
        return [body, rest], [torch.optim.lr_scheduler.ExponentialLR(o, 0.9) for o in (body, rest)]


def test_several_optimizers_in_manual_optimization(tmp_path):
    saver = ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
    run = fit(tmp_path, saver, module=TwoOptimizers(), enable_checkpointing=True)
    assert widths(run) == [15]
    assert [o.param_groups[0]["lr"] for o in run.optimizers] == pytest.approx([1e-2 * 0.9**20, 0.1 * 0.9**20])
    again = fit(tmp_path / "again", module=TwoOptimizers(), ckpt=str(tmp_path / "epoch=2.ckpt"), seed=99)
    assert fingerprint(again) == fingerprint(run)


def test_the_net_may_lie_deep_and_carry_norms_and_convolutions(tmp_path):
    class Deep(Lit):
        def __init__(self) -> None:
            super().__init__()
            conv = nn.Sequential(
                nn.Unflatten(1, (1, INPUTS)), nn.Conv1d(1, 4, 3, padding=1), nn.BatchNorm1d(4), nn.PReLU()
            )
            self.model = nn.ModuleDict({"inner": nn.Sequential(conv, nn.Flatten(), nn.Linear(4 * INPUTS, CLASSES))})

        def loss(self, batch):
            return nn.functional.cross_entropy(self.model["inner"](batch[0]) * self.scale, batch[1])

    policy = Planned(((0, Widen({"0.1": 6})), (1, Deepen("0.3", "residual")), (2, Widen({"0.1": 7}))))
    run = fit(
        tmp_path, EMAWeightAveraging(decay=0.9), module=Deep(), policy=policy, options={"net": "model.inner"}, epochs=4
    )
    run.save_checkpoint(tmp_path / "a.ckpt")
    events = [row.event for row in rows_of(run) if row.event]
    assert all(event.receipt["max_abs_change"] < 1e-9 for event in events)
    assert len(events) == 3
    again = load_grown(Deep(), tmp_path / "a.ckpt")
    torch.testing.assert_close(again.state_dict(), run.lightning_module.state_dict(), rtol=0, atol=0)


# -- checkpoints -----------------------------------------------------------------------------------------------------
class GrowableLit(Growable, Lit):
    """Knows how to load a grown checkpoint by itself."""


@pytest.mark.parametrize("weights_only", [False, True])
def test_a_grown_checkpoint_loads_without_a_trainer(tmp_path, weights_only):
    run = fit(tmp_path, module=GrowableLit())
    run.save_checkpoint(tmp_path / "a.ckpt", weights_only=weights_only)
    grown = run.lightning_module.state_dict()
    by_class = GrowableLit.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    by_hand = load_grown(Lit(), tmp_path / "a.ckpt")
    for module in (by_class, by_hand):
        torch.testing.assert_close(module.state_dict(), grown, rtol=0, atol=0)
    trained_on = trainer(tmp_path, [controller(Planned(((0, Widen({"body.0.lin": 18})),)))], epochs=2)
    trained_on.fit(by_class, *loaders())
    assert widths(trained_on) == [18]
    trained_on.save_checkpoint(tmp_path / "b.ckpt")
    assert load_grown(Lit(), tmp_path / "b.ckpt").model.body[0].lin.out_features == 18


def test_a_checkpoint_from_before_any_growth_is_the_starting_net(tmp_path):
    plain = trainer(tmp_path, [], epochs=1)
    plain.fit(Lit(), *loaders())
    plain.save_checkpoint(tmp_path / "plain.ckpt")
    run = fit(tmp_path)
    run.test(run.lightning_module, loaders()[1], ckpt_path=str(tmp_path / "plain.ckpt"), verbose=False)
    assert widths(run) == [8]


def damaged(content, how):
    ours = content["autogrow"]
    match how:
        case "version":
            ours["version"] = 99
        case "recipe":
            ours["recipe"] = [
                {**entry, "widths": {"nowhere": 12}} if "widths" in entry else entry for entry in ours["recipe"]
            ]
            ours["recipe"] = ours["recipe"][1:]
        case "weights":
            content["state_dict"] = {k: v[:1] for k, v in content["state_dict"].items()}
        case "nothing":
            del content["state_dict"]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("version", "version 99"),
        ("recipe", "do not fit"),
        ("weights", "does not fit Lit"),
        ("nothing", "no 'state_dict'"),
    ],
)
def test_a_checkpoint_that_does_not_fit_says_so_in_one_line(tmp_path, how, words):
    run = fit(tmp_path, policy=Planned(((0, Deepen("body.0.act")), (1, Widen({"body.0.act.1": 12})))), epochs=3)
    run.save_checkpoint(tmp_path / "a.ckpt")
    content = torch.load(tmp_path / "a.ckpt", weights_only=True)
    damaged(content, how)
    torch.save(content, tmp_path / "b.ckpt")
    with pytest.raises(CheckpointError, match=words) as caught:
        load_grown(Lit(), tmp_path / "b.ckpt")
    assert "\n" not in str(caught.value)


def test_the_module_can_still_be_copied_and_pickled(tmp_path):
    run = fit(tmp_path)
    module = run.lightning_module
    twin, thawed = copy.deepcopy(module), pickle.loads(pickle.dumps(module))
    for other in (twin, thawed):
        content = {}
        other.on_save_checkpoint(content)
        assert len(content["autogrow"]["recipe"]) == 3
        assert other.on_save_checkpoint.__self__.module is other


def test_other_hooks_of_the_module_still_run(tmp_path):
    class Hooked(Lit):
        def on_save_checkpoint(self, checkpoint):
            checkpoint["mine"] = 7

        def on_load_checkpoint(self, checkpoint):
            self.loaded = (checkpoint["mine"], self.model.body[0].lin.out_features)

    run = fit(tmp_path, module=Hooked())
    run.save_checkpoint(tmp_path / "a.ckpt")
    module = Hooked()
    fit(tmp_path, module=module, ckpt=str(tmp_path / "a.ckpt"), epochs=6)
    assert module.loaded == (7, 15)


def test_a_second_fit_with_a_new_trainer_starts_a_new_record(tmp_path):
    callback, module = controller(ByLoss()), Lit()
    for _ in range(2):
        run = trainer(tmp_path, [callback], epochs=2)
        run.fit(module, *loaders())
    assert [row.check for row in callback.rows] == [0, 1]
    assert callback.rows[0].widths["body.0.lin"] > 8


def test_an_alias_of_the_net_goes_on_with_it(tmp_path):
    class Aliased(Lit):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = self.model

    run = fit(tmp_path, module=Aliased())
    assert run.lightning_module.trunk is run.lightning_module.model
    run.save_checkpoint(tmp_path / "a.ckpt")
    again = load_grown(Aliased(), tmp_path / "a.ckpt")
    assert again.trunk is again.model


def test_the_example_may_be_the_modules_own(tmp_path):
    class ByExample(Lit):
        example_input_array = EXAMPLE

    assert widths(fit(tmp_path, module=ByExample(), options={"example": None})) == [15]
