"""Configs that differ in values alone are composed once: Hydra reads and merges thirty files for each job anew.

What is chosen of the groups decides which files are read; values are set in what has been composed of them. So the
config of `data=iris seed=1` is that of `data=iris`, composed before, with its seed set as Hydra sets it. Jobs of a
sweep share what was composed for the first of them, a forked process what its server knows.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

Key = tuple[str, ...]
_PLACES = "hydra.searchpath"
_NEVER = b""
_WORDS = [
    "a=b",
    "a.b=1",
    "a.b=0.5",
    "a=1e-3",
    "a/b=c",
    "a=null",
    "a=true",
    "a=[1,2]",
    "a='b c'",
    "a=/b/c-d_0",
    "hydra.a=B",
]


class Composed:
    """What this process knows: pickled configs, by all that decides them. `heard`: who is told of a new one."""

    known: ClassVar[dict[Key, bytes]] = {}
    heard: ClassVar[list[Callable[[Key, bytes], None]]] = []


def read_words() -> None:
    """Read words of every kind: the tables of Hydra's grammar fill as words are read, and are the process's."""
    OverridesParser.create().parse_overrides(_WORDS)


@contextmanager
def composing_once() -> Iterator[None]:
    """While the block runs, Hydra composes only what this process does not know."""
    anew = ConfigLoaderImpl.load_configuration

    def load(
        loader: ConfigLoaderImpl,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        how = (run_mode, from_shell, validate_sweep_overrides)
        try:
            found = _known(loader, config_name, overrides, how, anew)
        except (HydraException, OmegaConfBaseException):
            found = None  # what is wrong with the words is said of all of them together
        return anew(loader, config_name, overrides, *how) if found is None else found

    ConfigLoaderImpl.load_configuration = load  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        ConfigLoaderImpl.load_configuration = anew  # type: ignore[method-assign]


def _known(
    loader: ConfigLoaderImpl,
    config_name: str | None,
    overrides: list[str],
    how: tuple[RunMode, bool, bool],
    anew: Callable[..., DictConfig],
) -> DictConfig | None:
    """The config of these words, by what is known of their choices; None where they change what can be chosen."""
    words = OverridesParser.create().parse_overrides(overrides)
    if any(word.is_sweep_override() or word.key_or_group == _PLACES for word in words):
        return None
    is_choice = [_is_choice(word, loader) for word in words]
    choices = [str(word.input_line) for word, chosen in zip(words, is_choice, strict=True) if chosen]
    places = (f"{place.provider} {place.path}" for place in loader.config_search_path.get_path())
    key = (str(config_name), str(how), str(version.getbase()), os.getcwd(), *places, "choices", *choices)
    if key not in Composed.known:
        composed = anew(loader, config_name, choices, *how)
        _keep(key, _NEVER if composed.hydra.searchpath else _of_choices(composed, choices))
    if Composed.known[key] == _NEVER:
        return None
    cfg: DictConfig = pickle.loads(Composed.known[key])
    _set(cfg, words, [word for word, chosen in zip(words, is_choice, strict=True) if not chosen])
    return cfg


def _is_choice(word: Override, loader: ConfigLoaderImpl) -> bool:
    """Whether an override chooses of a group; Hydra's own rule."""
    return not isinstance(word.value(), dict) and loader.repository.group_exists(word.key_or_group)


def _keep(key: Key, composed: bytes) -> None:
    Composed.known[key] = composed
    for tell in Composed.heard:
        tell(key, composed)


def _of_choices(cfg: DictConfig, choices: Sequence[str]) -> bytes:
    """A config that says nothing yet of the words it was composed for, and nothing looked up."""
    said = cfg.hydra.overrides
    for kind in ("task", "hydra"):
        own = [line for line in said[kind] if line not in choices]
        said[kind] = own
    OmegaConf.clear_cache(cfg)
    return pickle.dumps(cfg)


def _set(cfg: DictConfig, words: Sequence[Override], values: list[Override]) -> None:
    """Set the values, then what Hydra says of the words in its own node: as its loader does behind its composition."""
    ConfigLoaderImpl._apply_overrides_to_config(values, cfg)
    own = cfg.hydra
    for word in words:
        own.overrides["hydra" if word.is_hydra_override() else "task"].append(word.input_line)
    with open_dict(own):
        for name in own.job.env_copy:
            own.job.env_set[name] = os.environ[name]
    of_names: Any = own.job.config.override_dirname
    own.job.override_dirname = get_overrides_dirname(
        overrides=[word for word in words if not word.is_hydra_override()],
        kv_sep=of_names.kv_sep,
        item_sep=of_names.item_sep,
        exclude_keys=of_names.exclude_keys,
    )
