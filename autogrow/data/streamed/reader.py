"""What reads the raw rows that a spec names: all of them, or the first part of a stream."""

from __future__ import annotations

from collections.abc import Collection

from autogrow.data.raw import Raw
from autogrow.data.sources.readers import read_source
from autogrow.data.spec import DataSpec
from autogrow.data.streamed.first_part import read_first_part

STREAM = "stream"


def read_rows(spec: DataSpec, *, centred: Collection[str] = ()) -> Raw:
    """The rows of `data.source`. `centred`: see `read_source`."""
    return read_first_part(spec) if spec.source == STREAM else read_source(spec, centred=centred)
