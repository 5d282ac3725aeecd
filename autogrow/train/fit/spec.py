"""What a run is made of, as plain dataclasses: the typed schema of the config nodes that the training room owns.

`fit` takes a `FitSpec` and nothing else, so estimators, tests and notebooks never need Hydra.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autogrow.data.spec import DataSpec
from autogrow.errors import ConfigError, nearest
from autogrow.policy import LifeCycle, recipe

AUTO = "auto"
TINY = "tiny"  # widths: the smallest start


@dataclass
class NetSpec:
    """The starting net. `widths`: 'auto' (the recipe's start), 'tiny', or a list.
    `dropout`: None, a number, or 'auto' (follows the width). `knots`: in how many pieces columns of numbers are
    resolved from the start: None (read as they are), a number, or a number by column name.
    """

    kind: str = "dense"
    widths: Any = AUTO
    activation: str = "relu"
    norm: str = "none"
    dropout: Any = None
    residual: bool = False
    members: int = 1
    knots: Any = None


@dataclass
class OptimizerSpec:
    """The optimizer: AdamW with decay on matrices only, Muon with AdamW for what is no hidden matrix, or SGD."""

    name: str = "adamw"
    lr: float = 3e-3
    weight_decay: float = 1e-2
    betas: Any = (0.9, 0.999)
    momentum: float = 0.9
    gradient_clip: float | None = None


@dataclass
class ScheduleSpec:
    """The learning rate: linear warm-up, then constant; `rewarm` steps of warm-up after each growth."""

    warmup: int = 50
    rewarm: int = 30


@dataclass
class TrainerSpec:
    """How long, how often, and on what. `passes`: the run is planned for so many passes, and checks lie as close as
    that asks; None: `max_epochs` alone ends it.
    """

    max_epochs: float | None = 1000.0
    passes: float | None = None
    check_every: Any = AUTO
    check_rows: int = 2000
    accelerator: str = "cpu"
    devices: int = 1
    strategy: str = AUTO
    precision: str = "32-true"
    compile: bool = False
    threads: Any = AUTO
    burst: int = 16
    checkpoint_seconds: float = 10.0
    label_smoothing: float = 0.05
    temperature: bool = True


@dataclass
class WarmStart:
    """What a net that is continued from starts as: shrink·its weights + perturb·a fresh draw (1 and 0: as it is)."""

    shrink: float = 1.0
    perturb: float = 0.0

    @property
    def exact(self) -> bool:
        """Whether the net starts as the same function."""
        return self.shrink == 1 and self.perturb == 0


@dataclass
class FitSpec:
    """Everything `fit` needs, without Hydra: `fit(FitSpec(DataSpec(path="table.csv", target="price")))` is the recipe.

    `policy` and `neurons` are values (see `autogrow.policy` and `autogrow.growth`; None: units that
    answer with 0 at first).

    `out` is the run folder, None for a run that leaves nothing on disk. `continue_from`: a finished run's folder or
    checkpoint, whose net goes on. `metric`: what chooses the net that is handed back, and the threshold on a
    probability (see `evaluation.judge`). `latency`: the milliseconds of a row, 95th percentile, that a delivered net
    takes in the budget's runtime; None: in torch. `config` is the resolved config as YAML, kept in the run folder.
    """

    data: DataSpec
    policy: LifeCycle = field(default_factory=recipe)
    net: NetSpec = field(default_factory=NetSpec)
    optimizer: OptimizerSpec = field(default_factory=OptimizerSpec)
    schedule: ScheduleSpec = field(default_factory=ScheduleSpec)
    trainer: TrainerSpec = field(default_factory=TrainerSpec)
    neurons: Any = None
    optimizer_state: str = "reset"
    seed: int = 0
    out: Path | None = None
    continue_from: Path | None = None
    warm_start: WarmStart = field(default_factory=WarmStart)
    metric: str = "auto"
    metrics: tuple[str, ...] = ()
    config: str = ""
    latency: Any = None


OPTIMIZERS = ("adamw", "adam", "sgd", "muon")
KINDS = ("dense", "conv")
OPTIMIZER_STATES = ("reset", "carry", "fresh")
PRECISIONS = ("32-true", "32", "bf16-mixed", "bf16", "16-mixed", "16")
"""Weights are 32-bit in each: growth, average and receipts work on them."""

CHOICES = {
    "net.kind": KINDS,
    "optimizer.name": OPTIMIZERS,
    "optimizer_state": OPTIMIZER_STATES,
    "trainer.precision": PRECISIONS,
}
"""What may stand for the keys of few values."""

SEEDS = 2**32
"""NumPy takes seeds below this."""


def validate(spec: FitSpec) -> None:
    """Cross-field rules that must hold before anything is built. Raises ConfigError naming key, rule and value."""
    net, opt, trainer = spec.net, spec.optimizer, spec.trainer
    _one_of("net.kind", net.kind)
    _one_of("optimizer.name", opt.name)
    _one_of("optimizer_state", spec.optimizer_state)
    _check_widths(net.widths)
    _check_knots(net)
    if net.dropout not in (AUTO, None) and not (isinstance(net.dropout, (int, float)) and 0 <= net.dropout < 1):
        raise ConfigError(f"net.dropout must be 'auto', null or a number in [0, 1), got {net.dropout!r}")
    _positive("optimizer.lr", opt.lr)
    _positive("trainer.check_rows", trainer.check_rows)
    _positive("trainer.burst", trainer.burst)
    _positive("net.members", net.members)
    if opt.weight_decay < 0:
        raise ConfigError(f"optimizer.weight_decay must be 0 or more, got {opt.weight_decay}")
    if opt.gradient_clip is not None:
        _positive("optimizer.gradient_clip", opt.gradient_clip)
    for key, value in (("schedule.warmup", spec.schedule.warmup), ("schedule.rewarm", spec.schedule.rewarm)):
        if value < 0:
            raise ConfigError(f"{key} must be 0 or more steps, got {value}")
    key, passes = most_passes(trainer)
    if passes is not None:
        _positive(key, passes)
        if not math.isfinite(passes):
            raise ConfigError(f"{key} must be finite (null for no limit), got {passes}")
    _one_of("trainer.precision", trainer.precision)
    if not 0 <= trainer.label_smoothing < 1:
        raise ConfigError(f"trainer.label_smoothing must be in [0, 1), got {trainer.label_smoothing}")
    _check_betas(opt.betas)
    if net.norm == "batch" and spec.data.batch_size == 1:  # a batch of one has no spread
        raise ConfigError(f"net.norm=batch needs data.batch_size of at least 2, got {spec.data.batch_size}")
    for key, value in (("trainer.check_every", trainer.check_every), ("trainer.threads", trainer.threads)):
        if value != AUTO:
            _positive(key, value)
    check_warm_start(spec.warm_start)
    _check_seed(spec.seed)


def check_warm_start(start: WarmStart, key: str = "warm_start") -> None:
    """Raise ConfigError for shares that leave no net. key: the config node that they stand in."""
    for name, share in (("shrink", start.shrink), ("perturb", start.perturb)):
        if not 0 <= share <= 1:
            raise ConfigError(f"{key}.{name} must be 0 to 1, got {share}")
    if start.shrink == start.perturb == 0:
        raise ConfigError(f"{key}.shrink and {key}.perturb must not both be 0: no weight would be left")


def most_passes(trainer: TrainerSpec) -> tuple[str, float | None]:
    """The key that says how many passes a run may take, and how many; None for no limit."""
    if trainer.passes is not None:
        return "trainer.passes", trainer.passes
    return "trainer.max_epochs", trainer.max_epochs


def _check_widths(widths: Any) -> None:
    if widths in (AUTO, TINY):
        return
    if isinstance(widths, (str, bytes)) or not hasattr(widths, "__iter__"):
        raise ConfigError(f"net.widths must be 'auto', 'tiny' or a list such as [64] or [128,128], got {widths!r}")
    for width in widths:
        if not isinstance(width, int) or isinstance(width, bool) or width < 1:
            raise ConfigError(f"net.widths must hold whole numbers of at least 1, got {width!r} in {list(widths)}")
    if not list(widths):
        raise ConfigError("net.widths must name at least one hidden layer, got []")


def knots_of(net: NetSpec) -> Any:
    """The pieces of each column, of all alike (a number), or None. Pairs are for names that YAML keys cannot be.

    >>> knots_of(NetSpec(knots=[["a, b", 16]]))
    {'a, b': 16}
    """
    if isinstance(net.knots, (Mapping, str)) or not hasattr(net.knots, "__iter__"):
        return net.knots
    pairs = [list(pair) if hasattr(pair, "__iter__") and not isinstance(pair, str) else [pair] for pair in net.knots]
    for pair in pairs:
        if len(pair) != 2:
            raise ConfigError(f"net.knots as a list must hold pairs such as [income,32], got {pair}")
    return {str(name): count for name, count in pairs}


def _check_knots(net: NetSpec) -> None:
    knots = knots_of(net)
    counts = list(knots.values()) if isinstance(knots, Mapping) else [] if knots is None else [knots]
    for count in counts:
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ConfigError(f"net.knots must be a whole number of pieces of at least 1 (null: none), got {count!r}")
    if counts and net.kind != "dense":
        raise ConfigError(f"net.knots is for columns that a dense net reads, and net.kind is {net.kind!r}")


def _check_seed(seed: Any) -> None:
    if not isinstance(seed, int) or seed < 0:
        raise ConfigError(f"seed must be a whole number of at least 0, got {seed!r}")
    if seed >= SEEDS:
        raise ConfigError(f"seed must be below {SEEDS}, got {seed}")


def _check_betas(betas: Any) -> None:
    listed = [] if isinstance(betas, (str, bytes)) or not hasattr(betas, "__iter__") else list(betas)
    numbers = all(isinstance(b, (int, float)) and not isinstance(b, bool) and 0 <= b < 1 for b in listed)
    if len(listed) != 2 or not numbers:
        raise ConfigError(f"optimizer.betas must be two numbers in [0, 1), such as [0.9,0.999], got {betas!r}")


def _one_of(key: str, value: str) -> None:
    known = CHOICES[key]
    if value not in known:
        raise ConfigError(f"{key} {value!r} is unknown; {nearest(value, known)}")


def _positive(key: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ConfigError(f"{key} must be above 0, got {value!r}")


def as_plain(value: Any) -> Any:
    """Dataclasses, tuples and mappings as plain containers (for checkpoints that load with weights_only=True)."""
    if hasattr(value, "__dataclass_fields__"):
        return {k: as_plain(getattr(value, k)) for k in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(k): as_plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value
