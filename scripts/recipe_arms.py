"""The arms of the recipe's study: what is trained on each set, as overrides of `autogrow fit`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autogrow.compare.search import Search

Cell = dict[str, Any]


def _same_net(cell: Cell) -> list[str]:
    return [f"net.widths={cell['widths']}"]


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
    "default": Arm("the shipped default: one net, cap 256"),
    "accurate": Arm("two members side by side, cap 128", ("experiment=accurate",)),
    "small": Arm("the smallest net: no dropout, no rounding", ("experiment=small",)),
    "fixed_256": Arm("256-256 under the same trainer", ("experiment=fixed_256",)),
    "fixed_128": Arm("128-128 under the same trainer", (*FIXED, "net.widths=[128,128]")),
    "fixed_pair": Arm(
        "two members of 128-128-128 with dropout", ("growth=never", "net.members=2", "net.widths=[128,128,128]")
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
    "no_gap": _variant("growth not ended by the gap", "growth.guards.gap_closes.max_gap=1"),
    "smooth_10": _variant("label smoothing 0.1", "trainer.label_smoothing=0.1"),
    "rate_5e3": _variant("learning rate 5e-3", "optimizer.lr=5e-3"),
    "rate_8e3": _variant("learning rate 8e-3", "optimizer.lr=8e-3"),
    "batch_256": _variant("batches of 256", "data.batch_size=256"),
    "fall_2": _variant("growth paced by a fall of 2 %", "growth.when.fall=0.02"),
    "fall_8": _variant("growth paced by a fall of 8 %", "growth.when.fall=0.08"),
    "margin_0": _variant("growth paced by a fall of 5 % alone", "growth.when.margin=0"),
    "cap_128": _variant("cap 128", "growth.amount.cap=128"),
    "dropout_2": _variant("dropout 0.2", "net.dropout=0.2"),
    "patience_6": _variant("patience 6", "stop.checks=6"),
    "depth_2": _variant("two layers at most", "growth.where.max_depth=2"),
    "no_dropout": _variant("no dropout", "net.dropout=null"),
    "depth_2_no_dropout": _variant("two layers, no dropout", "growth.where.max_depth=2", "net.dropout=null"),
    "start_64": _variant("starts at 64-64", "growth.where.max_depth=2", "net.dropout=null", "net.widths=[64,64]"),
    "start_64_x2": _variant(
        "starts at 64-64, doubles",
        "growth.where.max_depth=2",
        "net.dropout=null",
        "net.widths=[64,64]",
        "growth.amount.factor=2",
    ),
    "double": _variant(
        "two layers, no dropout, doubles", "growth.where.max_depth=2", "net.dropout=null", "growth.amount.factor=2"
    ),
    "cap_384": _variant(
        "two layers, no dropout, cap 384", "growth.where.max_depth=2", "net.dropout=null", "growth.amount.cap=384"
    ),
    "fast": _variant(
        "two layers, no dropout, cooldown 2", "growth.where.max_depth=2", "net.dropout=null", "growth.when.cooldown=2"
    ),
    "pair_init": _variant(
        "two layers, no dropout, antisymmetric",
        "growth.where.max_depth=2",
        "net.dropout=null",
        "neurons=antisymmetric_pair",
    ),
    "fall_2_d2": _variant(
        "two layers, no dropout, fall 2 %", "growth.where.max_depth=2", "net.dropout=null", "growth.when.fall=0.02"
    ),
    "accurate_5e3": _variant("accurate, learning rate 5e-3", "experiment=accurate", "optimizer.lr=5e-3"),
    "accurate_256": _variant("accurate, batches of 256", "experiment=accurate", "data.batch_size=256"),
}
