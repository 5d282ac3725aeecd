"""From what was typed after `autogrow compare` to a plan, checked before anything is run."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from autogrow.children.jobs import environment
from autogrow.commands.tasks.compare_device import check_device, device_from
from autogrow.compare.arms import EXAMPLE, GROW, Arm, arm_from
from autogrow.compare.read.grouping import read_plan
from autogrow.compare.run.affordable import check_one_pass
from autogrow.compare.run.plan import Plan, seeds_from
from autogrow.config import instantiate, spec_from
from autogrow.data import prepare
from autogrow.errors import ConfigError, UsageError, nearest
from autogrow.overrides import key_of
from autogrow.policy.needs import never_grows
from autogrow.train.fit.process import quiet_lightning
from autogrow.train.record.folder import PLAN, check_fingerprint, is_empty

OWN = ("seeds", "arms", "jobs", "target", "device", "int8")
"""Keys of the comparison itself; `search.*` goes to the arms that search, everything else to every arm."""

_OPTIONS = ("--config-dir", "-cd")  # arguments that every child needs too


def checked_plan(cfg: DictConfig, rest: Sequence[str], folder: Path) -> Plan:
    """The plan of the comparison that was typed. Raises UsageError, in one line, for what cannot be run."""
    typed = [o for o in _typed() if key_of(o) not in OWN]
    jobs = cfg.jobs if cfg.jobs > 0 else os.cpu_count() or 1
    if cfg.target is not None and not cfg.target > 0:
        raise ConfigError(f"target must be a validation loss above 0, got {cfg.target}")
    device = device_from(cfg)
    plan = Plan(
        folder=folder,
        title=f"Was growing worth it on {cfg.data.name}?",
        command=shlex.join(["autogrow", "compare", *rest]),
        arms=_arms(list(cfg.arms), cfg.net.kind),
        seeds=seeds_from(OmegaConf.to_object(cfg.seeds) if OmegaConf.is_config(cfg.seeds) else cfg.seeds),
        overrides=tuple(o for o in typed if not _of_search(o)),
        search=(
            f"search.trials={cfg.search.trials}",
            *(o for o in typed if _of_search(o) and key_of(o) != "search.trials"),
        ),
        options=tuple(_options(rest)),
        target=cfg.target,
        jobs=jobs,
        environment=environment(jobs),
    )
    _check_folder(plan)
    if any(arm.name == GROW for arm in plan.arms) and never_grows(instantiate(cfg.growth)):
        raise ConfigError(
            "growth=never does not grow: there is nothing to compare; give a growth policy, or arms=[…] without grow"
        )
    card = _check_arms(plan, device)
    before = read_plan(folder).get("fingerprint")  # older comparisons did not write it down
    if before:
        check_fingerprint(f"hydra.run.dir={folder}", "this comparison", before, card)
    return replace(plan, fingerprint=card["fingerprint"])


def _typed() -> list[str]:
    """The overrides as they were typed: ${seed} in them is each run's own."""
    whole: Any = HydraConfig.instance().cfg
    typed: Any = OmegaConf.to_container(whole.hydra.overrides.task, resolve=False)
    return [str(o) for o in typed]


def _of_search(override: str) -> bool:
    return key_of(override).partition(".")[0] == "search"


def _options(rest: Sequence[str]) -> Iterator[str]:
    for word, following in zip(rest, [*rest[1:], ""], strict=True):
        if word in _OPTIONS:
            yield from (word, following)
        elif word.startswith(tuple(f"{option}=" for option in _OPTIONS)):
            yield word


def _arms(names: Sequence[str], kind: str) -> tuple[Arm, ...]:
    """The arms of these names. Raises ConfigError with the nearest for a name that is none."""
    files = {
        file.stem: file
        for source in reversed(HydraConfig.get().runtime.config_sources)
        if source.schema == "file"
        for file in sorted((Path(source.path) / "compare").glob("*.yaml"))
    }
    if not names:
        raise ConfigError(f"arms must name at least one arm; {nearest('', files)}")
    for name in names:
        if name not in files:
            raise ConfigError(f"arms has no {name!r}; {nearest(name, files)}")
    if len(set(names)) < len(names):
        raise ConfigError(f"arms must differ, got {list(names)}")
    arms = []
    for name in names:
        node = OmegaConf.to_container(OmegaConf.load(files[name]))
        assert isinstance(node, dict)
        arms.append(arm_from(name, {str(k): v for k, v in node.items()}))
    fitting = tuple(arm for arm in arms if not arm.kinds or kind in arm.kinds)
    for arm in arms:
        if arm not in fitting:
            print(f"left out: {arm.name}, which is for net.kind={' or '.join(arm.kinds)}")
    if not fitting:
        raise ConfigError(f"arms={list(names)} are for other kinds of nets than net.kind={kind}")
    for arm in fitting:
        if arm.follows and GROW not in names:
            asked = ", ".join(sorted(arm.asks - {"seed"}))
            raise ConfigError(f"arm {arm.name} takes {asked} from the grown run of its seed: add {GROW} to arms")
    return fitting


def _check_folder(plan: Plan) -> None:
    folder = plan.folder
    if not folder.is_dir() or is_empty(folder):
        return
    if not (folder / PLAN).is_file():
        raise ConfigError(f"{folder} holds something else than a comparison; give another hydra.run.dir")
    before = read_plan(folder)["overrides"]
    if before != [*plan.overrides, *plan.search]:
        raise ConfigError(
            f"{folder} holds a comparison of other overrides ({' '.join(before) or 'none'}); give the same ones to go on, or another hydra.run.dir"
        )


def _check_arms(plan: Plan, device: Mapping[str, Any] | None) -> dict[str, Any]:
    """Compose every arm as its child will, and check its budget: an arm that cannot run is said now.

    Answers with the card of the data.
    """
    prepared = None
    for arm in plan.arms:
        own = arm.filled([*plan.overrides, *(plan.search if arm.command != "fit" else ())], EXAMPLE)
        if find_spec(f"autogrow.commands.{arm.command}") is None:
            raise ConfigError(f"arm {arm.name} is run by autogrow {arm.command}, which is not there")
        try:
            spec = spec_from(_compose(arm.command, own), out=None)
            with quiet_lightning():
                prepared = prepared or prepare(spec.data)
            check_one_pass(arm.name, spec, prepared)
            if device is not None:
                check_device(device, spec, prepared)
        except UsageError as error:
            if arm.name == GROW or str(error).startswith(("trainer.max_epochs", "trainer.passes")):
                raise
            raise type(error)(f"arm {arm.name}: {error}") from None
    assert prepared is not None
    return prepared.card


def _compose(command: str, overrides: Sequence[str]) -> DictConfig:
    loader = GlobalHydra.instance().config_loader()
    cfg = loader.load_configuration(config_name=command, overrides=list(overrides), run_mode=RunMode.RUN)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg
