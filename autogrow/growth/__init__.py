"""How a net grows: torch only, no Lightning, no Hydra, no policy."""

from autogrow.growth.blocks import ResidualBlock
from autogrow.growth.carry.optimizer import carry, check_optimizer, place_state, state_by_name
from autogrow.growth.cost import NetCost, dry_run
from autogrow.growth.layers import LayerType, register_layer
from autogrow.growth.neurons.drawn import (
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
from autogrow.growth.neurons.gradmax import GradMax
from autogrow.growth.neurons.tiny import Tiny
from autogrow.growth.scores import Score, Scores, score_sites
from autogrow.growth.sites.find import ColumnSite, DepthSite, Port, Sites, Span, WidthSite, growth_sites
from autogrow.growth.surgery.deepen import deepen
from autogrow.growth.surgery.moves import Move, Receipt, Surgery
from autogrow.growth.surgery.recipe import replay
from autogrow.growth.surgery.refine import refine
from autogrow.growth.surgery.targets import extend_inputs, extend_outputs, grow_to
from autogrow.growth.surgery.widen import widen

__all__ = [
    "AntisymmetricPair",
    "ColumnSite",
    "DepthSite",
    "GradMax",
    "LayerType",
    "Move",
    "NetCost",
    "Neurons",
    "NewUnits",
    "Port",
    "Receipt",
    "Request",
    "ResidualBlock",
    "Score",
    "Scores",
    "ShrinkPerturb",
    "Sites",
    "SmallOutgoing",
    "Span",
    "Split",
    "Surgery",
    "Tiny",
    "VarianceTransfer",
    "WidthSite",
    "ZeroOutgoing",
    "carry",
    "check_optimizer",
    "deepen",
    "dry_run",
    "extend_inputs",
    "extend_outputs",
    "grow_to",
    "growth_sites",
    "place_state",
    "refine",
    "register_layer",
    "replay",
    "score_sites",
    "state_by_name",
    "widen",
]
