"""Every check says how the units stand that growths have added: in the row, in the ledger, as a signal."""

from __future__ import annotations

import math

import pytest

from autogrow.errors import CheckpointError
from autogrow.policy import AllHidden, Growth, LifeCycle, Never
from autogrow.policy.history import Row
from autogrow.policy.newborns import Newborns
from autogrow.policy.signals import births, newborns_of
from autogrow.train.fit.run import fit
from autogrow.train.fit.spec import NetSpec
from autogrow.train.record.ledger import read_ledger


def test_rows_follow_each_growth_of_the_net(make_spec, tmp_path):
    run = fit(make_spec(tmp_path, net=NetSpec(widths=[8])))
    grown = [row.check for row in run.rows if row.event is not None and row.event.grew]
    assert len(grown) >= 3
    for row in run.rows:
        assert [n.grown_at for n in row.newborns] == list(births(run.rows[: row.check + 1]))
        assert {n.grown_at for n in row.newborns} <= {at for at in grown if at <= row.check}
    assert not run.rows[0].newborns
    ratios = newborns_of(run.rows, grown[0])
    assert len(ratios) == len(run.rows) - grown[0]
    assert all(math.isfinite(v) and v > 0 for n in ratios for v in (n.gradient, n.update, n.weights))
    assert ratios[0].weights < 1 < 3 * ratios[-1].weights  # they start from nothing and catch up
    assert [row.newborns for row in read_ledger(tmp_path)] == [row.newborns for row in run.rows]


def test_a_net_that_has_not_grown_is_not_looked_at(make_spec):
    run = fit(make_spec(max_epochs=20, policy=LifeCycle(Growth(Never(), AllHidden()))))
    assert not any(row.newborns for row in run.rows)
    assert all("newborns" not in row.to_plain() for row in run.rows)


ROW = Row(0, 1, 0.5, "grow", 0, 1.0, 1.0, 0.1, 0.1, 1.0, 0.0, 0.1, {"a": 1}, 1, 1, 1, 1)


def test_what_is_not_known_is_none_on_disk():
    row = Row(**{**vars(ROW), "newborns": (Newborns(3, 0.5, math.nan, 0.25),)})
    plain = row.to_plain()
    assert plain["newborns"] == [{"grown_at": 3, "gradient": 0.5, "update": None, "weights": 0.25}]
    (back,) = Row.from_plain(plain).newborns
    assert (back.grown_at, back.gradient, back.weights) == (3, 0.5, 0.25)
    assert math.isnan(back.update)


def test_rows_of_before_it_was_measured_have_none():
    assert Row.from_plain(ROW.to_plain()).newborns == ()


@pytest.mark.parametrize(
    "wrong", [[{"grown_at": 3}], [3], "no", [{"grown_at": -1, "gradient": 1, "update": 1, "weights": 1}]]
)
def test_what_nobody_wrote_is_refused(wrong):
    with pytest.raises(CheckpointError, match="newborns"):
        Row.from_plain({**ROW.to_plain(), "newborns": wrong})
