"""The life cycle: anneal before stop before growth, inside the budget; and what is handed back."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from drawn_examples import up_to
from hypothesis import given
from hypothesis import strategies as st

from autogrow.errors import ConfigError
from autogrow.policy import (
    AllHidden,
    Budget,
    BudgetStop,
    EarlyRamp,
    Factor,
    Finish,
    FixedSchedule,
    GapCloses,
    GapStop,
    Growth,
    LifeCycle,
    Never,
    NeverStop,
    NoFinish,
    Patience,
    Trial,
    deliverable,
    return_target,
    stop_reason,
    validated,
)
from autogrow.policy.event import Event, FullVal
from autogrow.policy.history import Anneal, Keep, Refit, Row, Stop, Widen
from autogrow.policy.signals import branch

STILL = Growth(Never())
ALWAYS = Growth(EarlyRamp(every=1, until=1000), AllHidden(), Factor(1.5, multiple=1, cap=10**9))


@pytest.mark.parametrize(
    ("stop", "growth", "scores", "expected"),
    [
        (NeverStop(), STILL, [1.0] * 9, None),
        (Patience(3), STILL, [1.0, 0.9, 0.95, 0.95, 0.95, 0.95], 4),
        (Patience(3), STILL, [1.0, 0.9, 0.95, 0.899, 0.95], 4),  # 0.1 % is noise, not an improvement
        (Patience(3), STILL, [1.0, 0.9, 0.95, 0.898, 0.95, 0.95, 0.95], 6),
        (Patience(3), STILL, [1.0, 0.9, 0.8, 0.7, 0.6], None),
        (Patience(1, passes=2.0), STILL, [1.0, 0.9, 0.95, 0.95, 0.95, 0.95, 0.95], 5),  # a check is half a pass here
        (Patience(5, passes=2.0), STILL, [1.0, 0.9, 0.95, 0.95, 0.95, 0.95, 0.95], 6),
        # noise around a level: the luckiest check so far keeps the count going for the patience and no longer
        (Patience(4), STILL, [1.0, 1.02, 0.97, 1.01, 0.99, 1.03, 0.98], 6),
        (Patience(3, after_growth=0), GapCloses(ALWAYS, 0.1, 0), [1.0] * 9, 3),
        (Patience(3, after_growth=5), Growth(EarlyRamp(every=2, until=2)), [1.0] * 9, 7),  # grown at 2: 5 checks
        (GapStop(0.12, from_check=1), STILL, [1.0] * 6, 1),
        (GapStop(0.09, from_check=2), STILL, [1.0] * 6, 2),  # open from the start, counted from check 2
        (GapStop(0.2, from_check=2), STILL, [1.0] * 6, 3),
        (BudgetStop(Budget(train_flops=3 * 10 * 352 * 3 + 1)), STILL, [1.0] * 6, 2),
        (BudgetStop(Budget(train_flops=3 * 10 * 352 * 4)), STILL, [1.0] * 6, 3),
    ],
)
def test_stop_rules_fire_at_exactly_this_check(run, stop, growth, scores, expected):
    gaps = [0.1, 0.2, 0.2, 0.5, 0.5, 0.5] if isinstance(stop, GapStop) else [0.0] * len(scores)  # .1, .15, .175, .3375
    life = LifeCycle(growth, stop, NoFinish())
    played = run(widths={"h0": 16}).play(life, scores, train_loss=[s - g for s, g in zip(scores, gaps, strict=False)])
    stopped = [check for check, word in played.acted() if word == "stop"]
    assert stopped == ([] if expected is None else [expected])


def test_the_whole_life(run):
    """Fall, rise, stop, back to the best, anneal over 0.3/0.7 of its steps, done."""
    scores = [1.0, 0.8, 0.6, 0.5, 0.4, 0.45, 0.45, 0.45, 0.38, 0.39, 0.37]
    life = LifeCycle(STILL, Patience(3), Finish())
    played = run().play(life, scores)
    assert played.acted() == [(7, "anneal"), (9, "stop")]
    assert played.rows[7].action == Anneal(back_to=4, steps=20)  # 50 steps × 0.3/0.7 = 21.4, two whole checks
    assert [life.phase(played.rows[: i + 1]) for i in (0, 7, 8, 9)] == ["hold", "hold", "anneal", "done"]
    assert "over (20 of 20 steps)" in played.rows[9].reason
    assert "no improvement for 3 checks (patience 3; best score 0.4 at check 4)" in stop_reason(played.rows)
    assert return_target(played.rows) == 4
    assert deliverable(played.rows) == 8


LIFE = [1.0, 0.8, 0.6, 0.5, 0.4, 0.45, 0.45, 0.45, 0.38, 0.39, math.nan, math.nan, 0.1]


def test_the_whole_life_with_a_refit(run):
    """After the anneal the same steps once more, on all rows but test: that net is handed back; one was judged."""
    life = LifeCycle(STILL, Patience(3), Finish(refit=True))
    played = run().play(life, LIFE, train_loss=[0.3] * len(LIFE))
    assert played.acted() == [(7, "anneal"), (9, "refit"), (11, "stop")]
    assert played.rows[9].action == Refit(back_to=4, steps=20)
    assert [life.phase(played.rows[: i + 1]) for i in (8, 9, 10, 11)] == ["anneal", "anneal", "refit", "done"]
    assert "the anneal is over (20 of 20 steps)" in played.rows[9].reason
    assert (validated(played.rows), deliverable(played.rows), return_target(played.rows)) == (8, 11, 4)
    assert [row.check for row in branch(played.rows)] == [0, 1, 2, 3, 4, 10, 11]
    assert "no improvement for 3 checks" in stop_reason(played.rows)


@pytest.mark.parametrize(
    ("max_steps", "train_loss", "acted", "handed_back"),
    [
        (120, 0.3, [(7, "anneal"), (9, "refit"), (11, "stop")], 11),
        (110, 0.3, [(6, "anneal"), (8, "refit"), (10, "stop")], 10),  # both fit, or growth and holding end sooner
        (None, math.nan, [(0, "stop")], None),
    ],
)
def test_a_refit_fits_into_the_budget(run, max_steps, train_loss, acted, handed_back):
    scores = [*LIFE[:8], *[0.38] * 2, *[math.nan] * 4]
    played = run(max_steps=max_steps)
    played.play(LifeCycle(STILL, Patience(3), Finish(refit=True)), scores, train_loss=[train_loss] * len(scores))
    assert (played.acted(), deliverable(played.rows)) == (acted, handed_back)


@pytest.mark.parametrize(("reached", "train_loss"), [(1, 0.3), (2, math.nan)])
def test_a_refit_that_did_not_come_to_its_end_is_not_handed_back(run, reached, train_loss):
    life = LifeCycle(STILL, Patience(3), Finish(refit=True))
    losses = [0.3] * 10 + [0.3] * (reached - 1) + [train_loss]
    played = run().play(life, LIFE[: 10 + reached], train_loss=losses)
    assert deliverable(played.rows) == validated(played.rows) == 8
    if reached == 2:
        assert "not finite" in played.rows[-1].reason


def test_an_anneal_that_was_broken_off_is_not_repeated(run):
    life = LifeCycle(STILL, Patience(3), Finish(refit=True))
    played = run().play(life, [*LIFE[:8], 0.9])
    assert played.acted() == [(7, "anneal"), (8, "stop")]


@pytest.mark.parametrize(
    ("best_at", "share", "left", "steps"),
    [
        (0, 0.3, math.inf, 20),  # at least two checks
        (13, 0.3, math.inf, 60),  # 140 × 3/7
        (13, 0.4, math.inf, 90),  # 140 × 4/6 = 93
        (13, 0.3, 45.0, 40),  # whole checks of what is left
        (13, 0.3, 10.0, 10),
        (13, 0.3, 9.0, None),
        (13, 0.3, -1.0, None),
    ],
)
def test_the_length_of_the_anneal(run, best_at, share, left, steps):
    played = run().play(lambda history, options: LifeCycle(STILL)(history[:1], options), [1.0] * 15)
    played.rows[best_at] = replace(played.rows[best_at], score=0.5)
    decision = Finish(share).start(played.rows, played.options(), left=left, why="so")
    assert decision.action == (Stop() if steps is None else Anneal(best_at, steps))


@pytest.mark.parametrize(
    ("scores", "stopped", "says"),
    [
        ([0.5, 0.5, 0.5, 0.5], 7, "over (40 of 40 steps)"),
        ([0.41, 0.51, 0.4, 0.4], 5, "0.51 rose above 0.5"),  # 0.4 / 0.8
        ([0.2, 0.26, 0.2, 0.2], 5, "0.26 rose above 0.25"),  # against the best of the anneal itself
        ([0.41, math.nan, 0.4, 0.4], 5, "not finite"),
        ([0.41, 0.4, 0.4, 0.4], 7, "over"),
    ],
)
def test_an_anneal_that_diverges_is_broken_off(run, scores, stopped, says):
    life = LifeCycle(STILL, Patience(1, after_growth=0), Finish(share=0.5, least_checks=4))
    played = run()
    if says.startswith("over (40"):  # measured on all of val the net it went back to is at 0.5, too
        played.play(life, [1.0, 0.9, 0.4, 0.5])
        played.measure(0.5)
        played.rows[4] = replace(played.rows[4], event=replace(played.rows[4].event, full_val=FullVal(0.5, 0.2, 0.5)))
        played.decide(life)
        played.play(life, scores[1:])
    else:
        played.play(life, [1.0, 0.9, 0.4, 0.5, *scores])
    assert played.acted() == [(3, "anneal"), (stopped, "stop")]
    assert says in played.rows[-1].reason


def test_the_anneal_starts_in_time_to_fit_into_the_budget(run):
    life = LifeCycle(STILL, NeverStop(), Finish())
    played = run(max_steps=200).play(life, [1.0 - 0.01 * i for i in range(40)])
    anneal = next(row for row in played.rows if isinstance(row.action, Anneal))
    assert anneal.step == 140
    assert anneal.action == Anneal(13, 60)
    assert played.rows[-1].step == 200
    assert played.rows[-1].action == Stop()
    assert stop_reason(played.rows).endswith(
        "the budget of 200 steps leaves 60 steps (a check takes 10, the anneal 60)"
    )


@pytest.mark.parametrize("max_steps", [1, 10, 11, 19, 20, 29, 30, 55, 99])
def test_short_budgets_are_kept_and_used(run, max_steps):
    played = run(max_steps=max_steps).play(LifeCycle(STILL, NeverStop()), [1.0 - 0.01 * i for i in range(40)])
    assert isinstance(played.rows[-1].action, Stop)
    assert played.rows[-1].step == max(10, max_steps // 10 * 10)  # the first check is what it is


def test_run_budgets_of_flops_and_seconds_include_the_anneal(run):
    life = LifeCycle(STILL, NeverStop(), budget=Budget(train_flops=20 * 10560))
    played = run().play(life, [1.0 - 0.01 * i for i in range(40)])
    assert [word for _, word in played.acted()] == ["anneal", "stop"]
    assert played.rows[-1].train_flops == 20 * 10560
    assert "train_flops" in stop_reason(played.rows)
    life = replace(life, budget=Budget(seconds=10.0))
    played = run().play(
        life, [1.0 - 0.01 * i for i in range(40)], timing=[{"seconds": 0.5 * (i + 1)} for i in range(40)]
    )
    assert played.rows[-1].timing["seconds"] == 10.0


def test_the_tightest_budget_counts(run):
    for steps, flops, ends in ((200, 10 * 10560, 100), (100, 20 * 10560, 100)):
        life = LifeCycle(STILL, NeverStop(), budget=Budget(train_flops=flops))
        assert run(max_steps=steps).play(life, [1.0 - 0.01 * i for i in range(40)]).rows[-1].step == ends


def test_an_anneal_that_becomes_too_slow_for_the_budget_is_cut_short(run):
    seconds = [0.5 * (i + 1) for i in range(14)] + [9.0, 11.0]  # the machine gets four times as slow
    life = LifeCycle(STILL, NeverStop(), budget=Budget(seconds=10.0))
    played = run().play(life, [1.0 - 0.01 * i for i in range(16)], timing=[{"seconds": s} for s in seconds])
    assert played.acted() == [(13, "anneal"), (14, "stop")]
    assert "10 of 60 steps into the anneal the budget is spent" in played.rows[-1].reason


@pytest.mark.parametrize("stop", [NeverStop(), Patience(99)])
def test_with_stop_never_only_the_budget_ends_the_run(run, stop):
    """The score rises in the anneal: a stop rule saves the rest of it, without one what was granted is used."""
    scores = [1.0 - 0.01 * i for i in range(14)] + [2.0] * 20
    played = run(max_steps=200).play(LifeCycle(STILL, stop, Finish()), scores)
    assert played.acted() == [(13, "anneal"), (19 if stop == NeverStop() else 14, "stop")]
    assert deliverable(played.rows) == 13


@up_to(150)
@given(
    scores=st.lists(st.floats(0.01, 3.0), min_size=200, max_size=200),
    budget=st.integers(2 * 10560, 190 * 10560),
    growth=st.sampled_from([LifeCycle().growth, ALWAYS, STILL]),
    finish=st.sampled_from([Finish(), Finish(0.5), NoFinish()]),
)
def test_a_budget_of_flops_is_kept_and_used_up_to_one_check(run, scores, budget, growth, finish):
    """Whatever the losses do, and however much smaller the net is that the anneal goes back to."""
    played = run().play(LifeCycle(growth, NeverStop(), finish, Budget(train_flops=budget)), scores)
    assert isinstance(played.rows[-1].action, Stop)
    dearest = max(3 * 10 * row.flops_per_sample for row in played.rows)
    assert budget - dearest < played.rows[-1].train_flops <= budget


def test_one_slow_check_does_not_start_the_anneal_too_early(run):
    """A check that took ten times as long (another program, a checkpoint) says nothing about those to come."""
    seconds = [0.5 * (i + 1) + 4.5 * (i >= 9) for i in range(40)]
    life = LifeCycle(STILL, NeverStop(), budget=Budget(seconds=20.0))
    played = run().play(life, [1.0 - 0.01 * i for i in range(40)], timing=[{"seconds": s} for s in seconds])
    assert played.acted() == [(21, "anneal"), (30, "stop")]
    assert played.rows[-1].timing["seconds"] == 20.0


def test_a_growth_must_leave_enough_for_the_anneal(run):
    """At check 1: 21,120 FLOPs spent; a check and the anneal of two take 31,680 more as the net is,
    47,520 once grown.
    """
    for budget, grows in ((68640, True), (68639, False), (60000, False)):
        life = LifeCycle(ALWAYS, NeverStop(), budget=Budget(train_flops=budget))
        assert run().play(life, [1.0, 0.9]).acted() == ([(1, "widen")] if grows else [])


def test_the_stop_rule_comes_before_growth_and_the_anneal_before_both(run):
    life = LifeCycle(ALWAYS, Patience(2, after_growth=0), Finish())
    played = run().play(life, [1.0] * 9)
    assert played.acted() == [(1, "widen"), (2, "anneal"), (4, "stop")]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([math.nan], [(0, "stop")]),  # nothing to go back to
        ([1.0, math.inf, 0.9, 0.9], [(1, "anneal"), (3, "stop")]),
        ([1.0, math.nan, math.nan], [(1, "anneal"), (2, "stop")]),
    ],
)
def test_losses_that_are_not_finite_end_the_run_at_the_best_net(run, scores, expected):
    played = run().play(LifeCycle(ALWAYS), scores)
    assert [item for item in played.acted() if item[1] != "widen"] == expected
    assert "not finite" in stop_reason(played.rows)
    if expected[0][1] == "anneal":
        assert played.rows[expected[0][0]].action.back_to == 0
    finite = [row for row in played.rows if row.finite()]
    assert deliverable(played.rows) == (min(finite, key=lambda row: row.score).check if finite else None)


def anneal_of(run, errors, scores, *, full_val=None):
    """Best at check 1 (score 0.5, error 0.2), anneal from check 3 on with the given errors and scores."""
    played = run()
    for score in (1.0, 0.5, 0.6):
        played.measure(score, val_error=0.4 * score)
    played.rows[-1] = replace(played.rows[-1], action=Anneal(1, 10 * len(errors)))
    for i, (error, score) in enumerate(zip(errors, scores, strict=True)):
        played.measure(score, val_error=error)
        if i == 0:
            played.rows[-1] = replace(played.rows[-1], event=replace(played.rows[-1].event, full_val=full_val))
    return played.rows


@pytest.mark.parametrize(
    ("errors", "scores", "full_val", "expected"),
    [
        ([0.3, 0.3], [0.4, 0.4], None, 1),  # error comes before score
        ([0.19, 0.18], [0.9, 0.9], None, 4),
        ([0.2, 0.2], [0.5, 0.49], None, 4),  # ties: the score
        ([0.2, 0.2], [0.5, 0.5], None, 1),  # ties: the earliest
        ([0.19, 0.3], [0.5, 0.5], FullVal(0.6, 0.18, 0.6), 1),
        ([0.22, 0.3], [0.5, 0.5], FullVal(0.4, 0.25, 0.4), 3),
        ([0.2, 0.3], [0.55, 0.5], FullVal(0.5, 0.2, 0.6), 3),
        ([math.nan, 0.3], [0.1, 0.1], None, 1),
        ([0.1, 0.3], [math.nan, 0.1], None, 1),  # not finite: not handed back
    ],
)
def test_what_is_handed_back(run, errors, scores, full_val, expected):
    assert deliverable(anneal_of(run, errors, scores, full_val=full_val)) == expected


@pytest.mark.parametrize(
    ("own", "of_target", "expected"),
    [
        ([0.35, 0.3, 0.2, 0.5, 0.4], None, 1),  # check 2 is not among the candidates of an anneal
        ([0.35, 0.3, 0.2, 0.2, 0.2], None, 3),
        ([0.35, 0.3, 0.2, 0.2, 0.1], None, 4),
        ([0.35, 0.3, 0.2, 0.2, 0.25], 0.1, 1),  # as measured on all of val
        ([0.35, 0.3, 0.2, math.nan, 0.25], 0.4, 4),
    ],
)
def test_a_metric_of_its_own_takes_the_place_of_the_error(run, own, of_target, expected):
    full_val = None if of_target is None else FullVal(0.5, 0.0, 0.5, of_target)
    rows = anneal_of(run, [0.9, 0.9], [0.5, 0.5], full_val=full_val)  # by the error the target would win
    assert deliverable([replace(row, judged=value) for row, value in zip(rows, own, strict=True)]) == expected


def test_before_an_anneal_a_metric_of_its_own_chooses_among_all_checks(run):
    played = run()
    for score in (1.0, 0.5, 0.6):
        played.measure(score, val_error=score)
    rows = [replace(row, judged=value) for row, value in zip(played.rows, (0.3, 0.3, 0.2), strict=True)]
    assert return_target(rows) == 1  # where an anneal would start, the loss decides
    assert deliverable(rows) == 2
    assert deliverable(rows[:2]) == 1  # equally good: the score
    assert deliverable([replace(row, judged=None) for row in rows]) == 1


def test_what_a_row_is_judged_by_survives_the_ledger_and_is_left_out_where_there_is_none(run):
    played = run().play(LifeCycle(), [1.0])
    (row,) = played.rows
    assert "judged" not in row.to_plain()
    judged = replace(row, judged=0.25)
    assert Row.from_plain(judged.to_plain()) == judged
    found = anneal_of(run, [0.1], [0.1], full_val=FullVal(0.5, 0.2, 0.5, 0.3))[3].event
    assert Event.from_plain(found.to_plain()) == found


def test_without_an_error_the_score_decides(run):
    rows = [replace(row, val_error=math.nan) for row in anneal_of(run, [0.0, 0.0], [0.45, 0.4])]
    assert deliverable(rows) == 4


def test_the_best_net_may_lie_on_an_undone_branch(run):
    life = LifeCycle(Trial(ALWAYS, checks=1, gain=0.5, rest=9, give_up=9), Patience(3, after_growth=0), NoFinish())
    played = run().play(life, [1.0, 1.0, 0.9, 1.0, 1.0, 1.0, 1.0])
    assert played.acted()[:2] == [(1, "widen"), (2, "undo")]
    assert return_target(played.rows) == deliverable(played.rows) == 2


def test_an_interrupted_run_says_so(run):
    played = run().play(LifeCycle(), [1.0, 0.9])
    assert stop_reason(played.rows) == "interrupted at check 1"
    assert return_target([]) is deliverable([]) is None


@up_to(150)
@given(
    scores=st.lists(
        st.one_of(st.floats(0.01, 3.0), st.sampled_from([math.nan, math.inf, 0.5, 1.0])), min_size=1, max_size=60
    ),
    gap=st.floats(-0.2, 0.5),
    max_steps=st.one_of(st.none(), st.integers(1, 600)),
    growth=st.sampled_from([LifeCycle().growth, ALWAYS, Trial(ALWAYS, checks=2, rest=1), STILL]),
    finish=st.sampled_from([Finish(), Finish(refit=True), NoFinish()]),
)
def test_every_life_is_orderly(run, scores, gap, max_steps, growth, finish):
    """Within the budget, one anneal at most, no growth after it, a growth only from finite losses, the best is kept."""
    life = LifeCycle(growth, Patience(4, after_growth=5), finish)
    played = run(max_steps=max_steps).play(life, scores, train_loss=[s * (1 - gap) for s in scores])
    words = [word for _, word in played.acted()]
    assert words.count("stop") <= 1
    assert words.count("anneal") <= (1 if isinstance(finish, Finish) else 0)
    if "anneal" in words:
        assert words[words.index("anneal") + 1 :] in ([], ["stop"], ["refit"], ["refit", "stop"])
    if max_steps is not None:
        assert played.rows[-1].step <= max(max_steps, 10)
    for row in played.rows:
        assert row.finite() or not isinstance(row.action, Widen)
    finite = [row for row in played.rows if row.finite()]
    assert (deliverable(played.rows) is None) == (not finite)
    assert [
        life([*played.rows[:i], replace(row, action=Keep(), reason="")], options(run, played, i)).action
        for i, row in enumerate(played.rows)
    ] == [row.action for row in played.rows]


def options(run, played, i):
    return run(max_steps=played.max_steps, rows=played.rows[: i + 1]).options()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Patience(0), r"stop\.checks.*0"),
        (lambda: Patience(after_growth=-1), r"after_growth.*-1"),
        (lambda: Patience(improvement=1.0), r"improvement.*1\.0"),
        (lambda: Patience(passes=-1.0), r"stop\.passes.*-1"),
        (lambda: Patience(passes=math.inf), r"stop\.passes.*inf"),
        (lambda: GapStop(0.0), r"max_gap.*0\.0"),
        (lambda: Finish(share=0.0), r"share.*0\.0"),
        (lambda: Finish(share=1.0), r"share.*1\.0"),
        (lambda: Finish(least_checks=0), r"least_checks.*0"),
        (lambda: Finish(tolerance=1.1), r"tolerance.*1\.1"),
    ],
)
def test_nonsense_is_refused_with_its_name_and_value(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_an_anneal_is_a_share_of_the_steps_or_of_the_flops(run):
    growth = Growth(FixedSchedule((9,)), AllHidden(), Factor(4.0, cap=4096))
    lengths = {}
    for of in ("steps", "flops"):
        played = run(widths={"h0": 16, "h1": 16}, max_steps=400)
        played.play(LifeCycle(growth, NeverStop(), Finish(0.3, of=of)), [1 / (1 + check) for check in range(60)])
        annealed = next(row for row in played.rows if isinstance(row.action, Anneal))
        rows = played.rows[: annealed.check + 1]
        lengths[of] = (annealed.action.steps, rows)
    steps, rows = lengths["steps"]
    assert steps == pytest.approx(0.3 / 0.7 * rows[-1].step, abs=10)
    steps, rows = lengths["flops"]
    worth = rows[-1].train_flops / (rows[-1].train_flops - rows[-2].train_flops) * 10
    assert steps == pytest.approx(0.3 / 0.7 * worth, abs=10)
    assert steps < lengths["steps"][0]


def test_what_an_anneal_is_a_share_of_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"finish\.of 'flop' is unknown; did you mean 'flops'"):
        Finish(of="flop")
