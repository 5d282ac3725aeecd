"""When to grow: measurements in, the exact checks at which a rule fires out."""

from __future__ import annotations

import math

import pytest

from autogrow.errors import ConfigError
from autogrow.policy import (
    AllHidden,
    DataArrival,
    EarlyRamp,
    Factor,
    FittingRisk,
    FixedSchedule,
    GapPaced,
    Growth,
    LossPaced,
    Never,
    Plateau,
    Score,
    options_to_plain,
)

FALLING = [2.0 * 0.8**i for i in range(12)]
LEVEL = [1.0] * 12


def fires(run, when, scores, *, max_steps=None, **columns):
    """The checks at which a growth was decided, every growth widening all there is."""
    growth = Growth(when, AllHidden(), Factor(1.5, multiple=1, cap=10**6))
    return run(max_steps=max_steps).play(growth, scores, **columns).grew_at()


@pytest.mark.parametrize(
    ("when", "scores", "expected"),
    [
        (Never(), FALLING, []),
        (FixedSchedule((0, 3, 4)), LEVEL, [0, 3, 4]),
        (FixedSchedule((15, 40, 45, 1000), "steps"), LEVEL, [1, 3, 4]),  # a check is 10 steps: 20 is the first past 15
        (FixedSchedule((41, 42), "steps"), LEVEL, [4]),  # two points passed by one check make one growth
        (FixedSchedule(()), LEVEL, []),
        (EarlyRamp(every=2, until=6), LEVEL, [2, 4, 6]),
        (EarlyRamp(every=3, until=5), FALLING, [3]),
        (LossPaced(), FALLING, [2, 5, 8, 11]),
        (LossPaced(cooldown=1), FALLING[:5], [0, 1, 2, 3, 4]),
        (LossPaced(), LEVEL, []),  # the one improvement (over nothing) is two checks old at check 2
        (LossPaced(), [1.0, 0.9, 0.9, 0.9], [2]),  # the last improvement is one check old: fresh enough
        # the first growth asks for no fall, the second for 0.95 × 0.98 − 0.01 = 0.921
        (LossPaced(fall=0.05), [1.0, 0.99, 0.98, 0.96, 0.94, 0.93, 0.922, 0.920, 0.9], [2, 7]),
        # far below the best at the last growth, but the last improvement is too old: no, until it improves again
        (LossPaced(), [1.0, 0.99, 0.98, 0.5, 0.5, 0.5, 0.5, 0.499, 0.49], [2, 8]),
        (Plateau(patience=3, min_delta_loss=0.02, min_delta_error=0.002), LEVEL, [3, 7, 11]),
        (Plateau(patience=3, min_delta_loss=0.02, min_delta_error=0.002), FALLING[:8], []),
    ],
)
def test_fires_at_exactly_these_checks(run, when, scores, expected):
    assert fires(run, when, scores) == expected


def test_fractions_are_of_the_budget(run):
    assert fires(run, FixedSchedule((0.2, 0.5), "fraction"), LEVEL, max_steps=120) == [2, 5]
    with pytest.raises(ConfigError, match=r"fraction needs a budget"):
        fires(run, FixedSchedule((0.2,), "fraction"), LEVEL)


@pytest.mark.parametrize(
    ("watch", "creeping_loss_flat_error", "flat_loss_falling_error", "falling_loss_flat_error"),
    [("both", [4], [], []), ("either", [4], [4], [4]), ("loss", [4], [4], []), ("error", [4], [], [4])],
)
def test_a_plateau_looks_at_loss_and_error(
    run, watch, creeping_loss_flat_error, flat_loss_falling_error, falling_loss_flat_error
):
    when = Plateau(patience=4, min_delta_loss=0.02, min_delta_error=0.002, watch=watch)
    creep, fall = [1 - 0.004 * i for i in range(5)], [1 - 0.1 * i for i in range(5)]
    assert fires(run, when, creep, val_error=[0.3] * 5) == creeping_loss_flat_error
    assert fires(run, when, LEVEL[:5], val_error=[0.3 - 0.01 * i for i in range(5)]) == flat_loss_falling_error
    assert fires(run, when, fall, val_error=[0.3] * 5) == falling_loss_flat_error


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        (0.0, [1, 3, 5, 7, 9, 11]),
        (-0.5, [1, 3, 5, 7, 9, 11]),  # val below train is as closed as can be
        (0.05, [3, 7, 11]),  # half of max_gap: twice the interval
        (0.075, [7]),
        (0.1, []),
        (0.5, []),
    ],
)
def test_gap_paced_growth_slows_down_and_stops_as_the_gap_opens(run, gap, expected):
    assert fires(run, GapPaced(every=2, max_gap=0.1), LEVEL, train_loss=[1.0 - gap] * 12) == expected


@pytest.mark.parametrize(
    ("points", "interval"),
    [(-100, 0.0), (0, 8 / (1 + math.e**4)), (4, 4.0), (6, 8 / (1 + math.e**-2)), (100, 8.0)],
)
def test_fitting_risk_intervals_are_those_of_the_paper(run, points, interval):
    """I = I_max / (1 + exp(α − gap%)), α = 4: growth falls on the first check at or past each interval."""
    every = max(1, math.ceil(interval))
    expected = list(range(every - 1, 24, every))
    errors = {"val_error": [0.5 + points / 200] * 24, "train_error": [0.5 - points / 200] * 24}
    assert fires(run, FittingRisk(longest=8, alpha=4), [1.0] * 24, **errors) == expected
    losses = {"train_loss": [1 - points / 100] * 24}
    assert fires(run, FittingRisk(longest=8, alpha=4, risk="loss"), [1.0] * 24, **losses) == expected


@pytest.mark.parametrize(
    ("gain", "scores", "expected"),
    [
        (1.0, LEVEL, [3, 6, 9]),  # nothing falls any more; three checks for the window, three between growths
        (0.0, LEVEL, []),
        (-1.0, LEVEL, []),
        (1e-3, [1 - 0.01 * i for i in range(12)], []),
        (1.0, [1 - 0.01 * i for i in range(12)], [3, 6, 9]),
    ],
)
def test_score_grows_when_a_candidate_beats_training_on(run, gain, scores, expected):
    growth = Growth(Score(cooldown=3, window=3), AllHidden(), Factor(cap=4096))
    assert run(scores={"h0": gain}).play(growth, scores).grew_at() == expected


def test_score_weighs_gains_per_flop(run):
    """h0 gains more, h1 is cheaper; break-even lies where the per-FLOP gains of h1 and of training meet."""
    scores, widths = {"h0": 1.0, "h1": 0.9}, {"h0": 16, "h1": 16}
    added = {"h0": 2 * 8 * (8 + 16), "h1": 2 * 8 * (16 + 3)}
    now = 2 * (8 * 16 + 16 * 16 + 16 * 3)
    edge = scores["h1"] / added["h1"] * now
    assert scores["h0"] / added["h0"] < scores["h1"] / added["h1"]
    for fall, expected in ((0.99 * edge, [2]), (1.01 * edge, [])):
        played = run(widths=widths, scores=scores)
        assert (
            played.play(Growth(Score(window=2), AllHidden()), [9.0, 9.0 - fall, 9.0 - 2 * fall]).grew_at() == expected
        )


def test_data_arrival_compares_with_the_last_growth(run):
    growth, played = Growth(DataArrival(1.5), AllHidden(), Factor(1.5, cap=4096)), run()
    for rows in (1000, 1200, 1499, 1500, 1500, 2249, 2250):
        played.measured = {"train_rows": rows}
        played.measure(1.0, options=options_to_plain(played.options()))
        played.decide(growth)
    assert played.grew_at() == [3, 6]


def test_a_metric_nobody_records_is_named(run):
    with pytest.raises(ConfigError, match=r"train_rows.*known: latency_p95_ms"):
        run(measured={"latency_p95_ms": 1.0}).play(Growth(DataArrival()), [1.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FixedSchedule((3, 2)), r"increasing.*\[3, 2\]"),
        (lambda: FixedSchedule((-1, 2)), r"not negative.*\[-1, 2\]"),
        (lambda: FixedSchedule((0.5, 1.0), "fraction"), r"between 0 and 1.*1\.0"),
        (lambda: FixedSchedule((1,), "chekcs"), r"'chekcs' is unknown; did you mean 'checks'"),
        (lambda: EarlyRamp(every=0), r"every=0"),
        (lambda: EarlyRamp(every=9, until=8), r"every=9, until=8"),
        (lambda: LossPaced(fall=1.5), r"fall.*1\.5"),
        (lambda: LossPaced(cooldown=-1), r"cooldown.*-1"),
        (lambda: Plateau(patience=0), r"patience.*0"),
        (lambda: Plateau(watch="eror"), r"'eror' is unknown; did you mean 'error'"),
        (lambda: Plateau(min_delta_loss=-0.1), r"-0\.1"),
        (lambda: GapPaced(max_gap=0.0), r"max_gap.*0\.0"),
        (lambda: GapPaced(every=0), r"every.*0"),
        (lambda: FittingRisk(longest=0), r"longest.*0"),
        (lambda: FittingRisk(risk="acc"), r"'acc' is unknown"),
        (lambda: Score(ratio=0), r"ratio.*0"),
        (lambda: Score(factor=1), r"factor.*1"),
        (lambda: Score(window=0), r"window.*0"),
        (lambda: DataArrival(1.0), r"factor.*1\.0"),
    ],
)
def test_nonsense_is_refused_with_its_name_and_value(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
