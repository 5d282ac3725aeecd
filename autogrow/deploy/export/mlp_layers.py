"""A stack of steps as the layers of a multilayer perceptron: products, one activation between them, and nothing else.

A skip connection around ReLUs is such a net, too, only wider: what is to be added later is handed through the layers
between. ReLU passes on what is not negative, and anything as the difference of two.

h units of the last hidden layer, n numbers at a place in the net.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import block_diag

from autogrow.deploy.export.layers import Activation, Affine, Flatten, Skip, Stack, Step
from autogrow.errors import UsageError

NAMES = {"relu": "relu", "tanh": "tanh", "sigmoid": "logistic"}
"""scikit-learn's names of the activations that its nets have."""


@dataclass
class MlpLayers:
    """`layers`: (weight (O, I), bias (O,)) of each; `activation`, by scikit-learn's name, behind all but the last.

    While it is built, the numbers at the place that has been reached are `place` = weight (n, h) · h + bias; `positive`
    (n,): which of them are never negative.
    """

    place: Affine
    positive: np.ndarray
    activation: str = "identity"
    layers: list[Affine] = field(default_factory=list)


def mlp_layers(steps: Sequence[Step], inputs: int) -> MlpLayers:
    """The layers of a net of `inputs`. Raises UsageError for a step that no such net has."""
    net = MlpLayers(Affine(np.eye(inputs), np.zeros(inputs)), np.zeros(inputs, dtype=bool))
    _append(net, steps)
    net.layers.append(net.place)
    return net


def _append(net: MlpLayers, steps: Sequence[Step], kept: int = 0) -> None:
    """Put steps behind the place that has been reached, around its first `kept` numbers."""
    for step in steps:
        match step:
            case Affine(weight, bias):
                last = net.place.weight[kept:], net.place.bias[kept:]
                net.place = Affine(
                    np.concatenate([net.place.weight[:kept], weight @ last[0]]),
                    np.concatenate([net.place.bias[:kept], weight @ last[1] + bias]),
                )
                net.positive = np.concatenate([net.positive[:kept], np.zeros(len(weight), dtype=bool)])
            case Activation(name) if name in NAMES:
                _activate(net, NAMES[name], kept)
            case Skip(inner):
                there, n = net.place, len(net.place.bias) - kept
                weight, bias = there.weight[kept:], there.bias[kept:]
                net.place = Affine(np.concatenate([there.weight, weight]), np.concatenate([there.bias, bias]))
                net.positive = np.concatenate([net.positive, net.positive[kept:]])
                _append(net, inner, kept + n)
                adding = np.concatenate([np.eye(kept + n), np.eye(n, kept + n, kept).T], axis=1)
                net.place = Affine(adding @ net.place.weight, adding @ net.place.bias)
                net.positive = net.positive[: kept + n] & np.concatenate(
                    [np.ones(kept, dtype=bool), net.positive[kept + n :]]
                )
            case Flatten():
                pass
            case _:
                said = step.name if isinstance(step, Activation) else type(step).__name__.lower()
                raise UsageError(f"to=sklearn: its nets have no {said}; to=onnx has")


def _activate(net: MlpLayers, name: str, kept: int) -> None:
    """An activation, and the numbers that are handed through it."""
    if net.activation not in ("identity", name):
        raise UsageError(f"to=sklearn: its nets have one activation, and this one has {net.activation} and {name}")
    if kept and name != "relu":
        raise UsageError(f"to=sklearn: its nets have no skip connection, and {name} hands nothing through as it is")
    net.activation = name
    there, signed = net.place, np.flatnonzero(~net.positive[:kept])
    net.layers.append(
        Affine(np.concatenate([there.weight, -there.weight[signed]]), np.concatenate([there.bias, -there.bias[signed]]))
    )
    n = len(there.bias)
    back = np.eye(n, n + len(signed))
    back[signed, n + np.arange(len(signed))] = -1
    net.place = Affine(back, np.zeros(n))
    after = np.ones(n, dtype=bool) if name in ("relu", "logistic") else np.zeros(n, dtype=bool)
    net.positive = np.concatenate([net.positive[:kept], after[kept:]])


def side_by_side(stacks: Sequence[Stack]) -> Stack:
    """Members as one stack, whose answer is the mean of theirs: its layers are block-diagonal."""
    if len(stacks) == 1:
        return stacks[0]
    together = list(_beside(stacks))
    first = next(i for i, step in enumerate(together) if isinstance(step, Affine))
    entry = together[first]
    assert isinstance(entry, Affine)
    inputs = entry.weight.shape[1] // len(stacks)  # all members read the same columns
    together[first] = Affine(entry.weight @ np.tile(np.eye(inputs), (len(stacks), 1)), entry.bias)
    last = together[-1]
    assert isinstance(last, Affine)
    mean = np.tile(np.eye(len(last.bias) // len(stacks)), len(stacks)) / len(stacks)
    together[-1] = Affine(mean @ last.weight, mean @ last.bias)
    return tuple(together)


def _beside(stacks: Sequence[Stack]) -> Iterator[Step]:
    for steps in zip(*stacks, strict=True):
        layers = [one for one in steps if isinstance(one, Affine)]
        skips = [one.steps for one in steps if isinstance(one, Skip)]
        if layers:
            yield Affine(block_diag(*(one.weight for one in layers)), np.concatenate([one.bias for one in layers]))
        else:
            yield Skip(tuple(_beside(skips))) if skips else steps[0]
