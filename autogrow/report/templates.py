"""The templates of the pages: strict, and everything put into them escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


@cache  # it keeps what it has compiled
def templates() -> Environment:
    """Where the pages' templates come from; one that reads what it was not given is an error."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
