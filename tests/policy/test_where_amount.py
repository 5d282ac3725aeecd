"""Where and how much: widths and turns in, actions out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autogrow.errors import ConfigError
from autogrow.policy import (
    AllHidden,
    Cycle,
    EarlyRamp,
    Factor,
    Fixed,
    Growth,
    ProportionalToGain,
    RandomSite,
    RoundRobin,
    WidestGain,
)
from autogrow.policy.history import Cost, Deepen, Options, Widen

GROWING = EarlyRamp(every=1, until=1000)


@pytest.mark.parametrize(
    ("amount", "size", "expected"),
    [
        (Factor(1.5, multiple=8, cap=256), 16, 24),
        (Factor(1.5, multiple=8, cap=256), 24, 40),  # 36, rounded up
        (Factor(1.5, multiple=8, cap=256), 216, 256),  # 324, capped
        (Factor(1.5, multiple=8, cap=250), 216, 250),  # a cap that is no multiple is still the cap
        (Factor(1.5, multiple=8, cap=256), 256, 256),
        (Factor(1.5, multiple=8, cap=256), 300, 300),  # never shrinks
        (Factor(1.5, multiple=1, cap=512), 17, 26),  # ceil(25.5)
        (Factor(1.1, multiple=1, cap=512), 50, 55),  # 55.00000000000001 as a product
        (Factor(1.0001, multiple=1, cap=512), 10, 11),
        (Fixed(16, multiple=1, cap=256), 20, 36),
        (Fixed(16, multiple=8, cap=256), 20, 40),
        (Fixed(16, multiple=8, cap=32), 20, 32),
    ],
)
def test_amounts(run, amount, size, expected):
    assert amount("h0", run(widths={"h0": size}).options()) == expected


def test_proportional_amounts_follow_the_scores(run):
    options = run(
        widths={"a": 16, "b": 16, "c": 16, "d": 16, "e": 16}, scores={"a": 4.0, "b": 2.0, "c": 0.0, "d": -1.0}
    ).options()
    amount = ProportionalToGain(2.0, multiple=1, cap=256)
    assert [amount(site, options) for site in "abcde"] == [32, 24, 16, 16, 16]
    assert [amount(site, replace(options, scores={})) for site in "abcde"] == [16] * 5


def shapes(run, where, checks, *, amount=None, widths=None, **options):
    """The widths after each of `checks` growths, one at every check."""
    played = run(widths=widths or {"h0": 16}, **options)
    played.play(Growth(GROWING, where, amount or Factor()), [1.0] * (checks + 2))
    return ["-".join(map(str, row.widths.values())) for row in played.rows[2:]], played


def test_the_cycle_of_the_recipe(run):
    """D W W W D W W W from 16: two deepenings, then every width up to the cap, and no growth after that."""
    grown, played = shapes(run, Cycle("DWWWDWWW", max_depth=3), 12, amount=Factor(cap=256))
    assert grown == [
        "16-16",
        "24-24",
        "40-40",
        "64-64",
        "64-64-64",
        "96-96-96",
        "144-144-144",
        "216-216-216",
        "256-256-256",  # a D at full depth is read as W
        "256-256-256",
        "256-256-256",
        "256-256-256",
    ]
    assert "every width is at the cap of 256" in played.rows[-1].reason
    assert "3 deep (at most 3" in played.rows[-1].reason


@pytest.mark.parametrize(
    ("where", "widths", "expected"),
    [
        (Cycle("W"), {"h0": 256}, None),
        (Cycle("WD", max_depth=2), {"h0": 256}, Deepen("h0", "identity")),  # at the cap, the cycle has a D: deepen
        (Cycle("D", max_depth=1), {"h0": 16}, None),  # no W to fall back on
        (Cycle("D W", max_depth=1), {"h0": 16}, Widen({"h0": 24})),
        (Cycle("DW", max_depth=3), {"h0": 16, "h1": 32}, Deepen("h1", "identity")),  # behind the last place
        (AllHidden(), {"h0": 16, "h1": 256}, Widen({"h0": 24})),  # what is at the cap is left out
        (AllHidden(), {"h0": 256}, None),
        (AllHidden(), {}, None),
        (RoundRobin(), {"h0": 256, "h1": 32}, Widen({"h1": 48})),
        (RoundRobin(), {"h0": 256, "h1": 256}, None),
        (RandomSite(max_depth=1), {"h0": 16}, Widen({"h0": 24})),
        (RandomSite(max_depth=1), {"h0": 256}, None),
    ],
)
def test_proposals(run, where, widths, expected):
    played = run(widths=widths)
    played.measure(1.0)
    proposal = where(played.rows, played.options(), Factor())
    assert proposal.action == expected


@pytest.mark.parametrize(
    ("depths", "expected"),
    [
        ({"a": ("identity", "residual"), "b": ("residual",)}, Deepen("b", "residual")),
        ({"a": ("residual", "identity"), "b": ()}, Deepen("a", "identity")),
        ({"b": ()}, Widen({"h0": 24})),
        ({}, Widen({"h0": 24})),
    ],
)
def test_a_layer_goes_behind_the_last_place_in_the_kind_that_is_exact_there(run, depths, expected):
    played = run()
    played.measure(1.0)
    assert Cycle("DW")(played.rows, replace(played.options(), depths=depths), Factor()).action == expected


def test_round_robin_takes_turns(run):
    grown, _ = shapes(run, RoundRobin(), 4, widths={"h0": 16, "h1": 16, "h2": 16})
    assert grown == ["24-16-16", "24-24-16", "24-24-24", "40-24-24"]


def test_widest_gain_takes_the_largest_gain_per_added_flop(run):
    """Costs are made up: a layer behind h0 costs 100, widening h0 1000, h1 200."""
    added = {"h0": 1000, "h1": 200, "behind": 100}

    def cost(action):
        site = action.after if isinstance(action, Deepen) else next(iter(action.widths))
        return Cost(10, now + added[site])

    played = run(widths={"h0": 16, "h1": 16})
    now = played.measure(1.0).flops_per_sample
    options = Options(widths=played.widths, depths={"behind": ("identity",)}, cost=cost)
    for scores, expected in (
        ({"h0": 10.0, "h1": 1.9, "behind": 0.9}, Widen({"h0": 24})),
        ({"h0": 9.0, "h1": 1.9, "behind": 0.8}, Widen({"h1": 24})),
        ({"h0": 9.0, "h1": 1.9, "behind": 0.96}, Deepen("behind", "identity")),
        ({"h0": -1.0, "h1": 0.0}, None),
        ({}, None),
    ):
        assert WidestGain()(played.rows, replace(options, scores=scores), Factor()).action == expected
    deep = WidestGain(max_depth=2)(played.rows, replace(options, scores={"h0": 1.0, "behind": 9.0}), Factor())
    assert deep.action == Widen({"h0": 24})


def test_random_sites_are_drawn_by_seed_and_check(run):
    def draws(seed):
        return shapes(run, RandomSite(seed), 8, widths={"h0": 16, "h1": 16}, amount=Factor(cap=10**6))[0]

    assert draws(0) == draws(0)
    assert len({tuple(draws(seed)) for seed in range(5)}) > 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Factor(1.0), r"factor.*1\.0"),
        (lambda: Factor(multiple=0), r"multiple.*0"),
        (lambda: Fixed(0), r"add.*0"),
        (lambda: Fixed(cap=0), r"cap.*0"),
        (lambda: ProportionalToGain(0.5), r"factor.*0\.5"),
        (lambda: Cycle("WXD"), r"'WXD'"),
        (lambda: Cycle(""), r"D and W"),
        (lambda: Cycle(max_depth=0), r"max_depth.*0"),
        (lambda: WidestGain(max_depth=0), r"max_depth.*0"),
        (lambda: RandomSite(max_depth=-1), r"max_depth.*-1"),
    ],
)
def test_nonsense_is_refused_with_its_name_and_value(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
