"""A growth as a plan: computed without touching the net, then applied all at once or not at all.

A plan names every tensor it changes and holds the drawn values, so it can be applied again to another net of the same
structure (a weight average) with the same result for the new units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from autogrow.errors import GrowthError
from autogrow.growth.attributes import set_attribute
from autogrow.growth.surgery.beside import put_beside
from autogrow.growth.surgery.moves import Move


@dataclass(frozen=True)
class Regrow:
    """One dimension of a tensor, regrown.

    `index[j]`: the old position that new position j comes from, −1 for a new entry. `scale[j]`: factor of the values.
    `grad[j]`: factor of the loss gradient that follows. `fill`: what the new entries are: a number, a tensor of them
    (the tensor's new shape, but along `dim` as many as there are new entries), or 'mean' of the old positions. `add`:
    added in the end (the new shape).
    """

    dim: int
    index: Tensor
    scale: Tensor | None = None
    grad: Tensor | None = None
    fill: float | str | Tensor = 0.0
    add: Tensor | None = None

    def build(self, old: Tensor) -> Tensor:
        """The regrown tensor."""
        index = self.index.to(old.device)
        new = old.index_select(self.dim, index.clamp(min=0))
        if self.scale is not None:
            shape = [1] * new.ndim
            shape[self.dim] = -1
            new.mul_(self.scale.to(new).view(shape))
        fresh = (index < 0).nonzero().flatten()
        if len(fresh):
            if isinstance(self.fill, Tensor):
                new.index_copy_(self.dim, fresh, self.fill.to(new))
            elif self.fill == "mean":
                mean = old.mean(self.dim, keepdim=True)
                shape = list(mean.shape)
                shape[self.dim] = len(fresh)
                new.index_copy_(self.dim, fresh, mean.expand(shape).contiguous())
            else:
                new.index_fill_(self.dim, fresh, float(self.fill))
        if self.add is not None:
            new.add_(self.add.to(new))
        return new


@dataclass(frozen=True)
class TensorPlan:
    """A parameter or buffer by name, and its dimensions regrown one after the other.

    `shrink`: factor of all values in the end; `perturb`: added then.
    """

    name: str
    regrow: tuple[Regrow, ...]
    shrink: float = 1.0
    perturb: Tensor | None = None

    def build(self, old: Tensor) -> Tensor:
        """The new values."""
        new = old.detach()
        for step in self.regrow:
            new = step.build(new)
        if self.shrink != 1:
            new.mul_(self.shrink)
        if self.perturb is not None:
            new.add_(self.perturb.to(new))
        if old.ndim == 4 and not old.is_contiguous() and old.is_contiguous(memory_format=torch.channels_last):
            new = new.contiguous(memory_format=torch.channels_last)
        return new

    def values(self) -> dict[int, Tensor]:
        """Factors of the values by dimension."""
        factors = {s.dim: s.scale for s in self.regrow if s.scale is not None}
        if self.shrink != 1:
            first = self.regrow[0]
            scale = factors.get(first.dim, torch.ones(len(first.index), dtype=torch.float64))
            factors[first.dim] = scale * self.shrink
        return factors


@dataclass(frozen=True)
class Plan:
    """Tensors to regrow, attributes to set, buffers to replace, and at most one module to put behind another.

    `attributes`: module name → attribute → value. `wrap`: name of the module that becomes
    `Sequential(it, *inserted(net))`, or with `front` `Sequential(*inserted(net), it)`; with `beside` they follow it in
    its own list. `replaced`: buffers by name.
    """

    tensors: tuple[TensorPlan, ...] = ()
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    wrap: str | None = None
    inserted: Callable[[nn.Module], Sequence[nn.Module]] | None = None
    front: bool = False
    beside: bool = False
    replaced: Mapping[str, Tensor] = field(default_factory=dict)

    def apply(self, net: nn.Module) -> tuple[list[Move], Callable[[], None]]:
        """Change the net in place. Returns the moves and how to undo them.

        New tensors are all made before the first one is installed: if that fails, nothing has changed.
        """
        with torch.inference_mode(False):  # a callback may be under it; its tensors could never be trained
            moves = self._tensor_moves(net)
            layers = list(self.inserted(net)) if self.inserted is not None else []
        undo: list[Callable[[], None]] = []

        def undo_all() -> None:
            while undo:
                undo.pop()()

        try:
            for move in moves:
                for name in _holders(net, str(move.new_name), move.old):
                    undo.append(_install(net, name, move.new))
            for name, values in self.attributes.items():
                module = net.get_submodule(name)
                for attribute, value in values.items():
                    undo.append(set_attribute(net, module, attribute, value))
            if self.wrap is not None:
                put = (
                    put_beside(net, self.wrap, layers)
                    if self.beside
                    else _wrap(net, self.wrap, layers, front=self.front)
                )
                wrapped, back = put
                moves = _joined(wrapped, moves)
                undo.append(back)
        except BaseException:
            undo_all()
            raise
        return moves, undo_all

    def _tensor_moves(self, net: nn.Module) -> list[Move]:
        moves = []
        names = {id(p): name for name, p in net.named_parameters()}
        with torch.no_grad():
            for plan in self.tensors:
                old = tensor_named(net, plan.name)
                new = plan.build(old)
                if isinstance(old, nn.Parameter):
                    new = nn.Parameter(new, requires_grad=old.requires_grad)
                    new.__dict__.update(old.__dict__)  # marks that people set on parameters (no_decay, lr_scale)
                index = {s.dim: s.index for s in plan.regrow}
                grads = {s.dim: s.grad for s in plan.regrow if s.grad is not None}
                name = names.get(id(old), plan.name)  # of a tied parameter the first one, as the net lists it
                moves.append(Move(old, new, name, name, index, plan.values(), grads))
            for name, value in self.replaced.items():
                moves.append(Move(tensor_named(net, name), value.clone(), name, name))
        return moves


def _joined(wrapped: Sequence[Move], regrown: Sequence[Move]) -> list[Move]:
    """One move per tensor: what was regrown and has got another name by the wrapping as well."""
    names = {id(m.old): m.new_name for m in wrapped if m.old is not None}
    own = {id(m.new) for m in regrown}
    kept = [m for m in wrapped if m.old is None or id(m.old) not in own]
    return kept + [replace(m, new_name=names.get(id(m.new), m.new_name)) for m in regrown]


def _wrap(
    net: nn.Module, name: str, layers: Sequence[nn.Module], *, front: bool
) -> tuple[list[Move], Callable[[], None]]:
    """Put layers behind (or in front of) a module; what it holds is called `<name>.0.…` (or the last) from now on."""
    parent_name, _, child = name.rpartition(".")
    parent, module = net.get_submodule(parent_name), net.get_submodule(name)
    sequence = nn.Sequential(*layers, module) if front else nn.Sequential(module, *layers)
    at, first = (len(layers), 0) if front else (0, 1)
    sequence.training = module.training
    held = (*module.named_parameters(), *module.named_buffers())
    moves = [Move(t, t, f"{name}.{inner}", f"{name}.{at}.{inner}") for inner, t in held]
    for i, layer in enumerate(layers, start=first):
        layer.train(module.training)
        new = (*layer.named_parameters(), *layer.named_buffers())
        moves += [Move(None, t, None, f"{name}.{i}.{inner}") for inner, t in new]
    # into the table, not by setattr: Lightning and users override that
    parent._modules[child] = sequence

    def undo() -> None:
        parent._modules[child] = module

    return moves, undo


def tensor_named(net: nn.Module, name: str) -> Tensor:
    """A parameter or buffer by its qualified name; GrowthError if the net has none of that name."""
    owner, _, last = name.rpartition(".")
    try:
        module = net.get_submodule(owner)
    except AttributeError as error:
        raise GrowthError(f"the net has no module {owner!r}; it is not the net this growth was made for") from error
    tensor = module._parameters.get(last, module._buffers.get(last))
    if tensor is None:
        raise GrowthError(f"the net has no parameter or buffer {name!r}; it is not the net this growth was made for")
    return tensor


def _holders(net: nn.Module, name: str, old: Tensor | None) -> list[str]:
    """The names of everything that holds a tensor: a tied parameter stays tied."""
    held = [n for n, p in net.named_parameters(remove_duplicate=False) if p is old]
    return held or [name]


def _install(net: nn.Module, name: str, new: Tensor) -> Callable[[], None]:
    owner, _, last = name.rpartition(".")
    module = net.get_submodule(owner)
    table: dict[str, Any] = module._parameters if last in module._parameters else module._buffers
    old = table[last]

    def install(tensor: Tensor) -> None:
        table[last] = tensor
        if isinstance(module, nn.RNNBase):  # it computes with a list of its own
            module._flat_weights[module._flat_weights_names.index(last)] = tensor

    install(new)
    return lambda: install(old)
