"""Widths grow where a narrow start pays, and start at the cap where it does not; the reason holds the number."""

from __future__ import annotations

import pytest

from autogrow.errors import ConfigError
from autogrow.policy import AllHidden, Cycle, EarlyRamp, Factor, Fixed, Growth, LossPaced, Never
from autogrow.policy.event import Continued, Event
from autogrow.policy.history import Deepen, Widen
from autogrow.policy.life import recipe_growth
from autogrow.policy.needs import first_width
from autogrow.policy.waiting import planned_checks, saved_by_waiting

PAYS = Cycle(worth=0.05)


@pytest.mark.parametrize(
    ("growth", "width", "checks", "expected"),
    [
        (recipe_growth(), 32, 40, 32),
        (recipe_growth(), 64, 40, 64),
        (recipe_growth(), 128, 40, 168),
        (recipe_growth(), 128, 10, 128),  # of a short run the same wait is a larger share
        (Growth(LossPaced(), PAYS, Factor(cap=512)), 128, 40, 128),  # there is far to go
        (Growth(LossPaced(), PAYS, Factor(cap=128)), 128, 40, 128),
        (Growth(LossPaced(), PAYS, Fixed(add=16, cap=168)), 128, 40, 168),  # small steps save more, and too little
        (Growth(LossPaced(), PAYS, Fixed(add=8, cap=168)), 128, 40, 128),
        (Growth(LossPaced(), Cycle("W", worth=0.05)), 128, 40, 128),  # nothing would be left to grow
        (Growth(LossPaced(), Cycle(max_depth=1, worth=0.05)), 128, 40, 128),
        (
            Growth(LossPaced(), Cycle("D", worth=0.05)),
            128,
            40,
            128,
        ),  # no width grows: it is as wide as it is asked to be
        (Growth(LossPaced(), Cycle()), 128, 40, 128),
        (Growth(LossPaced(), AllHidden()), 128, 40, 128),
        (Growth(Never(), PAYS), 128, 40, 128),
    ],
)
def test_a_run_starts_narrow_only_where_that_pays(growth, width, checks, expected):
    assert first_width(growth, width, checks) == expected


@pytest.mark.parametrize(("limit", "checks"), [(None, 40), (300, 15), (10_000, 40), (5, 1)])
def test_a_limit_of_steps_shortens_what_is_planned(limit, checks):
    assert planned_checks(limit, 20) == checks


def grown(run, widths, *, checks=3, where=PAYS, **options):
    played = run(widths=widths, **options)
    for _ in range(checks - 1):
        played.measure(1.0)
    played.measure(1.0)
    return played, Growth(EarlyRamp(1, 1000), where)(tuple(played.rows), played.options())


@pytest.mark.parametrize(
    ("width", "kind", "said"),
    [
        (32, Widen, "saves 18 % of the run, at least the 5 %"),
        (128, Deepen, "saves 1.8 % of the run, less than the 5 %"),
    ],
)
def test_a_width_that_saves_too_little_is_left_and_the_reason_says_how_little(run, width, kind, said):
    _, decision = grown(run, {"h0": width})
    assert isinstance(decision.action, kind)
    assert said in decision.reason


def test_without_a_worth_nothing_is_reckoned(run):
    _, decision = grown(run, {"h0": 128}, where=Cycle())
    assert isinstance(decision.action, Widen)
    assert "narrow" not in decision.reason


def test_a_long_wait_is_worth_what_it_has_saved(run):
    """Of 40 checks, 9 at 128 instead of 168 are 5 % of the run."""
    kinds = [type(grown(run, {"h0": 128}, checks=checks)[1].action) for checks in (8, 9)]
    assert kinds == [Deepen, Widen]


def test_what_is_reckoned_is_what_was_saved(run):
    """Three checks at 32 and as many at 48, with 72 and 112 to come on the way to 168."""
    played = run(widths={"h0": 32})
    for _ in range(3):
        played.measure(1.0)
    played.rows[-1] = type(played.rows[-1])(**{**vars(played.rows[-1]), "action": Widen({"h0": 48})})
    for _ in range(3):
        played.measure(1.0)
    now = saved_by_waiting(played.rows, played.options(), Factor())
    missing = 3 * (1 - 32 / 168) + 3 * (1 - 48 / 168) + 3 * (1 - 72 / 168) + 3 * (1 - 112 / 168)
    assert now == pytest.approx(missing / 40)


def test_a_net_that_goes_on_widens_whatever_that_saved(run):
    played, _ = grown(run, {"h0": 128})
    event = Event(Continued("net.ckpt", {"train": 100}, 50, 0, 0))
    played.rows[0] = type(played.rows[0])(**{**vars(played.rows[0]), "event": event})
    decision = Growth(EarlyRamp(1, 1000), PAYS)(tuple(played.rows), played.options())
    assert isinstance(decision.action, Widen)


@pytest.mark.parametrize("worth", [-0.1, 1.0])
def test_a_worth_is_a_share(worth):
    with pytest.raises(ConfigError, match=r"growth\.where\.worth must be in \[0, 1\)"):
        Cycle(worth=worth)
