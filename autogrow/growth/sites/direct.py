"""Parameters that a forward uses itself, not through a layer: what lies along them, and what new entries are."""

from __future__ import annotations

from torch import fx

from autogrow.growth.sites.axes import Axis, Width, resolve
from autogrow.growth.sites.rules.parts import DIV, MUL
from autogrow.growth.sites.rules.table import KIND_ALONE
from autogrow.growth.sites.trace import Sized, Trace, Use, Value, function_name


def lay_direct(trace: Trace) -> None:
    """Note the uses of these parameters, and the attributes that follow an axis, once all that reads them is known."""
    for node, axes in trace.direct:
        target = str(node.target)
        owner, _, name = target.rpartition(".")
        seen = all(function_name(user) in KIND_ALONE for user in node.users)
        for dim, axis in enumerate(axes):
            if axis is not None:
                fill = 1.0 if _multiplies(trace, node, _widths_in((axis,))) else "mean"
                role, fill = trace.roles.get((target, dim), ("seen" if seen else "carry", fill))
                trace.uses.append(Use(owner, name, dim, axis, role, fill))
    for (module, attribute), axis in trace.numbers.follows.items():
        trace.sized.append(Sized(module, attribute, axis))


def _multiplies(trace: Trace, node: fx.Node, own: set[Width]) -> bool:
    """Whether a parameter, reshaped or not, is a factor of what lies along its width: then a new entry is 1."""
    users = [user for user in node.users if user.op != "output"]
    shaped = [u for u in users if trace.notes[u].kind == "linear" and len(u.all_input_nodes) == 1]
    products = [user for user in users if function_name(user) in MUL | DIV]
    others = [source for product in products for source in product.all_input_nodes if source is not node]
    factor = any(not own.isdisjoint(_widths_in(trace.values[source])) for source in others)
    return factor or any(_multiplies(trace, u, own) for u in shaped)


def axes_in(value: Value) -> list[Axis]:
    """The axes of a tensor, or of a list of tensors."""
    if isinstance(value, tuple):
        return [axis for axis in value if axis is not None]
    return [axis for item in value for axis in axes_in(item)] if isinstance(value, list) else []


def _widths_in(value: Value) -> set[Width]:
    return {segment.width for axis in axes_in(value) for segment in resolve(axis)}


__all__ = ["axes_in", "lay_direct"]
