"""Runs small enough for tests: digits, few passes, a policy that grows soon."""

from __future__ import annotations

from pathlib import Path

import pytest

from autogrow.data import DataSpec
from autogrow.policy import Cycle, Factor, Finish, Growth, LifeCycle, LossPaced, Patience
from autogrow.train.spec import FitSpec, NetSpec, TrainerSpec

collect_ignore = ["growth_controller_example.py", "ddp_run.py"]  # programs that tests run: importing them trains


def eager_policy(**changes) -> LifeCycle:
    """Grows early and often, and stops soon: every kind of event within a second or two."""
    values = {
        "growth": Growth(when=LossPaced(), where=Cycle(), amount=Factor(cap=40)),
        "stop": Patience(checks=3, after_growth=3),
        "finish": Finish(),
    }
    return LifeCycle(**{**values, **changes})


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
