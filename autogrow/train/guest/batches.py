"""The training batches that new units are computed from (GradMax, TINY) inside somebody else's fit.

They are the last ones trained on, so nothing is drawn from a loader twice; a checkpoint holds them, so a run that is
resumed grows as it would have.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from autogrow.errors import ConfigError
from autogrow.growth.neurons.learned import Learned

_KEPT = 4  # batches: one to judge an amplitude on, the others to compute from


class LastBatches:
    """What `neurons` are given to look at: the last batches (inputs, targets), where they have none of their own.

    `example`: the net's inputs. Raises ConfigError for neurons without a loss, and for batches of another form.
    """

    def __init__(self, neurons: Any, example: Sequence[Tensor] = ()) -> None:
        self.neurons = neurons
        self.example = tuple(example)
        self.wanted = isinstance(neurons, Learned) and not getattr(neurons, "batches", ())
        self.kept: deque[tuple[Any, Any]] = deque(maxlen=_KEPT)

    def check(self, world_size: int) -> None:
        """Refuse before the fit what could not be computed in it."""
        name = type(self.neurons).__name__
        if isinstance(self.neurons, Learned) and getattr(self.neurons, "loss", None) is None:
            raise ConfigError(
                f"neurons={name}() computes new units from a loss and was given none: {name}(loss=F.cross_entropy), or any "
                "function of the net's outputs and the targets"
            )
        if self.wanted and world_size > 1:
            raise ConfigError(
                f"neurons={name}() would compute other units in each of {world_size} processes; give it batches of its own, "
                f"the same everywhere: {name}(batches=[(inputs, targets)], loss=…)"
            )

    def see(self, batch: Any) -> None:
        """Keep a batch that was trained on."""
        if not self.wanted:
            return
        inputs = batch[0] if isinstance(batch, (tuple, list)) and len(batch) == 2 else None
        given = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
        fits = len(given) == len(self.example) and all(
            isinstance(t, Tensor) and t.shape[1:] == e.shape[1:] for t, e in zip(given, self.example, strict=True)
        )
        if not fits:
            name = type(self.neurons).__name__
            raise ConfigError(
                f"neurons={name}() looks at batches (inputs of the net, targets), and these are of another form; give it its "
                f"own: {name}(batches=[(inputs, targets)], loss=…)"
            )
        self.kept.append((inputs, batch[1]))

    def given(self, device: torch.device) -> Any:
        """The neurons, with the batches on a device."""
        if not self.wanted:
            return self.neurons
        return self.neurons.on([_moved(pair, device) for pair in self.kept], self.neurons.loss)

    def to_plain(self) -> dict[str, Any]:
        """What a checkpoint holds, moved to the CPU."""
        return {"batches": [_moved(pair, torch.device("cpu")) for pair in self.kept]} if self.wanted else {}

    def load(self, plain: dict[str, Any]) -> None:
        """The inverse."""
        self.kept.extend((inputs, targets) for inputs, targets in plain.get("batches", []))


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to(device)
    return tuple(_moved(v, device) for v in value) if isinstance(value, (tuple, list)) else value


__all__ = ["LastBatches"]
