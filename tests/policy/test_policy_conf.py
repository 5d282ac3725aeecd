"""The YAML: every file composes, builds what it says, explains itself, and refuses keys that do not exist."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException
from hydra.utils import instantiate

from autogrow import policy
from autogrow.policy import Budget, Factor, Finer, GapCloses, Growth, LifeCycle, LossPaced, Never, check_settings
from autogrow.policy.needs import parts

CONF = Path(__file__).parents[2] / "conf"
FILES = sorted(path for group in ("growth", "stop", "budget", "regularize") for path in (CONF / group).rglob("*.yaml"))
PRESETS = sorted(path.stem for path in (CONF / "growth").glob("*.yaml"))


def choices(group):
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@pytest.fixture
def composed():
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):

        def build(*overrides):
            cfg = compose(overrides=["+growth=default", "+stop=patience", "+budget=none", *overrides])
            return LifeCycle(
                *(instantiate(cfg[key], _convert_="all") for key in ("growth", "stop")), budget=instantiate(cfg.budget)
            )

        yield build


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_builds(composed, preset):
    life = composed(f"growth={preset}")
    hash(life)
    check_settings(life, widths=[16], steps_per_check=20, max_steps=2000)


@pytest.mark.parametrize("group", ["when", "where", "amount", "guards"])
def test_every_part_can_be_swapped_alone(composed, group):
    for choice in choices(f"growth/{group}"):
        value = f"[{choice}]" if group == "guards" else choice
        # `small` sets keys of `amount`, which every amount must have
        for preset in ("default", "small") if group == "amount" else ("default",):
            hash(composed(f"growth={preset}", f"growth/{group}={value}"))


@pytest.mark.parametrize(("group", "default"), [("stop", "patience"), ("budget", "none")])
def test_every_stop_and_budget_builds(composed, group, default):
    built = {choice: composed(f"{group}={choice}") for choice in choices(group)}
    assert len(set(built.values())) == len(built)
    assert built[default] == LifeCycle()


def test_what_the_presets_are(composed):
    assert composed() == LifeCycle()
    assert composed("growth=never").growth == Growth(Never(), policy.AllHidden(), Factor())
    assert composed("growth=small").growth == GapCloses(
        Growth(LossPaced(fall=0.05), policy.Cycle("DWWWDWWW", max_depth=3), Factor(1.5, multiple=1, cap=512))
    )
    assert composed("growth.guards.gap_closes.max_gap=0.2", "growth.amount.cap=64").growth == GapCloses(
        Finer(Growth(LossPaced(), policy.Cycle(worth=0.05), Factor(cap=64)), turn=True), max_gap=0.2
    )
    assert composed("growth.when.at=[1,2]", "growth/when=fixed").growth.growth.growth.when.at == (1, 2)
    assert composed("budget=small", "budget.parameters=123").budget == Budget(parameters=123, flops_per_sample=40000)


@pytest.mark.parametrize(
    "typo",
    ["growth.when.cooldwn=2", "growth.amount.capp=3", "stop.patience=3", "budget.params=3", "growth.guards.gap=1"],
)
def test_unknown_keys_are_refused(composed, typo):
    with pytest.raises(ConfigCompositionException, match=typo.split("=")[0].split(".")[-1]):
        composed(typo)


def test_every_class_has_a_file_and_every_key_is_there(composed):
    """A key that a user may type must stand in the YAML; each dataclass field is such a key."""
    seen = set()
    for path in FILES:
        text = path.read_text()
        for name in re.findall(r"_target_: autogrow\.policy\.(\w+)", text):
            target = getattr(policy, name)
            seen.add(name)
            if dataclasses.is_dataclass(target):
                keys = set(re.findall(r"^ *(\w+):", text, re.MULTILINE))
                assert {item.name for item in dataclasses.fields(target)} - {"growth"} <= keys, path
    classes = {name for name in policy.__all__ if isinstance(getattr(policy, name), type)}
    # built by code, not by name: the finish has its own group, BudgetStop and WithinBudget come from the budget
    assert classes - seen == {"BudgetStop", "Finish", "Growth", "LifeCycle", "NoFinish", "WithinBudget"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONF)))
def test_every_file_explains_itself_and_every_number_has_a_reason(path):
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert lines[0].rstrip()[-1] in ".:"
    for line in lines:
        if re.match(r"\s*\w+: .*\d", line) and "_target_" not in line and not line.startswith("  - "):
            assert "  # " in line, line


def test_parts_reach_every_value():
    assert {type(part).__name__ for part in parts(LifeCycle())} >= {
        "GapCloses",
        "Growth",
        "Cycle",
        "Patience",
        "Budget",
    }
