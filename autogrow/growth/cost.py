"""What a net costs: trainable parameters, and the FLOPs of a forward pass and of a training step, per sample.

The net runs forward once on two samples, and every matrix product and convolution that is dispatched is counted,
whoever calls it (a module, a functional, batched members, several branches). Backward is not run: a product costs as
much again for each of its two operands that needs a gradient, and the operands say whether they do. So the first
layer's input gradient and what frozen layers save are left out, as autograd leaves them out.

Shape legend: B batch, M members, I inputs.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import unwrap
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from autogrow.compiler import passed_over
from autogrow.errors import GrowthError, nearest
from autogrow.growth.neurons.drawn import NewUnits
from autogrow.growth.sites.example import Example
from autogrow.growth.sites.find import Sites, growth_sites, unwrapped
from autogrow.growth.sites.stream import BLOCK_KINDS
from autogrow.growth.surgery.deepen import inserted_layers, inserting
from autogrow.growth.surgery.layout import Growth, widening
from autogrow.growth.surgery.plan import Plan
from autogrow.growth.surgery.refine import refining
from autogrow.growth.surgery.whole_block import STACK, hollow_plan, stack_site

_SAMPLES = 2  # BatchNorm in train mode refuses a single one
# where the two factors of a product stand; the default is (0, 1)
_FACTORS = {"addmm": (1, 2), "baddbmm": (1, 2)}


@dataclass(frozen=True)
class NetCost:
    """Trainable parameters; FLOPs of one forward pass, and of one forward and backward pass, on one sample."""

    parameters: int
    flops_per_sample: int
    train_flops_per_sample: int


class _Counter(TorchDispatchMode):
    """Adds up the FLOPs of what is dispatched under it, by the formulas of `torch.utils.flop_counter`."""

    def __init__(self) -> None:
        super().__init__()
        self.forward = 0
        self.backward = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        operation = func._overloadpacket
        if operation in flop_registry:
            flops = flop_registry[operation](*args, **(kwargs or {}), out_val=out)
            self.forward += flops
            if torch.is_grad_enabled():
                self.backward += _backward_flops(operation.__name__, flops, args)
        return out


# torch wraps it so that its compiler passes over it, and imports the compiler at the first call to say so
_Counter.__torch_dispatch__ = passed_over(unwrap(_Counter.__torch_dispatch__))  # type: ignore[method-assign]


def _backward_flops(operation: str, forward: int, args: Sequence[Any]) -> int:
    if "attention" in operation:
        # two products forward; backward recomputes one and makes four gradients
        return forward * 5 // 2 if any(a.requires_grad for a in args[:3]) else 0
    left, right = _FACTORS.get(operation, (0, 1))
    return forward * (int(args[left].requires_grad) + int(args[right].requires_grad))


@dataclass
class Counted:
    """What was counted: floating point operations of matrix products and convolutions."""

    flops: int = 0


@contextmanager
def counting() -> Iterator[Counted]:
    """Count what is computed inside, forward and backward, as it is dispatched: the cost of a look or of a growth.

    >>> with counting() as counted:
    ...     _ = torch.ones(2, 3) @ torch.ones(3, 4)
    >>> counted.flops
    48
    """
    counted = Counted()
    counter = _Counter()
    try:
        with counter:
            yield counted
    finally:
        counted.flops = counter.forward


def cost(net: nn.Module, example: Example, *, batch_dim: int | None = None) -> NetCost:
    """Count a net's trainable parameters and FLOPs per sample; 2 FLOPs per multiply-add.

    `example`: an input of shape (B, …), a sequence of arguments or a mapping of them. `batch_dim`: the dimension that
    counts samples; by default 0, or 1 where a net says by `input_shape` that its input is (M, B, …): then the cost is
    that of all members on one sample each. Training = forward + backward of what is really computed: 3 × forward less
    the first layer's input gradient. Embeddings, norms and activations count 0. Equal to
    `torch.utils.flop_counter.FlopCounterMode`, but for grouped convolutions, whose weight gradient that one counts once
    per group too often. Neither the net (running statistics among it) nor the random generators change; its forward
    hooks do run.

    >>> cost(nn.Sequential(nn.Linear(10, 4), nn.ReLU(), nn.Linear(4, 2)), torch.zeros(8, 10))
    NetCost(parameters=54, flops_per_sample=96, train_flops_per_sample=208)
    """
    net = unwrapped(net)  # a compiled net runs its kernels unseen
    args, kwargs = _arguments(example)
    first = next(t for t in (*args, *kwargs.values()) if isinstance(t, Tensor))
    dim = _batch_dim(net, first) if batch_dim is None else batch_dim
    device = first.device
    generators = [device] if device.type == "cuda" else []
    # a cost may be asked for during validation, in inference mode
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=generators):
        buffers = {name: buffer.clone() for name, buffer in net.named_buffers()}
        args = tuple(_samples(t, dim) for t in args)
        kwargs = {name: _samples(t, dim) for name, t in kwargs.items()}
        with _Counter() as counter:
            functional_call(net, buffers, args, kwargs)
    parameters = sum(p.numel() for p in net.parameters() if p.requires_grad)
    forward, backward = counter.forward // _SAMPLES, counter.backward // _SAMPLES
    return NetCost(parameters, forward, forward + backward)


def dry_run(net: nn.Module, example: Example, action: Mapping[str, Any], *, sites: Sites | None = None) -> NetCost:
    """What the net would cost after an action, without touching it.

    `action`: plain data, `{"do": "widen", "widths": {name: width}}`, `{"do": "deepen", "after": name, "kind": kind}` or
    `{"do": "refine", "knots": {column: positions}}`;
    any other action costs what the net costs now. `sites`: `growth_sites(net, example)` if it is at hand. The growth is
    made on a copy that shares one zero for all its weights. Raises `GrowthError` where the action is not possible.

    >>> net = nn.Sequential(nn.Linear(10, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> dry_run(net, torch.zeros(8, 10), {"do": "widen", "widths": {"0": 8}}).flops_per_sample
    192
    """
    return cost(dry_net(net, example, action, sites=sites), example)


def dry_net(net: nn.Module, example: Example, action: Mapping[str, Any], *, sites: Sites | None = None) -> nn.Module:
    """The net as it would be after an action, of shapes alone: its weights are one zero; the net itself where the
    action is no growth. Arguments and errors as of `dry_run`.
    """
    if action["do"] not in ("widen", "deepen", "refine"):
        return net
    net = unwrapped(net)
    sites = sites or growth_sites(net, example)
    copied = _hollow(net)
    generator = torch.Generator().manual_seed(0)
    if action["do"] == "widen":
        growths = []
        for name, width in action["widths"].items():
            site = sites.width(name)
            if width < site.size or (width - site.size) % site.unit:
                raise GrowthError(
                    f"{name!r} has {site.size} channels and grows in steps of {site.unit}; {width} was asked for"
                )
            units = width // site.unit
            index = torch.cat([torch.arange(site.units), torch.full((units - site.units,), -1)])
            growths.append(Growth(site, NewUnits(index, torch.ones(units))))
        plan = widening(copied, growths, generator)
    elif action["do"] == "refine":
        plan, _ = refining(copied, sites, action["knots"])
    else:
        plan = _deepening(copied, action["after"], action.get("kind", "auto"), sites, generator)
    plan.apply(copied)
    return copied


def _deepening(copied: nn.Module, after: str, kind: str, sites: Sites, generator: torch.Generator) -> Plan:
    if kind == STACK:
        return hollow_plan(copied, stack_site(copied, after), kind)
    if after not in sites.depths:
        raise GrowthError(f"no layer can be inserted behind {after!r}; {nearest(after, sites.depths)}")
    place = sites.depths[after]
    kind = place.kinds[0] if kind == "auto" else kind
    if kind in BLOCK_KINDS:
        return hollow_plan(copied, place, kind)
    return inserting(place.name, inserted_layers(copied, place, kind, generator))


def _hollow(net: nn.Module) -> nn.Module:
    """A copy of the net whose parameters are all one zero, spread to their shapes: structure without memory."""
    hollow: dict[int, Any] = {}
    for parameter in net.parameters():
        zero = torch.zeros((), dtype=parameter.dtype, device=parameter.device).expand(parameter.shape)
        hollow[id(parameter)] = nn.Parameter(zero, requires_grad=parameter.requires_grad)
    return copy.deepcopy(net, hollow)


def _arguments(example: Example) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(example, Mapping):
        return (), dict(example)
    return ((example,) if isinstance(example, Tensor) else tuple(example)), {}


def _samples(value: Any, dim: int) -> Any:
    if not isinstance(value, Tensor) or value.ndim <= dim:
        return value
    tensor: Tensor = value
    index = torch.arange(_SAMPLES, device=tensor.device) % tensor.shape[dim]
    return tensor.detach().index_select(dim, index)


def _batch_dim(net: nn.Module, example: Tensor) -> int:
    shape = getattr(net, "input_shape", None)
    leading = example.ndim - len(shape) - 1 if isinstance(shape, tuple) else 0
    return 1 if leading == 1 and tuple(example.shape[2:]) == shape else 0


__all__ = ["Counted", "NetCost", "cost", "counting", "dry_net", "dry_run"]
