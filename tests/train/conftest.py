"""Runs small enough for tests: digits, few passes, a policy that grows soon."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from autogrow.data import DataSpec
from autogrow.train.fit.spec import FitSpec, NetSpec, TrainerSpec

sys.path.insert(0, str(Path(__file__).parent))
from run_specs import eager_policy

collect_ignore = ["growth_controller_example.py", "ddp_run.py"]  # programs that tests run: importing them trains


@pytest.fixture
def make_spec():
    """A spec of a short run on digits; keyword arguments replace fields."""

    def make(out: Path | None = None, *, max_epochs: float = 60, **changes) -> FitSpec:
        values = {
            "data": DataSpec(name="digits", source="sklearn"),
            "policy": eager_policy(),
            "net": NetSpec(widths=[8]),
            "trainer": TrainerSpec(max_epochs=max_epochs, check_every=20, check_rows=300),
            "out": out,
        }
        return FitSpec(**{**values, **changes})

    return make
