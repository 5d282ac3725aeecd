"""The rows that a spec names, from one file or several, in no more bytes than they need."""

from __future__ import annotations

from collections.abc import Collection

from autogrow.data.arrival.files import read_files
from autogrow.data.raw import Raw
from autogrow.data.sources.readers import READERS, TABLES
from autogrow.data.sources.storage import storage_for
from autogrow.data.spec import DataSpec


def read_source(spec: DataSpec, *, centred: Collection[str] = ()) -> Raw:
    """The rows that a spec names.

    centred: columns that a net which is there already knows in 64 bits. Several files are read as they are: what is
    small enough for one need not be for all.
    """
    read = READERS[spec.source]
    if spec.arrival == "files":
        return read_files(spec, read)
    return read(spec, storage_for(spec, centred)) if spec.source in TABLES else read(spec)
