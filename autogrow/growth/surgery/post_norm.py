"""A block in a stream that is normalised itself (post-norm): norms in a row that answer as the one they begin with did.

Behind a norm with weight γ, bias β and eps ε comes a block whose branches are zero, with K norms of its own on the
stream. The first norm is opened (γ = 1, β = 0), each norm of the block but the last scales by √(1 + E), the last by
γ·√(1 + E), and adds β. Of a stream whose variance was v, each norm of eps E sees (v + c)⁻¹ v and answers as one of
variance v and eps c·E/(1 + E) would; so the first has eps ε·((1 + E)/E)^K, and what they answer together is what the
first one answered. With an RMSNorm v is the mean square. New blocks learn from there as any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from autogrow.growth.surgery.plan import Regrow, TensorPlan
from autogrow.growth.written_norms import eps_attribute

SOFT = 0.12890625  # E: √(1 + E) is 1.0625, which no dtype rounds


def eps_of(norm: nn.Module) -> float:
    """A norm's eps; of an RMSNorm that has none of its own that of its dtype."""
    eps = getattr(norm, eps_attribute(norm))
    return float(torch.finfo(norm.get_parameter("weight").dtype).eps if eps is None else eps)


def hand_on(block: nn.Module, norms: Sequence[str], first: nn.Module) -> None:
    """Let a block's norms on the stream, in their order, answer together with an opened `first` as that did alone."""
    scale = (1 + SOFT) ** 0.5
    with torch.no_grad():
        for name in norms:
            norm = block.get_submodule(name)
            setattr(norm, eps_attribute(norm), SOFT)
            last, own = name == norms[-1], dict(norm.named_parameters())
            for parameter, tensor in own.items():
                start = 1.0 if parameter == "weight" else 0.0
                tensor.copy_(first.get_parameter(parameter) if last else torch.full_like(tensor, start))
            own["weight"].mul_(scale)


def opened(net: nn.Module, name: str, norms: Sequence[str]) -> tuple[tuple[TensorPlan, ...], dict[str, dict[str, Any]]]:
    """What the norm called `name`, behind which a block with these norms goes, becomes: its parameters and its eps."""
    norm = net.get_submodule(name)
    tensors = tuple(
        TensorPlan(f"{name}.{parameter}", (_all_new(len(tensor), 1.0 if parameter == "weight" else 0.0),))
        for parameter, tensor in norm.named_parameters()
    )
    return tensors, {name: {eps_attribute(norm): eps_of(norm) * ((1 + SOFT) / SOFT) ** len(norms)}}


def _all_new(size: int, fill: float) -> Regrow:
    return Regrow(0, torch.full((size,), -1), fill=fill)
