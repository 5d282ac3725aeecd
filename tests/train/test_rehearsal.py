"""A rehearsal against the run it foretells: the same rows where growth goes by the clock,
an envelope where it goes by the loss.
"""

import copy
from dataclasses import replace

import pytest
import torch

from autogrow.data import prepare
from autogrow.policy import Budget, LifeCycle, NeverStop, NoFinish
from autogrow.policy.amount import Factor
from autogrow.policy.budget import WithinBudget
from autogrow.policy.growth import Growth
from autogrow.policy.guards import Cooldown, GapCloses, WarmUp
from autogrow.policy.history import GROWTHS
from autogrow.policy.needs import by_the_clock
from autogrow.policy.stop import Patience
from autogrow.policy.when import EarlyRamp, FixedSchedule, Never
from autogrow.policy.when_gap import FittingRisk
from autogrow.policy.when_loss import LossPaced, Plateau
from autogrow.policy.where import Cycle, RandomSite, RoundRobin, WidestGain
from autogrow.train.fit.run import fit
from autogrow.train.rehearse.rehearsal import rehearse

SHOWN = (
    "check",
    "step",
    "passes",
    "phase",
    "widths",
    "parameters",
    "flops_per_sample",
    "train_flops",
    "eval_flops",
    "action",
)

CLOCKS = {
    "checks": Growth(FixedSchedule([1, 3, 6]), Cycle("DWW"), Factor(1.5, 8, 64)),
    "steps": Growth(FixedSchedule([30, 90], "steps"), RoundRobin(), Factor(2.0, 1, 64)),
    "fraction": Growth(FixedSchedule([0.2, 0.5], "fraction"), Cycle("WD"), Factor(1.5, 8, 64)),
    "ramp": Cooldown(WarmUp(Growth(EarlyRamp(1, 6), Cycle("WD"), Factor(1.5, 8, 32)), 2), 2),
    "random": Growth(EarlyRamp(2, 6), RandomSite(3), Factor(1.5, 8, 32)),
    "never": Growth(Never()),
}


@pytest.mark.parametrize("name", CLOCKS)
def test_by_the_clock_it_is_the_run_itself(name, make_spec):
    spec = make_spec(max_epochs=30, policy=LifeCycle(CLOCKS[name], NeverStop(), NoFinish()))
    found = rehearse(spec, prepare(spec.data))
    assert found.exact
    assert found.falling is found.resting
    assert found.falling.ended
    run = fit(spec)
    assert [{k: getattr(row, k) for k in SHOWN} for row in found.falling.rows] == [
        {k: getattr(row, k) for k in SHOWN} for row in run.rows
    ]
    assert sum(stage.steps for stage in found.falling.stages) == run.rows[-1].step
    assert sum(stage.train_flops for stage in found.falling.stages) == run.rows[-1].train_flops


@pytest.mark.parametrize(
    "growth",
    [
        GapCloses(Growth(LossPaced(cooldown=2), Cycle(), Factor(1.5, 8, 64))),
        Growth(Plateau(2, 0.2, 0.1), Cycle("WWD"), Factor(2.0, 8, 64)),
        Growth(FittingRisk(longest=4), Cycle("WD"), Factor(2.0, 8, 32)),
    ],
    ids=["loss paced", "plateau", "fitting risk"],
)
def test_a_run_stays_within_what_the_loss_may_do(growth, make_spec):
    spec = make_spec(max_epochs=60, policy=LifeCycle(growth, Patience(4, 5)))
    found = rehearse(spec, prepare(spec.data))
    assert not found.exact
    run = fit(spec)
    grown = [row.check for row in run.rows if isinstance(row.action, GROWTHS)]
    assert grown, "a run that never grows shows nothing"
    earliest = [
        min(
            (rows[i] for rows in (growths_of(c) for c in (found.falling, found.resting)) if i < len(rows)),
            default=10**9,
        )
        for i in range(len(grown))
    ]
    assert all(real >= possible for real, possible in zip(grown, earliest, strict=True))
    sizes = [tuple(row.widths.values()) for row in run.rows]
    foretold = {stage.widths for c in (found.falling, found.resting) for stage in c.stages}
    assert set(sizes) <= foretold


def growths_of(course):
    return [row.check for row in course.rows if isinstance(row.action, GROWTHS)]


def test_a_budget_holds_in_every_course(make_spec):
    policy = LifeCycle(GapCloses(Growth()), Patience(4, 5), budget=Budget(parameters=3000, train_flops=2e9))
    spec = make_spec(policy=policy)
    found = rehearse(spec, prepare(spec.data))
    for course in (found.falling, found.resting):
        assert course.ended
        assert all(row.parameters <= 3000 for row in course.rows)
        assert course.rows[-1].train_flops <= 2e9
    assert len(found.falling.stages) > len(found.resting.stages)


def test_scores_are_alike_and_charged(make_spec):
    growth = Growth(EarlyRamp(2, 4), WidestGain(), Factor(1.5, 8, 32))
    spec = make_spec(max_epochs=20, policy=LifeCycle(growth, NeverStop(), NoFinish()))
    found = rehearse(spec, prepare(spec.data))
    assert found.scored
    assert not found.exact
    unscored = replace(spec, policy=LifeCycle(CLOCKS["never"], NeverStop(), NoFinish()))
    plain = rehearse(unscored, prepare(spec.data)).falling.rows[0]
    assert found.falling.rows[0].eval_flops > plain.eval_flops


def test_nothing_is_left_behind(make_spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = make_spec()
    prepared = prepare(spec.data)
    before, state = copy.deepcopy(prepared.train.x), torch.get_rng_state()
    rehearse(spec, prepared)
    assert torch.equal(prepared.train.x, before)
    assert not list(tmp_path.iterdir())
    fresh = fit(spec).rows[-1].comparable()
    torch.set_rng_state(state)
    assert fit(spec).rows[-1].comparable() == fresh


@pytest.mark.parametrize("members", [1, 2])
def test_memory_and_seconds_grow_with_the_net(members, make_spec):
    spec = make_spec(policy=LifeCycle(Growth(FixedSchedule([1, 2])), NeverStop(), NoFinish()), max_epochs=20)
    spec = replace(spec, net=replace(spec.net, members=members))
    stages = rehearse(spec, prepare(spec.data)).falling.stages
    sizes = [stage.footprint.memory for stage in stages]
    assert sizes == sorted(set(sizes))
    # five tensors of each weight: itself, its average, gradient and two moments
    assert all(stage.footprint.memory > 20 * stage.footprint.parameters for stage in stages)
    assert all(stage.seconds > 0 for stage in stages)


def test_what_goes_by_the_clock():
    assert by_the_clock(CLOCKS["ramp"])
    assert not by_the_clock(LifeCycle().growth)
    assert not by_the_clock(GapCloses(CLOCKS["checks"]))
    assert not by_the_clock(Growth(EarlyRamp(), WidestGain()))
    assert not by_the_clock(WithinBudget(CLOCKS["checks"], Budget(parameters=10)))
