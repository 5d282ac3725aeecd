"""Growth in the resolution of the inputs: when it is due, which columns, how finely, and when it is over."""

from dataclasses import replace

import pytest

from autogrow.errors import ConfigError
from autogrow.policy import Finer, Growth, LifeCycle, Never, build_growth, options_from_plain, options_to_plain
from autogrow.policy.actions import action_from_plain, action_to_plain
from autogrow.policy.guards import GapCloses, growth_ended
from autogrow.policy.history import Column, Options, Refine, Row
from autogrow.policy.needs import by_the_clock, never_grows
from autogrow.policy.replay import recording, replay
from autogrow.policy.when import EarlyRamp, FixedSchedule
from autogrow.policy.where import AllHidden

STILL = Growth(Never(), AllHidden())
FALLING = [1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6]


def columns(**scores):
    return {name: Column(1, 32, score) for name, score in scores.items()}


class Shown:
    """A run's columns: refined ones are as fine as they may be from then on; `asked` counts looks."""

    def __init__(self, run, found):
        self.run, self.found, self.asked = run, dict(found), 0

    def __call__(self, knots):
        self.asked += 1
        done = [r.action.knots for r in self.run.rows[:-1] if isinstance(r.action, Refine)]
        refined = {name: count for knots in done for name, count in knots.items()}
        most = {n: min(c.most, knots) for n, c in self.found.items()}
        return {n: replace(c, knots=min(refined.get(n, c.knots), most[n]), most=most[n]) for n, c in self.found.items()}


def played(run, policy, found, scores=FALLING):
    played = run()
    shown = Shown(played, found)
    for score in scores:
        played.measure(score)
        options = recording(replace(played.options(), columns=shown))
        decision = policy(tuple(played.rows), options)
        plain = options_to_plain(options)
        played.rows[-1] = replace(played.rows[-1], action=decision.action, reason=decision.reason, options=plain)
    return played, shown


def refined(played):
    return [(row.check, dict(row.action.knots)) for row in played.rows if isinstance(row.action, Refine)]


def test_every_third_check_the_best_quarter_of_what_is_above_noise(run):
    found = columns(a=9, b=5, c=2, d=7, e=1)
    made, shown = played(run, Finer(STILL), found)
    assert refined(made) == [(2, {"a": 32, "d": 32}), (5, {"b": 32})]  # a quarter of five is two; c and e are noise
    assert shown.asked == 3  # looked at when due, not before
    reasons = [row.reason for row in made.rows if isinstance(row.action, Refine)]
    assert [r.split("promise ")[1].split(" (")[0] for r in reasons] == ["7 to 9 times noise", "5 times noise"]


@pytest.mark.parametrize(
    ("fall", "expected"),
    [(0.15, []), (0.3, [8]), (0.55, [5, 8]), (1.0, [2, 5, 8])],  # up to there it falls by 0.6, 0.5 and 0.2
)
def test_put_off_while_the_score_falls_well(run, fall, expected):
    scores = [1.0, 0.6, 0.4, 0.3, 0.25, 0.2, 0.18, 0.17, 0.16]
    made, _ = played(run, Finer(STILL, fall=fall, share=0.1), columns(a=9, b=8, c=7), scores)
    assert [check for check, _ in refined(made)] == expected


def test_after_a_refinement_that_brought_nothing_there_is_no_further_one(run):
    scores = [1.0, 0.95, 0.9, 0.91, 0.92, 0.899, 0.93, 0.92, 0.91, 0.8, 0.8, 0.8]  # 0.1 % is noise; 0.8 is not
    made, _ = played(run, Finer(STILL, share=0.1), columns(a=9, b=8, c=7), scores)
    assert [check for check, _ in refined(made)] == [2, 11]


def test_all_at_once(run):
    made, _ = played(run, Finer(STILL, share=1.0, above=0.0, knots=16), columns(a=9, b=5, c=0.1))
    assert refined(made) == [(2, {"a": 16, "b": 16, "c": 16})]


def test_doubling(run):
    made, _ = played(run, Finer(STILL, factor=2, knots=8, every=1), {"a": Column(1, 8, 9.0)})
    assert refined(made) == [(0, {"a": 2}), (1, {"a": 4}), (2, {"a": 8})]


def test_width_and_depth_come_first(run):
    made, _ = played(run, Finer(Growth(EarlyRamp(2, 4), AllHidden())), columns(a=9, b=9, c=9, d=9))
    words = made.acted()
    assert words[:2] == [(2, "widen"), (4, "widen")]
    assert [check for check, _ in refined(made)] == [7]  # the third check since the last growth


def test_by_turn(run):
    every_third = Growth(FixedSchedule((2, 5, 8)), AllHidden())
    found = dict.fromkeys("abcdefgh", Column(1, 32, 9.0))
    scores = [0.9**i for i in range(10)]
    first, turn = (played(run, Finer(every_third, turn=turn), found, scores)[0].acted() for turn in (False, True))
    assert first == [(2, "widen"), (5, "widen"), (8, "widen")]
    assert turn == [(2, "widen"), (5, "refine"), (8, "widen")]


def test_a_column_of_few_values_is_as_fine_as_it_can_be(run):
    found = {"a": Column(3, 3, 0.0), "b": Column(1, 32, 5.0)}
    assert refined(played(run, Finer(STILL), found)[0]) == [(2, {"b": 32})]


def test_losses_that_are_not_finite_refine_nothing(run):
    assert refined(played(run, Finer(STILL), columns(a=9), [1.0, 1.0, float("nan"), float("nan")])[0]) == []


def test_it_is_over_when_every_column_is_fine_and_the_policy_beside_has_ended(run):
    policy = Finer(STILL)
    made, _ = played(run, policy, columns(a=9), FALLING[:5])
    assert not growth_ended(policy, made.rows).fires
    made, _ = played(run, policy, columns(a=9), FALLING[:6])  # looked at again: nothing is left
    assert growth_ended(policy, made.rows).fires
    assert LifeCycle(growth=policy).phase(made.rows) == "hold"
    assert not growth_ended(Finer(Growth()), made.rows).fires  # the policy beside goes on


def test_what_it_says_of_itself():
    policy = Finer(STILL)
    assert not never_grows(policy)
    assert never_grows(STILL)
    assert not by_the_clock(policy)
    assert build_growth(Never(), AllHidden(), Growth().amount, {"g": GapCloses}, Finer) == GapCloses(Finer(STILL))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"knots": 1}, "knots must be at least 2"),
        ({"share": 0}, "share must be above 0"),
        ({"above": -1}, "above must not be negative"),
        ({"every": 0}, "every must be at least 1"),
        ({"factor": 1}, "factor must be at least 2"),
    ],
)
def test_settings_that_cannot_be(setting, words):
    with pytest.raises(ConfigError, match=words):
        Finer(STILL, **setting)


def test_a_recorded_run_is_replayed_by_its_own_policy_and_not_by_one_that_asks_more(run):
    policy = Finer(STILL)
    made, _ = played(run, policy, columns(a=9, b=5, c=2, d=7, e=1))
    again = [Row.from_plain(row.to_plain()) for row in made.rows]
    assert all(one.same for one in replay(again, policy))
    other = replay(again, Finer(STILL, knots=16))
    assert other[-1].replayed is None
    assert "16 knots" in other[-1].note


def test_plain_forms():
    action = Refine({"income": 16, "inputs[2]": (0.0, 1.0, 2.0)})
    assert action_to_plain(action)["do"] == "refine"
    assert action_from_plain(action_to_plain(action)) == action
    options = Options({}, {}, cost=lambda _: None)
    assert "columns" not in options_to_plain(recording(options))
    assert options_from_plain(options_to_plain(options)).widths == {}
