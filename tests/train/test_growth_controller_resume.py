"""A fit that is resumed equals the one that was never interrupted, bit for bit.

Every resume starts from the initial net and another global seed. The policy's every decision hangs on the last bits of the measured
losses, so a resume that measured anything else would grow another net.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, EMAWeightAveraging

from autogrow.train import growth_controller
from autogrow.train.resume import Logged

sys.path.insert(0, str(Path(__file__).parent))
from lit import ByLoss, Lit, controller, fingerprint, loaders, trainer

EPOCHS, STEPS = 4, 6
TABLE = [
    ("adamw", "onecycle", 1),
    ("sgd", "cosine", 1),
    ("adamw", "sequential", 2),
    ("adamw", "plateau", 1),
    ("adamw", "lambda", 1),
]
# which checkpoints to go on from, by the optimizer steps at which they were written (one step in two with accumulation)
RESUMED = {"epoch end": (6, 18), "validation end": (6, 18), "mid-epoch and last batch": (2, 9, 12)}


def fit(
    folder, kind=("adamw", "onecycle", 1), *, callbacks=(), seed=3, ckpt=None, where=None, data="stream", **settings
):
    optimizer, schedule, accumulate = kind
    pl.seed_everything(seed, verbose=False)
    module = Lit(optimizer, schedule, steps=EPOCHS * STEPS)
    run = trainer(
        folder,
        [controller(ByLoss()), *[make() for make in callbacks]],
        where=where,
        epochs=EPOCHS,
        accumulate_grad_batches=accumulate,
        **settings,
    )
    run.fit(module, *loaders(data), ckpt_path=ckpt, weights_only=True if ckpt else None)
    return run


def written(folder, step):
    (path,) = folder.glob(f"*-step={step}.ckpt")
    return path


@pytest.mark.parametrize("where", RESUMED)
@pytest.mark.parametrize("kind", TABLE, ids=["-".join(map(str, kind)) for kind in TABLE])
def test_bit_exact(tmp_path, kind, where):
    reference = fit(tmp_path, kind, where=where)
    grown = [row.widths["body.0.lin"] for row in reference.callbacks[0].rows]
    assert len(set(grown)) == EPOCHS
    for step in RESUMED[where]:
        path = written(tmp_path, step // kind[2])
        again = fit(tmp_path / f"{step}", kind, seed=99, ckpt=str(path))
        assert fingerprint(again) == fingerprint(reference), f"{where}, step {step}: {position(path)}"


def position(path):
    return torch.load(path, weights_only=True)["autogrow"]["position"]


def test_the_table_covers_every_position(tmp_path):
    found = []
    for where, steps in RESUMED.items():
        fit(tmp_path / where, where=where)
        found += [position(written(tmp_path / where, step)) for step in steps]
    assert found == ["epoch end", "epoch end", "validated", "validated", "batch", "batch", "last batch"]


@pytest.mark.parametrize(
    ("where", "step"), [("epoch end", 12), ("validation end", 12), ("mid-epoch and last batch", 12)]
)
def test_bit_exact_with_a_loader_that_shuffles_by_the_global_random_state(tmp_path, where, step):
    reference = fit(tmp_path, where=where, data="plain")
    again = fit(tmp_path / "again", ckpt=str(written(tmp_path, step)), seed=99, data="plain")
    assert fingerprint(again) == fingerprint(reference)


BESIDE = {
    "average": ([lambda: EMAWeightAveraging(decay=0.8)], {}),
    "early stopping": ([lambda: EarlyStopping("val_loss", patience=2, min_delta=9.0)], {}),
    "no validation at odd epochs": ([], {"check_val_every_n_epoch": 2}),
    "limited by steps": ([], {"max_steps": EPOCHS * STEPS}),
    "bf16-mixed": ([], {"precision": "bf16-mixed"}),
}


@pytest.mark.parametrize("where", RESUMED)
@pytest.mark.parametrize(("callbacks", "settings"), BESIDE.values(), ids=BESIDE.keys())
def test_bit_exact_beside(tmp_path, callbacks, settings, where):
    reference = fit(tmp_path, callbacks=callbacks, where=where, **settings)
    step = 12  # the end of an epoch with a validation, and before any stop
    again = fit(tmp_path / "again", callbacks=callbacks, ckpt=str(written(tmp_path, step)), seed=99, **settings)
    assert fingerprint(again) == fingerprint(reference)


CONTROLS = {
    "random state": ("set_random_state", lambda state: None, ("adamw", "onecycle", 1), "epoch end", 6),
    "plateau": ("step_plateaus", lambda trainer, epoch: None, ("adamw", "plateau", 1), "epoch end", 6),
    "limited by steps": ("begin_next_epoch", lambda trainer: None, ("adamw", "onecycle", 1), "epoch end", 6),
    "last batch": (
        "finish_last_batch",
        lambda checkpoint, trainer: "batch",
        ("adamw", "onecycle", 1),
        "mid-epoch and last batch",
        12,
    ),
}


@pytest.mark.parametrize(("name", "instead", "kind", "where", "step"), CONTROLS.values(), ids=CONTROLS.keys())
def test_without_the_mend_it_is_not_exact(tmp_path, monkeypatch, name, instead, kind, where, step):
    settings = {"max_steps": EPOCHS * STEPS} if name == "begin_next_epoch" else {}
    reference = fit(tmp_path, kind, where=where, **settings)
    monkeypatch.setattr(growth_controller, name, instead)
    again = fit(tmp_path / "again", kind, ckpt=str(written(tmp_path, step)), seed=99, **settings)
    assert fingerprint(again) != fingerprint(reference)


def test_without_the_sums_of_the_epoch_the_measured_loss_is_another(tmp_path, monkeypatch):
    reference = fit(tmp_path, where="mid-epoch and last batch")
    monkeypatch.setattr(Logged, "add_to", lambda self, trainer: None)
    again = fit(tmp_path / "again", ckpt=str(written(tmp_path, 9)), seed=99)
    assert again.callbacks[0].rows[1].train_loss != reference.callbacks[0].rows[1].train_loss
