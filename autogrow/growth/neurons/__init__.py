"""What new units start as: drawn, split from old ones, or computed from data. Configs name initializers here."""

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

__all__ = [
    "AntisymmetricPair",
    "GradMax",
    "Neurons",
    "NewUnits",
    "Request",
    "ShrinkPerturb",
    "SmallOutgoing",
    "Split",
    "Tiny",
    "VarianceTransfer",
    "ZeroOutgoing",
]
