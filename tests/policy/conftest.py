"""A run played without a net: scripted measurements in, a policy's decisions and the checks they fell on out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from autogrow.policy.book import Book, Measured
from autogrow.policy.event import Event, Size
from autogrow.policy.history import (
    Action,
    Anneal,
    Cost,
    Decision,
    Deepen,
    ExtendInputs,
    ExtendOutputs,
    History,
    Keep,
    Options,
    Refine,
    Refit,
    Regularize,
    Row,
    Stop,
    Undo,
    Widen,
    action_to_plain,
)
from autogrow.policy.rows import Rows, rows_of

STEPS = 10  # optimizer steps per check


def dense_cost(widths: Sequence[int], *, inputs: int = 8, outputs: int = 3) -> Cost:
    """Parameters and FLOPs of a plain dense net, biases counted as parameters only."""
    sizes = [inputs, *widths, outputs]
    weights = sum(a * b for a, b in itertools.pairwise(sizes))
    return Cost(weights + sum(sizes[1:]), 2 * weights)


@dataclass
class Run:
    """Plays rows against a policy, applying what it decides to a list of widths (a stand-in for controller and net)."""

    widths: dict[str, int] = field(default_factory=lambda: {"h0": 16})
    max_steps: int | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    kept: Rows = field(default_factory=Rows)

    def options(self) -> Options:
        widths = dict(self.rows[-1].widths) if self.rows else dict(self.widths)
        return Options(
            widths=widths,
            depths=dict.fromkeys(widths, ("identity", "residual")),
            cost=lambda action: dense_cost(list(after(widths, action).values())),
            scores=self.scores,
            steps_per_check=STEPS,
            max_steps=self.max_steps,
            measured=self.measured,
        )

    def measure(self, score: float, **values: Any) -> Row:
        """Add the row of one more check, trained with what was decided last."""
        book = Book(_undecided, rows=rows_of(self.rows))
        widths, before = dict(self.widths), book.last
        if before is not None:
            action, old = before.action, size_of(before.widths)
            if isinstance(action, (Undo, Regularize, Anneal, Refit)):
                back = action.to_check if isinstance(action, Undo) else action.back_to
                widths = dict(self.rows[back].widths)
            else:
                widths = after(before.widths, action)
            if not isinstance(action, Keep):
                book.applied(Event(action, old, size_of(widths), decided_at=book.decided_at))
        check, size = len(self.rows), size_of(widths)
        measured = Measured(
            step=(check + 1) * STEPS,
            passes=(check + 1) / 2,
            train_loss=values.pop("train_loss", score),
            val_loss=score,
            train_error=values.pop("train_error", 0.1),
            val_error=values.pop("val_error", score / 4),
            score=score,
            lr=3e-3,
            size=size,
            train_flops=3 * STEPS * size.flops_per_sample,
            eval_flops=0,
            timing={},
        )
        row = replace(book.row(measured), phase="", **values)
        self.rows.append(row)
        return row

    def decide(self, policy: Callable[..., Decision]) -> Decision:
        """Ask the policy after the last row, and write its answer into the row; what a history keeps changes none."""
        decision = policy(tuple(self.rows), self.options())
        self.kept.extend(self.rows[len(self.kept) : -1])
        assert policy(self.kept.plus(self.rows[-1]), self.options()) == decision
        self.rows[-1] = replace(self.rows[-1], action=decision.action, reason=decision.reason)
        return decision

    def play(self, policy: Callable[..., Decision], scores: Sequence[float], **columns: Sequence[Any]) -> Run:
        """Measure and decide for each score, until the policy stops."""
        for i, score in enumerate(scores):
            self.measure(score, **{name: column[i] for name, column in columns.items()})
            if isinstance(self.decide(policy).action, Stop):
                break
        return self

    def acted(self) -> list[tuple[int, str]]:
        """The checks at which something else than Keep was decided, with the action's word."""
        plain = [(row.check, action_to_plain(row.action)["do"]) for row in self.rows]
        return [(check, word) for check, word in plain if word != "keep"]

    def grew_at(self) -> list[int]:
        return [check for check, word in self.acted() if word in ("widen", "deepen")]


def size_of(widths: Mapping[str, int]) -> Size:
    cost = dense_cost(list(widths.values()))
    return Size(dict(widths), cost.parameters, cost.flops_per_sample)


def _undecided(history: History, options: Options) -> Decision:
    """Stands where the book wants a policy; what is decided here comes later, from any policy."""
    return Decision(Keep(), "")


def after(widths: Mapping[str, int], action: Action) -> dict[str, int]:
    """The widths once the action is applied (what goes back is looked up by the caller)."""
    match action:
        case Widen(widths=new):
            return {**widths, **new}
        case Deepen(after=place):
            return {**widths, f"h{len(widths)}": widths[place]}
        case ExtendInputs() | ExtendOutputs() | Refine() | Keep() | Stop() | Undo() | Regularize() | Anneal() | Refit():
            return dict(widths)


@pytest.fixture(scope="session")
def run() -> type[Run]:
    return Run
