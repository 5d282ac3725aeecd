"""A fit that is resumed equals the one that was never interrupted, bit for bit.

Every resume starts from the initial net and another global seed. The policy's every decision hangs on the last bits of
the measured losses, so a resume that measured anything else would grow another net.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, EMAWeightAveraging
from torchmetrics import MeanMetric

from autogrow.train.guest import sittings
from autogrow.train.guest.resume import Logged

sys.path.insert(0, str(Path(__file__).parent))
from lit import STEPS, ByLoss, Lit, controller, fingerprint, loaders, trainer

pytestmark = pytest.mark.slow
EPOCHS = 3
USUAL = ("adamw", "onecycle", 1)
TABLE = [USUAL, ("sgd", "cosine", 1), ("adamw", "sequential", 2), ("adamw", "plateau", 1), ("adamw", "lambda", 1)]
END, VALIDATION, STEP = "epoch end", "validation end", "mid-epoch and last batch"
# which checkpoints to go on from, by the batches seen when they were written
RESUMED = {END: (4, 8), VALIDATION: (4, 8), STEP: (2, 6, 8)}


def fit(folder, kind=USUAL, *, callbacks=(), seed=3, ckpt=None, where=None, data="stream", **settings):
    optimizer, schedule, accumulate = kind
    pl.seed_everything(seed, verbose=False)
    run = trainer(
        folder,
        [controller(ByLoss()), *[make() for make in callbacks]],
        where=where,
        epochs=EPOCHS,
        accumulate_grad_batches=accumulate,
        **settings,
    )
    module = Lit(optimizer, schedule, steps=EPOCHS * STEPS)
    run.fit(module, *loaders(data), ckpt_path=ckpt, weights_only=True if ckpt else None)
    return run


def written(folder, step):
    """The checkpoint written after so many optimizer steps."""
    (path,) = folder.glob(f"*-step={step}.ckpt")
    return path


def position(path):
    return torch.load(path, weights_only=True)["autogrow"]["position"]


@pytest.mark.parametrize("where", RESUMED)
@pytest.mark.parametrize("kind", TABLE, ids=["-".join(map(str, kind)) for kind in TABLE])
def test_bit_exact(tmp_path, kind, where):
    reference = fit(tmp_path, kind, where=where)
    grown = [row.widths["body.0.lin"] for row in reference.callbacks[0].rows]
    assert len(set(grown)) == EPOCHS  # it grew after every check
    for batches in RESUMED[where]:
        path = written(tmp_path, batches // kind[2])
        again = fit(tmp_path / f"{batches}", kind, seed=99, ckpt=str(path))
        assert fingerprint(again) == fingerprint(reference), f"{where}, {batches} batches: {position(path)}"


def test_the_table_covers_every_position(tmp_path):
    found = []
    for where, steps in RESUMED.items():
        fit(tmp_path / where, where=where)
        found += [position(written(tmp_path / where, step)) for step in steps]
    assert found == ["epoch end", "epoch end", "validated", "validated", "batch", "batch", "last batch"]


@pytest.mark.parametrize("where", RESUMED)
def test_bit_exact_with_a_loader_that_shuffles_by_the_global_random_state(tmp_path, where):
    reference = fit(tmp_path, where=where, data="plain")
    again = fit(tmp_path / "again", ckpt=str(written(tmp_path, 8)), seed=99, data="plain")
    assert fingerprint(again) == fingerprint(reference)


def average():
    return EMAWeightAveraging(decay=0.8)


def early_stopping():
    return EarlyStopping("val_loss", patience=2, min_delta=9.0)


BESIDE = [
    (END, [average], {}),
    (VALIDATION, [average], {}),
    (STEP, [average], {}),
    (VALIDATION, [early_stopping], {}),
    (STEP, [early_stopping], {}),
    (END, [], {"max_steps": EPOCHS * STEPS}),
    (STEP, [], {"max_steps": EPOCHS * STEPS}),
    (STEP, [], {"precision": "bf16-mixed"}),
]


@pytest.mark.parametrize(("where", "callbacks", "settings"), BESIDE)
def test_bit_exact_beside(tmp_path, where, callbacks, settings):
    reference = fit(tmp_path, callbacks=callbacks, where=where, **settings)
    again = fit(tmp_path / "again", callbacks=callbacks, ckpt=str(written(tmp_path, 8)), seed=99, **settings)
    assert fingerprint(again) == fingerprint(reference)


@pytest.mark.parametrize("step", [4, 8])
def test_bit_exact_from_a_last_batch_without_and_with_a_validation_to_come(tmp_path, step):
    reference = fit(tmp_path, where=STEP, check_val_every_n_epoch=2)
    assert len(reference.callbacks[0].rows) == 1
    again = fit(tmp_path / "again", ckpt=str(written(tmp_path, step)), seed=99, check_val_every_n_epoch=2)
    assert fingerprint(again) == fingerprint(reference)


class WithMetrics(Lit):
    """Logs the error as a torchmetrics object, and the largest loss of the epoch."""

    def __init__(self) -> None:
        super().__init__(schedule="onecycle", steps=EPOCHS * STEPS)
        self.wrong = MeanMetric()

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.wrong((self.model(batch[0]).argmax(1) != batch[1]).float())
        self.log("train_error", self.wrong, on_step=False, on_epoch=True)
        self.log("largest", loss.detach(), on_step=True, on_epoch=True, reduce_fx="max")
        return loss


@pytest.mark.parametrize(("where", "step"), [(STEP, 6), (STEP, 8), (VALIDATION, 8)])
def test_metrics_of_every_kind_go_on_within_the_epoch(tmp_path, where, step):
    rows = []
    for folder, ckpt in ((tmp_path, None), (tmp_path / "again", step)):
        pl.seed_everything(3 if ckpt is None else 99, verbose=False)
        growth = controller(ByLoss(), train_error="train_error", val_error="largest")
        run = trainer(folder, [growth], where=where if ckpt is None else None, epochs=EPOCHS)
        run.fit(WithMetrics(), *loaders(), ckpt_path=ckpt and str(written(tmp_path, step)))
        rows.append([row.comparable() for row in growth.rows])
    assert rows[0] == rows[1]
    assert all(row["train_error"] > 0 for row in rows[0])


CONTROLS = {
    "random state": ("set_random_state", lambda state: None, USUAL, END, {}),
    "plateau": ("step_plateaus", lambda trainer, epoch: None, ("adamw", "plateau", 1), END, {}),
    "max_steps": ("begin_next_epoch", lambda trainer: None, USUAL, END, {"max_steps": EPOCHS * STEPS}),
    "last batch": ("finish_last_batch", lambda checkpoint, trainer: "batch", USUAL, STEP, {}),
}


@pytest.mark.parametrize(("name", "instead", "kind", "where", "settings"), CONTROLS.values(), ids=CONTROLS.keys())
def test_without_the_mend_it_is_not_exact(tmp_path, monkeypatch, name, instead, kind, where, settings):
    reference = fit(tmp_path, kind, where=where, **settings)
    monkeypatch.setattr(sittings, name, instead)
    again = fit(tmp_path / "again", kind, ckpt=str(written(tmp_path, 4)), seed=99, **settings)
    assert fingerprint(again) != fingerprint(reference)


def test_without_the_sums_of_the_epoch_the_measured_loss_is_another(tmp_path, monkeypatch):
    reference = fit(tmp_path, where=STEP)
    monkeypatch.setattr(Logged, "add_to", lambda self, trainer: None)
    again = fit(tmp_path / "again", ckpt=str(written(tmp_path, 6)), seed=99)
    assert again.callbacks[0].rows[1].train_loss != reference.callbacks[0].rows[1].train_loss
