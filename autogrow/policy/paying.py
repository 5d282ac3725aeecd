"""Whether what is on trial has paid: the score since, beside the best before."""

from __future__ import annotations

from autogrow.policy.history import History
from autogrow.policy.signals import best, threshold
from autogrow.policy.verdict import Verdict


def has_paid(before: float, since: History, gain: float, *, when: str = "") -> Verdict:
    """Whether the best score of the rows `since` is below (1 − `gain`) × the score `before`; where it is not, the
    reason says so: 'the best score 0.953 is not below 0.9256'. when: what stands behind the score there.
    """
    wanted, now = threshold(before, relative=gain), best(since)
    found = "no finite score" if now is None else f"the best score {now.score:.4g}"
    return Verdict(now is not None and now.score < wanted, f"{found}{when} is not below {wanted:.4g}")
