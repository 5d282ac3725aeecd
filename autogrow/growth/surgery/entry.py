"""What an entry of a recipe holds, checked before anything is made of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

from autogrow.errors import GrowthError
from autogrow.plain import Count, Positive, fault

Entry = Mapping[str, Any]


NARROWED = 1024
"""How many times as many numbers a net may have had as are left of it: beyond that a recipe is not believed."""


class Regrown(TypedDict):
    """An entry that makes tensors larger, or (`narrow`) smaller: their shapes afterwards, and the attributes of modules
    that name a size.
    """

    op: str
    shapes: Mapping[str, Sequence[Count]]
    attributes: Mapping[str, Mapping[str, Any]]


class Deepened(TypedDict):
    """An entry that inserts a layer, a block or a stack of blocks."""

    op: str
    after: str
    kind: Literal["identity", "residual", "block", "copy", "stack"]
    size: Positive
    like: str
    activation: str | None
    norm: str | None
    dropout: str | None
    calibrated: bool
    norms: NotRequired[Sequence[str]]


class Refined(TypedDict):
    """An entry that resolves columns of the input more finely."""

    op: str
    reader: str
    place: str
    front: bool
    knots: str | None
    size: Positive
    components: Positive


def check_entry(entry: Entry, number: int, holds: int | None) -> None:
    """Raise GrowthError unless it is an entry of a recipe, of sizes that weights of so many numbers can have."""
    op = entry.get("op") if isinstance(entry, Mapping) else None
    found = fault(entry, Deepened if op == "deepen" else Refined if op == "refine" else Regrown)
    if found:
        raise GrowthError(f"entry {number} of the recipe is not as it was written: {found}")
    if holds is not None and (needed := _needed(entry)) > holds:
        raise GrowthError(f"entry {number} of the recipe asks for {needed:,} numbers, and the weights hold {holds:,}")


def _needed(entry: Entry) -> int:
    """How many numbers the weights have at least, of a net with this entry."""
    if entry["op"] == "deepen":  # what a block holds its replay knows
        return int(entry["size"] ** 2) if entry["kind"] in ("identity", "residual") else 0
    if entry["op"] == "refine":
        return int(entry["size"] + entry["components"])
    return max((math.prod(shape) for shape in entry["shapes"].values()), default=0)


def most_held(recipe: Sequence[Entry], holds: int) -> int:
    """How many numbers a net may have had on the way to weights that hold so many."""
    narrowed = any(isinstance(entry, Mapping) and entry.get("op") == "narrow" for entry in recipe)
    return holds * NARROWED if narrowed else holds
