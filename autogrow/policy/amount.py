"""How much to grow: from a width's size now to its size after the growth.

Every `amount` answers `amount(site, options) -> int`, the new size of that width; the size now means "cannot grow".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

from autogrow.errors import ConfigError
from autogrow.policy.history import Options


class Amount(Protocol):
    """How large a width becomes."""

    @property
    def cap(self) -> int:
        """The largest size any width may have."""
        ...

    def __call__(self, site: str, options: Options) -> int:
        """The new size of `site`; its size now if it cannot grow."""
        ...


def _bounded(size: int, wanted: float, *, multiple: int, cap: int) -> int:
    """`wanted` rounded up to a whole number and a multiple, at most `cap`, never below `size`."""
    # the product 1.1 × 50 is 55.00000000000001: do not let that round up to 56
    whole = math.ceil(wanted - 1e-9)
    return max(size, min(cap, -(-whole // multiple) * multiple))


def _check(*, multiple: int, cap: int) -> None:
    if multiple < 1:
        raise ConfigError(f"growth.amount.multiple must be at least 1, got {multiple}")
    if cap < 1:
        raise ConfigError(f"growth.amount.cap must be at least 1, got {cap}")


@dataclass(frozen=True)
class Factor:
    """ceil(factor × size), rounded up to a multiple, at most `cap`.

    >>> Factor(1.5, multiple=8, cap=168)("h", Options(widths={"h": 24}, depths={}, cost=lambda action: ...))
    40
    """

    factor: float = 1.5
    multiple: int = 8
    cap: int = 168

    def __post_init__(self) -> None:
        _check(multiple=self.multiple, cap=self.cap)
        if not self.factor > 1:
            raise ConfigError(f"growth.amount.factor must be above 1, got {self.factor}")

    def __call__(self, site: str, options: Options) -> int:
        """The new size of `site`."""
        size = options.widths[site]
        return _bounded(size, self.factor * size, multiple=self.multiple, cap=self.cap)


@dataclass(frozen=True)
class Fixed:
    """size + `add`, rounded up to a multiple, at most `cap`."""

    add: int = 16
    multiple: int = 1
    cap: int = 168

    def __post_init__(self) -> None:
        _check(multiple=self.multiple, cap=self.cap)
        if self.add < 1:
            raise ConfigError(f"growth.amount.add must be at least 1, got {self.add}")

    def __call__(self, site: str, options: Options) -> int:
        """The new size of `site`."""
        size = options.widths[site]
        return _bounded(size, size + self.add, multiple=self.multiple, cap=self.cap)


@dataclass(frozen=True)
class ProportionalToGain:
    """Factor for the width with the highest score, proportionally less for the others, at most `cap`.

    The share of site s is score(s) / (highest score of a width); it grows to ceil((1 + share·(factor − 1)) × size).
    """

    factor: float = 2.0
    multiple: int = 8
    cap: int = 168
    needs: ClassVar[frozenset[str]] = frozenset({"scores"})

    def __post_init__(self) -> None:
        _check(multiple=self.multiple, cap=self.cap)
        if not self.factor > 1:
            raise ConfigError(f"growth.amount.factor must be above 1, got {self.factor}")

    def __call__(self, site: str, options: Options) -> int:
        """The new size of `site`."""
        size = options.widths[site]
        scores = {name: options.scores.get(name, 0.0) for name in options.widths}
        highest = max(scores.values(), default=0.0)
        if not (highest > 0 and scores[site] > 0):
            return size
        wanted = (1 + scores[site] / highest * (self.factor - 1)) * size
        return _bounded(size, wanted, multiple=self.multiple, cap=self.cap)
