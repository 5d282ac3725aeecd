"""The refit: the anneal once more, on training and validation rows; what validation said is of the net before."""

import json
import math

import pytest
import torch

import autogrow
from autogrow.data import DataSpec, prepare
from autogrow.growth.modes import eval_mode
from autogrow.policy.history import Refit
from autogrow.train.fit.net.deliver import BEFORE_REFIT
from autogrow.train.fit.net.measure import measure_outputs, outputs_of
from autogrow.train.fit.run import fit
from autogrow.train.fit.spec import NetSpec
from autogrow.train.record.checkpoint import read_checkpoint
from autogrow.train.record.ledger import read_ledger


def logits_loss(net, split):
    with eval_mode(net):
        return measure_outputs(outputs_of(net, split.x), split.y, task="classification").loss


def test_validation_judged_the_net_before_and_test_reads_the_one_after(make_spec, tmp_path):
    """The checkpoint holds both: each has the loss that the result says of it, and only the second is delivered."""
    result = fit(make_spec(tmp_path / "run"))
    rows = result.rows
    at = next(row.check for row in rows if isinstance(row.action, Refit))
    assert [row.phase for row in rows[at + 1 : -1]] == ["refit"] * (len(rows) - at - 2)
    assert all(math.isnan(row.val_loss) and math.isnan(row.score) for row in rows[at + 1 :])
    assert all(math.isfinite(row.train_loss) for row in rows)
    assert [r.comparable() for r in read_ledger(tmp_path / "run")] == [r.comparable() for r in rows]

    content = read_checkpoint(tmp_path / "run" / "checkpoints" / "best.ckpt")
    prepared = prepare(DataSpec(name="digits", source="sklearn"))
    net = autogrow.load(tmp_path / "run" / "checkpoints" / "best.ckpt")
    summary = json.loads((tmp_path / "run" / "result.json").read_text()) if result.write() is None else {}
    assert logits_loss(net.net, prepared.test) == pytest.approx(summary["test"]["loss"], rel=1e-5)
    assert logits_loss(net.net, prepared.val) < summary["val"]["loss"]  # it has learned these rows
    net.net.load_state_dict(content[BEFORE_REFIT])
    assert logits_loss(net.net, prepared.val) == pytest.approx(summary["val"]["loss"], rel=1e-5)


def test_what_continues_goes_on_from_the_net_that_validation_judged(make_spec, tmp_path):
    """Its first look at validation is that of the net before the refit: the rows still judge it."""
    first = fit(make_spec(tmp_path / "one"))
    second = fit(make_spec(continue_from=str(tmp_path / "one"), max_epochs=6))
    assert second.rows[0].event.receipt["max_abs_change"] < 1e-9
    content = read_checkpoint(tmp_path / "one" / "checkpoints" / "best.ckpt")
    start = second.rows[0].val_loss
    refit_loss = logits_loss(first.net.net, prepare(DataSpec(name="digits", source="sklearn")).val)
    assert refit_loss < 0.6 * first.summary["val"]["loss"]
    assert start > 0.6 * first.summary["val"]["loss"]
    assert not torch.equal(content[BEFORE_REFIT]["head.bias"], content["state_dict"]["head.bias"])


def test_members_are_delivered_as_they_were_measured(make_spec, tmp_path):
    """The mean of their probabilities, at the temperature that suits it: loaded, they answer as the run says."""
    fit(make_spec(tmp_path / "run", net=NetSpec(widths=[16], members=2))).write()
    summary = json.loads((tmp_path / "run" / "result.json").read_text())
    prepared = prepare(DataSpec(name="digits", source="sklearn"))
    net = autogrow.load(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert logits_loss(net.net, prepared.test) == pytest.approx(summary["test"]["loss"], rel=1e-5)
    assert net.net.probabilities
    assert net.net.sharpness != 1.0
