"""Tables and images to tensors: sources, splits, preprocessing, in-memory stream.

Each name is imported when it is first used: the settings of a data set (`DataSpec`) need not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autogrow.data.arrival.files import files_of, found_files
    from autogrow.data.arrival.stage import count_stages
    from autogrow.data.card import lines
    from autogrow.data.encode import TableEncoder
    from autogrow.data.encode_images import ImageEncoder
    from autogrow.data.pipeline import Pipeline
    from autogrow.data.preparation import prepare, prepare_raw, prepare_stream
    from autogrow.data.prepared import Prepared, Split
    from autogrow.data.raw import Raw, from_arrays
    from autogrow.data.rules import validate
    from autogrow.data.spec import DataSpec
    from autogrow.data.stream import BatchStream, TensorStream
    from autogrow.data.streamed.windows import WindowStream

_HOMES = {
    "BatchStream": "stream",
    "DataSpec": "spec",
    "ImageEncoder": "encode_images",
    "Pipeline": "pipeline",
    "Prepared": "prepared",
    "Raw": "raw",
    "Split": "prepared",
    "TableEncoder": "encode",
    "TensorStream": "stream",
    "WindowStream": "streamed.windows",
    "count_stages": "arrival.stage",
    "files_of": "arrival.files",
    "found_files": "arrival.files",
    "from_arrays": "raw",
    "lines": "card",
    "prepare": "preparation",
    "prepare_raw": "preparation",
    "prepare_stream": "preparation",
    "validate": "rules",
}

__all__ = [
    "BatchStream",
    "DataSpec",
    "ImageEncoder",
    "Pipeline",
    "Prepared",
    "Raw",
    "Split",
    "TableEncoder",
    "TensorStream",
    "WindowStream",
    "count_stages",
    "files_of",
    "found_files",
    "from_arrays",
    "lines",
    "prepare",
    "prepare_raw",
    "prepare_stream",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'autogrow.data' has no attribute {name!r}")
    return getattr(import_module(f"autogrow.data.{_HOMES[name]}"), name)
