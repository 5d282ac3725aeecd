"""Is it what was written? Plain values that come from a file, checked before anything is made of them.

What a value must be is said by an annotation, as of the dataclass or the TypedDict that describes it. A number is
finite and of a size that can be reckoned with; `None` is nothing but where the annotation says so.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from autogrow.errors import nearest

LARGEST = 1e100
"""Numbers beyond it are none of ours: their squares and sums would be infinite."""

DEEPEST = 40
"""No file of ours nests its values as deep."""


@dataclass(frozen=True)
class Least:
    """In an annotation: the least that a number may be."""

    least: float

    def fault(self, value: Any, name: str) -> str:
        """What is wrong with a number."""
        return f"{name} must be at least {self.least}, got {_short(value)}" if value < self.least else ""


class Bare:
    """In an annotation: the name of a file or folder, which leads nowhere else. Empty where there is none."""

    def fault(self, value: Any, name: str) -> str:
        """What is wrong with a name."""
        leads_away = value in (".", "..") or "/" in value or "\0" in value
        return f"{name} must be a name without a way in it, got {_short(value)}" if leads_away else ""


Positive = Annotated[int, Least(1)]
Count = Annotated[int, Least(0)]
Amount = Annotated[float, Least(0)]
Name = Annotated[str, Bare()]


class NotPlainError(ValueError):
    """What a file holds is not what was written into it; says what is wrong, without the file."""


def read_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises NotPlainError for what no file of ours holds, whatever its keys."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise NotPlainError("nests its values too deep") from None
    except NotPlainError:
        raise
    except ValueError as error:
        raise NotPlainError(f"is not JSON ({' '.join(str(error).split())})") from None
    check_plain(value)
    return value


def check_plain(value: Any) -> None:
    """Raise NotPlainError for values that nest too deep, numbers that cannot be reckoned with and broken text."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise NotPlainError("nests its values too deep")
        below: list[Any] = []
        for one in level:
            if isinstance(one, str):
                if not one.isascii():
                    _check_text(one)
            elif isinstance(one, (int, float)):
                if not -LARGEST <= one <= LARGEST:  # NaN is not between them either
                    raise NotPlainError(f"holds the number {_short(one)}")
            elif isinstance(one, Mapping):
                below += one.keys()
                below += one.values()
            elif isinstance(one, (list, tuple)):
                below += one
        level = below


def check(value: Any, kind: Any) -> None:
    """Raise NotPlainError, naming the key, where a value is not of the kind that an annotation describes.

    >>> check({"widths": [8, 0]}, Mapping[str, Sequence[Positive]])
    Traceback (most recent call last):
    autogrow.plain.NotPlainError: widths[1] must be at least 1, got 0
    """
    found = fault(value, kind)
    if found:
        raise NotPlainError(found)


def fault(value: Any, kind: Any, name: str = "") -> str:
    """What is wrong with a value that should be of this kind, in words; empty where nothing is."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return fault(value, inner[0], name) or str(inner[1].fault(value, name or "it"))
    if origin in (Union, types.UnionType):
        return _fault_of_all(value, inner, name)
    if origin is Literal:
        known = isinstance(value, str) and value in inner
        return "" if known else f"{name} {_short(value)} is unknown; {nearest(str(value), map(str, inner))}"
    if is_typeddict(kind):
        return _fault_of_keys(value, kind, name)
    if origin is NotRequired:
        return fault(value, inner[0], name)
    of_items = origin is not None
    return (
        _fault_of_items(value, origin, inner, name or "it") if of_items else _fault_of_scalar(value, kind, name or "it")
    )


def _fault_of_all(value: Any, kinds: Sequence[Any], name: str) -> str:
    """What is wrong with a value that may be of several kinds: as of the one that it looks like."""
    faults = [fault(value, kind, name) for kind in kinds]
    nested = isinstance(value, (Mapping, list, tuple)) and kinds[-1] is not types.NoneType
    return "" if "" in faults else faults[-1 if nested else 0]


def fault_of_fields(plain: Any, cls: Any, but: Mapping[str, Any] | None = None) -> str:
    """What is wrong with the fields of a dataclass as plain values: no unknown one, none missing.

    `but`: the kinds of fields whose plain form is another than their own.
    """
    if not isinstance(plain, Mapping):
        return f"it must be a mapping, got {_short(plain)}"
    fields = {field.name: field for field in dataclasses.fields(cls)}
    kinds = {**_hints(cls), **(but or {})}
    for name in plain:
        if name not in fields:
            return f"it has the unknown field {name!r}; {nearest(str(name), fields)}"
    for name, field in fields.items():
        if name in plain:
            found = fault(plain[name], kinds[name], name)
            if found:
                return found
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            return f"it has no {name!r}"
    return ""


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _fault_of_keys(value: Any, kind: Any, name: str) -> str:
    if not isinstance(value, Mapping):
        return f"{name or 'it'} must be a mapping, got {_short(value)}"
    for key, one in _hints(kind).items():
        if key in value:
            found = fault(value[key], one, _below(name, key))
            if found:
                return found
        elif key in kind.__required_keys__ and get_origin(one) is not NotRequired:
            return f"{name or 'it'} has no {key!r}"
    return ""


def _fault_of_items(value: Any, origin: type[Any], inner: Sequence[Any], name: str) -> str:
    if issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            return f"{name} must be a mapping, got {_short(value)}"
        faults = (
            fault(k, inner[0], f"a key of {name}") or fault(v, inner[1], _below(name, k)) for k, v in value.items()
        )
    else:
        if not isinstance(value, (list, tuple)):
            return f"{name} must be a list, got {_short(value)}"
        faults = (fault(v, inner[0], f"{name}[{i}]") for i, v in enumerate(value))
    return next(filter(None, faults), "")


_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", types.NoneType: "nothing"}


def _fault_of_scalar(value: Any, kind: Any, name: str) -> str:
    if kind is Any:
        return ""
    if kind not in _WORDS:  # tensors and their like
        return "" if isinstance(value, kind) else f"{name} must be a {kind.__name__}, got {_short(value)}"
    right = isinstance(value, (int, float) if kind is float else kind) and isinstance(value, bool) == (kind is bool)
    if right and kind in (int, float):
        right = -LARGEST <= value <= LARGEST  # NaN is not between them either
    return "" if right else f"{name} must be {_WORDS[kind]}, got {_short(value)}"


def _below(name: str, key: str) -> str:
    return f"{name}.{key}" if name and name != "it" else str(key)


def _short(value: Any) -> str:
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"of {value.bit_length()} bits"
    if isinstance(value, (str, int, float, types.NoneType)):
        text = repr(value)
        return text if len(text) <= 60 else f"{text[:60]}…"
    return f"a {'mapping' if isinstance(value, Mapping) else type(value).__name__}"


def _no_constant(name: str) -> Any:
    raise NotPlainError(f"holds {name}")


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise NotPlainError(f"holds half of a character ({text[:60]!a})") from None
