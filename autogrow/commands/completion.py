"""`autogrow -sc …`: Hydra's completion of what is typed in a shell, told which command the words are of.

Hydra's script asks `autogrow -sc query=bash` with the line in COMP_LINE, and knows of no commands: the first word is
completed here, the few values of a key as well, all else by Hydra on that command's config.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import import_module

from autogrow.config import CONF_DIR
from autogrow.errors import AutogrowError, ConfigError
from autogrow.keys import CHOICES

LINE = "COMP_LINE"
SHELLS = ("bash", "zsh", "fish")
HOW = 'eval "$(autogrow -sc install=bash)" in bash and zsh, autogrow -sc install=fish | source in fish'

FILES = {"predict": 2, "evaluate": 2, "export": 1, "front": 1, "replay": 1, "watch": 1}
"""How many words behind a command are files or folders: a run, a table."""


def run(rest: Sequence[str], commands: Sequence[str]) -> int:
    """Install or uninstall the completion, or answer a shell's question; the exit code."""
    verb, _, shell = rest[0].partition("=") if len(rest) == 1 else ("", "", "")
    if verb not in ("install", "uninstall", "query") or shell not in SHELLS:
        raise ConfigError(f"-sc takes install=, uninstall= or query= with one of {', '.join(SHELLS)}: {HOW}")
    if verb != "query":
        return _ask_hydra("fit", rest)
    program, *words, last = (os.environ.get(LINE, "") or " ").split(" ")
    words = [word for word in words if word]
    key = last.partition("=")[0]
    if not words:
        return _answer(command for command in commands if command.startswith(last))
    if key in CHOICES and "=" in last:
        return _answer(word for word in (f"{key}={value}" for value in CHOICES[key]) if word.startswith(last))
    names_a_file = "=" not in last and (len(words) <= FILES.get(words[0], 0) or last.startswith((".", "/", "~/")))
    if names_a_file or not (CONF_DIR / f"{words[0]}.yaml").is_file():
        return 0  # the shell completes files
    # a run or a table that stands alone is no override
    os.environ[LINE] = " ".join([program, *(word for word in words[1:] if "=" in word or word.startswith("-")), last])
    try:
        return _ask_hydra(words[0], rest)
    except AutogrowError:
        return 0  # what has been typed so far cannot be; a shell's line is no place to say so


def _ask_hydra(command: str, rest: Sequence[str]) -> int:
    return int(import_module(f"autogrow.commands.{command}").run(["-sc", *rest]))


def _answer(words: Iterable[str]) -> int:
    print("\n".join(words))
    return 0
