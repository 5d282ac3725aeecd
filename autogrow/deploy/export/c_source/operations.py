"""Activations and norms as calls of C functions."""

from __future__ import annotations

from autogrow.deploy.export.c_source.text import Constants, float_text
from autogrow.deploy.export.layers import Activation, Normalise

NUMBERS = {"leaky_relu": (0.01,), "elu": (1.0,), "hardtanh": (-1.0, 1.0), "relu6": (0.0, 6.0)}
"""The numbers of those activations that have some, as torch has them by default."""


def activation_call(activation: Activation, value: str) -> str:
    """The activation of a value."""
    name = "hardtanh" if activation.name == "relu6" else activation.name
    numbers = [float_text(number) for number in NUMBERS.get(activation.name, ())]
    return f"net_{name}({', '.join([value, *numbers])})"


def normed(norm: Normalise, layer: str, row: str, constants: Constants) -> str:
    """The statement that normalises a row in place."""
    scale = constants.array("float", f"net_scale{layer}_{len(constants.lines)}", norm.weight)
    shift = constants.array("float", f"net_shift{layer}_{len(constants.lines)}", norm.bias)
    return f"net_{norm.kind}_norm({row}, {len(norm.weight)}, {scale}, {shift}, {float_text(norm.eps)});"
