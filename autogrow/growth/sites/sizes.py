"""Sizes that a forward reads and computes with: numbers that know which widths they follow.

While a net is recorded, `x.shape` holds `SizeInt`s, and so do the whole-number attributes of its modules: ints that
remember how they came about (`Count`), through arithmetic too. Where such a number becomes the size of a tensor it says
of which width (`link`); wherever it is used, the use is a `Claim`: when a width grows, the number must become what the
tensors become. A width that breaks a claim is refused with its words, so nothing is offered whose size is used
elsewhere (`c ** -0.5`, `if c % 8`, a reshape of another tensor).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from autogrow.growth.attributes import settings
from autogrow.growth.layers import layer_type
from autogrow.growth.sites.axes import Axis, Width, length, resolve, unify
from autogrow.growth.sites.numbers import LISTENING, Attribute, Count, SizeFloat, SizeInt, followed_elsewhere

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
    """The claims of one recording, and which axis an attribute follows.

    `inner`: where an axis is cut in (heads, size of a head) and either may grow, it is the size of a head, else their
    number. `either`: there was such a cut.
    """

    inner: bool = False
    either: bool = False

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
        if not count.plain and count.over is None:
            return
        parts = 1 if count.over is None else count.over if isinstance(count.over, int) else self.attributes[count.over]
        whole = axis * parts
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

    def involved(self, count: Count) -> set[Width]:
        """The widths that a number is computed from."""
        axes = [*count.axes, *(self.follows[a] for a in count.attributes if a in self.follows)]
        return {segment.width for axis in axes for segment in resolve(axis)}

    def power(self, count: Count, now: float, width: Width) -> float | None:
        """The power of a width's size that a number goes with; None where it goes otherwise."""
        powers = []
        for by in _TRIED:
            value = self._grown(count, width, by)
            if value is None or value <= 0 or now <= 0:
                return None
            powers.append(math.log(value / now) / math.log((width.size + by) / width.size))
        return powers[0] if max(powers) - min(powers) < 1e-9 else None

    def _involved(self, claim: Claim) -> set[Width]:
        more = {segment.width for segment in resolve(claim.axis)} if claim.axis is not None else set()
        return self.involved(claim.count) | more

    def _breaks(self, claim: Claim, width: Width, by: int) -> bool:
        value = self._grown(claim.count, width, by)
        return value is None or bool(value != (claim.now if claim.axis is None else _length(claim.axis, width, by)))

    def _grown(self, count: Count, width: Width, by: int) -> Any:
        """What a number becomes where a width grows by so many units; None where that is no number."""

        def of(attribute: Attribute) -> int:
            if attribute in self.follows:
                return _length(self.follows[attribute], width, by)
            return self.attributes[attribute]

        try:
            return count.value(lambda axis: _length(axis, width, by), of)
        except ZeroDivisionError:
            return None


def _length(axis: Axis, width: Width, by: int) -> int:
    """Positions of an axis where a width has grown by so many units."""
    return sum((s.width.size + (by if s.width is width else 0)) * s.block for s in resolve(axis))


@contextmanager
def telling_attributes(net: nn.Module, sizes: Sizes) -> Iterator[None]:
    """Inside, the whole-number attributes of the net's own modules, and of settings that these hold (`self.config`),
    know their names; then they are as they were.
    """
    changed: list[tuple[dict[str, Any], str, int]] = []
    for name, holder, values, attributes in _holding(net):
        for attribute in attributes:
            value = values.get(attribute)
            if type(value) is int and isinstance(attribute, str) and not attribute.startswith("_"):
                changed.append((values, attribute, value))
                sizes.attributes[name, f"{holder}{attribute}"] = value
                values[attribute] = SizeInt.made(value, Count.of_attribute((name, f"{holder}{attribute}")))
    LISTENING.append(sizes)
    try:
        with followed_elsewhere():
            yield
    finally:
        LISTENING.pop()
        for values, attribute, value in changed:
            if type(values.get(attribute)) is SizeInt:
                values[attribute] = value


def _holding(net: nn.Module) -> Iterator[tuple[str, str, dict[str, Any], Sequence[str]]]:
    """The modules, layers of torch with their sizes, and once each the settings that modules hold, as `config.`: what
    attributes lie in, and their names.
    """
    seen: set[int] = set()
    for name, module in net.named_modules():
        if type(module).__module__.startswith("torch."):
            layer = layer_type(module)
            if layer is not None:
                sized = (*layer.out_attributes, *layer.in_attributes)
                yield name, "", vars(module), sized
            if type(module) is nn.Transformer:
                yield name, "", vars(module), ("d_model",)
            continue
        yield name, "", vars(module), tuple(vars(module))
        for attribute, value in list(vars(module).items()):
            values = settings(value)
            if values is not None and not attribute.startswith("_") and id(value) not in seen:
                seen.add(id(value))
                yield name, f"{attribute}.", values, tuple(values)


__all__ = ["Claim", "Sizes", "telling_attributes"]
