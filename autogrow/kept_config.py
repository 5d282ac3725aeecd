"""A config that comes from a run folder: data of whoever had the folder, and no code or expression of theirs.

`config.yaml` is stored resolved, so what looks like an interpolation in it is text. The classes that it may name are
those that autogrow's own conf/ names, its policies and initializers; and any that this command line names again.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

import autogrow.growth.neurons
import autogrow.policy
from autogrow.config import CONF_DIR, FitConfig
from autogrow.errors import CheckpointError, ConfigError
from autogrow.overrides import as_text
from autogrow.plain import NotPlainError, check_plain
from autogrow.train.record.folder import CONFIG, plain_yaml, read_config

_TARGET = "_target_"
_WHOLE = (
    "data", "net", "growth", "neurons", "stop", "finish", "budget", "optimizer", "schedule", "trainer", "seed", "metrics",
    "resume", "continue_from", "warm_start", "optimizer_state", "logger", "stage",
)  # fmt: skip
"""What every config of a run has; what has been added since may be missing in an older one, and is as it was then."""


def read_kept_config(folder: Path, named: DictConfig) -> DictConfig:
    """The config of a run that goes on. `named`: the config that this command line makes, by the schema of fit or a
    larger one.

    Raises CheckpointError, in one line, for what is not the config of a run; ConfigError for one that names a class
    which neither autogrow nor this command line names.
    """
    text = read_config(folder)
    where = f"{folder / CONFIG}"
    plain_yaml(text, where)  # nothing is built of what only seems to be a config
    try:
        plain: Any = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    except (YAMLError, OmegaConfBaseException) as error:  # a key that stands there twice, a set
        raise CheckpointError(f"{where} is not a config: {' '.join(str(error).split())[:200]}") from None
    try:
        check_plain(plain)  # OmegaConf reads more words as numbers than YAML does
    except NotPlainError as error:
        raise CheckpointError(f"{where} is not a config: {error}") from None
    for key in _WHOLE:
        if key not in plain:
            raise CheckpointError(f"{where} is not a whole config: it has no {key!r}")
    allowed = own_targets() | {target for _, target in _targets(OmegaConf.to_container(named, resolve=True), "")}
    for key, target in _targets(plain, ""):
        if target not in allowed:
            raise ConfigError(
                f"{where} names {key}={target!r}, which is not autogrow's own: a folder does not decide what code is "
                f"run; if you trust it, name it again: {key}={target}"
            )
    plain = _as_text(plain, where)
    try:
        merged: Any = OmegaConf.merge(OmegaConf.structured(FitConfig), OmegaConf.create(plain))
        OmegaConf.to_container(merged, resolve=True)
    except OmegaConfBaseException as error:
        said, at = str(error).split("\n")[0], getattr(error, "full_key", None)
        raise CheckpointError(f"{where} is not a config of a run: {f'{at}: ' if at else ''}{said}") from None
    return merged  # type: ignore[no-any-return]


@cache
def own_targets() -> frozenset[str]:
    """What a folder's config may name: what autogrow's conf/ names, its policies, its initializers of new units."""
    texts = (path.read_text(encoding="utf-8") for path in CONF_DIR.rglob("*.yaml"))
    named = {target for text in texts for target in re.findall(rf"^\s*{_TARGET}:\s*(\S+)", text, re.MULTILINE)}
    rooms = (autogrow.policy, autogrow.growth.neurons)
    classes = {
        f"{room.__name__}.{name}" for room in rooms for name in room.__all__ if inspect.isclass(getattr(room, name))
    }
    return frozenset(named | classes)


def _targets(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Everything that a config would have built, with its key."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            below = f"{key}.{name}" if key else str(name)
            if name == _TARGET:
                yield below, value if isinstance(value, str) else repr(value)
            else:
                yield from _targets(value, below)
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _targets(value, f"{key}[{i}]")


def _as_text(node: Any, where: str) -> Any:
    if isinstance(node, Mapping):
        return {name: _as_text(value, where) for name, value in node.items()}
    if isinstance(node, list):
        return [_as_text(value, where) for value in node]
    if node == MISSING:
        raise CheckpointError(f"{where} is not a whole config: a value is missing ({MISSING})")
    return as_text(node) if isinstance(node, str) else node
