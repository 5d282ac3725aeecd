"""What is wrong with words that cannot be composed, in one line: the wrong name, and the nearest right ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from autogrow.config import CONF_DIR
from autogrow.errors import nearest
from autogrow.overrides import key_of, quoted
from autogrow.registration import register


def explain(command: str, error: BaseException, arguments: Sequence[str] = ()) -> str:
    """One line for a composition error: the wrong name, and the nearest right ones of what was typed beside it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MissingConfigException) and cause.options:
            group, _, option = str(cause.missing_cfg_file).rpartition("/")
            options = [o for o in cause.options if not o.startswith("_")]
            return f"{group} has no option {option!r}; {nearest(option, options)}"
        cause = cause.__cause__
    text = " ".join(str(error).split())
    if "BasicSweeper does not support sweep type" in text:
        return "interval(…) has no end of values to try; search it with hydra/sweeper=optuna, or list values: key=a,b"
    if isinstance(error, OverrideParseException):
        first = str(error).splitlines()[0]
        key, _, value = str(error.override).partition("=")
        near = f"; quote its value: '{key}=\"{value}\"'" if value and value[0] not in "'\"[{" else ""
        return f"cannot read the override {error.override!r}: {first}{near}".replace("\n", "\\n")
    missing = re.search(r"Could not override '([^']+)'", text)
    if missing:
        return f"unknown key {missing[1]!r}; {_near_key(missing[1], _keys_beside(missing[1], command, arguments))}"
    root = error
    while root.__cause__ is not None and isinstance(root.__cause__, OmegaConfBaseException):
        root = root.__cause__
    message = str(root).split("\n")[0].strip() if isinstance(root, OmegaConfBaseException) else text
    full_key = getattr(root, "full_key", None)
    return f"{full_key}: {message}" if full_key else message


def _near_key(key: str, keys: Sequence[str]) -> str:
    """The nearest keys: those of the same node first, by their last name."""
    node, _, leaf = key.rpartition(".")
    if key in keys or (node in keys and not any(k.startswith(f"{node}.") for k in keys)):  # a mapping without entries
        return f"add the entries of {key if key in keys else node} with a plus: +{key if key not in keys else f'{key}.name'}=…"
    siblings = [k for k in keys if k.rpartition(".")[0] == node]
    if not siblings:
        return nearest(key, [k for k in keys if k.split(".")[-1] == leaf] or sorted({k.split(".")[0] for k in keys}))
    return nearest(leaf, [k.split(".")[-1] for k in siblings])


def _keys_beside(wrong: str, command: str, arguments: Sequence[str]) -> list[str]:
    """The keys that there are with what was typed beside a wrong one; where that cannot be composed either, with the
    choices among it, or with nothing.
    """
    typed = [a for a in arguments if key_of(a) != wrong and _says_one_thing(a)]
    where, hydra_too = _search_path(arguments), wrong.startswith("hydra.")
    for given in (typed, [a for a in typed if "." not in key_of(a)]):
        with suppress(HydraException, OmegaConfBaseException):
            return list(known_keys(command, [*where, *given], hydra_too=hydra_too))
    return list(known_keys(command, hydra_too=hydra_too))


def _says_one_thing(argument: str) -> bool:
    """Whether it is an override, and none with several values to sweep over."""
    if "=" not in argument or argument.startswith("-"):
        return False
    with suppress(HydraException):
        return not OverridesParser.create().parse_override(argument).is_sweep_override()
    return False


def _search_path(arguments: Sequence[str]) -> list[str]:
    """The --config-dir among the words, as an override of Hydra's that says the same."""
    folders = [a.partition("=")[2] for a in arguments if a.startswith("--config-dir=")]
    folders += [b for a, b in pairwise(arguments) if a in ("--config-dir", "-cd")]
    return [f"hydra.searchpath=[{quoted(f'file://{Path(folder).absolute()}')}]" for folder in folders[-1:]]


def known_keys(command: str, choices: Sequence[str] = (), *, hydra_too: bool = False) -> Iterator[str]:
    """Every key of the default composition of a command, dotted; with `hydra_too` those under hydra. as well.

    choices: overrides that it is composed with.
    """
    GlobalHydra.instance().clear()
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        cfg = compose(command, list(choices), return_hydra_config=hydra_too)
    GlobalHydra.instance().clear()
    yield from _dotted(OmegaConf.to_container(cfg, resolve=False), "")


def _dotted(node: Any, prefix: str) -> Iterator[str]:
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        yield f"{prefix}{key}"
        yield from _dotted(value, f"{prefix}{key}.")
