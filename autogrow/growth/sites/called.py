"""Functions as torch calls them: their bare names, the tensors they are given, and what they ask of those."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

# answers of plain Python about a tensor's values: another batch, another way through the forward
ASKS_VALUES = {
    "item", "tolist", "numpy", "__bool__", "__int__", "__float__", "__index__", "__complex__", "__contains__", "__array__",
}  # fmt: skip
MEASURES = {"shape", "size", "numel", "len"}
_REFLECTED = {"rsub": "sub", "rdiv": "truediv", "rtruediv": "truediv", "rpow": "pow", "rmatmul": "matmul", "rfloordiv": "floordiv"}  # fmt: skip


def plainly(name: str, args: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """What a call is: an operator with its arguments in order, and of a tensor that says the kind alone nothing."""
    if name in _REFLECTED:
        name, args = _REFLECTED[name], (args[1], args[0], *args[2:])
    elif name in ("rmul", "radd"):
        name = name[1:]
    if name in ("to", "type_as"):  # of another tensor its kind alone
        args = (*args[:1], *(a for a in args[1:] if not isinstance(a, Tensor)))
    return name, args


def name_of(func: Callable[..., Any]) -> str:
    """The bare name of a function, of what an operator stands for, or of the attribute that is read."""
    name = getattr(func, "__name__", str(func))
    if name == "__get__":
        return str(getattr(getattr(func, "__self__", None), "__name__", name))
    return name.removeprefix("__").removesuffix("__") if name.startswith("__") else name


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in a value, in containers and slices too."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, Mapping):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, slice):
        yield from tensors_in([value.start, value.stop, value.step])
