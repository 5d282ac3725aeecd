"""When to grow, by first-order gain: once new units promise more per FLOP than training on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from autogrow.errors import ConfigError
from autogrow.policy.history import Deepen, History, Options, Widen
from autogrow.policy.signals import branch, checks_since_growth, lowest_score
from autogrow.policy.verdict import Verdict, checks
from autogrow.policy.where import deepen_at, gain_per_flop


@dataclass(frozen=True)
class Score:
    """Grow when the best candidate gains more per FLOP than training the existing weights still does.

    `options.scores` holds the decrease of the loss that growing each site promises; what training gains is the fall of
    the best score per check over the last `window` checks. Fires when max over candidates of score / added FLOPs is
    above `ratio` × fall per check / FLOPs of the net, at least `cooldown` checks after a growth. A width's FLOPs are
    those added by `factor`. The idea is that of Self-Expanding Neural Networks (Mitchell et al., arXiv 2307.04526):
    grow where the gain of growing over that of not growing exceeds a threshold; its natural-gradient score is replaced
    by the scores that are shown.
    """

    ratio: float = 1.0
    cooldown: int = 3
    window: int = 3
    factor: float = 1.5
    needs: ClassVar[frozenset[str]] = frozenset({"scores"})

    def __post_init__(self) -> None:
        if not self.ratio > 0:
            raise ConfigError(f"growth.when.ratio must be above 0, got {self.ratio}")
        if not self.factor > 1:
            raise ConfigError(f"growth.when.factor must be above 1, got {self.factor}")
        if self.window < 1:
            raise ConfigError(f"growth.when.window must be at least 1, got {self.window}")

    def __call__(self, history: History, options: Options) -> Verdict:
        """Yes when a candidate beats training on."""
        rows = branch(history)
        since = checks_since_growth(rows)
        if since is not None and since < self.cooldown:
            return Verdict(False, f"only {checks(since)} passed since the last growth (cooldown {self.cooldown})")
        if len(rows) <= self.window:
            return Verdict(False, f"only {checks(len(rows))} passed (the fall is taken over {self.window})")
        if not options.scores:
            return Verdict(False, f"there are 0 candidates with a score at check {history[-1].check}")
        gains = {site: self._gain(site, history, options) for site in options.scores}
        site = max(gains, key=lambda name: gains[name])
        fall = (lowest_score(rows[: -self.window]) - lowest_score(rows)) / self.window
        training = self.ratio * fall / max(1, history[-1].flops_per_sample)
        fires = gains[site] > training
        return Verdict(
            fires,
            f"growing {site} gains {gains[site]:.4g} per FLOP, {'' if fires else 'not '}more than {self.ratio:g} × training, "
            f"{training:.4g} (the score falls by {fall:.4g} a check)",
        )

    def _gain(self, site: str, history: History, options: Options) -> float:
        if site in options.widths:
            size = options.widths[site]
            action: Widen | Deepen | None = Widen({site: max(size + 1, math.ceil(self.factor * size))})
        else:
            action = deepen_at(site, options)
        return 0.0 if action is None else gain_per_flop(action, site, history, options)
