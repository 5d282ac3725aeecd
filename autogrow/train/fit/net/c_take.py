"""What a dense net takes as a C file, read off the net itself: its sizes, and by them flash and RAM."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from autogrow.growth.blocks import ResidualBlock
from autogrow.nets import ColumnEmbedding, DenseNet, MemberLinear
from autogrow.nets.c_bytes import flash_bytes, ram_bytes


@dataclass(frozen=True)
class CTake:
    """Bytes of flash, for constants and code, and of RAM, for buffers, at most."""

    flash_bytes: int
    ram_bytes: int


def c_take(net: DenseNet, *, int8: bool = False) -> CTake:
    """What a dense net takes as the C file of `autogrow export to=c`; its weights may be anything.

    >>> c_take(DenseNet([64], [112, 112], 10)).flash_bytes == flash_bytes([64, 112, 112, 10])
    True
    """
    layers = [m for m in net.modules() if isinstance(m, (nn.Linear, MemberLinear))]
    sizes = [layers[0].in_features, *(layer.out_features for layer in layers)]
    norms = [m for m in net.modules() if isinstance(m, (nn.LayerNorm, nn.RMSNorm))]
    tables = [table for m in net.modules() if isinstance(m, ColumnEmbedding) for table in m.tables]
    embedded = 4 * sum(parameter.numel() for table in tables for parameter in table.parameters())
    scaled = 8 * sum(norm.normalized_shape[0] for norm in norms)  # a factor and a shift each
    return CTake(
        flash_bytes(sizes, int8, members=net.members) + embedded + scaled,
        ram_bytes(sizes, int8, members=net.members, normed=bool(norms)) + _third_buffer(net) * (1 if int8 else 4),
    )


def _third_buffer(net: DenseNet) -> int:
    """The numbers that a skip within a skip keeps meanwhile: those of a block in a residual stage; 0 without one."""
    stages = list(net.hidden)[1:] if net.residual else []
    blocks = [m for stage in stages for m in stage.modules() if isinstance(m, ResidualBlock)]
    outers = [block.outer for block in blocks]
    return max((outer.out_features for outer in outers if isinstance(outer, (nn.Linear, MemberLinear))), default=0)
