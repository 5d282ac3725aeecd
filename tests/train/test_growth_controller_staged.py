"""Staged growth, in the checkpoint file, equals growth inside the running fit, bit for bit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging

from autogrow.errors import CheckpointError, GrowthError
from autogrow.policy.history import Deepen, Widen
from autogrow.train.guest.loading import load_grown
from autogrow.train.guest.staged import grow_checkpoint

sys.path.insert(0, str(Path(__file__).parent))
from lit import EXAMPLE, GROW, STEPS, Lit, Planned, controller, fingerprint, loaders, trainer

pytestmark = pytest.mark.slow
KINDS = [("adamw", "onecycle"), ("sgd", "cosine")]
HERE = {"net": "model", "example": EXAMPLE}


def fit(folder, kind=KINDS[0], *, policy=GROW, epochs=5, ckpt=None, seed=3, average=False, mode="carry"):
    pl.seed_everything(seed, verbose=False)
    callbacks = [EMAWeightAveraging(decay=0.8)] if average else []
    run = trainer(folder, [controller(policy, optimizer_state=mode), *callbacks], where="epoch end", epochs=epochs)
    run.fit(Lit(*kind), *loaders("plain"), ckpt_path=ckpt, weights_only=True if ckpt else None)
    return run


WAYS = {
    "carry": (KINDS[0], False, "carry"),
    "sgd": (KINDS[1], False, "carry"),
    "average": (KINDS[0], True, "carry"),
    "fresh": (KINDS[0], False, "fresh"),
    "reset": (KINDS[1], True, "reset"),
}


@pytest.mark.parametrize(("kind", "average", "mode"), WAYS.values(), ids=WAYS.keys())
def test_three_stages_equal_one_fit(tmp_path, kind, average, mode):
    hot = fit(tmp_path / "0", kind, average=average, mode=mode)
    for stage, end in enumerate((1, 3, 4)):  # epochs after which a growth was decided
        last, grown = (
            tmp_path / f"{stage}" / f"epoch={end - 1}-step={end * STEPS}.ckpt",
            tmp_path / f"grown-{stage}.ckpt",
        )
        assert len(grow_checkpoint(last, grown, Lit(*kind), **HERE, optimizer_state=mode)) == 1
        staged = fit(tmp_path / f"{stage + 1}", kind, ckpt=str(grown), average=average, mode=mode, seed=99)
    assert fingerprint(staged) == fingerprint(hot)


def test_actions_may_be_given_and_the_module_is_left_grown(tmp_path):
    fit(tmp_path, policy=Planned(()), epochs=1)
    out, module = tmp_path / "grown.ckpt", Lit()
    receipts = grow_checkpoint(
        tmp_path / "epoch=0-step=4.ckpt", out, module, Widen({"body.0.lin": 11}), Deepen("body.0.act"), **HERE
    )
    assert [receipt.max_abs_change < 1e-9 for receipt in receipts] == [True, True]
    assert module.model.body[0].lin.out_features == 11
    torch.testing.assert_close(load_grown(Lit(), out).state_dict(), module.state_dict(), rtol=0, atol=0)


def test_state_written_by_name_is_understood(tmp_path):
    """As strategies that shard the optimizer write it."""
    fit(tmp_path, policy=Planned(()), epochs=1)
    path = tmp_path / "epoch=0-step=4.ckpt"
    content = torch.load(path, weights_only=True)
    module = Lit(*KINDS[0])
    names = {p: name for name, p in module.named_parameters()}
    ordered = [names[p] for group in module.configure_optimizers()["optimizer"].param_groups for p in group["params"]]
    (state,) = content["optimizer_states"]
    state["state"] = {ordered[i]: value for i, value in state["state"].items()}
    for group in state["param_groups"]:
        group["params"] = [ordered[i] for i in group["params"]]
    torch.save(content, tmp_path / "named.ckpt")
    grown = []
    for name in (path, tmp_path / "named.ckpt"):
        grow_checkpoint(name, tmp_path / "out.ckpt", Lit(*KINDS[0]), Widen({"body.0.lin": 11}), **HERE)
        grown.append(torch.load(tmp_path / "out.ckpt", weights_only=True)["optimizer_states"])
    torch.testing.assert_close(grown[0], grown[1], rtol=0, atol=0)


def test_refusals(tmp_path):
    fit(tmp_path, policy=Planned(()), epochs=1)
    path = tmp_path / "epoch=0-step=4.ckpt"
    with pytest.raises(GrowthError, match="no growth was decided"):
        grow_checkpoint(path, tmp_path / "out.ckpt", Lit(), **HERE)
    with pytest.raises(GrowthError, match=r"did you mean 'body\.0\.lin'"):
        grow_checkpoint(path, tmp_path / "out.ckpt", Lit(), Widen({"body.0.linear": 11}), **HERE)
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        grow_checkpoint(tmp_path / "none.ckpt", tmp_path / "out.ckpt", Lit(), **HERE)
    assert not (tmp_path / "out.ckpt").exists()
