"""Whether a narrow start pays: the share of a run's FLOPs that a net saves while it is narrower than it is going to be.

A net that widens learns as well as one that was wide from the start on narrow inputs, and a little worse on wide ones
(Fashion-MNIST: 0.2 points), where the start is wide already and little is left to save. So widths grow where that saves
enough, and else start as wide as they may become; depth grows in either case. All of it is reckoned from widths: a net
with hidden widths w costs about w/cap of one at the cap (exactly so with one hidden layer).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autogrow.policy.amount import Amount
from autogrow.policy.history import COARSE, Cost, History, Options
from autogrow.policy.signals import branch

RUN = 40
"""Checks of a usual run, anneal and refit included (34 to 59 on Fashion-MNIST)."""

WAIT = 3
"""Checks that a width stays, where no growth has told yet: the default's cooldown."""


def saved_by_start(width: int, amount: Amount, *, checks: float) -> float:
    """The share of a run of so many checks that starting at `width` would save, up to the cap.

    >>> from autogrow.policy.amount import Factor
    >>> [round(saved_by_start(width, Factor(1.5, 8, 168), checks=40), 3) for width in (32, 64, 128, 168)]
    [0.182, 0.089, 0.018, 0.0]
    """
    return _still_to_save({"first": width}, amount, WAIT) / checks


def saved_by_waiting(history: History, options: Options, amount: Amount) -> float:
    """The share of the run that its narrow start saves: up to now, and on the way to the cap if growth goes on so."""
    rows = branch(history)
    stays = len(rows) / (1 + sum(isinstance(row.action, COARSE) for row in rows[:-1]))
    past = sum(_missing(row.widths, amount.cap) for row in rows)
    after = {name: amount(name, options) for name in options.widths}
    return (past + _still_to_save(after, amount, stays)) / planned_checks(options.max_steps, options.steps_per_check)


def planned_checks(max_steps: float | None, steps_per_check: int) -> float:
    """How many checks a run is taken to have: the usual ones, or what its limit of steps leaves."""
    return RUN if max_steps is None else max(1.0, min(RUN, max_steps / steps_per_check))


def _missing(widths: Mapping[str, int], cap: int) -> float:
    """The share of the cap that the widths leave out, on average."""
    return sum(max(0.0, 1 - size / cap) for size in widths.values()) / max(1, len(widths))


def _still_to_save(widths: Mapping[str, int], amount: Amount, stays: float) -> float:
    """What is saved from here to the cap, in checks of the net at the cap, if each width stays so many checks."""
    saved = 0.0
    for sizes in _way(widths, amount):
        saved += stays * _missing(sizes, amount.cap)
    return saved


def _way(widths: Mapping[str, int], amount: Amount) -> Sequence[Mapping[str, int]]:
    """The widths, one growth after another, until none of them changes."""
    way = [widths]
    while True:
        now = Options(widths=way[-1], depths={}, cost=lambda _: Cost(0, 0))
        following = {name: amount(name, now) for name in way[-1]}
        if following == way[-1]:
            return way
        way.append(following)
