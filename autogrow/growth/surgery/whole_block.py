"""Growing a net in place: deeper, by whole blocks like their neighbours, or by all blocks of a list once more."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from autogrow.errors import GrowthError
from autogrow.growth.draws import normal, own_std
from autogrow.growth.layers import layer_type, norm_type
from autogrow.growth.sites.site import DepthSite
from autogrow.growth.surgery.insertion import fresh_copy
from autogrow.growth.surgery.plan import Plan
from autogrow.growth.surgery.post_norm import hand_on, opened

STACK = "stack"


def block_like(net: nn.Module, like: str, kind: str, zeroed: Sequence[str], generator: torch.Generator) -> nn.Module:
    """A new block like the one called `like`: of kind 'copy' with its values, of kind 'block' with weights drawn at the
    std of its own, biases zero and norms as they start; those of its parameters called `zeroed` are zero.
    """
    block = copied(net, like)
    with torch.no_grad():
        if kind == "block":
            _start_anew(block, _not_shared(net, block), generator)
        for name in zeroed:
            block.get_parameter(name).zero_()
    return block


def drawn_as(template: nn.Module, net: nn.Module, like: str) -> nn.Module:
    """The block that `net` gets where another net got `template`: with the same drawn values."""
    block = copied(net, like)
    ours, given = _not_shared(net, block), dict(template.named_parameters())
    with torch.no_grad():
        for name, parameter in block.named_parameters():
            if id(parameter) in ours:
                parameter.copy_(given[name])
    return block


def copied(net: nn.Module, name: str) -> nn.Module:
    """A copy of a block; what the rest of the net holds as well (a rotary table, a tied weight) it shares."""
    inside = f"{name}."
    rest = [(n, m) for n, m in net.named_modules(remove_duplicate=False) if n != name and not n.startswith(inside)]
    shared = {id(m): m for n, m in rest if not name.startswith(f"{n}.") and n}
    tensors = (*net.named_parameters(remove_duplicate=False), *net.named_buffers(remove_duplicate=False))
    kept = {id(t): t for n, t in tensors if not n.startswith(inside)}
    return fresh_copy(net.get_submodule(name), {**shared, **kept})


def _not_shared(net: nn.Module, block: nn.Module) -> set[int]:
    """The parameters of a new block that nothing in the net holds."""
    held = {id(p) for p in net.parameters()}
    return {id(p) for p in block.parameters() if id(p) not in held}


def _start_anew(block: nn.Module, ours: set[int], generator: torch.Generator) -> None:
    for module in block.modules():
        own = {n: p for n, p in module.named_parameters(recurse=False) if id(p) in ours}
        norm = norm_type(module) is not None
        if norm and own and isinstance(module, nn.modules.batchnorm._NormBase):
            module.reset_running_stats()
        for name, parameter in own.items():
            if norm or (name.endswith("bias") and parameter.ndim == 1):
                parameter.fill_(1.0 if norm and name == "weight" else 0.0)
            elif layer_type(module) is not None or parameter.ndim > 1:
                parameter.copy_(normal(parameter.shape, generator) * own_std(parameter))


def blocks_in(net: nn.Module, name: str) -> list[str]:
    """The names of the blocks of a list; GrowthError where it is no list, or they are not of one class."""
    container = dict(net.named_modules()).get(name)
    if not isinstance(container, (nn.ModuleList, nn.Sequential)) or not len(container):
        raise GrowthError(f"{name!r} is no ModuleList or Sequential of blocks, so nothing in it can be stacked")
    kinds = {type(block).__name__ for block in container}
    if len(kinds) > 1 or not any(True for _ in container.parameters()):
        raise GrowthError(
            f"{name!r} holds {', '.join(sorted(kinds))}: only a list of blocks of one class can be stacked"
        )
    return [f"{name}.{child}".lstrip(".") for child in container._modules]


def stacked(net: nn.Module, name: str) -> list[nn.Module]:
    """All blocks of a list once more, in their order, with their values."""
    return [copied(net, block) for block in blocks_in(net, name)]


def block_plan(net: nn.Module, site: DepthSite, kind: str, generator: torch.Generator) -> tuple[Plan, list[nn.Module]]:
    """The plan that puts a block, or with 'stack' all blocks of the list once more, behind the one of this site; and
    what it puts into the net.
    """
    if kind == STACK:
        made = stacked(net, site.like)
        return Plan(wrap=site.name, beside=True, inserted=_first(made, lambda other: stacked(other, site.like))), made
    block = block_like(net, site.like, kind, site.zeroed, generator)
    template = copy.deepcopy(block)

    def again(other: nn.Module) -> list[nn.Module]:
        if kind == "copy":
            return [normed(other, block_like(other, site.like, kind, site.zeroed, generator))]
        return [normed(other, drawn_as(template, other, site.like))]

    def normed(other: nn.Module, made: nn.Module) -> nn.Module:
        if site.norms:
            hand_on(made, site.norms, other.get_submodule(f"{site.name}.{site.norms[-1]}"))
        return made

    plan = Plan(wrap=site.name, beside=True, inserted=_first([normed(net, block)], again))
    if site.norms:
        tensors, attributes = opened(net, f"{site.name}.{site.norms[-1]}", site.norms)
        plan = replace(plan, tensors=tensors, attributes=attributes)
    return plan, [block]


def hollow_plan(net: nn.Module, site: DepthSite, kind: str) -> Plan:
    """The same, of values that do not matter: for a net of structure alone, or one whose weights are loaded then."""
    made = stacked(net, site.like) if kind == STACK else [copied(net, site.like)]
    attributes: Mapping[str, Mapping[str, Any]] = {}
    if site.norms:
        last = f"{site.name}.{site.norms[-1]}"
        hand_on(made[0], site.norms, net.get_submodule(last))
        attributes = opened(net, last, site.norms)[1]
    return Plan(attributes=attributes, wrap=site.name, beside=True, inserted=lambda _: made)


def stack_site(net: nn.Module, name: str) -> DepthSite:
    """Where a list is continued with all its blocks once more: behind the last of them."""
    return DepthSite(blocks_in(net, name)[-1], None, len(blocks_in(net, name)), name, None, None, None, (STACK,))


Inserted = Callable[[nn.Module], Sequence[nn.Module]]


def _first(made: Sequence[nn.Module], again: Inserted) -> Inserted:
    """What a plan inserts: `made` into the net it was made for, what `again` makes into a further one."""
    given = [made]
    return lambda net: given.pop() if given else again(net)
