"""Staged growth: grow the net inside a checkpoint file, for strategies under which it cannot grow while it trains.

Train a stage, stop, `grow_checkpoint`, and `fit(ckpt_path=…)` from the new file. Weights, optimizer state, averages and
recipe come out as growth inside the running fit makes them, bit for bit. Works on whole (consolidated) checkpoints.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import Tensor
from torch.optim import Optimizer

from autogrow.errors import CheckpointError, GrowthError
from autogrow.growth.surgery.moves import Receipt, Surgery
from autogrow.policy.history import GROWTHS, Action, Keep, action_from_plain, action_to_plain
from autogrow.train.guest.architecture import GrowthRecord, keep_record
from autogrow.train.guest.reconnect import grow_net, look_at, named_moves, names_in
from autogrow.train.guest.wiring import Wiring, groups_of, place_all
from autogrow.train.record.checkpoint import read_checkpoint, save_atomically
from autogrow.train.rewire.event import growth_event, size_of
from autogrow.train.rewire.invariants import check_reconnected


def grow_checkpoint(
    path_in: str | Path,
    path_out: str | Path,
    module: pl.LightningModule,
    *actions: Action,
    net: str | Sequence[str] = "net",
    example: Tensor | Sequence[Tensor],
    averages: Sequence[str] = (),
    neurons: Any = None,
    optimizer_state: str = "carry",
    seed: int = 0,
    configure: Callable[[], Any] | None = None,
) -> list[Receipt]:
    """Write `path_out`: the checkpoint `path_in` after `actions` (by default the growth that its controller had
    decided).

    `module`: a fresh instance with the starting net; it is left grown. `net`, `example`, `averages`, `neurons`,
    `optimizer_state`, `seed` as given to `GrowthController`. `configure`: makes the optimizers where
    `module.configure_optimizers` needs a trainer. Returns the receipt of each growth. Raises CheckpointError for a file
    that is not a whole checkpoint, GrowthError where there is nothing to do.
    """
    content = read_checkpoint(path_in)
    if "state_dict" not in content:
        raise CheckpointError(f"{path_in} is incomplete: it has no 'state_dict'")
    record = keep_record(module, net, (example,) if isinstance(example, Tensor) else tuple(example), averages)
    record.read(content, module)
    todo = actions or tuple(_decided(content))
    if not todo:
        raise GrowthError(
            f"no growth was decided in {path_in}; give the actions to apply, as in Widen({{'hidden.0': 64}})"
        )
    averaged = "current_model_state" in content  # Lightning's weight averaging keeps the average under 'state_dict'
    module.load_state_dict(content["current_model_state" if averaged else "state_dict"])
    average = copy.deepcopy(module) if averaged else None
    if average is not None:
        average.load_state_dict(content["state_dict"])
    make = configure or module.configure_optimizers
    states = content.get("optimizer_states", [])
    receipts = []
    for action in todo:
        before = size_of(*look_at(record.net(module), record))
        states, surgery, flops = _grow(module, record, action, states, make, average, seed, neurons, optimizer_state)
        receipts.append(surgery.receipt)
        after = size_of(*look_at(record.net(module), record))
        for controller in _controllers(content):  # it goes on as if it had applied the growth itself
            decided_at = len(controller["rows"]) - 1
            event = growth_event(action, surgery, before, after, decided_at=decided_at, flops=flops)
            controller["event"] = event.to_plain()
            controller["pending"] = action_to_plain(Keep())
    content["optimizer_states"] = states
    content["state_dict"] = (module if average is None else average).state_dict()
    if averaged:
        content["current_model_state"] = module.state_dict()
    record.write(content, module)
    save_atomically(content, Path(path_out))
    return receipts


def _grow(
    module: pl.LightningModule,
    record: GrowthRecord,
    action: Action,
    states: Sequence[Mapping[str, Any]],
    make: Callable[[], Any],
    average: pl.LightningModule | None,
    seed: int,
    neurons: Any,
    mode: str,
) -> tuple[list[dict[str, Any]], Surgery, int]:
    """One growth of module, average and optimizer states; with the FLOPs it took."""
    grown = record.net(module)
    names = names_in(module, grown)
    before = []
    old = list(_optimizers_in(make())) if states else []
    for optimizer, state in zip(old, states, strict=True):
        ordered = [names[p] for group in optimizer.param_groups for p in group["params"]]
        optimizer.load_state_dict(_by_position(state, ordered))
        before.append(Wiring.of(optimizer, names))
    surgery, flops = grow_net(
        module, record, action, seed=seed, neurons=neurons, copies=[] if average is None else [record.net(average)]
    )
    if not states:
        return [], surgery, flops
    new, names = list(_optimizers_in(make())), names_in(module, grown)
    moves = named_moves(surgery.moves, module, grown)
    place_all(before, new, names, moves, mode)
    check_reconnected(module, new, moves, groups_of(before))
    return [optimizer.state_dict() for optimizer in new], surgery, flops


def _optimizers_in(configured: Any) -> Iterator[Optimizer]:
    """The optimizers in anything `configure_optimizers` may return, in order."""
    if isinstance(configured, Optimizer):
        yield configured
    elif isinstance(configured, (list, tuple, Mapping)):
        for value in configured.values() if isinstance(configured, Mapping) else configured:
            yield from _optimizers_in(value)


def _by_position(state: Mapping[str, Any], ordered: Sequence[str]) -> dict[str, Any]:
    """An optimizer's state by position; sharded strategies write it by name."""
    if not any(isinstance(key, str) for key in state["state"]):
        return dict(state)
    place = {name: i for i, name in enumerate(ordered)}
    groups = [group | {"params": [place[name] for name in group["params"]]} for group in state["param_groups"]]
    return {"state": {place[name]: value for name, value in state["state"].items()}, "param_groups": groups}


def _controllers(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return (state for key, state in content.get("callbacks", {}).items() if key.startswith("GrowthController"))


def _decided(content: Mapping[str, Any]) -> Iterator[Action]:
    for state in _controllers(content):
        action = action_from_plain(state["pending"])
        if isinstance(action, GROWTHS):
            yield action


__all__ = ["grow_checkpoint"]
