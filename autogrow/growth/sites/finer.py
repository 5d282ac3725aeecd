"""Where a net can be refined: the columns of its input, if one linear layer reads them as they are."""

from __future__ import annotations

from torch import fx, nn

from autogrow.errors import GrowthError
from autogrow.growth.layers import layer_type
from autogrow.growth.sites.site import ColumnSite, ColumnsRead
from autogrow.growth.sites.trace import Trace, function_name
from autogrow.nets.knots import Knots

# functions that hand on what they get
_HANDED_ON = {"float", "double", "to", "contiguous", "clone", "type"}
_JOINED = {"cat", "concat", "concatenate"}


def columns_read(trace: Trace) -> tuple[ColumnsRead, int]:
    """Which layer reads the columns and where knots go, and how many columns; GrowthError where none can be refined."""
    found = [(node, count) for node in trace.graph.nodes if _is_linear(trace, node) and (count := _reads(trace, node))]
    names = list(dict.fromkeys(str(node.target) for node, _ in found))
    if not names:
        raise GrowthError("no linear layer reads the columns of the net's input as they are")
    if len(names) > 1 or len(found) > 1:
        raise GrowthError(f"the columns are read more than once: by {', '.join(str(n.target) for n, _ in found)}")
    node, count = found[0]
    source, reader = node.all_input_nodes[0], names[0]
    size = trace.shapes[source][-1]
    module = trace.net.get_submodule(str(source.target)) if source.op == "call_module" else None
    if isinstance(module, Knots):
        return ColumnsRead(reader, str(source.target), False, str(source.target), size), count
    if isinstance(module, nn.Identity) and len(source.users) == 1 and trace.calls(str(source.target)) == 1:
        return ColumnsRead(reader, str(source.target), False, None, size), count
    return ColumnsRead(reader, reader, True, None, size), count


def _is_linear(trace: Trace, node: fx.Node) -> bool:
    if node.op != "call_module" or node not in trace.notes or trace.notes[node].kind != "layer":
        return False
    layer = layer_type(trace.net.get_submodule(str(node.target)))
    return layer is not None and not layer.spatial and not layer.grouped and list(layer.reads) == ["weight"]


def _reads(trace: Trace, node: fx.Node) -> int:
    return _plain(trace, node.all_input_nodes[0])


def _plain(trace: Trace, node: fx.Node) -> int:  # noqa: PLR0911  (a table, one line a case)
    """How many of the first entries along a tensor's last dimension are the first ones of the net's input; 0: none."""
    if node.op == "placeholder":
        return trace.shapes[node][-1] if len(trace.shapes.get(node, ())) > 1 else 0
    if node.op == "call_module":
        module = trace.net.get_submodule(str(node.target))
        return _plain(trace, node.all_input_nodes[0]) if isinstance(module, (nn.Identity, Knots)) else 0
    if node.op not in ("call_function", "call_method"):
        return 0
    name, first = function_name(node), node.args[0] if node.args else None
    if name in _HANDED_ON and isinstance(first, fx.Node):
        return _plain(trace, first)
    if name == "getitem" and isinstance(first, fx.Node):
        return _sliced(node.args[1], _plain(trace, first), len(trace.shapes.get(first, ())))
    if name in _JOINED and isinstance(first, (list, tuple)) and isinstance(first[0], fx.Node):
        dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
        return _plain(trace, first[0]) if dim in (-1, len(trace.shapes[node]) - 1) else 0
    return 0


def _sliced(index: object, count: int, dims: int) -> int:
    """Of so many first entries those that `[…, :n]` leaves."""
    items = index if isinstance(index, tuple) else (index,)
    last = items[-1]
    whole = all(item == slice(None) for item in items[:-1]) and (len(items) == dims or last == slice(None))
    if not whole or not isinstance(last, slice) or last.start not in (None, 0) or last.step not in (None, 1):
        return 0
    return min(count, last.stop) if isinstance(last.stop, int) and last.stop > 0 else count if last.stop is None else 0


def column_sites(trace: Trace, count: int, knots: str | None) -> dict[str, ColumnSite]:
    """A site for each column, in order."""
    places: dict[int, list[float]] = {}
    if knots is not None:
        module = trace.net.get_submodule(knots)
        assert isinstance(module, Knots)
        places = module.places()
    return {f"inputs[{i}]": ColumnSite(f"inputs[{i}]", i, tuple(places.get(i, ()))) for i in range(count)}
