"""Sizes that a forward reads and computes with: numbers that know which widths they follow.

While a net is recorded, `x.shape` holds `SizeInt`s, and so do the whole-number attributes of its modules: each is an int
that remembers how it came about (`Count`), through arithmetic too. Where such a number becomes the size of a tensor it
says of which width (`link`); wherever it is used, the use is a `Claim`: when a width grows, the number must become what
the tensors become. A width that breaks a claim is refused with its words, so nothing is offered whose size is used
elsewhere (`c ** -0.5`, `if c % 8`, a reshape of another tensor).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from autogrow.growth.sites.axes import Axis, Width, length, resolve, unify

Attribute = tuple[str, str]  # a module's name, and its attribute's
Grown = Callable[[Axis], int]  # the length of an axis once one width has grown
_TRIED = (1, 2, 5)  # units by which a width is thought to grow, to see what would become of a number


@dataclass(frozen=True)
class Count:
    """How a number came about.

    `value`: what it is once a width has grown, given the lengths of axes and the attributes' values then. `axes`,
    `attributes`: what it is made of. `plain`: it is just the one axis or attribute; `over`: that, divided by a number or
    an attribute.
    """

    value: Callable[[Grown, Callable[[Attribute], int]], Any]
    axes: tuple[Axis, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    plain: bool = False
    over: int | Attribute | None = None

    @staticmethod
    def of_axis(axis: Axis) -> Count:
        """The length of an axis."""
        return Count(lambda grown, _: grown(axis), axes=(axis,), plain=True)

    @staticmethod
    def of_attribute(attribute: Attribute) -> Count:
        """The value of a module's attribute."""
        return Count(lambda _, of: of(attribute), attributes=(attribute,), plain=True)


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


_SIZES: list[Sizes] = []  # of the recordings that go on: comparisons have nowhere else to note theirs


def _computed(function: Callable[..., Any], *given: Any) -> Any:
    """The result of an arithmetic operation, with how it came about."""
    if not all(isinstance(g, (int, float)) for g in given):
        return NotImplemented
    now = function(*(_plain(g) for g in given))
    if isinstance(now, bool) or not isinstance(now, (int, float)):
        return now
    counts = [g.count if isinstance(g, (SizeInt, SizeFloat)) else None for g in given]

    def value(grown: Grown, of: Callable[[Attribute], int]) -> Any:
        return function(*(g if c is None else c.value(grown, of) for g, c in zip(given, counts, strict=True)))

    known = [c for c in counts if c is not None]
    axes = tuple(axis for c in known for axis in c.axes)
    attributes = tuple(a for c in known for a in c.attributes)
    over: int | Attribute | None = None
    if function is operator.floordiv and counts[0] is not None and counts[0].plain:
        divisor = counts[1]
        if divisor is None:
            over = int(_plain(given[1]))
        elif divisor.plain and divisor.attributes:
            over = divisor.attributes[0]
    count = Count(value, axes, attributes, over=over)
    return SizeInt.made(now, count) if isinstance(now, int) else SizeFloat.made(now, count)


def _decided(function: Callable[..., Any], *given: Any) -> Any:
    """The result of a comparison: a branch, or an assertion, hangs on it."""
    answer = function(*(_plain(g) for g in given))
    if _SIZES and isinstance(answer, bool) and all(isinstance(g, (int, float)) for g in given):
        one, *rest = given
        other = rest[0] if rest else None
        sizes = _SIZES[-1]
        if function is operator.eq and answer:
            _same(sizes, one, other)
        counts = [g.count if isinstance(g, (SizeInt, SizeFloat)) else None for g in given]
        known = [c for c in counts if c is not None]
        count = Count(
            lambda grown, of: function(
                *(_plain(g) if c is None else c.value(grown, of) for g, c in zip(given, counts, strict=True))
            ),
            tuple(axis for c in known for axis in c.axes),
            tuple(a for c in known for a in c.attributes),
        )
        sizes.claims.append(Claim(count, answer, None, "an if or an assert of the forward asks for its size"))
    return answer


def _same(sizes: Sizes, one: Any, other: Any) -> None:
    """Two numbers that an assertion finds equal: an attribute follows the axis that it is held against."""
    for a, b in ((one, other), (other, one)):
        if isinstance(a, SizeInt) and isinstance(b, SizeInt) and a.count.plain and b.count.plain and a.count.axes:
            sizes.link(b, a.count.axes[0])
            return


def _plain(value: Any) -> Any:
    return value.now if isinstance(value, (SizeInt, SizeFloat)) else value


def _operators(kind: type) -> type:
    """Give a number type arithmetic that keeps its count, and comparisons that are noted."""
    for name in ("add", "sub", "mul", "floordiv", "truediv", "mod", "pow"):
        function = getattr(operator, name)
        setattr(kind, f"__{name}__", lambda a, b, f=function: _computed(f, a, b))
        setattr(kind, f"__r{name}__", lambda a, b, f=function: _computed(f, b, a))
    kind.__neg__ = lambda a: _computed(operator.neg, a)  # type: ignore[attr-defined]
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        function = getattr(operator, name)
        setattr(kind, f"__{name}__", lambda a, b, f=function: _decided(f, a, b))
    kind.__bool__ = lambda a: _decided(operator.truth, a)  # type: ignore[attr-defined]
    kind.__hash__ = lambda a: hash(a.now)  # type: ignore[attr-defined, method-assign, assignment]
    kind.__float__ = lambda a: _read(float, a)  # type: ignore[attr-defined]
    kind.__int__ = lambda a: _read(int, a)  # type: ignore[attr-defined]
    return kind


def _read(kind: Callable[[Any], Any], number: Any) -> Any:
    """A size that becomes a plain number: nobody can say where it goes."""
    if _SIZES:
        _SIZES[-1].claim(number, None, "its size is read as a plain number (math.sqrt, float, int), and used")
    return kind(number.now)


class SizeInt(int):
    """A whole number that knows how it came about."""

    count: Count
    now: int

    @staticmethod
    def made(now: int, count: Count) -> SizeInt:
        """This number, come about like that."""
        number = int.__new__(SizeInt, now)
        number.now, number.count = int.__index__(number), count
        return number


class SizeFloat(float):
    """A number that was computed from sizes."""

    count: Count
    now: float

    @staticmethod
    def made(now: float, count: Count) -> SizeFloat:
        """This number, come about like that."""
        number = float.__new__(SizeFloat, now)
        number.now, number.count = now, count
        return number


_operators(SizeInt)
_operators(SizeFloat)


def plain_numbers(value: Any) -> Any:
    """The value with plain numbers in place of those that know how they came about, in containers and slices too."""
    if isinstance(value, (SizeInt, SizeFloat)):
        return value.now
    if isinstance(value, slice):
        return slice(*(plain_numbers(v) for v in (value.start, value.stop, value.step)))
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        listed = [plain_numbers(v) for v in value]
        return listed if isinstance(value, list) else tuple(listed)
    if type(value) is dict:
        return {k: plain_numbers(v) for k, v in value.items()}
    return value


@contextmanager
def telling_attributes(net: nn.Module, sizes: Sizes) -> Iterator[None]:
    """Inside, the whole-number attributes of the net's own modules know their names; afterwards they are as they were."""
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
    _SIZES.append(sizes)
    try:
        yield
    finally:
        _SIZES.pop()
        for values, attribute, value in changed:
            if type(values.get(attribute)) is SizeInt:
                values[attribute] = value


__all__ = ["Attribute", "Claim", "Count", "SizeFloat", "SizeInt", "Sizes", "plain_numbers", "telling_attributes"]
