"""An optimizer as it was before a growth, and how one that was made anew takes its place: by name, through the moves.

`configure_optimizers` says which parameters go where; callbacks may have added groups since (Lightning's
`BackboneFinetuning` unfreezes a part of the net at its epoch). Such groups are made again.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import Optimizer

from autogrow.growth.carry.optimizer import place_state, state_by_name
from autogrow.growth.surgery.moves import Move
from autogrow.train.rewire.invariants import check_same_layout

Names = Mapping[nn.Parameter, str]


@dataclass(frozen=True)
class Wiring:
    """An optimizer as it was before a growth: state by name, the values of its groups, and who was in each."""

    state: Mapping[str, Mapping[str, Any]]
    groups: Sequence[Mapping[str, Any]]
    members: Sequence[Sequence[str]]

    @staticmethod
    def of(optimizer: Optimizer, names: Names) -> Wiring:
        """What `optimizer` holds for the named parameters."""
        groups = [
            {k: v for k, v in group.items() if k not in ("params", "param_names")} for group in optimizer.param_groups
        ]
        members = [[names[p] for p in group["params"] if p in names] for group in optimizer.param_groups]
        return Wiring(state_by_name(optimizer, names), copy.deepcopy(groups), members)

    def place(self, optimizer: Optimizer, names: Names, moves: Sequence[Move], mode: str) -> list[str]:
        """Give an optimizer that was made anew the group values and, through the moves, the state.

        Answers with the tensors whose state could not be carried and starts anew.
        """
        self.put_back_groups(optimizer)
        mine = {p for group in optimizer.param_groups for p in group["params"]}
        mine_by_name = {p: n for p, n in names.items() if p in mine}
        return place_state(optimizer, mine_by_name, self.state, moves, mode, unknown="reset")

    def put_back_groups(self, optimizer: Optimizer) -> None:
        """Learning rate, momentum, … as they were: by the group's `name` where groups have one, else in order."""
        by_name = {group.get("name"): group for group in self.groups}
        named = len(by_name) == len(self.groups) and None not in by_name
        for group, kept in zip(optimizer.param_groups, self.groups, strict=True):
            group.update(copy.deepcopy(dict(by_name[group["name"]] if named else kept)))

    def make_added_groups(self, optimizer: Optimizer, names: Names, moves: Sequence[Move]) -> None:
        """Where callbacks had added groups, make them again, each with the parameters it had.

        What is new goes where `configure_optimizers` put it: added groups lie behind those.
        """
        made = len(optimizer.param_groups)
        if made >= len(self.groups):
            return
        became = {move.old_name: move.new_name for move in moves}
        named = {name: p for p, name in names.items()}
        newborn = {move.new_name for move in moves if move.old is None}
        groups = []
        for place, (kept, members) in enumerate(zip(self.groups, self.members, strict=True)):
            now = [became.get(name, name) for name in members]
            handed_out = optimizer.param_groups[place]["params"] if place < made else ()
            now += [names[p] for p in handed_out if names.get(p) in newborn]
            order = {name: i for i, name in enumerate(named)}
            inside = sorted((name for name in now if name in named), key=order.__getitem__)
            group = {**copy.deepcopy(dict(kept)), "params": [named[name] for name in inside]}
            if "param_names" in optimizer.param_groups[0]:
                group["param_names"] = inside
            groups.append(group)
        optimizer.param_groups[:] = groups


def place_all(
    before: Sequence[Wiring], optimizers: Sequence[Optimizer], names: Names, moves: Sequence[Move], mode: str
) -> list[str]:
    """Give optimizers that were made anew what the ones before had; answers with the tensors whose state starts anew.

    Raises GrowthError where they are not as many, or have more groups.
    """
    check_same_layout("optimizers", len(before), len(optimizers))
    started: list[str] = []
    for wiring, optimizer in zip(before, optimizers, strict=True):
        wiring.make_added_groups(optimizer, names, moves)
        check_same_layout("parameter groups", len(wiring.groups), len(optimizer.param_groups))
        started += wiring.place(optimizer, names, moves, mode)
    return started


def groups_of(before: Sequence[Wiring]) -> Counter[str]:
    """In how many groups each parameter was."""
    return Counter(name for wiring in before for members in wiring.members for name in members)
