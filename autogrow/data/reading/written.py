"""How a file writes its table, as far as rows that come later have to be read in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autogrow.data.reading.column import Reading


@dataclass(frozen=True)
class Written:
    """said: the file's format in words, '' for a typed file.  readings: how columns of text are read, by name.

    missing: texts that are a missing value in every column; one that is a number is one among numbers, too.
    counted: a column without a name that only counts the rows, and is no input.
    """

    said: str = ""
    readings: Mapping[str, Reading] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
