"""What reads the raw rows that a spec names: all of them, or the first part of a stream."""

from __future__ import annotations

from collections.abc import Callable

from autogrow.data.raw import Raw
from autogrow.data.sources.readers import READERS
from autogrow.data.spec import DataSpec
from autogrow.data.streamed.first_part import read_first_part

STREAM = "stream"


def reader_of(spec: DataSpec) -> Callable[[DataSpec], Raw]:
    """The reader of `data.source`."""
    return read_first_part if spec.source == STREAM else READERS[spec.source]
