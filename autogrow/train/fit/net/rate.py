"""The learning rate as a pure function of the step and of the events so far.

No torch scheduler: growth rebuilds the optimizer, and a rate that is computed cannot be lost, rewound or loaded
wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """`base` reached after `warm` steps counted from `since`;
    decays linearly to 0 over `anneal_steps` from `anneal_from`.

    >>> Rate(base=1.0, warm=4)(0), Rate(base=1.0, warm=4)(3), Rate(base=1.0, warm=4)(100)
    (0.25, 1.0, 1.0)
    >>> Rate(base=1.0, warm=4).annealed(since=100, steps=10)(109)
    0.05
    """

    base: float
    warm: int = 0
    since: int = 0
    anneal_from: int | None = None
    anneal_steps: int = 0

    def __call__(self, step: int) -> float:
        """The rate of optimizer step `step` (0-based)."""
        if self.anneal_from is not None:
            left = 1 - (step - self.anneal_from + 0.5) / self.anneal_steps
            return self.base * max(0.0, round(left, 12))
        if self.warm <= 0:
            return self.base
        return self.base * min(1.0, (step - self.since + 1) / self.warm)

    def rewarmed(self, since: int, warm: int) -> Rate:
        """Warm up anew over `warm` steps from step `since`, as after a growth."""
        return Rate(self.base, warm, since)

    def annealed(self, since: int, steps: int) -> Rate:
        """Decay to 0 over `steps` steps from step `since`."""
        return Rate(self.base, self.warm, self.since, since, max(1, steps))

    def to_plain(self) -> dict[str, float | int | None]:
        """Plain values for a checkpoint; `Rate(**plain)` is the inverse."""
        return dict(vars(self))
