"""Where the values of a program lie while it runs: in as few buffers as its skips allow, two where there are none."""

from __future__ import annotations

from dataclasses import dataclass

from autogrow.deploy.export.c_source.program import Add, Program


@dataclass(frozen=True)
class Places:
    """`of`: the buffer of each value; `widths`: how many numbers each buffer must hold."""

    of: tuple[int, ...]
    widths: tuple[int, ...]


def places_of(program: Program, *, last: bool) -> Places:
    """Buffers by who is still needed. `last`: the last value has one too; else it is written where it is answered.

    A layer that begins by adding a value that nobody needs afterwards is added to it where it lies.
    """
    layers = program.layers
    needed = [0] * (len(layers) + 1)
    for k, layer in enumerate(layers):
        for value in (layer.reads, *(op.value for op in layer.then if isinstance(op, Add))):
            needed[value] = max(needed[value], k)
    of = [0]
    for k, layer in enumerate(layers):
        busy = {of[value] for value in range(k + 1) if needed[value] >= k}
        onto = added_first(program, k)
        in_place = onto is not None and needed[onto] == k and onto not in (0, layer.reads)
        of.append(of[onto] if in_place and onto is not None else min(set(range(len(busy) + 1)) - busy))
    if not last:
        of.pop()
    widths = [0] * (max(of) + 1)
    for place, size in zip(of, program.sizes, strict=False):
        widths[place] = max(widths[place], size)
    return Places(tuple(of), tuple(widths))


def added_first(program: Program, layer: int) -> int | None:
    """The value that a layer's product is added to before anything else is done."""
    then = program.layers[layer].then
    return then[0].value if then and isinstance(then[0], Add) else None
