"""Whether, when, where and how much to grow, and when to stop: pure Python over recorded history.

A policy is a frozen value that maps (history, options) to a `Decision`. It holds no counters: everything is recomputed from the
rows, so that resume, replay and "what would policy B have done on run A" come for free.
"""

from autogrow.policy.amount import Factor, Fixed, ProportionalToGain
from autogrow.policy.budget import Budget, WithinBudget
from autogrow.policy.finish import Finish, NoFinish, deliverable, return_target
from autogrow.policy.growth import Growth, build_growth
from autogrow.policy.guards import Cooldown, GapCloses, Hysteresis, WarmUp
from autogrow.policy.life import LifeCycle, recipe_growth, stop_reason
from autogrow.policy.stop import BudgetStop, GapStop, NeverStop, Patience
from autogrow.policy.when import DataArrival, EarlyRamp, FixedSchedule, Never
from autogrow.policy.when_loss import LossPaced, Plateau
from autogrow.policy.where import AllHidden, Cycle

__all__ = [
    "AllHidden",
    "Budget",
    "BudgetStop",
    "Cooldown",
    "Cycle",
    "DataArrival",
    "EarlyRamp",
    "Factor",
    "Finish",
    "Fixed",
    "FixedSchedule",
    "GapCloses",
    "GapStop",
    "Growth",
    "Hysteresis",
    "LifeCycle",
    "LossPaced",
    "Never",
    "NeverStop",
    "NoFinish",
    "Patience",
    "Plateau",
    "ProportionalToGain",
    "WarmUp",
    "WithinBudget",
    "build_growth",
    "deliverable",
    "recipe_growth",
    "return_target",
    "stop_reason",
]
