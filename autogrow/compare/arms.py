"""Arms: what a comparison runs. An arm is a list of `fit` overrides, and what of the grown run it takes over."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autogrow.errors import ConfigError, nearest
from autogrow.overrides import key_of, quoted
from autogrow.policy.history import COARSE, Refine, Row

GROW = "grow"
"""The arm that the others are compared with, and that runs first."""

SEED = "seed"
FACTS = (SEED, "start_widths", "widths", "knots", "dropout", "train_flops", "seconds", "passes", "growth_checks")
"""What an override may ask for in braces: the seed, and facts of the grown run of this seed (`dropout` where a policy
decided on it)."""

MATCHES = (None, "train_flops", "steps", "seconds")
_KEYS = ("about", "label", "spoken", "overrides", "matched", "command", "kinds")
_ASKED = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Arm:
    """One arm.

    `label` names it in a table, `spoken` in a sentence (without one, the label). `overrides` come after the user's,
    with {widths} and the like to be filled from the grown run of the same seed. `matched`: the cost that is made equal
    to that run's. `command` runs it. `kinds`: the kinds of net it is for; empty: all.
    """

    name: str
    about: str
    label: str
    overrides: tuple[str, ...] = ()
    matched: str | None = None
    command: str = "fit"
    kinds: tuple[str, ...] = ()
    spoken: str = ""

    @property
    def asks(self) -> frozenset[str]:
        """What its overrides ask for."""
        return frozenset(_ASKED.findall(" ".join(self.overrides)))

    @property
    def follows(self) -> bool:
        """Whether it needs the grown run of the same seed."""
        return bool(self.asks - {SEED})

    def filled(self, user: Sequence[str], facts: Mapping[str, Any]) -> list[str]:
        """The overrides of one run: the user's, as far as the arm leaves them, then the arm's with the facts filled in,
        but for those that ask for what the grown run does not have.
        """
        said = [override for override in self.overrides if facts.keys() >= set(_ASKED.findall(override))]
        own = [_ASKED.sub(lambda asked: _typed(facts[asked[1]]), override) for override in said]
        return [*(o for o in user if not any(_covers(key_of(a), key_of(o)) for a in own)), *own]


def arm_from(name: str, node: Mapping[str, Any]) -> Arm:
    """The arm that a YAML describes. Raises ConfigError naming the key."""
    where = f"compare/{name}.yaml"
    for key in node:
        if key not in _KEYS:
            raise ConfigError(f"{where}: unknown key {key!r}; {nearest(key, _KEYS)}")
    for key in ("about", "label"):
        if not isinstance(node.get(key), str) or not node[key]:
            raise ConfigError(f"{where}: {key} must say in words what the arm is, got {node.get(key)!r}")
    if not isinstance(node.get("spoken", ""), str):
        raise ConfigError(f"{where}: spoken must say what the arm does, got {node['spoken']!r}")
    if node.get("matched") not in MATCHES:
        raise ConfigError(
            f"{where}: matched {node['matched']!r} is unknown; {nearest(node['matched'], map(str, MATCHES))}"
        )
    lists = {key: tuple(node.get(key) or ()) for key in ("overrides", "kinds")}
    arm = Arm(
        name,
        node["about"],
        node["label"],
        matched=node.get("matched"),
        command=node.get("command", "fit"),
        spoken=node.get("spoken", ""),
        **lists,
    )
    for asked in sorted(arm.asks - set(FACTS)):
        raise ConfigError(f"{where}: {{{asked}}} is not known of a grown run; {nearest(asked, FACTS)}")
    return arm


def facts_of(result: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """What arms take over from a grown run: the net it hands back, what it spent, when it grew wider or deeper."""
    return {
        "seed": result["seed"],
        "start_widths": list(rows[0].widths.values()),
        "widths": list(result["widths"]),
        "knots": _knots(result.get("knots", {}), rows) or None,
        **({"dropout": result["dropout"]} if "dropout" in result else {}),
        "train_flops": result["train_flops"],
        "seconds": result["seconds"],
        "passes": rows[-1].passes,  # result.json rounds them
        "growth_checks": [row.check for row in rows[:-1] if isinstance(row.action, COARSE)],
    }


def _knots(pieces: Mapping[str, int], rows: Sequence[Row]) -> list[list[Any]]:
    """What to ask for so that a net starts with these pieces: equal quantiles are one knot, so that a column may have
    fewer pieces than were asked for, and fewer again when asked for those.
    """
    refined = [row.action.knots for row in rows[:-1] if isinstance(row.action, Refine)]
    asked = {name: count for knots in refined for name, count in knots.items() if isinstance(count, int)}
    return [[name, asked.get(name, count)] for name, count in pieces.items()]


EXAMPLE = {
    "seed": 0,
    "start_widths": [16],
    "widths": [16],
    "knots": None,
    "train_flops": 10**15,
    "seconds": 1e6,
    "passes": 1000.0,
    "growth_checks": [5],
}
"""Facts to compose a following arm with before there is a grown run."""


def _covers(key: str, other: str) -> bool:
    """Whether setting `key` takes the sense from a user's `other`:
    growth=never leaves none to growth.when.factor=0.9.
    """
    return other == key or other.startswith(f"{key}.")


def _typed(value: Any) -> str:
    """A fact as an override holds it: lists without blanks, text quoted.

    >>> _typed([["a, b", 16], ["c", 2]]), _typed([16, 24]), _typed(None)
    ("[['a, b',16],['c',2]]", '[16,24]', 'null')
    """
    if isinstance(value, list):
        return f"[{','.join(map(_typed, value))}]"
    return "null" if value is None else quoted(value) if isinstance(value, str) else str(value)
