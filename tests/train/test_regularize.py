"""A run that goes on with dropout: the same function with a receipt, the same net without it where it has not paid."""

from __future__ import annotations

import json

import pytest
import torch
from run_specs import eager_policy
from torch import nn

import autogrow
from autogrow.errors import ConfigError
from autogrow.policy import Dropout, NeverStop, Patience
from autogrow.policy.history import Anneal, Regularize
from autogrow.policy.replay import replay
from autogrow.train.fit.controller import LifeCycleController
from autogrow.train.fit.run import fit
from autogrow.train.fit.spec import NetSpec, OptimizerSpec
from autogrow.train.record.checkpoint import read_checkpoint
from autogrow.train.record.contents import Result
from autogrow.train.record.ledger import read_ledger

OVERFITS = {"net": NetSpec(widths=[48]), "optimizer": OptimizerSpec(lr=5e-3), "max_epochs": 200}
EAGER = Dropout((0.1, 0.3), gap=0.0, gain=0.0, checks=12)
HOPELESS = Dropout((0.9,), gap=0.0, gain=0.5, checks=2)


def patient(rule):
    return eager_policy(stop=Patience(checks=4, after_growth=3), regularize=rule)


@pytest.fixture
def seen(monkeypatch):
    """The share that is left out at each check, as the modules of the net say."""
    shares = []
    original = LifeCycleController.close_check

    def close(self, trainer, module):
        shares.append({m.p for m in module.net.modules() if isinstance(m, nn.Dropout)})
        original(self, trainer, module)

    monkeypatch.setattr(LifeCycleController, "close_check", close)
    return shares


def regularized(rows):
    return [row for row in rows if row.event and isinstance(row.event.done, Regularize)]


def test_each_share_is_trained_with_from_its_check_on(make_spec, seen):
    result = fit(make_spec(policy=patient(EAGER), **OVERFITS))
    events = regularized(result.rows)
    assert [row.event.done.dropout for row in events] == [0.1, 0.3]
    one, two = (row.check for row in events)
    assert seen[:one] == [{0.0}] * one
    assert seen[one:two] == [{0.1}] * (two - one)
    assert seen[two] == {0.3}


def test_the_receipt_promises_that_nothing_changes_in_evaluation(make_spec):
    for row in regularized(fit(make_spec(policy=patient(EAGER), **OVERFITS)).rows):
        assert row.event.receipt["promise"] == row.event.receipt["max_abs_change"] == 0.0
        assert row.event.before == row.event.after
        assert row.event.flops > 0


def test_what_has_not_paid_is_annealed_without(make_spec, seen, tmp_path):
    result = fit(make_spec(tmp_path / "run", policy=patient(HOPELESS), **OVERFITS))
    rows = result.rows
    at = next(row.check for row in rows if isinstance(row.action, Anneal))
    assert seen[at] == {0.9}
    assert "dropout 0.9 has not paid in 2 checks" in rows[at].reason
    assert seen[at + 1 :] == [{0.0}] * (len(rows) - at - 1)
    assert "dropout" not in result.summary
    assert "dropout" not in read_checkpoint(tmp_path / "run/checkpoints/best.ckpt")["autogrow"]


def test_what_has_paid_is_written_down(make_spec, tmp_path):
    result = fit(make_spec(tmp_path / "run", policy=patient(EAGER), **OVERFITS))
    result.write()
    summary = json.loads((tmp_path / "run/result.json").read_text())
    assert summary["dropout"] in EAGER.shares
    assert summary.keys() <= Result.__annotations__.keys()
    assert [r.comparable() for r in read_ledger(tmp_path / "run")] == [r.comparable() for r in result.rows]
    net = autogrow.load(tmp_path / "run/checkpoints/best.ckpt")
    x = torch.randn(9, 64)
    assert torch.equal(net(x), result.net(x))


def test_a_replay_of_its_own_policy_decides_the_same(make_spec):
    policy = patient(EAGER)
    assert all(one.same for one in replay(fit(make_spec(policy=policy, **OVERFITS)).rows, policy))


def test_two_who_decide_on_dropout_are_refused(make_spec):
    with pytest.raises(ConfigError, match=r"leave net.dropout null, got 0.1"):
        fit(make_spec(policy=patient(EAGER), net=NetSpec(widths=[8], dropout=0.1)))


def test_where_no_stop_rule_brings_it_about_it_is_refused(make_spec):
    with pytest.raises(ConfigError, match=r"is tried where the stop rule would end the run.*take stop=patience"):
        fit(make_spec(policy=eager_policy(stop=NeverStop(), regularize=EAGER), max_epochs=3))


def test_a_net_without_places_for_it_cannot_go_on_with_it(make_spec, tmp_path):
    fit(make_spec(tmp_path / "run", max_epochs=4))
    with pytest.raises(ConfigError, match=r"needs a net with places for dropout"):
        fit(make_spec(policy=patient(EAGER), continue_from=tmp_path / "run"))
