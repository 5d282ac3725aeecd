"""Budgets of a device: what is reckoned of a candidate is what its file takes, and a net never exceeds them."""

import itertools
import sys
from pathlib import Path

import pytest
from command_line import call

import autogrow
from autogrow.deploy.export.c_source.compiled import compiler
from autogrow.deploy.export.c_source.target import CFile
from autogrow.deploy.export.net import portable
from autogrow.deploy.export.rows import probe_rows
from autogrow.nets import MeanOfMembers
from autogrow.policy.history import Deepen
from autogrow.train.fit.net.c_take import c_take
from autogrow.train.record.ledger import read_ledger

sys.path.insert(0, str(Path(__file__).parent))
from test_c_source import net_of

KINDS = {
    "plain": {"widths": [32, 16]},
    "members": {"members": 2},
    "knots": {"knots": (0, 1, 2)},
    "layer norm": {"norm": "layer", "members": 2},
    "rms norm": {"norm": "rms"},
    "batch norm": {"norm": "batch", "residual": True},
    "a block in a residual stage": {"residual": True, "widths": [16, 16, 16], "deepened": "hidden.1.act"},
    "a block and a norm": {"residual": True, "widths": [9, 9], "deepened": "hidden.1.act", "norm": "layer"},
    "embeddings": {"coding": "embed", "knots": (1,)},
}


@pytest.mark.parametrize(("kind", "int8"), list(itertools.product(KINDS, [False, True])))
def test_what_is_reckoned_is_what_the_file_takes(kind, int8):
    net, frame = net_of(KINDS[kind])
    inner = net.delivered.net.net if isinstance(net.delivered.net, MeanOfMembers) else net.delivered.net
    found = c_take(inner, int8=int8)
    facts = CFile().write(net, int8=int8, calibration=net.rows_of(frame)).facts
    assert facts["flash_bytes"] <= found.flash_bytes <= facts["flash_bytes"] + 512
    assert found.ram_bytes == facts["ram_bytes"]


SHORT = ["trainer.max_epochs=40", "trainer.check_every=20", "net.widths=[8]", "growth.guards.gap_closes.max_gap=0.9"]


def test_a_net_stays_within_flash_and_ram_and_the_ledger_says_what_was_refused(alone, capsys):
    limits = ["budget.flash_bytes=5500", "budget.ram_bytes=400", "budget.int8=true", "net.widths=[16]"]
    assert call("fit", "data=digits", *SHORT, *limits, "hydra.run.dir=run") == 0
    net = portable(autogrow.load("run"))
    facts = CFile().write(net, int8=True, calibration=probe_rows(net).x).facts
    assert facts["flash_bytes"] <= 5500
    assert facts["ram_bytes"] <= 400
    rows = read_ledger(alone / "run")  # 24 units take too much, a second layer of 16 does not
    grown = next(row for row in rows if isinstance(row.action, Deepen))
    assert "refused before: flash_bytes would be" in grown.reason
    assert list(rows[-1].widths.values()) == [16, 16]
    capsys.readouterr()
    assert call("plan", "data=digits", *SHORT, *limits) == 0
    said = capsys.readouterr().out
    assert "budget.flash_bytes=5500 ends growth at 16-16 (1,482 parameters): flash_bytes would be" in said
    assert "budget.ram_bytes=400 " in said


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (["budget.flash_bytes=3000"], "budget.flash_bytes=3000 is below the starting net"),
        (["budget.ram_bytes=10"], "budget.ram_bytes=10 is below the starting net"),
        (["budget.latency_p95_ms=0.000001"], "budget.latency_p95_ms=1e-06 is below the starting net"),
        (["budget.flops=9"], "budget.flops_per_sample=9 is below the starting net, which has 1184, 1175 too much"),
        (["budget.runtime=cc"], "did you mean 'c'"),
        (["data=mnist1d", "net=conv", "budget.flash_bytes=9000"], "net=conv needs images"),
    ],
)
def test_a_budget_below_the_starting_net_is_refused_before_a_folder_is_made(limit, message, alone, capsys):
    assert call("fit", "data=digits", *SHORT, *limit, "hydra.run.dir=run") == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert not (alone / "run").exists()


@pytest.mark.skipif(compiler() is None, reason="there is no C compiler here (cc, gcc or clang)")
def test_a_latency_is_that_of_the_file_that_is_asked_for(alone, capsys):
    """Far below what the net itself takes in Python: a limit between the two is met through the one, not the other."""
    between = ["budget.latency_p95_ms=0.01"]
    assert call("plan", "data=digits", *SHORT, *between) == 2
    assert "is below the starting net" in capsys.readouterr().err
    assert call("plan", "data=digits", *SHORT[:3], "growth=never", *between, "budget.runtime=c") == 0
