"""When to grow, by first-order gain: once new units promise more per FLOP than the weights that are there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from autogrow.errors import ConfigError, nearest
from autogrow.policy.history import Deepen, History, Options, Widen
from autogrow.policy.signals import branch, checks_since_growth
from autogrow.policy.verdict import Verdict, checks
from autogrow.policy.where import deepen_at, gain_per_flop


@dataclass(frozen=True)
class Score:
    """Grow when the best candidate gains more per FLOP than training the existing weights does.

    `options.scores` holds the first-order decrease of the loss that growing each site promises, `measured['existing_gain']` that of
    the existing weights, in the same unit. Fires when max over candidates of score / added FLOPs is above `ratio` × existing
    gain / FLOPs now, at least `cooldown` checks after a growth. A width's FLOPs are those added by `factor`. The idea is that of
    Self-Expanding Neural Networks (Mitchell et al., arXiv 2307.04526): grow where the gain over the current one exceeds a threshold.
    """

    ratio: float = 1.0
    cooldown: int = 3
    factor: float = 1.5
    needs: ClassVar[frozenset[str]] = frozenset({"scores", "existing_gain"})

    def __post_init__(self) -> None:
        if not self.ratio > 0:
            raise ConfigError(f"growth.when.ratio must be above 0, got {self.ratio}")
        if not self.factor > 1:
            raise ConfigError(f"growth.when.factor must be above 1, got {self.factor}")

    def __call__(self, history: History, options: Options) -> Verdict:
        """Yes when a candidate beats the existing weights."""
        since = checks_since_growth(branch(history))
        if since is not None and since < self.cooldown:
            return Verdict(False, f"only {checks(since)} passed since the last growth (cooldown {self.cooldown})")
        if "existing_gain" not in options.measured:
            raise ConfigError(
                f"growth.when=score watches 'existing_gain', which is not recorded; {nearest('existing_gain', options.measured)}"
            )
        if not options.scores:
            return Verdict(False, f"there are 0 candidates with a score at check {history[-1].check}")
        gains = {site: self._gain(site, history, options) for site in options.scores}
        site = max(gains, key=lambda name: gains[name])
        existing = options.measured["existing_gain"] / max(1, history[-1].flops_per_sample)
        fires = gains[site] > self.ratio * existing
        return Verdict(
            fires,
            f"growing {site} gains {gains[site]:.4g} per FLOP, {'' if fires else 'not '}above {self.ratio:g} × {existing:.4g} of the existing weights",
        )

    def _gain(self, site: str, history: History, options: Options) -> float:
        if site in options.widths:
            size = options.widths[site]
            action: Widen | Deepen | None = Widen({site: max(size + 1, math.ceil(self.factor * size))})
        else:
            action = deepen_at(site, options)
        return 0.0 if action is None else gain_per_flop(action, site, history, options)
