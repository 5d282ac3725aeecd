"""`autogrow keys [pattern]`: every key that can be typed, with its default, what may stand there, and a sentence."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from autogrow.errors import ConfigError
from autogrow.help import HELP_OF_KEYS, shown_key
from autogrow.keys import keys


def run(rest: Sequence[str]) -> int:
    """Run the command; the exit code. Raises ConfigError for a pattern that no key and no sentence holds."""
    if any(word in ("-h", "--help") for word in rest):
        print(HELP_OF_KEYS, end="")
        return 0
    if len(rest) > 1:
        raise ConfigError(f"keys takes one pattern, a part of a name or of a sentence, got {' '.join(rest)}")
    pattern = rest[0].casefold() if rest else ""
    found = [key for key in keys() if pattern in f"{key.name}={key.default} {key.where} {key.says}".casefold()]
    if not found:
        leaves = {part for key in keys() for part in (key.name, key.name.rpartition(".")[2])}
        close = difflib.get_close_matches(rest[0], sorted(leaves), n=3)
        near = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
        raise ConfigError(f"no key and no sentence holds {rest[0]!r}; {near}`autogrow keys` lists them all")
    for key in found:
        print("\n".join(shown_key(key)))
    return 0
