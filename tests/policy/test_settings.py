"""Settings that contradict each other are refused with their names and numbers; those that do not are let through."""

from __future__ import annotations

import math

import pytest

from autogrow.errors import ConfigError
from autogrow.policy import (
    AllHidden,
    Budget,
    Cooldown,
    Cycle,
    EarlyRamp,
    Factor,
    Finish,
    FixedSchedule,
    GapCloses,
    Growth,
    Hysteresis,
    LifeCycle,
    LossPaced,
    Never,
    NeverStop,
    NoFinish,
    Patience,
    Score,
    Trial,
    WarmUp,
    check_settings,
)
from autogrow.policy.history import Cost


def fixed(*at, unit="checks"):
    return Growth(FixedSchedule(at, unit))


@pytest.mark.parametrize(
    ("life", "known", "message"),
    [
        (LifeCycle(Growth(Score())), {"recorded": {"error"}}, r"'scores'.*known: error"),
        (LifeCycle(budget=Budget(latency_p95_ms=1)), {"recorded": {"seconds"}}, r"'latency_p95_ms'"),
        (
            LifeCycle(budget=Budget(parameters=500)),
            {"start": Cost(651, 10)},
            r"budget\.parameters=500 is below the starting net, which has 651, 151 too much",
        ),
        (
            LifeCycle(budget=Budget(flash_bytes=4000)),
            {"start": Cost(651, 10, flash_bytes=4652)},
            r"budget\.flash_bytes=4000 is below the starting net, which has 4652, 652 too much",
        ),
        (LifeCycle(budget=Budget(ram_bytes=9)), {"start": Cost(1, 10, ram_bytes=10)}, r"ram_bytes=9.*10, 1 too much"),
        (
            LifeCycle(budget=Budget(latency_p95_ms=0.5)),
            {"start": Cost(1, 10, latency_p95_ms=0.75)},
            r"latency_p95_ms=0\.5.*0\.75, 0\.25 too much",
        ),
        (
            LifeCycle(budget=Budget(checkpoint_bytes=99)),
            {"start": Cost(1, 10), "checkpoint_bytes": 100},
            r"checkpoint_bytes=99.*100, 1 too much",
        ),
        (LifeCycle(budget=Budget(flops_per_sample=9)), {"start": Cost(1, 10)}, r"flops_per_sample=9.*10"),
        (LifeCycle(stop=NeverStop()), {"max_steps": math.inf}, r"stop=never needs an end.*trainer\.max_epochs"),
        # 20 checks of 10 steps; the last 30 % are the anneal's, so growth may be decided up to step 140, check 13
        (LifeCycle(fixed(5, 14)), {"steps_per_check": 10, "max_steps": 200}, r"has 14 \(checks\), step 150.*200.*30%"),
        (
            LifeCycle(fixed(5, 20), finish=NoFinish()),
            {"steps_per_check": 10, "max_steps": 200},
            r"20 \(checks\), step 210",
        ),
        (LifeCycle(fixed(141, unit="steps")), {"steps_per_check": 10, "max_steps": 200}, r"141 \(steps\)"),
        (
            LifeCycle(fixed(0.8, unit="fraction")),
            {"steps_per_check": 10, "max_steps": 200},
            r"0\.8 \(fraction\), step 160",
        ),
        (
            LifeCycle(fixed(0.5, unit="fraction")),
            {"steps_per_check": 10, "max_steps": math.inf},
            r"fraction needs a budget",
        ),
        (LifeCycle(), {"steps_per_check": 10, "max_steps": 9}, r"gives 9 optimizer steps.*\(10 steps\)"),
        (LifeCycle(WarmUp(Growth(), 15)), {"steps_per_check": 10, "max_steps": 200}, r"warm_up\.checks=15, step 150"),
        (
            LifeCycle(Growth(EarlyRamp(every=15, until=30))),
            {"steps_per_check": 10, "max_steps": 200},
            r"every=15, step 150",
        ),
        (LifeCycle(GapCloses(Hysteresis(Growth(), 0.2, 0.1), 0.1)), {}, r"close=0\.2 is never reached.*max_gap=0\.1"),
        (LifeCycle(Cooldown(fixed(3, 5), 3)), {}, r"3 and 5, closer than .*cooldown\.checks=3"),
        (LifeCycle(WarmUp(fixed(3), 5)), {}, r"begins at check 3, inside .*warm_up\.checks=5"),
        (LifeCycle(WarmUp(Growth(EarlyRamp(2, 8)), 10)), {}, r"until=8 is over before .*warm_up\.checks=10"),
        (LifeCycle(Trial(Growth(), checks=4), Patience(3, after_growth=3)), {}, r"after_growth=3.*trial\.checks=4"),
        (LifeCycle(Growth(LossPaced(), AllHidden(), Factor(cap=64))), {"widths": [64, 80]}, r"cap=64.*\[64, 80\]"),
        (LifeCycle(Growth(LossPaced(), Cycle("W"), Factor(cap=64))), {"widths": [64]}, r"cap=64"),
    ],
)
def test_refused(life, known, message):
    with pytest.raises(ConfigError, match=message):
        check_settings(life, **known)


@pytest.mark.parametrize(
    ("life", "known"),
    [
        (LifeCycle(), {}),
        (LifeCycle(Growth(Score())), {}),  # not known yet what will be recorded
        (LifeCycle(Growth(Score())), {"recorded": {"scores"}}),
        (LifeCycle(budget=Budget(parameters=651)), {"start": Cost(651, 10)}),
        (LifeCycle(stop=NeverStop()), {"max_steps": 10**6}),
        (LifeCycle(stop=NeverStop()), {}),
        (LifeCycle(stop=NeverStop(), budget=Budget(train_flops=1e12)), {"max_steps": math.inf}),
        (LifeCycle(fixed(5, 13)), {"steps_per_check": 10, "max_steps": 200}),
        (LifeCycle(fixed(5, 14), finish=Finish(share=0.2)), {"steps_per_check": 10, "max_steps": 200}),
        (LifeCycle(fixed(5, 19), finish=NoFinish()), {"steps_per_check": 10, "max_steps": 200}),
        (LifeCycle(fixed(10**6)), {"steps_per_check": 10, "max_steps": math.inf}),
        (LifeCycle(), {"steps_per_check": 10, "max_steps": 10}),
        (LifeCycle(Growth(EarlyRamp())), {"steps_per_check": 10, "max_steps": 50}),
        (LifeCycle(GapCloses(Hysteresis(Growth(), 0.1, 0.05), 0.2)), {}),
        (LifeCycle(Cooldown(fixed(3, 6), 3)), {}),
        (LifeCycle(WarmUp(fixed(4), 5)), {}),  # check 4 is the fifth
        (LifeCycle(Trial(Growth())), {}),
        (LifeCycle(Growth(Never(), AllHidden(), Factor(cap=64))), {"widths": [256, 256]}),
        (LifeCycle(Growth(LossPaced(), Cycle("WD"), Factor(cap=64))), {"widths": [64]}),
    ],
)
def test_let_through(life, known):
    check_settings(life, **known)
