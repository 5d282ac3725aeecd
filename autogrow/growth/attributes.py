"""Whole numbers that a module keeps: in attributes of its own, or in settings that it holds (`self.config.n_embd`).

Settings may be shared, by all blocks of a net and by whoever made it. So where a number in them grows with a width, the
net gets settings of its own, and everybody else's stay as they are.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

_FIRST = "[0]"
_NOT_SETTINGS = ("torch", "builtins", "numpy", "functools", "types", "pytorch_lightning", "lightning")


def settings(value: object) -> dict[str, Any] | None:
    """The numbers and words of an object that holds some (a dataclass, a namespace, a dict); None for anything else.

    A frozen one holds them for good.
    """
    if type(value) is dict:
        return value
    kind = type(value)
    if (
        isinstance(value, (nn.Module, Tensor, type, int, float, str))
        or callable(value)
        or not hasattr(value, "__dict__")
    ):
        return None
    if kind.__module__.partition(".")[0] in _NOT_SETTINGS and kind.__qualname__ != "SimpleNamespace":
        return None
    frozen = dataclasses.is_dataclass(value) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    return None if frozen else vars(value)


def attribute_of(module: nn.Module, name: str) -> Any:
    """A module's attribute by its name, or that of settings which it holds (`config.n_embd`), or the first of several
    numbers (`unflattened_size[0]`).

    Raises AttributeError where there is none.
    """
    if name.endswith(_FIRST):
        several = getattr(module, name.removesuffix(_FIRST))
        if not isinstance(several, tuple) or not several:
            raise AttributeError(f"{type(module).__name__} has no numbers {name!r}")
        return several[0]
    holder, _, last = name.rpartition(".")
    if not holder:
        return getattr(module, last)
    values = settings(getattr(module, holder))
    if values is None or last not in values:
        raise AttributeError(f"{type(module).__name__} has no attribute {name!r}")
    return values[last]


def set_attribute(net: nn.Module, module: nn.Module, name: str, value: Any) -> Callable[[], None]:
    """Set it, and answer with how to take it back. Settings are replaced by a copy, wherever the net holds them."""
    if name.endswith(_FIRST):
        several = name.removesuffix(_FIRST)
        return set_attribute(net, module, several, (value, *getattr(module, several)[1:]))
    holder, _, last = name.rpartition(".")
    if not holder:
        old = getattr(module, last)
        setattr(module, last, value)
        return lambda: setattr(module, last, old)
    held = getattr(module, holder)
    changed = copy.copy(held)
    if isinstance(changed, dict):
        changed[last] = value
    else:
        setattr(changed, last, value)
    _exchange(net, held, changed)
    return lambda: _exchange(net, changed, held)


def _exchange(net: nn.Module, held: object, other: object) -> None:
    for module in net.modules():
        for name, value in vars(module).items():
            if value is held:
                vars(module)[name] = other


__all__ = ["attribute_of", "set_attribute", "settings"]
