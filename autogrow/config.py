"""From Hydra's config to a spec: where the YAML lives, the typed schema, the one instantiate helper."""

from __future__ import annotations

import copyreg
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra.utils
from hydra.core.config_store import ConfigStore
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

import autogrow.policy
from autogrow.chain.spec import StageSpec
from autogrow.class_settings import checked_settings
from autogrow.data.spec import DataSpec
from autogrow.errors import ConfigError
from autogrow.policy import Budget, LifeCycle, NoRegularizer
from autogrow.train.fit.spec import FitSpec, NetSpec, OptimizerSpec, ScheduleSpec, TrainerSpec, WarmStart, validate

if TYPE_CHECKING:
    from autogrow.train.fit.looks.device import Latency

_PACKAGED = Path(__file__).parent / "conf"
CONF_DIR = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parent.parent / "conf"
"""The YAML: inside an installed package, else beside it in a checkout."""


@dataclass
class FitConfig:
    """The schema of `autogrow fit`: typos and wrong types fail at composition. Policies are `_target_` nodes."""

    data: DataSpec = field(default_factory=DataSpec)
    net: NetSpec = field(default_factory=NetSpec)
    growth: Any = None
    neurons: Any = None
    stop: Any = None
    finish: Any = None
    regularize: Any = None
    budget: Any = None
    optimizer: OptimizerSpec = field(default_factory=OptimizerSpec)
    schedule: ScheduleSpec = field(default_factory=ScheduleSpec)
    trainer: TrainerSpec = field(default_factory=TrainerSpec)
    seed: int = 0
    metric: str = "auto"
    metrics: list[str] = field(default_factory=list)
    resume: str | None = None
    continue_from: str | None = None
    warm_start: WarmStart = field(default_factory=WarmStart)
    optimizer_state: str = "reset"
    logger: dict[str, Any] = field(default_factory=dict)
    stage: StageSpec = field(default_factory=StageSpec)


@cache
def register_schema() -> None:
    """Make the schema known to Hydra as `fit_schema`; again does nothing."""
    # there is one store: Hydra, which copies all it knows to look up one group, need not copy it each time
    copyreg.pickle(ConfigStore, lambda _: "ConfigStore.instance()")
    ConfigStore.instance().store(name="fit_schema", node=FitConfig, provider="autogrow")


def instantiate(node: Any) -> Any:
    """Build what a `_target_` node describes; lists and mappings inside become plain ones.

    What the node looks up has been looked up by then, once. Raises ConfigError with the last cause of a chain, in one
    line, for text that Hydra would look up again, and for a setting of another kind than its class says.
    """
    plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    for text in _texts(plain):
        if "${" in text:
            raise ConfigError(f"{text!r} cannot be a setting of a class: ${{…}} would be looked up in it")
    settings = checked_settings(plain)
    try:
        return hydra.utils.instantiate(settings, _convert_="all")
    except InstantiationException as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        last = str(error).splitlines()[-1].strip()
        where = last if last.startswith("full_key") and cause is not error else ""
        raise ConfigError(" ".join(f"{cause} {where}".split())) from None


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        node = [*node.keys(), *node.values()]
    if isinstance(node, list):
        for value in node:
            yield from _texts(value)
    elif isinstance(node, str):
        yield node


def spec_from(cfg: DictConfig, *, out: Path | None) -> FitSpec:
    """The spec of one run. Raises ConfigError for what cannot be composed or contradicts itself."""
    policy = instantiate_policy(cfg)
    spec = FitSpec(
        data=typed(cfg.data, DataSpec),
        policy=policy,
        net=typed(cfg.net, NetSpec),
        optimizer=typed(cfg.optimizer, OptimizerSpec),
        schedule=typed(cfg.schedule, ScheduleSpec),
        trainer=typed(cfg.trainer, TrainerSpec),
        neurons=instantiate(cfg.neurons),
        optimizer_state=cfg.optimizer_state,
        seed=cfg.seed,
        out=out,
        continue_from=None if cfg.continue_from is None else Path(cfg.continue_from),
        warm_start=typed(cfg.warm_start, WarmStart),
        metric=cfg.metric,
        metrics=tuple(cfg.metrics),
        config=OmegaConf.to_yaml(cfg, resolve=True),
        latency=_latency(policy.budget),
    )
    validate(spec)
    return spec


def _latency(budget: Budget) -> Latency | None:
    """How a budget's latency is measured; None where that is torch itself, or there is no such limit."""
    if budget.latency_p95_ms is None or budget.runtime == "torch":
        return None
    from autogrow.deploy.latency import p95_ms  # imports torch: only where it is asked for

    return partial(p95_ms, runtime=budget.runtime, int8=budget.int8)


def loggers_from(cfg: DictConfig, out: Path) -> list[Any]:
    """The Lightning loggers that `logger=` names; one whose `save_dir` is null writes to the run folder `out`."""
    nodes: Any = OmegaConf.to_container(cfg.logger, resolve=True)
    here = {"save_dir": str(out)}
    return [instantiate({**node, **(here if node.get("save_dir", "") is None else {})}) for node in nodes.values()]


def instantiate_policy(cfg: DictConfig) -> LifeCycle:
    """The life cycle that `growth`, `budget`, `stop`, `regularize` and `finish` describe together."""
    return LifeCycle(
        growth=instantiate(cfg.growth),
        stop=instantiate(cfg.stop),
        finish=instantiate(cfg.finish),
        budget=instantiate(cfg.budget),
        # a run of before there was such a choice had none
        regularize=NoRegularizer() if cfg.regularize is None else instantiate(cfg.regularize),
    )


def described(rule: Any, node: Any) -> Any:
    """The node of a rule that was made from `node` and may have changed since:
    its settings, and its class where that is another one.
    """
    before = instantiate(node)
    if rule == before:
        return node
    if type(rule) is not type(before):
        return OmegaConf.create(_described(rule))
    was: Any = OmegaConf.to_container(node, resolve=True)
    own = dataclasses.fields(rule)
    changed = {f.name: _described(v) for f in own if (v := getattr(rule, f.name)) != getattr(before, f.name)}
    return OmegaConf.create({**was, **changed})


def _described(value: Any) -> Any:
    """A frozen value of ours or of a user's as a `_target_` node, by its public name where it has one;
    any other value as it is.
    """
    if not dataclasses.is_dataclass(value):
        return value
    cls = type(value)
    where = "autogrow.policy" if getattr(autogrow.policy, cls.__name__, None) is cls else cls.__module__
    settings = {f.name: _described(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return {"_target_": f"{where}.{cls.__qualname__}", **settings}


def typed(node: Any, cls: type[Any]) -> Any:
    """A node of the config as the dataclass that it is a schema of."""
    values = OmegaConf.to_container(node, resolve=True)
    assert isinstance(values, dict)
    return cls(**{f.name: values[f.name] for f in dataclasses.fields(cls)})


__all__ = ["CONF_DIR", "FitConfig", "instantiate", "loggers_from", "register_schema", "spec_from", "typed"]
