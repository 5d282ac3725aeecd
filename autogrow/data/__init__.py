"""Tables and images to tensors: sources, splits, preprocessing, in-memory stream."""

from autogrow.data.arrival.files import files_of, found_files
from autogrow.data.arrival.stage import count_stages
from autogrow.data.card import lines
from autogrow.data.encode import TableEncoder
from autogrow.data.encode_images import ImageEncoder
from autogrow.data.pipeline import Pipeline
from autogrow.data.prepare import prepare, prepare_raw
from autogrow.data.prepared import Prepared, Split
from autogrow.data.raw import Raw, from_arrays
from autogrow.data.rules import validate
from autogrow.data.spec import DataSpec
from autogrow.data.stream import TensorStream

__all__ = [
    "DataSpec",
    "ImageEncoder",
    "Pipeline",
    "Prepared",
    "Raw",
    "Split",
    "TableEncoder",
    "TensorStream",
    "count_stages",
    "files_of",
    "found_files",
    "from_arrays",
    "lines",
    "prepare",
    "prepare_raw",
    "validate",
]
