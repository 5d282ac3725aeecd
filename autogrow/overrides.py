"""Words of a command line as text: Hydra's overrides and options, without Hydra."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_WITH_A_VALUE = frozenset(
    [
        "--config-dir",
        "-cd",
        "--config-path",
        "-cp",
        "--config-name",
        "-cn",
        "--cfg",
        "-c",
        "--package",
        "-p",
        "--info",
        "-i",
        "--experimental-rerun",
    ]
)


_PLAIN = re.compile(
    r"(?=[^/]*[a-zA-Z][^/]*/|/|\./)[a-zA-Z0-9_/.+-]+|(?!(true|false|null|nan|inf|e\d+)$)[a-z][a-z0-9_-]*", re.I
)
"""Paths that Hydra's grammar takes for nothing but a text."""


def key_of(override: str) -> str:
    """The key of an override, groups and values alike: growth/when=plateau and +growth.when=… are both growth.when.

    >>> key_of("growth/when=plateau"), key_of("~metrics"), key_of("++data.path='a=b'")
    ('growth.when', 'metrics', 'data.path')
    """
    return override.lstrip("+~").partition("=")[0].partition("@")[0].replace("/", ".")


def as_text(text: str) -> str:
    """A text as a config holds it that is to stay as it is: what looks like an interpolation is none.

    >>> as_text("${oc.env:HOME}.csv")
    '\\\\${oc.env:HOME}.csv'
    """
    return re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", text)


def quoted(path: Path | str) -> str:
    """A path, or any text, as a quoted string of Hydra's grammar, in which nothing is an expression.

    >>> quoted(Path("it's ${here}"))
    "'it\\\\'s \\\\${here}'"
    """
    text = as_text("./???" if str(path) == "???" else str(path))  # which stands for a value that is missing
    # a quote is escaped, and so is each backslash before one; the last quote of all ends the string
    return "'" + re.sub(r"(\\*)('|\Z)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), text) + "'"


def quoted_if_needed(path: Path | None) -> str:
    """A path as Hydra's grammar takes it, quoted only where it has to be."""
    plain = str(path)
    return plain if _PLAIN.fullmatch(plain) else quoted(Path(plain))


def unquoted(value: str) -> str:
    """A value as it was meant: without the quotes and escapes that Hydra's grammar asks for.

    >>> unquoted(quoted(Path("it's ${here}"))), unquoted("plain")
    ("it's ${here}", 'plain')
    """
    quote = value[:1]
    if len(value) > 1 and quote in "'\"" and value.endswith(quote):
        inner = re.sub(rf"(\\+)({quote}|\Z)", lambda found: found[1][: len(found[1]) // 2] + found[2], value[1:-1])
        return re.sub(r"(\\+)\$\{", lambda found: found[1][: len(found[1]) // 2] + "${", inner)
    return value


def options_first(arguments: Sequence[str]) -> list[str]:
    """The same arguments, options in front: argparse takes overrides on one side of them only.

    >>> options_first(["run=a", "--config-dir", "mine", "growth=b", "-m"])
    ['--config-dir', 'mine', '-m', 'run=a', 'growth=b']
    """
    options: list[str] = []
    overrides: list[str] = []
    before = ""
    for argument in arguments:
        value = before in _WITH_A_VALUE and "=" not in argument
        (options if value or argument.startswith("-") else overrides).append(argument)
        before = argument
    return options + overrides
