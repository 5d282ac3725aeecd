"""Numbers, arrays and comments as C text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

LARGEST = 3.4028235e38  # of a 32-bit float: what stands for a limit that there is none

_A_LINE = 110


def float_text(value: float) -> str:
    """A 32-bit float, in the fewest digits that give it back; what is beyond 32 bits as the largest one.

    >>> float_text(0.1), float_text(1), float_text(float("inf"))
    ('0.1f', '1.0f', '3.4028235e+38f')
    """
    return f"{np.float32(np.clip(value, -LARGEST, LARGEST))!s}f"


def double_text(value: float) -> str:
    """A 64-bit float; infinity as C's.

    >>> double_text(1e9), double_text(float("inf"))
    ('1000000000.0', 'INFINITY')
    """
    return "INFINITY" if value == np.inf else repr(float(value))


def whole_type(values: np.ndarray) -> str:
    """The smallest type of C that holds whole numbers of 0 or more."""
    most = int(values.max(initial=0))
    return "uint8_t" if most < 2**8 else "uint16_t" if most < 2**16 else "uint32_t"


def comment_text(text: str) -> str:
    """A name as it may stand in a comment: on one line, in ASCII, without what would end the comment."""
    plain = (
        text.encode("ascii", "backslashreplace").decode().replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")
    )
    return "".join(c if c.isprintable() else "?" for c in plain).rstrip("\\")


class Constants:
    """The `static const` arrays of a file, as they are asked for."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: set[str] = set()
        self.bytes = 0

    def array(self, kind: str, name: str, values: np.ndarray) -> str:
        """Declare an array, of members one row for each; its name. Asked for again it is the same one."""
        if name in self.names:
            return name
        self.names.add(name)
        write = {"float": float_text, "double": double_text}.get(kind, lambda v: str(int(v)))
        shape = "".join(f"[{n}]" for n in values.shape)
        rows = values if values.ndim == 2 else values[None]
        parts = [_wrapped([write(v) for v in row]) for row in rows]
        body = "\n".join(parts) if values.ndim == 1 else "},\n{".join(["", *parts])[3:] + "}"
        self.lines.append(f"static const {kind} {name}{shape} = {{\n{body}}};")
        self.bytes += values.size * _BYTES[kind]
        return name

    def element(self, kind: str, name: str, values: np.ndarray, index: str, *, block: int = 1) -> str:
        """The text of element `index`: a plain number where all are one, an array of one a block where blocks are."""
        if (values == values[0]).all():
            return (
                float_text(values[0])
                if kind == "float"
                else double_text(values[0])
                if kind == "double"
                else str(values[0])
            )
        blocks = values.reshape(-1, block)
        if block > 1 and (blocks == blocks[:, :1]).all():
            return f"{self.array(kind, name, blocks[:, 0])}[{index} / {block}]"
        return f"{self.array(kind, name, values)}[{index}]"


_BYTES = {"float": 4, "double": 8, "int8_t": 1, "uint8_t": 1, "uint16_t": 2, "int16_t": 2, "uint32_t": 4}


def _wrapped(numbers: Sequence[str]) -> str:
    lines, line = [], ""
    for number in numbers:
        if len(line) + len(number) > _A_LINE:
            lines.append(line)
            line = ""
        line += number + ","
    return "\n".join([*lines, line.rstrip(",")])


def indented(lines: Iterable[str], by: int = 4) -> list[str]:
    """The lines, further in."""
    return [" " * by + line for line in lines]
