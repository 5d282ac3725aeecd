"""A net's growths as plain data, and how to build the same architecture again from a fresh net.

A recipe is a list of entries (`surgery.entry`), each of plain strings, numbers, lists and dicts, so it lies in a
checkpoint that loads with `weights_only=True`. Replaying it makes tensors of the recorded shapes and sets the recorded
attributes, without tracing, receipts or random draws: weights are loaded afterwards. Back to an earlier state is a
fresh net and a shorter recipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from autogrow.errors import GrowthError
from autogrow.growth.attributes import attribute_of
from autogrow.growth.layers import layer_type, norm_type
from autogrow.growth.sites.find import ColumnsRead, DepthSite, unwrapped
from autogrow.growth.surgery.deepen import inserted_layers, inserting
from autogrow.growth.surgery.entry import Entry, check_entry
from autogrow.growth.surgery.plan import Plan, Regrow, TensorPlan, tensor_named
from autogrow.growth.surgery.refine import Components, knots_plan
from autogrow.growth.surgery.whole_block import STACK, hollow_plan, stack_site
from autogrow.growth.written_norms import eps_attribute
from autogrow.nets.knots import Knots
from autogrow.plain import fault


def replay(net: nn.Module, recipe: Sequence[Entry], example: object = None, *, holds: int | None = None) -> None:
    """Give a fresh net the architecture that a recipe records, in place; load its weights afterwards.

    Old entries keep the fresh net's values, new ones are 0 (`example` is accepted for symmetry and not needed). The
    global random state is not touched. `holds`: how many numbers the weights hold that are loaded afterwards; a step
    that needs more is refused before it is taken. Raises GrowthError where the net is not the one the recipe was
    recorded on; it is then as it was.

    >>> from autogrow.growth import widen
    >>> def fresh(): return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> net, copy = fresh(), fresh()
    >>> replay(copy, [widen(net, "0", 12).entry])
    >>> copy.load_state_dict(net.state_dict())
    <All keys matched successfully>
    """
    del example  # nothing is traced
    net = unwrapped(net)
    undo = []
    try:
        for number, entry in enumerate(recipe):
            check_entry(entry, number, holds)
            undo.append(_plan(net, entry, holds).apply(net)[1])
    except BaseException:
        for step in reversed(undo):
            step()
        raise


def _plan(net: nn.Module, entry: Entry, holds: int | None) -> Plan:
    """One entry as a plan for this net."""
    if entry["op"] == "deepen":
        return _insertion(net, entry) if entry["kind"] in ("identity", "residual") else _blocks(net, entry, holds)
    if entry["op"] == "refine":
        return _refinement(net, entry)
    tensors, narrows = [], entry["op"] == "narrow"
    for name, shape in entry["shapes"].items():
        old = tensor_named(net, name)
        if old.ndim != len(shape) or any(
            (new > now if narrows else new < now) for new, now in zip(shape, old.shape, strict=True)
        ):
            raise GrowthError(
                f"the recipe was recorded on another net: {name!r} has shape {list(old.shape)}, the recipe makes it {list(shape)}"
            )
        grown = [
            _appended(d, now, new) for d, (now, new) in enumerate(zip(old.shape, shape, strict=True)) if new != now
        ]
        tensors.append(TensorPlan(name, tuple(grown)))
    modules = dict(net.named_modules())
    attributes: dict[str, dict[str, Any]] = {}
    for name, values in entry["attributes"].items():
        for attribute, value in values.items():
            try:
                now = attribute_of(modules[name], attribute)
            except (KeyError, AttributeError):
                now = "missing"
            if now is None and attribute == "eps":  # RMSNorm's own: that of the dtype it computes in
                now = 0.0
            if not any(fault(now, kind) == "" == fault(value, kind) for kind in (int, Sequence[int], float)):
                raise GrowthError(f"the recipe was recorded on another net: {name!r} has no number {attribute!r}")
        attributes[name] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return Plan(tuple(tensors), attributes)


def _appended(dim: int, now: int, new: int) -> Regrow:
    """So many entries more at the end, or the first ones alone."""
    return Regrow(dim, torch.cat([torch.arange(min(now, new)), torch.full((max(0, new - now),), -1)]))


def _refinement(net: nn.Module, entry: Entry) -> Plan:
    modules = dict(net.named_modules())
    for key in ("reader", "place", "knots"):
        if entry[key] is not None and entry[key] not in modules:
            raise GrowthError(f"the recipe was recorded on another net: it has no module {entry[key]!r}")
    layer, knots = layer_type(modules[entry["reader"]]), modules.get(entry["knots"] or "no module")
    if layer is None or not layer.reads or not (knots is None or isinstance(knots, Knots)):
        raise GrowthError(f"the recipe was recorded on another net: {entry['reader']!r} reads no columns")
    read = ColumnsRead(*(entry[key] for key in ("reader", "place", "front", "knots", "size")))
    count, added = entry["components"], entry["components"] - (len(knots.column) if isinstance(knots, Knots) else 0)
    if added < 0:
        raise GrowthError(f"the recipe was recorded on another net: it makes {entry['knots']!r} coarser")
    weight = tensor_named(net, f"{entry['reader']}.weight")
    grown = _appended(0, entry["size"], entry["size"] + added).index
    low = torch.zeros(count, dtype=weight.dtype if weight.dtype.itemsize >= 4 else torch.float32)
    zero = torch.zeros(count, dtype=torch.int64)
    return knots_plan(net, read, Components(zero, low, low + 1, grown, torch.ones(len(grown), dtype=torch.float64)))


def _blocks(net: nn.Module, entry: Entry, holds: int | None) -> Plan:
    modules = dict(net.named_modules())
    after, like = entry["after"], entry["like"]
    owner = modules.get(after.rpartition(".")[0])
    if after not in modules or like not in modules or not isinstance(owner, (nn.ModuleList, nn.Sequential)):
        raise GrowthError(f"the recipe was recorded on another net: it has no block {like!r} to put behind {after!r}")
    site = stack_site(net, like) if entry["kind"] == STACK else _site(entry)
    needed = sum(p.numel() for m in (net, modules[like]) for p in m.parameters())
    if holds is not None and needed > holds:
        raise GrowthError(f"the recipe asks for {needed:,} numbers, and the weights hold {holds:,}")
    for norm in (f"{name}.{inner}" for inner in site.norms for name in (after, like)):
        if norm not in modules or not isinstance(getattr(modules[norm], eps_attribute(modules[norm]), 0), float | None):
            raise GrowthError(f"the recipe was recorded on another net: it has no norm {norm!r}")
    if site.name != after:
        raise GrowthError(f"the recipe was recorded on another net: {after!r} is not the last of {like!r}")
    return hollow_plan(net, site, entry["kind"])


def _site(entry: Entry) -> DepthSite:
    return DepthSite(
        entry["after"], None, entry["size"], entry["like"], entry["activation"], entry["norm"], entry["dropout"], (entry["kind"],),
        norms=tuple(entry.get("norms", ())),
    )  # fmt: skip


def _insertion(net: nn.Module, entry: Entry) -> Plan:
    modules = dict(net.named_modules())
    for key in ("after", "like", "activation", "norm", "dropout"):
        if entry[key] is not None and (entry[key] not in modules or not entry[key]):
            raise GrowthError(f"the recipe was recorded on another net: it has no module {entry[key]!r}")
    kind = layer_type(modules[entry["like"]])
    norm, dropout = (modules.get(entry[key] or "no module") for key in ("norm", "dropout"))
    fits = (
        kind is not None
        and kind.build is not None
        and (entry["kind"] == "residual" or entry["activation"] is not None)
        and (norm is None or norm_type(norm) is not None)
        and (not entry["calibrated"] or isinstance(norm, nn.modules.batchnorm._BatchNorm))
        and (dropout is None or isinstance(getattr(dropout, "p", None), float))
    )
    if not fits:
        raise GrowthError(f"the recipe was recorded on another net: no such layer goes behind {entry['after']!r}")
    site = _site(entry)
    generator = torch.Generator().manual_seed(0)
    values = torch.zeros(2, entry["size"]).to(next(net.parameters())) if entry["calibrated"] else None
    return inserting(site.name, inserted_layers(net, site, entry["kind"], generator, values))
