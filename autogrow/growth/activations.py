"""What decides whether an activation lets a growth be exact and alive: σ(0), σ′(0), and whether σ(σ(x)) = σ(x).

Measured on the function itself, as PyTorch computes it (relu′(0) is 0, clamp′(0) is 1), so any arguments are covered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

ACTIVATION_MODULES: tuple[type[nn.Module], ...] = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh, nn.ELU, nn.SELU, nn.CELU,
    nn.Softplus, nn.Sigmoid, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Softsign, nn.LogSigmoid, nn.Softshrink,
    nn.Hardshrink, nn.Tanhshrink, nn.Threshold,
)  # fmt: skip

_OF_NN = """relu relu6 leaky_relu gelu silu mish tanh elu selu celu softplus sigmoid hardtanh hardswish hardsigmoid softsign
logsigmoid softshrink hardshrink tanhshrink threshold"""
_OF_TORCH = "abs exp log1p expm1 sqrt rsqrt square sin cos erf clamp clamp_min clamp_max reciprocal sign pow nan_to_num"
# functions and tensor methods that act on each element alone, by name (an in-place form is its name with _ behind)
ACTIVATION_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    **{name: getattr(nn.functional, name) for name in _OF_NN.split()},
    **{name: getattr(torch, name) for name in _OF_TORCH.split()},
}


@dataclass(frozen=True)
class ActivationFacts:
    """σ(0), σ′(0) as PyTorch has it, and whether applying σ twice is applying it once."""

    at_zero: float
    slope_at_zero: float
    idempotent: bool


_MEASURED: dict[str, ActivationFacts] = {}


def activation_facts(function: Callable[[Tensor], Tensor]) -> ActivationFacts:
    """Measure an elementwise activation (a module, or a function of one tensor) at 0 and on a grid.

    >>> activation_facts(nn.ReLU())
    ActivationFacts(at_zero=0.0, slope_at_zero=0.0, idempotent=True)
    >>> activation_facts(nn.Sigmoid()).at_zero
    0.5
    """
    if not isinstance(function, nn.Module):
        return _measure(function)
    if next(function.parameters(), None) is not None:
        return ActivationFacts(0.0, 1.0, idempotent=False)  # PReLU: what it is today it need not be tomorrow
    key = f"{type(function).__qualname__}({function.extra_repr()})"
    if key not in _MEASURED:
        was_training = function.training
        function.eval()  # RReLU draws its slope in train mode
        _MEASURED[key] = _measure(function)
        function.train(was_training)
    return _MEASURED[key]


def _measure(function: Callable[[Tensor], Tensor]) -> ActivationFacts:
    with torch.inference_mode(False), torch.enable_grad():
        zero = torch.zeros((), dtype=torch.float64, requires_grad=True)
        value = function(zero + 0)  # + 0: an in-place activation may not touch a leaf
        (slope,) = torch.autograd.grad(value, zero) if value.requires_grad else (torch.zeros(()),)
    with torch.no_grad():
        grid = torch.linspace(-8, 8, 1601, dtype=torch.float64)
        once = function(grid.clone())
        idempotent = bool(torch.equal(function(once.clone()), once))
    return ActivationFacts(float(value.detach()), float(slope), idempotent)
