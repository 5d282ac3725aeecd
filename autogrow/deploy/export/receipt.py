"""The proof that an artefact answers what the delivered net answers, and how well it answers where the truth is known.

n rows, O outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from autogrow.deploy.export.net import VALUES, PortableNet
from autogrow.deploy.export.rows import Rows
from autogrow.deploy.export.target import Running

BATCHES = (1, 7, 256)
FIRST = 64  # rows that are asked one by one, and in sevens; the others come in the largest batches


@dataclass(frozen=True)
class ParityReceipt:
    """The largest differences from the delivered net in float64: of a probability or logit as it is, of a value as a
    share of the standard deviation of its target. `promise`: what they may be; None where nothing is promised (int8).
    """

    promise: float | None
    probe: float
    validation: float | None
    probe_rows: int
    validation_rows: int
    unit: str
    why: str

    @property
    def max_abs_change(self) -> float:
        """The larger one of the two; of int8, which is calibrated on such rows as the run's own, that of validation."""
        if self.promise is None and self.validation is not None:
            return self.validation
        return max(self.probe, self.validation or 0.0)

    @property
    def broken(self) -> bool:
        """Whether the artefact answers otherwise than promised; NaN is otherwise."""
        return self.promise is not None and not self.max_abs_change <= self.promise

    def to_plain(self) -> dict[str, Any]:
        """As `export.json` has it."""
        return {
            "max_abs_change": self.max_abs_change,
            "promise": self.promise,
            "unit": self.unit,
            "probe": self.probe,
            "validation": self.validation,
            "probe_rows": self.probe_rows,
            "validation_rows": self.validation_rows,
            "batches": list(BATCHES),
            "why": self.why,
        }


def answered(running: Running, rows: Rows) -> np.ndarray:
    """What an artefact answers on rows (n, O), in batches of 256; the first rows also in batches of 1 and 7, and of
    what these say the one that lies farthest from the delivered net counts.
    """
    found = _in_batches(running, rows.x, max(BATCHES))
    for size in BATCHES[:-1]:
        other = _in_batches(running, rows.x[:FIRST], size)
        farther = np.abs(other - rows.answers[:FIRST]) > np.abs(found[:FIRST] - rows.answers[:FIRST])
        found[:FIRST] = np.where(farther | np.isnan(other), other, found[:FIRST])
    return found


def _in_batches(running: Running, x: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([running.answers(x[i : i + size]) for i in range(0, len(x), size)])


def changes(net: PortableNet, answers: np.ndarray, rows: Rows) -> float:
    """The largest difference, in the receipt's unit."""
    unit = net.target_std if net.answer == VALUES else 1.0
    return float((np.abs(answers - rows.answers) / unit).max())


def judged(net: PortableNet, answers: np.ndarray, rows: Rows) -> dict[str, Any] | None:
    """How well the delivered net and the artefact do on rows whose truth is known, and what the artefact loses: the
    share of rows that it answers wrongly beyond the net's, or the share by which its error is larger.
    """
    if rows.truth is None:
        return None
    if net.answer == VALUES:
        of_net, of_artefact = (float(np.sqrt(np.square(z - rows.truth).mean())) for z in (rows.answers, answers))
        return {"measure": "rmse", "net": of_net, "artefact": of_artefact, "lost": of_artefact / of_net - 1}
    of_net, of_artefact = (float((z.argmax(1) == rows.truth).mean()) for z in (rows.answers, answers))
    return {"measure": "accuracy", "net": of_net, "artefact": of_artefact, "lost": of_net - of_artefact}
