"""How a net grows: torch only, no Lightning, no Hydra, no policy."""

from autogrow.growth.blocks import ResidualBlock
from autogrow.growth.deepening import deepen
from autogrow.growth.layers import LayerType, register_layer
from autogrow.growth.neurons import (
    AntisymmetricPair,
    Neurons,
    NewUnits,
    Request,
    ShrinkPerturb,
    SmallOutgoing,
    Split,
    VarianceTransfer,
    ZeroOutgoing,
)
from autogrow.growth.operators import widen
from autogrow.growth.recipe import replay
from autogrow.growth.structure import DepthSite, Port, Sites, Span, WidthSite, growth_sites
from autogrow.growth.surgery import Move, Receipt, Surgery
from autogrow.growth.targets import extend_inputs, extend_outputs, grow_to

__all__ = [
    "AntisymmetricPair",
    "DepthSite",
    "LayerType",
    "Move",
    "Neurons",
    "NewUnits",
    "Port",
    "Receipt",
    "Request",
    "ResidualBlock",
    "ShrinkPerturb",
    "Sites",
    "SmallOutgoing",
    "Span",
    "Split",
    "Surgery",
    "VarianceTransfer",
    "WidthSite",
    "ZeroOutgoing",
    "deepen",
    "extend_inputs",
    "extend_outputs",
    "grow_to",
    "growth_sites",
    "register_layer",
    "replay",
    "widen",
]
