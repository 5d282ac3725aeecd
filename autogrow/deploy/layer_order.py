"""In which order the layers of a state dict are used: it holds them as they were registered, which may be another.

The order is what the shapes alone leave open: none, or what the numbers in the names say. Anything else is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, islice, pairwise
from pathlib import Path

from torch import Tensor

from autogrow.errors import CheckpointError, ConfigError, nearest

Groups = Mapping[str, Mapping[str, Tensor]]
"""By a layer's name its tensors: weight (O, I) of a dense layer, (W,) of a norm."""


def order_of_use(groups: Groups, layers: Sequence[str] | None, path: Path) -> list[str]:
    """The names of the layers, norms included, as data go through them. layers: what the user says of it.

    Raises CheckpointError where neither shapes nor names settle it, ConfigError for `layers` that are not the file's.
    """
    if layers is not None:
        return _as_told(groups, layers, path)
    dense = [name for name in groups if groups[name]["weight"].ndim == 2]
    shapes = {name: (groups[name]["weight"].shape[1], groups[name]["weight"].shape[0]) for name in dense}
    by_shape = list(islice(_chains(shapes, numbered=False), 2)) if len(set(shapes.values())) == len(dense) else []
    if len(set(shapes.values())) == len(dense) and not by_shape:
        raise CheckpointError(f"{path}: {_listed(shapes)} do not fit one behind another: not a stack of layers")
    found = by_shape if len(by_shape) == 1 else list(islice(_chains(shapes, numbered=True), 2))
    contradicted = len(by_shape) != 1 and any(_comes_before(b, a) for a, b in combinations(dense, 2))
    if len(found) != 1 or contradicted:
        raise CheckpointError(
            f"{path}: {_listed(shapes)} fit in more than one order, and a state dict does not say in which they are "
            f"used; say it: layers=[{','.join(groups)}], in that order"
        )
    return _with_norms(groups, found[0], path)


def steps_between(names: Sequence[str]) -> list[bool] | None:
    """Behind which of the layers, in the order of use, something without tensors stands; None where names do not say.

    Layers of an `nn.Sequential` are numbered with it: between 0 and 2 there is one. Without any gap it is a list of
    layers, whose use is written elsewhere.
    """
    numbers = _places(names)
    if numbers is None:
        return None
    gaps = [b - a > 1 for a, b in pairwise(numbers)]
    return [*gaps, False] if any(gaps) else None


def _as_told(groups: Groups, layers: Sequence[str], path: Path) -> list[str]:
    unknown = [name for name in layers if name not in groups]
    if unknown:
        raise ConfigError(f"layers: {path} has no layer {unknown[0]!r}; {nearest(unknown[0], groups)}")
    if sorted(layers) != sorted(groups):
        raise ConfigError(f"layers must name each of {', '.join(groups)} once, got {', '.join(layers)}")
    return list(layers)


def _chains(shapes: Mapping[str, tuple[int, int]], *, numbered: bool) -> Iterator[list[str]]:
    """The orders in which every layer reads what the one before writes; with `numbered` those alone in which layers
    whose names differ in their numbers come by these.
    """

    def further(chain: list[str]) -> Iterator[list[str]]:
        left = [name for name in shapes if name not in chain]
        if not left:
            yield chain
        for name in left:
            fits = not chain or shapes[chain[-1]][1] == shapes[name][0]
            if fits and not (numbered and any(_comes_before(other, name) for other in left)):
                yield from further([*chain, name])

    yield from further([])


def _comes_before(one: str, other: str) -> bool:
    stem, number = _parts(one)
    return _parts(other)[0] == stem and number < _parts(other)[1]


def _parts(name: str) -> tuple[str, list[int]]:
    """'blocks.2.fc1' → ('blocks.#.fc#', [2, 1])."""
    return re.sub(r"\d+", "#", name), [int(n) for n in re.findall(r"\d+", name)]


def _places(names: Sequence[str]) -> list[int] | None:
    """The numbers of layers of one container, ascending; None for others."""
    stems = {name.rpartition(".")[0] for name in names}
    last = [name.rpartition(".")[2] for name in names]
    if len(stems) > 1 or not all(n.isdecimal() for n in last):
        return None
    numbers = [int(n) for n in last]
    return numbers if numbers == sorted(numbers) else None


def _with_norms(groups: Groups, dense: list[str], path: Path) -> list[str]:
    """The dense layers with the norms among them: by their places in a container, by the one layer whose width they
    have, or by the number that they share with one.
    """
    in_one = _places(list(groups)) is not None and [n for n in groups if n in dense] == dense
    if list(groups) == dense or in_one:
        return list(groups)
    order = list(dense)
    for name in groups:
        if name in dense:
            continue
        fits = [d for d in dense if groups[d]["weight"].shape[0] == len(groups[name]["weight"])]
        if len(fits) > 1:
            fits = [d for d in fits if _parts(d)[1] == _parts(name)[1] != []]
        behind = [order[order.index(d) + 1 : order.index(d) + 2] for d in fits]
        if len(fits) != 1 or (behind[0] and behind[0][0] not in dense):
            raise CheckpointError(
                f"{path}: a state dict does not say behind which layer {name!r} stands; say in which order they are "
                f"used: layers=[{','.join(groups)}]"
            )
        order.insert(order.index(fits[0]) + 1, name)
    return order


def _listed(shapes: Mapping[str, tuple[int, int]]) -> str:
    return ", ".join(f"{name!r} ({i} → {o})" for name, (i, o) in shapes.items())
