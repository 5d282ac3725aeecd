"""Growth: the answers to when, where and how much, put together into one decision with its reason.

A growth policy is anything that answers `growth(history, options) -> Decision`; guards wrap it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from autogrow.policy.amount import Amount, Factor
from autogrow.policy.history import Decision, Deepen, History, Keep, Options, Widen
from autogrow.policy.needs import by_the_clock
from autogrow.policy.verdict import Verdict
from autogrow.policy.when import When
from autogrow.policy.when_loss import LossPaced
from autogrow.policy.where import Cycle, Where


class GrowthPolicy(Protocol):
    """Whether, where and how much to grow."""

    def __call__(self, history: History, options: Options) -> Decision:
        """The decision after the history's last row: Keep, a growth, or Undo."""
        ...


@dataclass(frozen=True)
class Growth:
    """Grow where and as much as said, when said. A growth that would change nothing is no growth."""

    when: When = field(default_factory=LossPaced)
    where: Where = field(default_factory=Cycle)
    amount: Amount = field(default_factory=Factor)

    @property
    def by_the_clock(self) -> bool:
        """Whether its `when` goes by the clock."""
        return by_the_clock(self.when)

    def first_width(self, width: int, checks: float) -> int:
        """The width that a run of so many checks starts with, where its inputs call for `width`."""
        starts_at = getattr(self.where, "starts_at", None)
        return width if starts_at is None else int(starts_at(width, self.amount, checks))

    def first_depth(self, depth: int) -> int:
        """The hidden layers that a run starts with which chooses its widths itself."""
        return int(getattr(self.where, "depth", depth))

    def ended(self, history: History) -> Verdict:
        """Whether the net is as wide and as deep as it may become."""
        sizes, cap, deepest = list(history[-1].widths.values()), self.amount.cap, self.where.deepest
        full = all(size >= cap for size in sizes) and len(sizes) >= deepest
        return Verdict(full, f"widths {sizes} with a cap of {cap} and at most {max(deepest, len(sizes))} layers")

    def __call__(self, history: History, options: Options) -> Decision:
        """The decision after the history's last row."""
        now = history[-1]
        if not now.finite():
            return kept(f"the losses at check {now.check} are not finite (train {now.train_loss}, val {now.val_loss})")
        verdict = self.when(history, options)
        if not verdict.fires:
            return kept(f"because {verdict.reason}")
        proposal = self.where(history, options, self.amount)
        if proposal.action is None:
            return kept(proposal.reason)
        return Decision(
            proposal.action, f"{_done(proposal.action, options)}, because {verdict.reason}; {proposal.reason}"
        )


def build_growth(
    when: When,
    where: Where,
    amount: Amount,
    guards: Mapping[str, Callable[[GrowthPolicy], GrowthPolicy]] | None = None,
    finer: Callable[[GrowthPolicy], GrowthPolicy] | None = None,
) -> GrowthPolicy:
    """A growth policy from its parts, as a config names them.

    `guards`: wrappers that still wait for the policy they guard (in YAML: `_partial_: true`), the first innermost.
    `finer`: growth in the resolution of the inputs beside that in width and depth; guards hold for it, too.
    """
    growth: GrowthPolicy = Growth(when, where, amount)
    if finer is not None:
        growth = finer(growth)
    for guard in (guards or {}).values():
        growth = guard(growth)
    return growth


def kept(why: str) -> Decision:
    """Keep the net as it is, because of `why`."""
    return Decision(Keep(), f"kept, {why}" if why.startswith("because") else f"kept: {why}")


def _done(action: Widen | Deepen, options: Options) -> str:
    if isinstance(action, Deepen):
        return f"deepened behind {action.after} ({action.kind})"
    old, new = ("-".join(map(str, sizes.values())) for sizes in (options.widths, {**options.widths, **action.widths}))
    return f"widened {old} to {new}"
