"""Policies that make a run eventful within seconds."""

from __future__ import annotations

from autogrow.policy import Cycle, Factor, Finish, Growth, LifeCycle, LossPaced, Patience


def eager_policy(**changes) -> LifeCycle:
    """Grows early and often, and stops soon: every kind of event within a second or two."""
    values = {
        "growth": Growth(when=LossPaced(), where=Cycle(), amount=Factor(cap=40)),
        "stop": Patience(checks=3, after_growth=3),
        "finish": Finish(refit=True),
    }
    return LifeCycle(**{**values, **changes})
