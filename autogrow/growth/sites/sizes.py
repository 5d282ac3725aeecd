"""Sizes that a forward reads and computes with: numbers that know which widths they follow.

While a net is recorded, `x.shape` holds `SizeInt`s, and so do the whole-number attributes of its modules: ints that
remember how they came about (`Count`), through arithmetic too. Where such a number becomes the size of a tensor it says
of which width (`link`); wherever it is used, the use is a `Claim`: when a width grows, the number must become what the
tensors become. A width that breaks a claim is refused with its words, so nothing is offered whose size is used
elsewhere (`c ** -0.5`, `if c % 8`, a reshape of another tensor).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from autogrow.growth.sites.axes import Axis, Width, length, resolve, unify
from autogrow.growth.sites.numbers import LISTENING, Attribute, Count, SizeFloat, SizeInt

_TRIED = (1, 2, 5)  # units by which a width is thought to grow, to see what would become of a number


@dataclass(frozen=True)
class Claim:
    """`number` is, and after a growth has to be, the length of `axis` (None: what it is now); else `reason` refuses."""

    count: Count
    now: Any
    axis: Axis | None
    reason: str


@dataclass
class Sizes:
    """The claims of one recording, and which axis an attribute follows."""

    claims: list[Claim] = field(default_factory=list)
    follows: dict[Attribute, Axis] = field(default_factory=dict)
    attributes: dict[Attribute, int] = field(default_factory=dict)  # their values now

    def follow(self, attribute: Attribute, axis: Axis) -> None:
        """The attribute is the length of the axis, and grows with it; two axes that one attribute measures are one."""
        if attribute in self.follows:
            unify(self.follows[attribute], axis)
        else:
            self.follows[attribute] = axis

    def claim(self, number: Any, axis: Axis | None, reason: str) -> None:
        """Note a use of a number that a growth must not make wrong."""
        if isinstance(number, (SizeInt, SizeFloat)):
            self.claims.append(Claim(number.count, number.now, axis, reason))

    def decide(self, count: Count, answer: bool) -> None:
        """Note that the forward goes on one way because of this answer."""
        self.claims.append(Claim(count, answer, None, "an if or an assert of the forward asks for its size"))

    def link(self, number: Any, axis: Axis) -> None:
        """The number is the size of an axis: make one of the axis and what the number measures, where that can be."""
        if not isinstance(number, SizeInt):
            return
        count = number.count
        whole = axis if count.over is None else axis * count.over if isinstance(count.over, int) else None
        if whole is None or not (count.plain or count.over is not None):
            return
        if count.axes and length(count.axes[0]) == length(whole):
            unify(count.axes[0], whole)
        elif count.attributes:
            self.follow(count.attributes[0], whole)

    def refuse_broken(self) -> None:
        """Refuse every width whose growth would break a claim."""
        changed = True
        while changed:
            changed = False
            for claim in self.claims:
                for width in self._involved(claim):
                    if width.fixed is None and any(self._breaks(claim, width, by) for by in _TRIED):
                        width.fixed = claim.reason
                        changed = True

    def _involved(self, claim: Claim) -> set[Width]:
        axes = [*claim.count.axes, *(self.follows[a] for a in claim.count.attributes if a in self.follows)]
        axes += [claim.axis] if claim.axis is not None else []
        return {segment.width for axis in axes for segment in resolve(axis)}

    def _breaks(self, claim: Claim, width: Width, by: int) -> bool:
        def grown(axis: Axis) -> int:
            return sum((s.width.size + (by if s.width is width else 0)) * s.block for s in resolve(axis))

        def of(attribute: Attribute) -> int:
            return grown(self.follows[attribute]) if attribute in self.follows else self.attributes[attribute]

        try:
            value = claim.count.value(grown, of)
        except ZeroDivisionError:
            return True
        return bool(value != (claim.now if claim.axis is None else grown(claim.axis)))


@contextmanager
def telling_attributes(net: nn.Module, sizes: Sizes) -> Iterator[None]:
    """Inside, the whole-number attributes of the net's own modules know their names; then they are as they were."""
    changed: list[tuple[dict[str, Any], str, int]] = []
    for name, module in net.named_modules():
        if type(module).__module__.startswith("torch."):
            continue
        values = vars(module)
        for attribute, value in list(values.items()):
            if type(value) is int and not attribute.startswith("_"):
                changed.append((values, attribute, value))
                sizes.attributes[name, attribute] = value
                values[attribute] = SizeInt.made(value, Count.of_attribute((name, attribute)))
    LISTENING.append(sizes)
    try:
        yield
    finally:
        LISTENING.pop()
        for values, attribute, value in changed:
            if type(values.get(attribute)) is SizeInt:
                values[attribute] = value


__all__ = ["Claim", "Sizes", "telling_attributes"]
