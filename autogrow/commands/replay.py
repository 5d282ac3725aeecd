"""`autogrow replay DIR growth=…`: what another policy would have decided on a recorded run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from autogrow.commands.on_run import named_run
from autogrow.composition import run_hydra
from autogrow.config import instantiate_policy
from autogrow.errors import ConfigError
from autogrow.policy.replay import Replayed, replay
from autogrow.show import words
from autogrow.train.record.ledger import read_ledger


@dataclass
class ReplayConfig:
    """The schema of `autogrow replay`."""

    run: str = "???"
    growth: Any = None
    stop: Any = None
    finish: Any = None
    regularize: Any = None
    budget: Any = None


def run(rest: Sequence[str]) -> int:
    """Run the command; the exit code. The run folder may stand alone in front: it is short for run=…"""
    rest = named_run(rest)
    if not any(a.startswith(("run=", "-", "hydra")) for a in rest):
        raise ConfigError("replay takes one run folder: autogrow replay runs/fit/… growth=…")
    ConfigStore.instance().store(name="replay_schema", node=ReplayConfig, provider="autogrow")
    return run_hydra("replay", rest, _replay)


def _replay(cfg: DictConfig) -> None:
    rows = read_ledger(Path(cfg.run))
    found = replay(rows, instantiate_policy(cfg))
    console = Console(highlight=False, soft_wrap=True)
    table = Table("check", "score", "recorded", "this policy", "because", box=None, pad_edge=False)
    for row, one in zip(rows, found, strict=False):
        other = "?" if one.replayed is None else words.intent(one.replayed.action)
        why = one.note if one.replayed is None else one.replayed.reason
        table.add_row(str(one.check), f"{row.score:.4g}", words.intent(one.recorded.action), other, why)
    console.print(table)
    print(summary(found, len(rows)))


def summary(found: Sequence[Replayed], checks: int) -> str:
    """The outcome in a sentence: until where the two agree, and what the record can still say."""
    last = found[-1]
    if last.same:
        return f"the same decisions at all {checks} checks"
    if last.replayed is None:
        return f"the same decisions up to check {last.check - 1}; from there it cannot be known: {last.note}"
    return (
        f"the first decision that differs is at check {last.check}: recorded {words.intent(last.recorded.action)}, this policy "
        f"{words.intent(last.replayed.action)}; the {checks - len(found)} checks behind it are of another net, and the record says nothing about them"
    )
