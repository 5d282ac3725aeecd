"""The arms of the recipe's study: what is trained on each set, as overrides of `autogrow fit`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autogrow.compare.search import Search

Cell = dict[str, Any]


def _same_net(cell: Cell) -> list[str]:
    return [f"net.widths={cell['widths']}", f"net.knots={cell['knots'] or 'null'}"]


def _same_net_and_flops(cell: Cell) -> list[str]:
    return [*_same_net(cell), f"budget.train_flops={cell['train_flops']}"]


@dataclass(frozen=True)
class Arm:
    """One row of the table: `overrides`, and for a matched arm those that it takes from another arm's cell."""

    about: str
    overrides: tuple[str, ...] = ()
    matched_to: str | None = None
    from_cell: Callable[[Cell], list[str]] = _same_net
    search: Search | None = None
    part_of_the_table: bool = True


def _variant(about: str, *overrides: str) -> Arm:
    """An idea for a better default: run on request."""
    return Arm(about, overrides, part_of_the_table=False)


FIXED = ("growth=never", "net.dropout=null")
PLAIN = ("trainer.label_smoothing=0", "finish.tolerance=0.97")  # the trainer as it was before

ARMS: dict[str, Arm] = {
    "default": Arm("the shipped default: one net"),
    "accurate": Arm("two members side by side", ("experiment=accurate",)),
    "small": Arm("the smallest net: a tiny start, no rounding", ("experiment=small",)),
    "fixed_256": Arm("256-256 under the same trainer", ("experiment=fixed_256",)),
    "fixed_128": Arm("128-128 under the same trainer", (*FIXED, "net.widths=[128,128]")),
    "fixed_pair": Arm(
        "two members of 128-128-128 with dropout",
        ("growth=never", "net.members=2", "net.widths=[128,128,128]", "net.dropout=auto"),
    ),
    "one_512": Arm("one 512-512-512 under the same trainer", (*FIXED, "net.widths=[512,512,512]")),
    "same_size": Arm("the default's final net from scratch, own patience", ("growth=never",), "default"),
    "same_size_flops": Arm(
        "the default's final net from scratch, at the default's training FLOPs",
        ("growth=never", "stop=never"),
        "default",
        _same_net_and_flops,
    ),
    "random_search": Arm("20 trials, the best on validation", ("growth=never",), search=Search(20)),
    "random_halving": Arm("the same with successive halving", ("growth=never",), search=Search(20, halving=True)),
    # the trainer as it was: what label smoothing is worth, grown and fixed
    "plain": _variant("the default without label smoothing", *PLAIN),
    "fixed_256_plain": _variant("256-256 without label smoothing", "experiment=fixed_256", *PLAIN),
    # ideas, each measured against the default
    "no_gap": _variant("growth not ended by the gap", "growth.guards.gap_closes.max_gap=0.99"),
    "smooth_10": _variant("label smoothing 0.1", "trainer.label_smoothing=0.1"),
    "rate_4e3": _variant("learning rate 4e-3", "optimizer.lr=4e-3"),
    "rate_5e3": _variant("learning rate 5e-3", "optimizer.lr=5e-3"),
    "fall_5": _variant("growth paced by a fall of 5 %", "growth.when.fall=0.05"),
    "fall_12": _variant("growth paced by a fall of 12 %", "growth.when.fall=0.12"),
    "cap_112": _variant("cap 112", "growth.amount.cap=112"),
    "cap_256": _variant("cap 256", "growth.amount.cap=256"),
    "depth_3": _variant("three layers", "growth.where.max_depth=3"),
    "deepen_first": _variant("the second layer first", "growth.where.pattern=DWWW"),
    "double": _variant("widths double", "growth.amount.factor=2"),
    "narrow_start": _variant("widths grow whatever a narrow start saves", "growth.where.worth=0"),
    "batch_128": _variant("batches of 128 for large data too", "data.batch_size=128"),
    "muon": _variant("orthogonal steps, their arithmetic charged", "optimizer=muon", "data.batch_size=512"),
    "tiny_start": _variant("a tiny start", "net.widths=tiny"),
    "dropout": _variant("dropout that follows the width", "net.dropout=auto"),
    "patience_6": _variant("patience 6", "stop.checks=6", "stop.after_growth=8"),
    "accurate_112": _variant("accurate, cap 112", "experiment=accurate", "growth.amount.cap=112"),
    "plateau": _variant("grows at a plateau", "growth/when=plateau"),
    "gap_paced": _variant("grows while the gap is small", "growth/when=gap_paced"),
    "fitting_risk": _variant("grows by the fitting risk", "growth/when=fitting_risk"),
    "score": _variant("grows when a score pays", "growth/when=score", "growth/where=widest_gain"),
    "ramp": _variant("an early ramp", "growth/when=early_ramp"),
    "round_robin": _variant("one width after another", "growth/where=round_robin"),
    "widest_gain": _variant("the site of the widest gain", "growth/where=widest_gain"),
    "random_site": _variant("a random site", "growth/where=random"),
    "trial": _variant("growths on trial", "growth/guards=[gap_closes,trial]", "growth.finer=null"),
    "split": _variant("new units are copies", "neurons=split"),
    "antisymmetric": _variant("new units in opposite pairs", "neurons=antisymmetric_pair"),
    "variance_transfer": _variant("variance transfer", "neurons=variance_transfer"),
    "small_outgoing": _variant("small outgoing weights", "neurons=small_outgoing"),
    "carry": _variant("optimizer state carried", "optimizer_state=carry"),
}
