"""A verdict: the small answer of a rule that says yes or no, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """Whether a rule fires, and why (or why not), in words that hold the numbers it saw."""

    fires: bool
    reason: str


def checks(count: int) -> str:
    """A count of checks in words.

    >>> checks(1), checks(3)
    ('1 check', '3 checks')
    """
    return f"{count} check" if count == 1 else f"{count} checks"
