"""Growing a net in place: finer, by knots in the columns that it reads.

A column x keeps its place and its weight; beside it come the ramps between its knots, with weights of zero, so that
nothing the net answers changes, for any x. A knot in a ramp that is there already splits it: c = α·c₁ + (1 − α)·c₂
where the knot lies at α of the way, so the weights α·w and (1 − α)·w compute what w computed (knot insertion; Boehm
1980).

O outputs of the layer that reads, D inputs it has, K components.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from autogrow.errors import GrowthError, nearest
from autogrow.growth.layers import layer_type
from autogrow.growth.sites.example import Example
from autogrow.growth.sites.find import ColumnSite, ColumnsRead, Sites, growth_sites, unwrapped
from autogrow.growth.surgery.moves import Surgery
from autogrow.growth.surgery.parity import Probe, rounded
from autogrow.growth.surgery.plan import Plan, Regrow, TensorPlan
from autogrow.growth.surgery.widen import operate
from autogrow.nets.knots import Knots

Positions = Sequence[float]


def refine(
    net: nn.Module,
    name: str | int | Mapping[str, Positions],
    knots: Positions | None = None,
    *,
    example: Example | None = None,
) -> Surgery:
    """Refine a column of the net's input in place; several at once with `refine(net, {name: knots, …})`.

    `name`: a column as `growth_sites` lists it ('inputs[3]'), or its number. `knots`: where the layer that reads it may
    bend, increasing, in the units that the net reads; the first and the last are the outer ones (quantiles of the
    training rows, as a rule). The net is piecewise linear in the column between them, and goes on as before outside.
    Knots that are there stay, and further ones are put in between. A net whose first layer reads the columns gets a
    layer `Knots` in front of it.

    Exact for every input: new weights are zero, split ones add up. Raises GrowthError where the columns are not read by
    one linear layer as they are, or nothing would become finer, ParityError where the function changed; the net is then
    as it was. (Piecewise-linear encoding: Gorishniy et al., arXiv 2203.05556.)

    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> refine(net, "inputs[1]", [-2.0, -0.5, 0.5, 2.0]).receipt.max_abs_change
    0.0
    >>> net[0]
    Sequential(
      (0): Knots(columns=4, components=3)
      (1): Linear(in_features=7, out_features=8, bias=True)
    )
    """
    if not isinstance(name, Mapping):
        if knots is None:
            raise GrowthError(f"refine({name!r}) needs the positions of the knots")
        name = {f"inputs[{name}]" if isinstance(name, int) else name: knots}
    elif knots is not None:
        raise GrowthError("refine(net, {name: knots, …}) takes no further knots")
    return _refined(net, name, example)


@torch.inference_mode(False)  # a callback may be under it; what is made there could never be trained
def _refined(net: nn.Module, asked: Mapping[str, Positions], example: Example | None) -> Surgery:
    net = unwrapped(net)
    sites = growth_sites(net, example)
    plan, made = refining(net, sites, asked)
    read = sites.columns
    assert read is not None
    # what stands in the units of the net's input is exact; what is split stores rescaled weights
    split = any(sites.finer[name].knots for name in asked)
    weight = net.get_submodule(read.reader).get_parameter("weight")
    entry = {
        "op": "refine",
        "reader": read.reader,
        "place": read.place,
        "front": read.front,
        "knots": read.knots,
        "size": read.size,
        "components": len(made.column),
    }
    promise = rounded(weight.dtype) if split else rounded(torch.float64)
    return operate(net, plan, entry, Probe(net, example), promise)[0]


@dataclass(frozen=True)
class Components:
    """The components of a refined net: whose column (K,) and between which knots (K,); and the reader's inputs (D',):
    `index`: which each one comes from (−1: new), `share`: its share of that one's weight.
    """

    column: Tensor
    low: Tensor
    high: Tensor
    index: Tensor
    share: Tensor


def refining(net: nn.Module, sites: Sites, asked: Mapping[str, Positions]) -> tuple[Plan, Components]:
    """The plan that refines columns of a net with these sites."""
    read = sites.columns
    if read is None:
        raise GrowthError(f"the columns of this net cannot be refined: {sites.not_finer}")
    if not asked:
        raise GrowthError("refine was given no column")
    unknown = [name for name in asked if name not in sites.finer]
    if unknown:
        raise GrowthError(f"no column is called {unknown[0]!r}; {nearest(unknown[0], sites.finer)}")
    weight = net.get_submodule(read.reader).get_parameter("weight")
    dtype = weight.dtype if weight.dtype.itemsize >= 4 else torch.float32
    made = _components(net, read, {sites.finer[name]: _checked(name, at, dtype) for name, at in asked.items()}, dtype)
    return knots_plan(net, read, made), made


def _checked(name: str, positions: Positions, dtype: torch.dtype) -> list[float]:
    """The positions as the net can hold them."""
    at: list[float] = torch.tensor([float(p) for p in positions], dtype=dtype).tolist()
    if any(not one < other for one, other in pairwise(at)) or len(at) < 2:
        raise GrowthError(f"knots of {name!r} must be increasing, and at least two, got {list(positions)[:8]}")
    if not all(abs(p) < float("inf") for p in at):
        raise GrowthError(f"knots of {name!r} must be finite, got {list(positions)[:8]}")
    return at


def _components(
    net: nn.Module, read: ColumnsRead, asked: Mapping[ColumnSite, list[float]], dtype: torch.dtype
) -> Components:
    """Old components keep their places, narrowed where they are split; what is new comes behind them."""
    there = net.get_submodule(read.knots) if read.knots is not None else None
    parts: list[tuple[int, float, float]] = []
    if isinstance(there, Knots):
        parts = list(zip(there.column.tolist(), there.low.tolist(), there.high.tolist(), strict=True))
    first = read.size - len(parts)
    index, share = list(range(read.size)), [1.0] * read.size
    for site, positions in asked.items():
        edges = sorted({*site.knots, *positions})
        if len(edges) == len(site.knots) or len(edges) < 3:
            raise GrowthError(f"{site.name!r} has {site.pieces} pieces and would not become finer")
        old = {low: i for i, (column, low, _) in enumerate(parts) if column == site.column}
        inside: int | None = None
        for low, high in pairwise(edges):
            inside = old.get(low, inside)
            if inside is not None and site.knots[-1] <= low:
                inside = None
            if inside is None:
                parts.append((site.column, low, high))
                index.append(-1)
                share.append(1.0)
                continue
            whole = _span(there, inside)
            part = (high - low) / whole
            if low in old:
                parts[inside], share[first + inside] = (site.column, low, high), part
            else:
                parts.append((site.column, low, high))
                index.append(first + inside)
                share.append(part)
    of, starts, ends = ([part[i] for part in parts] for i in range(3))
    return Components(
        torch.tensor(of), torch.tensor(starts, dtype=dtype), torch.tensor(ends, dtype=dtype),
        torch.tensor(index), torch.tensor(share, dtype=torch.float64),
    )  # fmt: skip


def _span(knots: nn.Module | None, i: int) -> float:
    assert isinstance(knots, Knots)
    return float(knots.high[i]) - float(knots.low[i])


def knots_plan(net: nn.Module, read: ColumnsRead, made: Components) -> Plan:
    """The plan that gives a net these components."""
    reader = net.get_submodule(read.reader)
    layer = layer_type(reader)
    assert layer is not None
    share = None if bool((made.share == 1).all()) else made.share
    columns = Regrow(layer.reads["weight"], made.index, share, share)
    device = reader.get_parameter("weight").device
    column, low, high = (t.to(device) for t in (made.column, made.low, made.high))
    tensors = (TensorPlan(f"{read.reader}.weight", (columns,)),)
    attributes = {read.reader: dict.fromkeys(layer.in_attributes, len(made.index))}
    if read.knots is not None:
        values = {f"{read.knots}.{name}": t for name, t in (("column", column), ("low", low), ("high", high))}
        return Plan(tensors, attributes, replaced=values)
    make: Callable[[nn.Module], list[nn.Module]] = lambda _: [  # noqa: E731
        Knots(read.size, column.clone(), low.clone(), high.clone())
    ]
    return Plan(tensors, attributes, wrap=read.place, inserted=make, front=read.front)
