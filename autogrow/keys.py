"""Every key that can be typed, with its default, what may stand there, and a sentence.

There is one source: the comments of conf/*.yaml, and the docstrings of the schemas that have no file (`DataSpec`,
launcher and sweeper). `autogrow keys`, the help of each command and the reference in docs/ are made from it; no torch.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

import autogrow.data.spec
import autogrow.train.fit.spec
from autogrow.config import CONF_DIR
from autogrow.data.spec import DataSpec
from autogrow.launcher.plugin import ProcessLauncherConfig
from autogrow.launcher.sweeper import OptunaSweeperConfig

CHOICES = {**autogrow.data.spec.CHOICES, **autogrow.train.fit.spec.CHOICES}
"""What may stand for a key of few values: the very tuples that are checked when a run begins."""

TYPED = ("net", "optimizer", "schedule", "trainer")
"""Groups whose options all have the same keys, those of a schema: the default option's are everybody's."""

WITHOUT_KEYS = ("data", "compare", "experiment", "growth")
"""Groups whose files set keys of other nodes; those of `data` stand in DataSpec, those of growth in its parts."""

OF_HYDRA = ("defaults", "hydra", "_target_", "_partial_")


@dataclass(frozen=True)
class Key:
    """A key. `where`: the choice or command that has it, empty for every run. `values`: what may stand there."""

    name: str
    default: str
    values: str
    says: str
    where: str = ""


@dataclass(frozen=True)
class Group:
    """A config group: what it chooses, the option taken if nothing is said, and every option with its sentence."""

    name: str
    says: str
    default: str
    options: Mapping[str, str]


@cache
def groups() -> tuple[Group, ...]:
    """Every group of conf/, in the order of fit.yaml, parts of growth behind it.

    >>> [group.name for group in groups()][:4]
    ['data', 'net', 'growth', 'growth/when']
    """
    found = []
    for name, default, says in _chosen(CONF_DIR / "fit.yaml"):
        found.append(_group(name, default, says))
        if name == "growth":
            parts = _chosen(CONF_DIR / "growth" / "default.yaml")
            found += [_group(f"growth/{part}", option, what) for part, option, what in parts]
    return (*found, _group("compare", "", "arms of `autogrow compare`, named in arms=[…]"))


@cache
def keys() -> tuple[Key, ...]:
    """Every key: those of a run by group, then what each command has of its own."""
    found = [*_keys_of_schema("data", DataSpec, "")]
    for group in groups():
        if group.name not in WITHOUT_KEYS:
            found += _keys_of_group(group)
    found += _keys_in(CONF_DIR / "fit.yaml", "", "")
    found += _keys_of_schema("hydra.launcher", ProcessLauncherConfig, "autogrow fit -m")
    found += _keys_of_schema("hydra.sweeper", OptunaSweeperConfig, "hydra/sweeper=optuna")
    known = {key.name for key in found}
    for path in sorted(CONF_DIR.glob("*.yaml")):
        found += [key for key in _keys_in(path, "", f"autogrow {path.stem}") if key.name not in known]
    return tuple(found)


def keys_of(command: str) -> list[Key]:
    """The keys that a command has and `fit` has not."""
    return [key for key in keys() if key.where == f"autogrow {command}"]


def first_comment(path: Path) -> str:
    """The sentence with which a file of conf/ begins, without how it is launched.

    >>> first_comment(CONF_DIR / "stop" / "never.yaml")
    'No stop rule: only trainer.max_epochs (and a budget) ends the run.'
    """
    block: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("# ") or re.match(r"#\s+(autogrow \w+ |Launch: )", line):
            break
        block.append(line[2:].strip())
    return re.split(r"\s+(?:Launch: |autogrow fit )", " ".join(block))[0].rstrip(":")


def _group(name: str, default: str, says: str) -> Group:
    files = sorted((CONF_DIR / name).glob("*.yaml"))
    return Group(name, says, default, {path.stem: first_comment(path) for path in files})


def _chosen(path: Path) -> Iterator[tuple[str, str, str]]:
    """Group, option and sentence for each line of a defaults list that has a sentence."""
    found = re.findall(r"^  - (?:optional )?(\w+): (\S+) +# (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    for name, option, says in found:
        yield name, option.strip("[]"), says


def _keys_of_group(group: Group) -> list[Key]:
    """The keys of a group's options, the default's first; what an earlier option says alike is left out."""
    node = group.name.replace("/", ".")
    options = sorted(group.options, key=lambda option: option != group.default)
    found: dict[tuple[str, str], Key] = {}
    for option in options[:1] if group.name in TYPED else options:
        where = "" if option == group.default else f"{group.name}={option}"
        for key in _keys_in(CONF_DIR / group.name / f"{option}.yaml", f"{node}.", where):
            found.setdefault((key.name, key.says), key)
    return list(found.values())


def _keys_in(path: Path, prefix: str, where: str) -> Iterator[Key]:
    text = path.read_text(encoding="utf-8")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is not None:
        yield from _walked(root, text.splitlines(), prefix, where)


def _walked(node: Any, lines: list[str], prefix: str, where: str) -> Iterator[Key]:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        if key.value in OF_HYDRA:
            continue
        if isinstance(value, yaml.MappingNode) and not value.flow_style and value.value:
            yield from _walked(value, lines, f"{name}.", where)
            continue
        here = lines[key.start_mark.line]
        default = here[key.end_mark.column + 1 :].partition(" #")[0].strip()
        if not default:  # a list, an entry a line
            default = f"[{','.join(entry.value for entry in value.value)}]"
        yield Key(name, default, _values(name, default), _comment(lines, key.start_mark.line), where)


def _comment(lines: list[str], at: int) -> str:
    """What stands behind a key, or in the lines above it."""
    behind = lines[at].partition(" # ")[2].strip()
    if behind:
        return behind
    above: list[str] = []
    while at > 0 and re.match(r"\s*# ", lines[at - 1]):
        at -= 1
        above.insert(0, lines[at].strip()[2:])
    return " ".join(above) if at > 0 else ""  # at the top stands what the file is


def _keys_of_schema(node: str, cls: type, where: str) -> Iterator[Key]:
    """The fields of a schema. Raises KeyError for one that its docstring does not describe."""
    says = entries_of(cls)
    for item in dataclasses.fields(cls):
        name = f"{node}.{item.name}"
        if item.name in OF_HYDRA:
            continue
        default = _written(item.default if item.default_factory is dataclasses.MISSING else item.default_factory())
        kind = _WORDS.get(str(item.type).removesuffix(" | None"), _values(name, default))
        yield Key(name, default, " | ".join(CHOICES[name]) if name in CHOICES else kind, says[item.name], where)


def entries_of(cls: type) -> dict[str, str]:
    """What a schema's docstring says of each field: paragraphs that begin with the field's name and a colon."""
    text = inspect.getdoc(cls) or ""
    entries = re.findall(r"^(\w+(?:, \w+)*): (.+(?:\n {4}.+)*)", text, re.MULTILINE)
    return {name: " ".join(says.split()) for names, says in entries for name in names.split(", ")}


_WORDS = {"str": "text", "int": "whole number", "float": "number", "bool": "true | false"}


def _values(name: str, default: str) -> str:
    """What may stand for a key: its few values, or the kind of its default; empty where the sentence must say it."""
    if name in CHOICES:
        return " | ".join(CHOICES[name])
    value = yaml.safe_load(default) if default != "???" else None
    if isinstance(value, str):
        value = _as_number(value)
    return {bool: "true | false", int: "whole number", float: "number", list: "list"}.get(type(value), "")


def _as_number(text: str) -> Any:
    """A number as Hydra reads it: YAML 1.1 takes 3e-3 for a text."""
    return float(text) if re.fullmatch(r"\d+e[+-]?\d+", text) else text


def _written(value: Any) -> str:
    """A default as it would be typed."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(str, value))}]"
    return str(value)
