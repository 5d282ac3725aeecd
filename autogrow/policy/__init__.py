"""Whether, when, where and how much to grow, and when to stop: pure Python over recorded history.

A policy is a frozen value that maps (history, options) to a `Decision`. It holds no counters: everything is recomputed
from the rows, so that resume, replay and "what would policy B have done on run A" come for free.
"""

from autogrow.policy.amount import Factor, Fixed, ProportionalToGain
from autogrow.policy.budget import Budget, WithinBudget
from autogrow.policy.finer import Finer
from autogrow.policy.finish import Finish, NoFinish, deliverable, return_target, validated
from autogrow.policy.growth import Growth, build_growth
from autogrow.policy.guards import Cooldown, GapCloses, Hysteresis, WarmUp
from autogrow.policy.life import LifeCycle, recipe, recipe_growth, stop_reason
from autogrow.policy.needs import replayable, requires
from autogrow.policy.regularize import Dropout, NoRegularizer
from autogrow.policy.replay import options_from_plain, options_to_plain, recording
from autogrow.policy.settings import check_settings
from autogrow.policy.stop import BudgetStop, GapStop, NeverStop, Patience
from autogrow.policy.trial import Trial
from autogrow.policy.when import DataArrival, EarlyRamp, FixedSchedule, Never
from autogrow.policy.when_envelope import Envelope
from autogrow.policy.when_gap import FittingRisk, GapPaced
from autogrow.policy.when_loss import LossPaced, Plateau
from autogrow.policy.when_score import Score
from autogrow.policy.where import AllHidden, Cycle, RandomSite, RoundRobin, WidestGain

__all__ = [
    "AllHidden",
    "Budget",
    "BudgetStop",
    "Cooldown",
    "Cycle",
    "DataArrival",
    "Dropout",
    "EarlyRamp",
    "Envelope",
    "Factor",
    "Finer",
    "Finish",
    "FittingRisk",
    "Fixed",
    "FixedSchedule",
    "GapCloses",
    "GapPaced",
    "GapStop",
    "Growth",
    "Hysteresis",
    "LifeCycle",
    "LossPaced",
    "Never",
    "NeverStop",
    "NoFinish",
    "NoRegularizer",
    "Patience",
    "Plateau",
    "ProportionalToGain",
    "RandomSite",
    "RoundRobin",
    "Score",
    "Trial",
    "WarmUp",
    "WidestGain",
    "WithinBudget",
    "build_growth",
    "check_settings",
    "deliverable",
    "options_from_plain",
    "options_to_plain",
    "recipe",
    "recipe_growth",
    "recording",
    "replayable",
    "requires",
    "return_target",
    "stop_reason",
    "validated",
]
