"""How a file writes its table, as far as rows that come later have to be read in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def joined(files: Sequence[Written]) -> Written:
    """How several files write one table, in their order: a column is read as in the last that has it."""
    readings = {name: reading for file in files for name, reading in file.readings.items()}
    marks = dict.fromkeys(mark for file in files for mark in file.missing)
    counted = dict.fromkeys(name for file in files for name in file.counted)
    said = "; ".join(dict.fromkeys(file.said for file in files if file.said))
    return Written(said, readings, tuple(marks), tuple(counted))
