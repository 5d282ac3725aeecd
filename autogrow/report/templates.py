"""The templates of the pages: strict, and everything put into them escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, meta


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


def compile_parts(name: str) -> None:
    """Compile the templates that one extends, imports and includes, and theirs."""
    environment = templates()
    assert environment.loader is not None
    source, _, _ = environment.loader.get_source(environment, name)
    for part in meta.find_referenced_templates(environment.parse(source)):
        if part is not None:
            environment.get_template(part)
            compile_parts(part)
