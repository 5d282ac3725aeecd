"""What a dense net takes on a device as the C file of `autogrow export to=c`: of its widths alone, before it is grown.

Pure arithmetic, for budgets; `autogrow/deploy/export/c_source` writes the file, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

CODE = 2560
"""Bytes allowed for the program itself, gcc -Os; the functions that it calls from libm (expf) are not in it."""

OF_COLUMN = 16
"""Bytes allowed for each number that the first layer reads: its fill, mean, scale and clip, or a ramp's ends."""


def flash_bytes(sizes: Sequence[int], int8: bool = False, *, members: int = 1, normed: bool = False) -> int:
    """Bytes of constants and code, at most. sizes: what the first layer reads (the columns, and the ramps between
    knots), the hidden widths, the outputs. Of residual blocks both of their layers count as widths. normed: by layer or
    rms; a batch norm is in the weights.

    >>> flash_bytes([64, 112, 112, 10]), flash_bytes([64, 112, 112, 10], int8=True)
    (87848, 26288)
    """
    layers = list(pairwise(sizes))
    weights = sum(i * o for i, o in layers) * (1 if int8 else 4)
    units = sum(o for _, o in layers) * (8 if int8 else 4)  # a factor and a bias each, or a bias
    norms = 8 * sum(sizes[1:-1]) if normed else 0
    return members * (weights + units) + norms + OF_COLUMN * sizes[0] + CODE


def ram_bytes(sizes: Sequence[int], int8: bool = False, *, members: int = 1, normed: bool = False) -> int:
    """Bytes of the two buffers that the values of the layers lie in by turns; the stack is not in it. sizes: as above.

    The last layer writes straight into the answer, but of several members, whose answers are put together. normed: as
    above; in int8 a norm looks at a row in floats. A block within a residual stage takes a third buffer more.

    >>> ram_bytes([64, 112, 112, 10]), ram_bytes([64, 112, 112, 10], int8=True)
    (896, 240)
    """
    hidden = sizes[1:-1] if members == 1 or int8 else sizes[1:]
    one, other = max([0, *hidden[1::2]]), max([0, *hidden[0::2]])
    if not int8:
        return 4 * (max(sizes[0], one) + other)
    rows = [*(sizes[-1:] if members > 1 else []), *(sizes[1:-1] if normed else [])]
    return max(2 * sizes[0], one) + other + 4 * max([0, *rows])
