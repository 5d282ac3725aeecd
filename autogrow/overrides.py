"""Words of a command line as text: Hydra's overrides and options, without Hydra."""

from __future__ import annotations

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


def key_of(override: str) -> str:
    """The key of an override, groups and values alike: growth/when=plateau and +growth.when=… are both growth.when.

    >>> key_of("growth/when=plateau"), key_of("~metrics"), key_of("++data.path='a=b'")
    ('growth.when', 'metrics', 'data.path')
    """
    return override.lstrip("+~").partition("=")[0].partition("@")[0].replace("/", ".")


def quoted(path: Path | str) -> str:
    """A path, or any text, as a quoted string of Hydra's grammar.

    >>> quoted(Path("it's here"))
    "'it\\\\'s here'"
    """
    return "'" + str(path).replace("'", "\\'") + "'"


def quoted_if_needed(path: Path | None) -> str:
    """A path as Hydra's grammar takes it, quoted only where it has to be."""
    plain = str(path)
    return plain if all(c.isalnum() or c in "/._-+" for c in plain) else quoted(Path(plain))


def unquoted(value: str) -> str:
    """A value as it was meant: without the quotes that Hydra's grammar asks for around commas and equal signs.

    >>> unquoted(quoted(Path("it's here"))), unquoted("plain")
    ("it's here", 'plain')
    """
    quote = value[:1]
    if len(value) > 1 and quote in "'\"" and value.endswith(quote):
        return value[1:-1].replace(f"\\{quote}", quote)
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
