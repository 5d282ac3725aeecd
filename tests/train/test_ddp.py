"""Growth in the middle of a two-process gloo run: ranks stay equal, one decision for all, resume bit-exact.

The ranks are seeded differently, and use dropout. All fits run in one pair of processes, started once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from autogrow.errors import TrainingError
from autogrow.train.rewire.invariants import check_ranks

SCRIPT = Path(__file__).with_name("ddp_run.py")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What the two ranks came to: fit → result, by rank."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path_factory.mktemp("ddp"))],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stderr[-3000:]
    return json.loads(lines[-1].removeprefix("RESULT "))


@pytest.mark.slow
def test_ranks_agree_after_every_epoch(ranks):
    one, two = (rank["whole"] for rank in ranks)
    assert one == two
    assert one["agree"] == [True] * 5
    assert one["widths"]["body.0.lin"] > 12


@pytest.mark.slow
def test_a_resume_is_bit_exact(ranks):
    for rank in ranks:
        assert rank["resumed"]["fingerprint"] == rank["whole"]["fingerprint"]
        assert rank["resumed"]["agree"] == [True] * len(rank["resumed"]["agree"])


@pytest.mark.slow
def test_a_decision_is_taken_once_for_all_ranks(ranks):
    one, two = (rank["own opinion"] for rank in ranks)
    assert one == two
    assert one["widths"] == {"body.0.lin": 10}  # rank 0's


@pytest.mark.slow
def test_without_wrapping_again_the_ranks_part_in_silence(ranks):
    one, two = (rank["blind"] for rank in ranks)
    assert one["agree"] == [True, False, False, False, False]
    assert one["fingerprint"] != two["fingerprint"]


@pytest.mark.slow
def test_the_check_after_a_growth_does_not_let_that_happen(ranks):
    assert all("DDP still wraps the module as it was" in rank["blind, checked"]["error"] for rank in ranks)


def test_ranks_that_differ_after_a_growth_end_the_run(monkeypatch):
    def gather(into, mine):
        into[:] = [mine, "another"]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    net = torch.nn.Linear(2, 2)
    two_ranks = SimpleNamespace(world_size=2, strategy=SimpleNamespace(model=net))
    with pytest.raises(TrainingError, match="different parameters after a growth"):
        check_ranks(two_ranks, [net])
