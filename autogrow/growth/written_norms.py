"""Norms that people write by hand, as every language model's own RMSNorm is, known by what they compute.

A module with a weight for each feature, perhaps a bias, and an eps is tried: if for any number of features it answers
what torch's norm of the same weight and eps answers, it is that norm.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autogrow.growth.layers import NormType, norm_type

_EPS = ("eps", "epsilon", "variance_epsilon", "norm_eps", "_eps")
_CLOSE = 1e-4  # a norm may compute in float32 within; another eps than the one it is held against shows far above
_KNOWN: dict[type[nn.Module], NormType | None] = {}


def eps_attribute(module: nn.Module) -> str:
    """The name of the attribute that holds a norm's eps."""
    return next((name for name in _EPS if hasattr(module, name)), "eps")


def written_norm(module: nn.Module) -> NormType | None:
    """What norm a module of one's own is, or None.

    >>> class Mine(nn.Module):
    ...     def __init__(self): super().__init__(); self.weight, self.eps = nn.Parameter(torch.ones(4)), 1e-6
    ...     def forward(self, x): return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)
    >>> written_norm(Mine()).kind
    'rms'
    """
    kind = type(module)
    if kind.__module__.startswith("torch.") or norm_type(module) is not None or not _may_be(module):
        return None
    if kind not in _KNOWN:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            _KNOWN[kind] = _tried(module)
    return _KNOWN[kind]


def _may_be(module: nn.Module) -> bool:
    own = dict(module.named_parameters())
    if not {"weight"} <= own.keys() <= {"weight", "bias"} or next(module.buffers(), None) is not None:
        return False
    return all(p.ndim == 1 for p in own.values()) and isinstance(getattr(module, eps_attribute(module), None), float)


def _tried(module: nn.Module) -> NormType | None:
    carried = tuple(name for name, _ in module.named_parameters())
    fitting = [_answers_as(module, features) for features in (len(module.get_parameter("weight")), 7)]
    for kind in ("rms", "layer"):
        if all(kind in found for found in fitting):
            return NormType(kind, "", features_last=True, carried=carried)
    return None


def _answers_as(module: nn.Module, features: int) -> set[str]:
    """The norms of torch that the module, made for so many features, answers as."""
    tried = copy.deepcopy(module).double().cpu().eval()
    generator = torch.Generator().manual_seed(0)
    for name, _ in list(tried.named_parameters()):
        setattr(tried, name, nn.Parameter(torch.randn(features, generator=generator).double()))
    eps, x = 0.3, torch.randn(3, 2, features, generator=generator).double()
    setattr(tried, eps_attribute(tried), eps)  # large, so that it shows where it stands
    weight, bias = tried.get_parameter("weight"), dict(tried.named_parameters()).get("bias")
    rms = F.rms_norm(x, (features,), weight, eps) + (0.0 if bias is None else bias)
    wanted = {"rms": rms, "layer": F.layer_norm(x, (features,), weight, bias, eps)}
    try:
        answer = tried(x)
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError, AssertionError):
        return set()  # it wants something else than rows of features
    fits = isinstance(answer, Tensor) and answer.shape == x.shape
    return {kind for kind, value in wanted.items() if fits and float((answer - value).abs().max()) < _CLOSE}


__all__ = ["eps_attribute", "written_norm"]
