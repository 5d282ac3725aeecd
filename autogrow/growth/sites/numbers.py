"""Numbers that know how they came about: what a forward reads off a shape, or off an attribute, and computes from it.

An int (or float) with a `Count`: arithmetic keeps it, a comparison is noted as a decision that hangs on it, and a
conversion to a plain number is noted as a use that nobody can follow. Notes go to the recording that is going on.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from autogrow.growth.sites.axes import Axis

Attribute = tuple[str, str]  # a module's name, and its attribute's
Grown = Callable[[Axis], int]  # the length of an axis once one width has grown


class Notes(Protocol):
    """Where uses of numbers are noted (`sizes.Sizes`)."""

    def claim(self, number: Any, axis: Axis | None, reason: str) -> None:
        """A use that a growth must not make wrong."""

    def link(self, number: Any, axis: Axis) -> None:
        """The number is the size of an axis."""

    def decide(self, count: Count, answer: bool) -> None:
        """The forward goes on one way because of this answer."""


@dataclass(frozen=True)
class Count:
    """How a number came about.

    `value`: what it is once a width has grown, given the lengths of axes and the attributes' values then. `axes`,
    `attributes`: what it is made of. `plain`: it is just the one axis or attribute; `over`: that, divided by a number
    or an attribute.
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


_REMEMBERED = "_reconstruct_from_shape"  # of einops.einops, by the sizes of a tensor
LISTENING: list[Notes] = []  # the recordings that go on: comparisons have nowhere else to note theirs


def _computed(function: Callable[..., Any], *given: Any) -> Any:
    """The result of an arithmetic operation, with how it came about."""
    if not all(isinstance(g, (int, float)) for g in given):
        return NotImplemented
    now = function(*(_plain(g) for g in given))
    if isinstance(now, bool) or not isinstance(now, (int, float)):
        return now
    if function is operator.mul and any(type(g) is int and g == 1 for g in given):
        return next((g for g in given if isinstance(g, (SizeInt, SizeFloat))), now)
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
    if LISTENING and isinstance(answer, bool) and all(isinstance(g, (int, float)) for g in given):
        one, *rest = given
        other = rest[0] if rest else None
        sizes = LISTENING[-1]
        if (function, answer) in ((operator.eq, True), (operator.ne, False)):
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
        sizes.decide(count, answer)
    return answer


def _same(sizes: Notes, one: Any, other: Any) -> None:
    """Two numbers that an assertion finds equal: an attribute follows the axis that it is held against."""
    for a, b in ((one, other), (other, one)):
        if isinstance(a, SizeInt) and isinstance(b, SizeInt) and a.count.plain and b.count.plain and a.count.axes:
            sizes.link(b, a.count.axes[0])
            return


def _plain(value: Any) -> Any:
    return value.now if isinstance(value, (SizeInt, SizeFloat)) else value


def _operators(kind: Any) -> None:
    """Give a number type arithmetic that keeps its count, and comparisons that are noted."""
    for name in ("add", "sub", "mul", "floordiv", "truediv", "mod", "pow"):
        function = getattr(operator, name)
        setattr(kind, f"__{name}__", lambda a, b, f=function: _computed(f, a, b))
        setattr(kind, f"__r{name}__", lambda a, b, f=function: _computed(f, b, a))
    kind.__neg__ = lambda a: _computed(operator.neg, a)
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        function = getattr(operator, name)
        setattr(kind, f"__{name}__", lambda a, b, f=function: _decided(f, a, b))
    kind.__bool__ = lambda a: _decided(operator.truth, a)
    kind.__hash__ = lambda a: hash(a.now)
    kind.__float__ = lambda a: _read(float, a)
    kind.__int__ = lambda a: _read(int, a)


def _read(kind: Callable[[Any], Any], number: Any) -> Any:
    """A size that becomes a plain number: nobody can say where it goes."""
    if LISTENING:
        LISTENING[-1].claim(number, None, "its size is read as a plain number (math.sqrt, float, int), and used")
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
def followed_elsewhere() -> Iterator[None]:
    """Inside, numbers keep how they came about in other libraries, too: through `math.sqrt`, which scales attention's
    scores, and through einops, which remembers what it computed from equal numbers.
    """
    root, einops = math.sqrt, sys.modules.get("einops.einops")
    remembered = getattr(einops, _REMEMBERED, None)

    def sqrt(number: Any) -> Any:
        return _computed(root, number) if isinstance(number, (SizeInt, SizeFloat)) else root(number)

    math.sqrt = sqrt
    if remembered is not None:
        setattr(einops, _REMEMBERED, remembered.__wrapped__)
    try:
        yield
    finally:
        math.sqrt = root
        if remembered is not None:
            setattr(einops, _REMEMBERED, remembered)


__all__ = ["LISTENING", "Attribute", "Count", "Grown", "SizeFloat", "SizeInt", "followed_elsewhere", "plain_numbers"]
