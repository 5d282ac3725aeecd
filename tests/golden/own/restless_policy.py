"""A growth policy of a user's own, written against the public contract alone: (history, options) → Decision."""

from __future__ import annotations

from dataclasses import dataclass

from autogrow.policy.history import Decision, Deepen, History, Keep, Options, Widen


@dataclass(frozen=True)
class Restless:
    """Grow every `every` checks, up to `growths` times: first wider by half, then deeper, and so on by turns."""

    every: int = 3
    growths: int = 4

    def __call__(self, history: History, options: Options) -> Decision:
        done = sum(isinstance(row.action, (Widen, Deepen)) for row in history)
        if done >= self.growths or len(history) < self.every * (done + 1):
            return Decision(Keep(), f"kept, because {done} growths were done by check {history[-1].check}")
        if done % 2 and options.depths:
            place, kinds = next(iter(options.depths.items()))
            return Decision(Deepen(place, kinds[0]), f"deepened behind {place}: growth {done}")
        wider = {name: size + size // 2 for name, size in options.widths.items()}
        cost = options.cost(Widen(wider))
        return Decision(Widen(wider), f"widened to {list(wider.values())}: growth {done}, {cost.parameters} parameters")
