"""One rank's share of every batch: rank r of R gets rows r, r + R, … of each batch of the whole stream.

So the batch of an optimizer step, and with it the run, does not depend on how many processes train it, up to the order
in which gradients are summed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from autogrow.data import BatchStream
from autogrow.errors import ConfigError


def check_shares(batch_size: int, ranks: int) -> None:
    """Raise ConfigError where the rows of a batch cannot be shared out evenly."""
    if ranks > 1 and batch_size % ranks:
        raise ConfigError(
            f"data.batch_size must be a multiple of the {ranks} processes (trainer.devices), got {batch_size}"
        )


class Shard:
    """A stream's bursts, cut down to the rows of one rank: xs (S, [M,] B/R, …). Position and state are the stream's."""

    def __init__(self, stream: BatchStream, rank: int, ranks: int) -> None:
        check_shares(stream.batch_size, ranks)
        self.stream, self.rank, self.ranks = stream, rank, ranks
        self.dim = 1 if stream.members == 1 else 2

    @property
    def sampler(self) -> BatchStream:
        """The stream: where Lightning looks for `set_epoch`."""
        return self.stream

    def __len__(self) -> int:
        """Bursts in a check."""
        return len(self.stream)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        mine = slice(self.rank, None, self.ranks)
        index = (slice(None),) * self.dim + (mine,)
        for burst in self.stream:
            yield tuple(part[index] for part in burst)

    def state_dict(self) -> dict[str, Any]:
        """The stream's."""
        return self.stream.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The stream's."""
        self.stream.load_state_dict(state)
