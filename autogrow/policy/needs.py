"""What a policy needs to see, so that a run can record it, or refuse the policy before it starts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any


def parts(policy: object) -> Iterator[Any]:
    """A policy and all the values it is made of, the outermost first."""
    yield policy
    if dataclasses.is_dataclass(policy):
        for item in dataclasses.fields(policy):
            yield from parts(getattr(policy, item.name))


def requires(policy: object) -> frozenset[str]:
    """The names of what a policy must be shown, beyond rows and costs.

    'scores': `options.scores`. 'error': `val_error` and `train_error`. 'seconds': `row.timing`. 'undo': the net as it was before
    each growth must be kept. All others ('checkpoint_bytes', 'latency_p95_ms', 'train_rows') are keys of `options.measured`.
    """
    return frozenset().union(*(getattr(part, "needs", ()) for part in parts(policy)))


def replayable(policy: object) -> bool:
    """Whether a second run with the same seed decides the same: not if a policy looks at a clock."""
    return not requires(policy) & {"seconds", "latency_p95_ms"}
