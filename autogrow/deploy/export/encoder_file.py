"""`encoder.json`: how a row of the table becomes the numbers that an artefact is given; `encode.py` applies it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from autogrow.data import TableEncoder
from autogrow.data.reading.column import BOOLEANS, MISSING_AMONG_NUMBERS
from autogrow.data.reading.numerals import grammar, signs
from autogrow.deploy.export import encode_rows
from autogrow.deploy.export.inputs import Input
from autogrow.deploy.export.net import PortableNet

NAMES = ("encoder.json", "encode.py")


def encoder_files(net: PortableNet) -> dict[str, bytes]:
    """The two files; none for images, which are numbers already."""
    encoder = net.delivered.pipeline.encoder
    if not isinstance(encoder, TableEncoder):
        return {}
    held = {"inputs": [_plain(one, encoder) for one in net.inputs], "missing": list(encoder.missing)}
    text = json.dumps(held, indent=1, ensure_ascii=False) + "\n"
    return dict(zip(NAMES, (text.encode("utf-8"), Path(encode_rows.__file__).read_bytes()), strict=True))


def _plain(one: Input, encoder: TableEncoder) -> dict[str, Any]:
    """One input: its name, what it is and of which column, and how that column's text is read."""
    found: dict[str, Any] = {"name": one.name, "kind": one.kind, "column": one.column, "part": one.part}
    reading = encoder.readings.get(one.column)
    if one.codes:
        found["codes"] = list(one.codes)
    if reading is not None and reading.kind in ("number", "date"):
        found["gaps"] = list(MISSING_AMONG_NUMBERS)
    if reading is not None and reading.kind == "number":
        found |= {"decimal": reading.decimal, "pattern": grammar(reading.decimal), "signs": signs(reading.decimal)}
    if reading is not None and reading.kind == "date":
        found["formats"] = list(reading.formats)
    if reading is not None and reading.kind == "boolean":
        found["words"] = {word: k for pair in BOOLEANS for k, word in enumerate(pair)}
    return found
