"""What reads the raw rows that a spec names: all of them, those of several files, or the first part of a stream."""

from __future__ import annotations

from collections.abc import Collection

from autogrow.data.arrival.files import read_files
from autogrow.data.raw import Raw
from autogrow.data.sources.readers import READERS, read_source
from autogrow.data.spec import STREAM, DataSpec
from autogrow.data.streamed.first_part import read_first_part


def read_rows(spec: DataSpec, *, centred: Collection[str] = ()) -> Raw:
    """The rows of `data.source`. centred: columns that a net which is there already knows in 64 bits.

    Several files are read as they are: what is small enough for one need not be for all.
    """
    if spec.source == STREAM:
        return read_first_part(spec)
    return read_files(spec, READERS[spec.source]) if spec.arrival == "files" else read_source(spec, centred=centred)
