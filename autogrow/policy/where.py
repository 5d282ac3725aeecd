"""Where to grow: which widths, or where a new layer.

Every `where` answers `where(history, options, amount) -> Proposal`: an action, or None where nothing can grow, and why.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from autogrow.errors import ConfigError
from autogrow.policy.amount import Amount
from autogrow.policy.history import Deepen, History, Options, Widen
from autogrow.policy.signals import growths


@dataclass(frozen=True)
class Proposal:
    """A growth that is possible, or None, and why this one."""

    action: Widen | Deepen | None
    reason: str


class Where(Protocol):
    """Which sites grow."""

    def __call__(self, history: History, options: Options, amount: Amount) -> Proposal:
        """The growth proposed after the history's last row."""
        ...


def widen_all(options: Options, amount: Amount, sites: Iterable[str] | None = None) -> Widen | None:
    """All `sites` (default: every width) to their new sizes in one action; None where none of them would change."""
    names = options.widths if sites is None else sites
    sizes = {name: amount(name, options) for name in names}
    changed = {name: size for name, size in sizes.items() if size != options.widths[name]}
    return Widen(changed) if changed else None


def deepen_last(options: Options) -> Deepen | None:
    """A layer behind the last place there is, identity where that is exact, else residual; None without a place."""
    for place in reversed(list(options.depths)):
        kinds = options.depths[place]
        if kinds:
            return Deepen(place, "identity" if "identity" in kinds else kinds[0])
    return None


def nothing_to_widen(options: Options, amount: Amount) -> str:
    """Why no width changes."""
    if not options.widths:
        return "there is no width that can grow (0 sites)"
    if all(size >= amount.cap for size in options.widths.values()):
        return f"every width is at the cap of {amount.cap}"
    return f"no width would change (sizes {'-'.join(map(str, options.widths.values()))})"


@dataclass(frozen=True)
class AllHidden:
    """Every hidden width at once."""

    def __call__(self, history: History, options: Options, amount: Amount) -> Proposal:
        """All widths, or none at the cap."""
        action = widen_all(options, amount)
        return Proposal(action, "all hidden widths" if action else nothing_to_widen(options, amount))


@dataclass(frozen=True)
class Cycle:
    """A fixed cycle of widening every width (W) and deepening (D), as in the recipe.

    The letter is that of the number of growths so far, undone ones included. A D where the net is `max_depth` deep or has no
    place is read as W; a W where every width is at the cap is read as D, if the pattern has one. A new layer goes behind the
    last place (before the head).
    """

    pattern: str = "DWWWDWWW"
    max_depth: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", self.pattern.replace(" ", "").upper())
        if not self.pattern or set(self.pattern) - {"D", "W"}:
            raise ConfigError(f"growth.where.pattern must be made of D and W, as in 'DWWW', got {self.pattern!r}")
        if self.max_depth < 1:
            raise ConfigError(f"growth.where.max_depth must be at least 1, got {self.max_depth}")

    def __call__(self, history: History, options: Options, amount: Amount) -> Proposal:
        """The letter's action, or the other one where the letter's is not possible."""
        turn = len(growths(history))
        letter = self.pattern[turn % len(self.pattern)]
        deepen = deepen_last(options) if "D" in self.pattern and len(options.widths) < self.max_depth else None
        widen = widen_all(options, amount) if "W" in self.pattern else None
        action = (deepen or widen) if letter == "D" else (widen or deepen)
        if action is not None:
            return Proposal(action, f"turn {turn + 1} of the cycle {self.pattern}")
        depth = f"the net is {len(options.widths)} deep (at most {self.max_depth}, {len(options.depths)} places)"
        return Proposal(None, f"{nothing_to_widen(options, amount)} and {depth}")
