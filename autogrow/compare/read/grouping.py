"""Which runs belong to which arm: as a comparison planned them, or by what differs between the runs of any folder."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autogrow.compare.read.runs import Run
from autogrow.overrides import key_of
from autogrow.train.record.contents import Planned
from autogrow.train.record.folder import PLAN, RESULT, is_begun, read_config, read_plain

_OF_A_RUN = re.compile(r"^(seed:|resume:|  split_seed:|hydra:)")
"""Lines of a config.yaml in which runs of one arm may differ."""

_NOT_AN_ARM = ("seed", "resume", "data.split_seed", "hydra")


def read_plan(folder: Path) -> dict[str, Any]:
    """What a comparison planned for its folder; empty for a folder that is none."""
    return read_plain(folder / PLAN, kind=Planned) if (folder / PLAN).is_file() else {}


def group(folder: Path, runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs by the name of their arm, planned arms first and in their order."""
    planned: dict[str, list[Run]] = {name: [] for name in read_plan(folder).get("arms", {})}
    others = []
    for run in runs:
        arm = planned_arm(folder, run)
        if arm is None:
            others.append(run)
        else:
            planned.setdefault(arm, []).append(run)
    return {name: members for name, members in planned.items() if members} | by_difference(others)


def planned_arm(folder: Path, run: Run) -> str | None:
    """The arm of a run that a comparison made: <its folder>/<arm>/seed_<n>; None for any other run."""
    home = run.folder.parent.parent
    if run.folder.parent.name not in read_plan(home).get("arms", {}):
        return None
    above = home.relative_to(folder).as_posix()
    return run.folder.parent.name if above == "." else f"{above}/{run.folder.parent.name}"


def by_difference(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs whose configs differ in the seed alone are one arm. Its name is what was typed for it and not for all."""
    arms: dict[str, list[Run]] = {}
    for run in runs:
        arms.setdefault(_identity(run), []).append(run)
    typed = [overrides_of(next((r for r in members if overrides_of(r)), members[0])) for members in arms.values()]
    shared = set(typed[0]).intersection(*typed[1:]) if len(typed) > 1 else set()
    named: dict[str, list[Run]] = {}
    for overrides, members in zip(typed, arms.values(), strict=True):
        name = " ".join(o for o in overrides if o not in shared) or "fit"
        same = sum(other == name or other.startswith(f"{name} (") for other in named)
        named[f"{name} ({same + 1})" if same else name] = members
    return named


def overrides_of(run: Run) -> list[str]:
    """What was typed for a run, without what does not make an arm.
    Nothing for a run that was resumed: its config says it.
    """
    words = shlex.split(str(run.result.get("command", "")))
    if any(key_of(word) == "resume" for word in words):
        return []
    return [w for w in words if "=" in w and not any((key_of(w) + ".").startswith(f"{k}.") for k in _NOT_AN_ARM)]


def _identity(run: Run) -> str:
    text = read_config(run.folder) if is_begun(run.folder) else str(overrides_of(run))
    return "\n".join(line for line in text.splitlines() if not _OF_A_RUN.match(line))


def one_of_each(arms: Mapping[str, Sequence[Run]]) -> tuple[dict[str, list[Run]], list[str]]:
    """At most one run of each arm, seed and split: the one that was written last. And what was left out, in words."""
    kept: dict[str, list[Run]] = {}
    left_out = []
    for arm, runs in arms.items():
        newest: dict[tuple[int, str], Run] = {}
        for run in sorted(runs, key=lambda r: (r.folder / RESULT).stat().st_mtime):
            if run.pair in newest:
                left_out.append(
                    f"{newest[run.pair].name} is left out: {run.name} is a later run of the same arm and seed"
                )
            newest[run.pair] = run
        kept[arm] = [newest[pair] for pair in sorted(newest)]
    return kept, left_out
