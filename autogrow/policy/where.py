"""Where to grow: which widths, or where a new layer.

Every `where` answers `where(history, options, amount) -> Proposal`: an action, or None where nothing can grow, and why.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from autogrow.errors import ConfigError
from autogrow.policy.amount import Amount
from autogrow.policy.history import Deepen, History, Options, Widen
from autogrow.policy.signals import continued, growths
from autogrow.policy.waiting import saved_by_start, saved_by_waiting


@dataclass(frozen=True)
class Proposal:
    """A growth that is possible, or None, and why this one."""

    action: Widen | Deepen | None
    reason: str


class Where(Protocol):
    """Which sites grow."""

    @property
    def deepest(self) -> int:
        """How many hidden layers it would build at most; 0 if it never deepens."""
        ...

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
    places = (deepen_at(place, options) for place in reversed(list(options.depths)))
    return next((action for action in places if action is not None), None)


def deepen_at(place: str, options: Options) -> Deepen | None:
    """A layer behind `place`, identity where that is exact, else residual; None where neither is."""
    kinds = options.depths.get(place, ())
    if not kinds:
        return None
    return Deepen(place, "identity" if "identity" in kinds else kinds[0])


def gain_per_flop(action: Widen | Deepen, site: str, history: History, options: Options) -> float:
    """The first-order gain of growing `site` over the FLOPs per sample that `action` adds (a dry run);
    0 without a score.
    """
    gain = options.scores.get(site, 0.0)
    if not gain > 0:
        return 0.0
    added = options.cost(action).flops_per_sample - history[-1].flops_per_sample
    return gain / max(1, added)


def nothing_to_widen(options: Options, amount: Amount) -> str:
    """Why no width changes."""
    if not options.widths:
        return "there is no width that can grow (0 sites)"
    if all(size >= amount.cap for size in options.widths.values()):
        return f"every width is at the cap of {amount.cap}"
    return f"no width would change (sizes {'-'.join(map(str, options.widths.values()))})"


@dataclass(frozen=True)
class AllHidden:
    """Every hidden width at once.

    A run that chooses its widths itself starts with `depth` layers of `width`; None: of what its inputs call for.
    """

    depth: int = 1
    width: int | None = None
    deepest: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise ConfigError(f"growth.where.depth must be at least 1, got {self.depth}")
        if self.width is not None and self.width < 1:
            raise ConfigError(f"growth.where.width must be at least 1, got {self.width}")

    def starts_at(self, width: int, amount: Amount, checks: float) -> int:
        """The first width of a run, for inputs that call for `width`."""
        return width if self.width is None else self.width

    def __call__(self, history: History, options: Options, amount: Amount) -> Proposal:
        """All widths, or none at the cap."""
        action = widen_all(options, amount)
        return Proposal(action, "all hidden widths" if action else nothing_to_widen(options, amount))


@dataclass(frozen=True)
class Cycle:
    """A fixed cycle of widening every width (W) and deepening (D), as in the recipe.

    The letter is that of the number of growths so far, undone ones included. A D where the net is `max_depth` deep or
    has no place is read as W; a W where every width is at the cap is read as D, if the pattern has one; the reason says
    so. A new layer goes behind the last place (before the head).

    `worth`: the share of the run's FLOPs that widening must save (see `waiting`): a W that saves less is read as D, and
    a run that chooses its first width itself starts at the cap. A net that goes on from an earlier run widens in any
    case: it was as large as its data then asked for.
    """

    pattern: str = "WDWW"
    max_depth: int = 2
    worth: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", self.pattern.replace(" ", "").upper())
        if not self.pattern or set(self.pattern) - {"D", "W"}:
            raise ConfigError(f"growth.where.pattern must be made of D and W, as in 'DWWW', got {self.pattern!r}")
        if self.max_depth < 1:
            raise ConfigError(f"growth.where.max_depth must be at least 1, got {self.max_depth}")
        if not 0 <= self.worth < 1:
            raise ConfigError(f"growth.where.worth must be in [0, 1), a share of the run's FLOPs, got {self.worth}")

    @property
    def deepest(self) -> int:
        """How many hidden layers it would build at most; 0 if the pattern has no D."""
        return self.max_depth if "D" in self.pattern else 0

    def __call__(self, history: History, options: Options, amount: Amount) -> Proposal:
        """The letter's action, or the other one where the letter's is not possible."""
        turn = len(growths(history))
        letter = self.pattern[turn % len(self.pattern)]
        deepen = deepen_last(options) if len(options.widths) < self.deepest else None
        widen = widen_all(options, amount) if "W" in self.pattern else None
        saved = saved_by_waiting(history, options, amount) if self._asks_worth(history) else None
        reckoned = "" if saved is None else self._reckoned(saved)
        too_little = saved is not None and widen is not None and saved < self.worth
        if too_little:
            widen = None
        action = (deepen or widen) if letter == "D" else (widen or deepen)
        turned = f"turn {turn + 1} of the cycle {self.pattern}"
        depth = f"the net is {len(options.widths)} deep (at most {self.max_depth}, {len(options.depths)} places)"
        stays = reckoned if too_little else nothing_to_widen(options, amount)
        if action is None:
            return Proposal(None, f"{stays} and {depth}")
        if isinstance(action, Deepen) == (letter == "D"):
            return Proposal(action, f"{turned}; {reckoned}" if reckoned and isinstance(action, Widen) else turned)
        read = ("D", "W", depth) if letter == "D" else ("W", "D", stays)
        return Proposal(action, f"{turned}, its {read[0]} read as {read[1]}: {read[2]}")

    def starts_at(self, width: int, amount: Amount, checks: float) -> int:
        """The first width of a run of so many checks, for inputs that call for `width`: the cap where waiting does not
        pay and a layer can still be added.
        """
        if not self._asks_worth(()) or self.deepest < 2 or width >= amount.cap:
            return width
        return width if saved_by_start(width, amount, checks=checks) >= self.worth else amount.cap

    def _asks_worth(self, history: History) -> bool:
        return self.worth > 0 and "W" in self.pattern and continued(history) is None

    def _reckoned(self, saved: float) -> str:
        verdict = "at least" if saved >= self.worth else "less than"
        return (
            f"having started narrow saves {100 * saved:.2g} % of the run, {verdict} the {100 * self.worth:g} % that pay"
        )


def candidates(options: Options, amount: Amount, *, max_depth: int) -> dict[str, Widen | Deepen]:
    """Every single growth that is possible, by site: each width that would change,
    each place while there is depth left.
    """
    found: dict[str, Widen | Deepen] = {}
    for site in options.widths:
        if widen := widen_all(options, amount, [site]):
            found[site] = widen
    for place in options.depths if len(options.widths) < max_depth else ():
        if deepen := deepen_at(place, options):
            found[place] = deepen
    return found


@dataclass(frozen=True)
class RoundRobin:
    """One width after another, from input to output and again; a width that cannot grow is passed over."""

    deepest: ClassVar[int] = 0

    def __call__(self, history: History, options: Options, amount: Amount) -> Proposal:
        """The next width whose turn it is."""
        names = list(options.widths)
        turn = len(growths(history))
        for i in range(len(names)):
            name = names[(turn + i) % len(names)]
            if action := widen_all(options, amount, [name]):
                return Proposal(action, f"{name} is next after {turn} growths")
        return Proposal(None, nothing_to_widen(options, amount))


@dataclass(frozen=True)
class WidestGain:
    """The one growth with the largest first-order gain per added FLOP, among all widths and places.

    Gains are `options.scores`, FLOPs those of a dry run. `max_depth` counts hidden layers.
    """

    max_depth: int = 3
    needs: ClassVar[frozenset[str]] = frozenset({"scores"})

    def __post_init__(self) -> None:
        if self.max_depth < 1:
            raise ConfigError(f"growth.where.max_depth must be at least 1, got {self.max_depth}")

    @property
    def deepest(self) -> int:
        """How many hidden layers it would build at most."""
        return self.max_depth

    def __call__(self, history: History, options: Options, amount: Amount) -> Proposal:
        """The candidate that gains most per FLOP."""
        possible = candidates(options, amount, max_depth=self.max_depth)
        if not possible:
            return Proposal(None, nothing_to_widen(options, amount))
        gains = {site: gain_per_flop(action, site, history, options) for site, action in possible.items()}
        site = max(gains, key=lambda name: gains[name])
        if not gains[site] > 0:
            return Proposal(None, f"none of {len(gains)} candidates promises a gain")
        return Proposal(possible[site], f"{site} gains {gains[site]:.4g} per FLOP, most of {len(gains)} candidates")


@dataclass(frozen=True)
class RandomSite:
    """One site at random, as a baseline: the draw is a pure function of `seed` and the number of the check."""

    seed: int = 0
    max_depth: int = 3

    def __post_init__(self) -> None:
        if self.max_depth < 1:
            raise ConfigError(f"growth.where.max_depth must be at least 1, got {self.max_depth}")

    @property
    def deepest(self) -> int:
        """How many hidden layers it would build at most."""
        return self.max_depth

    def __call__(self, history: History, options: Options, amount: Amount) -> Proposal:
        """A candidate, each with the same chance."""
        possible = candidates(options, amount, max_depth=self.max_depth)
        if not possible:
            return Proposal(None, nothing_to_widen(options, amount))
        site = random.Random(f"{self.seed}/{history[-1].check}").choice(list(possible))
        return Proposal(possible[site], f"{site} was drawn from {len(possible)} candidates (seed {self.seed})")
