"""The settings that a `_target_` node gives its class, held against what the class says they are."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Mapping
from typing import Any, Union

from hydra._internal.utils import _locate  # hydra.utils.get_object logs what it cannot find

from autogrow.errors import ConfigError

_SAID = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", types.NoneType: "null"}


def checked_settings(node: Any) -> Any:
    """A plain node in which each `_target_` node has been held against its class's own annotations, where these are
    bool, int, float, str, or one of several of them; what else a class says of its settings, it checks itself.

    Raises ConfigError for a value of another kind. 1e6 is a whole number: YAML has no other way to write it.
    """
    if isinstance(node, list):
        return [checked_settings(value) for value in node]
    if not isinstance(node, Mapping):
        return node
    kinds = _annotated(node.get("_target_"))
    return {
        name: _checked(value, name, kinds[name], str(node["_target_"])) if name in kinds else checked_settings(value)
        for name, value in node.items()
    }


def _checked(value: Any, name: str, kinds: tuple[type, ...], target: str) -> Any:
    if isinstance(value, float) and value.is_integer() and int in kinds and float not in kinds:
        return int(value)
    # a whole number is a number, and true and false are none
    right = bool in kinds if isinstance(value, bool) else isinstance(value, kinds)
    if not right and not (type(value) is int and float in kinds):
        said = " or ".join(_SAID[kind] for kind in kinds)
        given = "null" if value is None else repr(value)
        raise ConfigError(f"{name} of {target.rpartition('.')[2]} must be {said}, got {given}")
    return value


def _annotated(target: Any) -> dict[str, tuple[type, ...]]:
    """The kinds that a class names for its settings, those of plain kinds alone; none where there is no such class."""
    try:
        cls = _locate(target) if isinstance(target, str) else None
        hints = typing.get_type_hints(cls.__init__ if "__init__" in vars(cls) else cls) if inspect.isclass(cls) else {}
    except (ImportError, NameError, TypeError, ValueError):
        return {}  # Hydra says what is wrong with a target; a hint may be a checker's alone
    found = {name: _kinds(hint) for name, hint in hints.items()}
    return {name: kinds for name, kinds in found.items() if kinds and all(kind in _SAID for kind in kinds)}


def _kinds(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (Union, types.UnionType) else (hint,)
