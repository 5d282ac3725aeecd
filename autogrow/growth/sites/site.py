"""What tracing finds: widths, the ports they lie along, places for a layer. Plain values, printable."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from autogrow.errors import GrowthError, nearest
from autogrow.growth.sites.axes import Width
from autogrow.growth.sites.state import Normed
from autogrow.growth.sites.trace import Trace


@dataclass(frozen=True)
class Span:
    """Where a width lies within a dimension: unit i takes positions offset + i·block … offset + (i + 1)·block − 1."""

    offset: int
    block: int


@dataclass(frozen=True)
class Port:
    """A parameter (or buffer) of a module that a width lies along, in dimension `dim`, at `spans`.

    `role`: 'write' (the layer's rows), 'read' (its columns), 'key' (rows of keys, which read what the queries write),
    'tied' (rows that are another's columns) or 'carry' (norms, depthwise weights, gains); `fill`: what a carried
    tensor's new entries are (a number, 'mean' of the old ones, or 'draw'). `power`: of the width's size, by which
    scores are scaled that these rows of queries make: the old rows make up for it.
    """

    module: str
    parameter: str
    dim: int
    role: str
    spans: tuple[Span, ...]
    fill: float | str = 0.0
    power: float = 0.0

    @property
    def name(self) -> str:
        """The parameter's qualified name."""
        return f"{self.module}.{self.parameter}" if self.module else self.parameter


@dataclass(frozen=True)
class SizeAttribute:
    """A module's attribute that counts `per_unit` for every unit of a width (out_features, num_groups, …)."""

    module: str
    attribute: str
    per_unit: int


@dataclass(frozen=True)
class WidthSite:
    """A width: the layers that write it, carry it and read it. They grow together.

    `name`: the first layer that writes it. `size`: its channels; it grows in steps of `unit` channels (1, or a group's
    size). `through`: the modules and functions it passes on its way. `refused`: why it cannot be grown, or None.
    """

    name: str
    size: int
    unit: int
    writers: tuple[Port, ...]
    readers: tuple[Port, ...]
    carried: tuple[Port, ...]
    attributes: tuple[SizeAttribute, ...]
    through: tuple[str, ...]
    normed: Normed | None = None
    refused: str | None = None

    @property
    def units(self) -> int:
        """How many units (single channels, or groups of `unit` channels) the width has."""
        return self.size // self.unit

    @property
    def only_multiples(self) -> str:
        """Why it can be widened by whole multiples only, by equal copies; empty where any width will do."""
        if self.normed is None or self.normed.any_width:
            return ""
        return f"{self.normed.obstacle}; only a multiple of {self.size}, by Split, is exact"

    def __str__(self) -> str:
        def listed(ports: Sequence[Port]) -> str:
            names = dict.fromkeys(p.module or p.parameter for p in ports)
            return ", ".join(names) or "—"

        steps = f" in steps of {self.unit}" if self.unit > 1 else ""
        lines = [
            f"{self.name}: {self.size}{steps}" + (f"   refused: {self.refused}" if self.refused else ""),
            f"  written by {listed(self.writers)}",
            f"  through    {', '.join(self.through) or '—'}",
            f"  read by    {listed(self.readers)}",
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class DepthSite:
    """A place where a layer can be inserted: behind module `name`.

    `width`: the name of the width there, `size` its channels; `like`: the layer whose kind the inserted one will have;
    `activation`: the activation module that is repeated behind it (None: there is none), `dropout` likewise; `norm`:
    the norm of the stage, if any; `kinds`: the insertions that are exact there. Where whole blocks go ('block' and
    'copy'), `like` is a block, and `zeroed` those of its parameters that are zero in a new one; `norms`: its norms on
    the stream itself (post-norm), in their order, the last of which is what it answers with.
    """

    name: str
    width: str | None
    size: int
    like: str
    activation: str | None
    norm: str | None
    dropout: str | None
    kinds: tuple[str, ...]
    zeroed: tuple[str, ...] = ()
    norms: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.size} channels, {' or '.join(self.kinds)}"


@dataclass(frozen=True)
class ColumnSite:
    """A column of the net's input whose resolution can be refined: a site of kind 'finer'.

    `knots`: the positions of its knots now, increasing, the outer ones among them; none for a plain column.
    """

    name: str
    column: int
    knots: tuple[float, ...] = ()

    @property
    def pieces(self) -> int:
        """In how many pieces the layer that reads it is linear in it."""
        return max(1, len(self.knots) - 1)


@dataclass(frozen=True)
class ColumnsRead:
    """How the columns are read: by layer `reader`, of `size` inputs.

    `place`: the module that knots go behind, or with `front` the one they go in front of; `knots`: those there are.
    """

    reader: str
    place: str
    front: bool
    knots: str | None
    size: int


@dataclass(frozen=True)
class Sites:
    """Everything that can grow in a net, from input to output, and what cannot, with the reason.

    `widths`: growable hidden widths by name; `depths`: insertion sites by name; `fixed`: widths that cannot be grown;
    `refused`: name → reason, for widths, insertion places and modules nothing is known of. `inputs`, `outputs`: the
    width the net reads and the one it answers with, where there is exactly one. `finer`: the columns of the input by
    name, where one linear layer reads them as they are; `columns`: how, or else `not_finer`: why there are none.
    `inner`: widths that grow the same layers as some of `widths` do, in another way: a head's inner width (`…[inner]`),
    where the number of heads can grow as well; one of both at a time.
    """

    widths: Mapping[str, WidthSite]
    depths: Mapping[str, DepthSite]
    fixed: Mapping[str, WidthSite]
    refused: Mapping[str, str]
    inputs: WidthSite | None
    outputs: WidthSite | None
    trace: Trace = field(repr=False, compare=False)
    by_width: Mapping[Width, WidthSite] = field(repr=False, compare=False)
    inner: Mapping[str, WidthSite] = field(default_factory=dict)
    finer: Mapping[str, ColumnSite] = field(default_factory=dict)
    columns: ColumnsRead | None = None
    not_finer: str = ""

    @property
    def sizes(self) -> dict[str, int]:
        """The growable widths' sizes by name, from input to output."""
        return {name: site.size for name, site in self.widths.items()}

    def width(self, name: str) -> WidthSite:
        """The growable width of that name; GrowthError with the reason or the nearest names otherwise.

        A width that grows by whole multiples only is found, too.
        """
        if name in self.widths or name in self.inner:
            return self.widths.get(name) or self.inner[name]
        if name in self.fixed and self.fixed[name].refused is None:
            return self.fixed[name]
        for site in self.widths.values():
            if any(port.module == name for port in site.writers):
                return site
        if name in self.refused:
            raise GrowthError(f"the width {name!r} cannot be grown: {self.refused[name]}")
        raise GrowthError(f"no width is called {name!r}; {nearest(name, [*self.widths, *self.inner])}")

    def __str__(self) -> str:
        parts = [str(site) for site in (*self.widths.values(), *self.inner.values())]
        if self.depths:
            parts.append("layers can be inserted behind\n" + "\n".join(f"  {site}" for site in self.depths.values()))
        if self.finer:
            parts.append(f"columns can be refined\n  {_listed(self.finer.values())}")
        if self.refused:
            parts.append("refused\n" + "\n".join(f"  {name}: {why}" for name, why in self.refused.items()))
        return "\n".join(parts)


def _listed(columns: Collection[ColumnSite]) -> str:
    """The columns in a line; those that have knots with their pieces."""
    names = [column.name for column in columns]
    ends = names if len(names) < 3 else [names[0], "…", names[-1]]
    fine = [f"{column.name} in {column.pieces} pieces" for column in columns if column.knots]
    return ", ".join(ends) + (f" ({', '.join(fine)})" if fine else "")
