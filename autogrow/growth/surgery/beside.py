"""New modules in a list of modules, behind one of it: those behind it move on, and so do the names of their tensors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from torch import Tensor, nn

from autogrow.growth.surgery.moves import Move


def put_beside(net: nn.Module, name: str, layers: Sequence[nn.Module]) -> tuple[list[Move], Callable[[], None]]:
    """Put layers behind module `name` into the list that holds it. Returns the moves and how to undo them.

    A list of numbers is numbered anew; in one of names (an OrderedDict's) new ones get the next free name.
    """
    owner, _, child = name.rpartition(".")
    parent = net.get_submodule(owner)
    before = dict(parent._modules)
    known = list(_tensors(net))
    held = {id(t) for _, t in known}
    for layer in layers:
        layer.train(before[child].training)  # type: ignore[union-attr]
    after: dict[str, nn.Module | None] = {}
    for key, module in before.items():
        after[key if not _numbered(before) else str(len(after))] = module
        if key == child:
            for layer in layers:
                after[str(len(after)) if _numbered(before) else _free_name(key, {**before, **after})] = layer
    _install(parent, after)
    names = {id(t): n for n, t in _tensors(net)}
    moves = [Move(t, t, n, names[id(t)]) for n, t in known if names[id(t)] != n]
    moves += [Move(None, t, None, n) for n, t in _tensors(net) if id(t) not in held]

    def undo() -> None:
        _install(parent, before)

    return moves, undo


def _tensors(net: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from net.named_parameters()
    yield from net.named_buffers()


def _numbered(modules: Mapping[str, object]) -> bool:
    return list(modules) == [str(i) for i in range(len(modules))]


def _free_name(name: str, taken: Mapping[str, object]) -> str:
    """The next free name in a list whose modules have names: 'layer_3' behind 'layer_2', if there is none yet."""
    stem = re.sub(r"\d+$", "", name)
    stem = stem if stem != name else f"{name}_"
    number = 1
    while f"{stem}{number}" in taken:
        number += 1
    return f"{stem}{number}"


def _install(parent: nn.Module, modules: Mapping[str, nn.Module | None]) -> None:
    parent._modules.clear()  # into the table, not by setattr: Lightning and users override that
    parent._modules.update(modules)
