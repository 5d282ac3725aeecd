"""The units that growths have added, and how they stand beside the old ones: a record of every check."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from autogrow.plain import Count


@dataclass(frozen=True)
class Newborns:
    """The units that the growth at the start of check `grown_at` added, over the old ones; 1: alike, NaN: not known.

    gradient, update: root mean squares per weight, of the gradient on a batch and of the way gone within about the last
    check. weights: the mean of the units' weight products, which is what they can add to the answer.
    """

    grown_at: Count
    gradient: float
    update: float
    weights: float

    def to_plain(self) -> dict[str, Any]:
        """Plain values."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> Newborns:
        """The inverse of `to_plain`; None is NaN."""
        ratios = (plain[key] for key in ("gradient", "update", "weights"))
        return Newborns(plain["grown_at"], *(math.nan if ratio is None else ratio for ratio in ratios))


class PlainNewborns(TypedDict):
    """Newborns, plain; what is not finite is None."""

    grown_at: Count
    gradient: float | None
    update: float | None
    weights: float | None
