"""Which widths the axes of a tensor are made of, and which widths turn out to be one.

An axis is a row of segments; a segment is a width (a variable with a size) of which every unit takes `block`
neighbouring positions: flattening (B, C, H, W) turns a channel axis [C] into [C with block H·W], concatenation puts
segments one behind the other, `chunk(2)` makes [C, C]. Where two tensors meet (a residual add, a gate) their axes are
unified: variables are bound to each other, cut in parts or coarsened (a group norm sees groups of channels), until both
axes are the same row. What is left unbound in the end are the widths of the net; everything that is bound together
grows by one map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


class Width:
    """A width that is not known yet to be the same as another. `fixed`: why it cannot be grown."""

    def __init__(self, size: int, fixed: str | None = None) -> None:
        self.size, self.fixed = size, fixed
        self.bound: tuple[Segment, ...] | None = None

    def bind(self, *parts: Segment) -> None:
        """Say what this width really is. A reason not to grow passes on to the parts."""
        self.bound = parts
        if self.fixed is not None:
            fix(parts, self.fixed)


@dataclass(frozen=True)
class Segment:
    """`width.size` units side by side, each taking `block` neighbouring positions."""

    width: Width
    block: int = 1

    @property
    def size(self) -> int:
        """Positions in all."""
        return self.width.size * self.block


Axis = tuple[Segment, ...]


def new_axis(size: int, fixed: str | None = None) -> Axis:
    """An axis that is one width of its own."""
    return (Segment(Width(size, fixed)),)


def resolve(axis: Sequence[Segment]) -> Axis:
    """The axis in terms of widths that are bound to nothing further."""
    if all(s.width.bound is None for s in axis):
        return tuple(axis)
    out: list[Segment] = []
    for segment in axis:
        if segment.width.bound is None:
            out.append(segment)
        else:
            segment.width.bound = resolve(segment.width.bound)  # the next one finds it at once
            out.extend(Segment(s.width, s.block * segment.block) for s in segment.width.bound)
    return tuple(out)


def length(axis: Sequence[Segment]) -> int:
    """Positions of the axis."""
    return sum(s.size for s in axis)


def fix(axis: Sequence[Segment], reason: str) -> None:
    """Refuse to grow every width of the axis; the first reason given stays."""
    for segment in resolve(axis):
        if segment.width.fixed is None:
            segment.width.fixed = reason


def blocked(axis: Sequence[Segment], block: int, repeats: int = 1) -> Axis:
    """The axis with every position taking `block` positions, the whole repeated `repeats` times."""
    return tuple(Segment(s.width, s.block * block) for s in axis) * repeats


def unify(one: Sequence[Segment], other: Sequence[Segment]) -> None:
    """Make two axes of one length the same row of widths.

    Where that cannot be (blocks that do not fit into each other) the widths involved are fixed.
    """
    if length(one) != length(other):
        raise ValueError(f"axes of {length(one)} and {length(other)} positions cannot be the same")
    left, right = list(resolve(one)), list(resolve(other))
    while left and right:
        a, b = left[0], right[0]
        if a.size == b.size:
            _merge(a, b)
            left, right = left[1:], right[1:]
        elif not (_cut(b, a.size) if a.size < b.size else _cut(a, b.size)):
            fix((*left, *right), "it meets another width whose blocks do not fit into its own")
            return
        left, right = list(resolve(left)), list(resolve(right))


def _merge(a: Segment, b: Segment) -> None:
    """Bind two segments of equal length to one width."""
    if a.width is b.width:
        return
    units = math.gcd(a.width.size, b.width.size)
    if units == b.width.size:
        a.width.bind(Segment(b.width, a.width.size // units))
    elif units == a.width.size:
        b.width.bind(Segment(a.width, b.width.size // units))
    else:  # groups of both kinds: the coarser common unit
        common = Width(units)
        a.width.bind(Segment(common, a.width.size // units))
        b.width.bind(Segment(common, b.width.size // units))


def _cut(segment: Segment, position: int) -> bool:
    """Cut the segment's width in two at `position`; False if that would go through a unit."""
    if position % segment.block:
        return False
    units = position // segment.block
    segment.width.bind(Segment(Width(units)), Segment(Width(segment.width.size - units)))
    return True
