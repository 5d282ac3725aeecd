"""The ledger in words: the decisions of a run in order, growths as cards, and the checks between them gathered up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autogrow.policy.history import Event, History, Keep, Row, Stop
from autogrow.report.run.figure import anchor
from autogrow.show import words
from autogrow.show.check import judges, measured
from autogrow.show.story import Episode, Story


@dataclass(frozen=True)
class Bar:
    """One hidden layer of a small picture of a net: percentages of its height, `new` of it added by the growth."""

    old: float
    new: float
    size: int


@dataclass(frozen=True)
class Cost:
    """One line of a growth's bill."""

    name: str
    before: str
    after: str
    factor: str


@dataclass(frozen=True)
class Card:
    """Something that happened to the net, or the end: what, when, why, at what cost, and the proof."""

    look: str
    badge: str
    anchor: str
    what: str
    when: str
    why: str
    costs: Sequence[Cost] = ()
    proof: str = ""
    remark: str = ""
    net: Sequence[Bar] = ()


@dataclass(frozen=True)
class Line:
    """One check at which the net was kept."""

    cells: Sequence[str]
    why: str


@dataclass(frozen=True)
class Kept:
    """Consecutive checks at which the net was kept."""

    summary: str
    lines: Sequence[Line]


def chapters(rows: History, story: Story, metric: str) -> list[Card | Kept]:
    """Everything that was decided, in order."""
    told: list[Card | Kept] = []
    waiting: list[Row] = []
    widest = max((size for row in rows for size in words.width_list(row.widths)), default=1)
    by_row = {told.row.check: told for told in story.episodes}
    for row, following in zip(rows, [*rows[1:], None], strict=False):
        if row.check in by_row:
            told += [*_kept(waiting, metric), _applied(by_row[row.check], metric, widest)]
            waiting = []
        if isinstance(row.action, Keep):
            waiting.append(row)
        elif following is None or following.event is None:  # else the card of that event tells of this decision
            told += [*_kept(waiting, metric), _unapplied(row, metric)]
            waiting = []
    return told + _kept(waiting, metric)


def columns(metric: str) -> tuple[str, ...]:
    """What the table of the checks shows of each, besides which it is and why."""
    return ("train", "val", "score", metric, "gap")


def _kept(rows: Sequence[Row], metric: str) -> list[Card | Kept]:
    """The checks of `rows` as one chapter, or as none."""
    if not rows:
        return []
    first, last = rows[0], rows[-1]
    span = words.passes(last.passes) if len(rows) == 1 else f"{words.span(first.passes, last.passes)}"
    side = "val" if all(judges(row) for row in rows) else "train"
    losses = " → ".join(dict.fromkeys(measured(row, metric, 3)[side] for row in (first, last)))
    lines = [
        Line(
            (str(row.check), f"{row.passes:.4g}", *(found.get(name, "-") for name in columns(metric))),
            row.reason or words.intent(row.action),
        )
        for row in rows
        if (found := measured(row, metric, 3))
    ]
    which = f"check {first.check}" if len(rows) == 1 else f"checks {first.check} to {last.check}"
    return [Kept(f"{which}, {span}, {side} loss {losses}", lines)]


def _applied(told: Episode, metric: str, widest: int) -> Card:
    when = _when(told.before, metric) if told.before else "at the start"
    lost = "taken back: the delivered net does not have it" if told.is_growth and not told.kept else ""
    return Card(
        look="growth" if told.is_growth and told.kept else "growth lost" if told.is_growth else "return",
        badge=str(told.number) if told.is_growth else "↩",
        anchor=anchor(told),
        what=words.deed(told.event),
        when=when,
        why=told.reason,
        costs=_costs(told.event),
        proof=words.proof(told.event.receipt) if told.is_growth or told.event.receipt else "",
        remark=lost,
        net=_picture(told.event, widest),
    )


def _when(row: Row, metric: str) -> str:
    """The check that a decision was made on, and what it had measured."""
    found = ", ".join(f"{name} {said}" for name, said in measured(row, metric).items() if name != "score")
    return f"check {row.check}, {words.passes(row.passes)}: {found}"


def _unapplied(row: Row, metric: str) -> Card:
    stop = isinstance(row.action, Stop)
    return Card(
        look="stop" if stop else "open",
        badge="■" if stop else "…",
        anchor=f"decision-{row.check}",
        what="stop" if stop else f"decided to {words.intent(row.action)}",
        when=_when(row, metric),
        why=words.ending(row.reason) if stop else row.reason,
        remark="" if stop else "training ended before this was applied",
    )


def _costs(event: Event) -> list[Cost]:
    if event.before is None or event.after is None:
        return []
    bill = []
    for name, old, new, say in (
        ("parameters", event.before.parameters, event.after.parameters, words.count),
        ("FLOPs / sample", event.before.flops_per_sample, event.after.flops_per_sample, words.flops),
    ):
        if old != new:
            bill.append(Cost(name, say(old), say(new), f"×{new / old:.2f}" if old else ""))
    return bill


def _picture(event: Event, widest: int) -> list[Bar]:
    """The net after an event, layer by layer, with what is new in it told apart."""
    if event.before is None or event.after is None:
        return []
    bars = []
    for name, size in event.after.widths.items():
        stayed = min(event.before.widths.get(name, 0), size)
        bars.append(Bar(100 * stayed / widest, 100 * (size - stayed) / widest, size))
    return bars
