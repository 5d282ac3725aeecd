"""Which units of a width are least useful, and what those that read them take over from the ones that go.

What a layer reads of a width is a linear combination of its units. A unit can go where the others can say the same: the
least that the layer's answer changes, in the mean square over some rows, when unit j goes and the weights of the others
are adjusted is ‖w_j‖² / [C⁻¹]_jj, with C the covariance of the units. That is the Optimal Brain Surgeon's rule (Hassibi
& Stork 1993, eq. 5) for whole columns; units go one at a time, each time the one that costs the least.

N rows, M members, U units, O outputs of a reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from autogrow.growth.layers import layer_type
from autogrow.growth.modes import eval_mode
from autogrow.growth.sites.find import Port, Sites, WidthSite, growth_sites
from autogrow.growth.surgery.moves import Surgery
from autogrow.growth.surgery.narrow import narrow
from autogrow.growth.surgery.parity import Probe, Promise

_RIDGE = 1e-4  # of the mean variance: units that are copies of one another have no inverse otherwise


@dataclass
class _Reader:
    """A linear layer that reads a width. `inverse` (M, U, U): of the units' covariance; `weight` (M, O, U): by unit,
    `mean` (M, U).
    """

    layer: nn.Module
    columns: Tensor
    mean: Tensor
    inverse: Tensor
    weight: Tensor

    def costs(self) -> Tensor:
        """(U,): by how much the layer's answer changes in the mean square if a unit goes and the others make up."""
        return (self.weight.square().sum(1) / self.inverse.diagonal(dim1=1, dim2=2)).sum(0)

    def remove(self, unit: int) -> None:
        """Let the other units make up for one."""
        row, pivot = self.inverse[:, unit], self.inverse[:, unit, unit]
        self.weight -= self.weight[:, :, unit, None] * (row / pivot[:, None])[:, None, :]
        self.inverse -= row[:, :, None] * row[:, None, :] / pivot[:, None, None]
        self.weight[:, :, unit] = 0
        self.inverse[:, unit, :] = self.inverse[:, :, unit] = 0
        self.inverse[:, unit, unit] = 1  # it costs nothing and touches nothing any more

    def install(self) -> None:
        """Give the layer its new weights; its bias takes over the mean of what is gone."""
        weight, bias = self.layer.weight, self.layer.bias
        assert isinstance(weight, Tensor)
        assert isinstance(bias, Tensor)
        dim = weight.ndim - 1
        with torch.no_grad():
            old = weight.index_select(dim, self.columns).double()
            new = self.weight if weight.ndim == 3 else self.weight[0]
            mean = self.mean[:, :, None] if weight.ndim == 3 else self.mean[0, :, None]
            bias += ((old - new) @ mean)[..., 0].to(bias)
            weight.index_copy_(dim, self.columns, new.to(weight))


def remove_units(net: nn.Module, widths: Mapping[str, int], x: Tensor, *, example: Tensor) -> Surgery:
    """Take the least useful units away, in place, so that each width named has so many channels left.

    x: input of the net, some training rows, by which the units are judged and on which the receipt is measured.
    """
    sites = growth_sites(net, example)
    probe = Probe(net, x, rows=None)
    kept = useful_units(net, x, widths, sites=sites)
    surgery = narrow(net, kept, example=example)
    return replace(surgery, receipt=probe.receipt(Promise(None)))


@torch.no_grad()
def useful_units(net: nn.Module, x: Tensor, widths: Mapping[str, int], *, sites: Sites) -> dict[str, Tensor]:
    """The numbers of the units that stay, ascending, by width, if each width is to have so many channels.

    x: input of the net, some training rows. Changes the weights of the layers that read these widths, in place, so that
    what stays makes up for what goes, as well as a linear layer can; `narrow` takes the units away. A width that no
    linear layer reads as it is, unit by unit (a convolution's) is judged by the norm of what writes it, and nobody
    makes up for it.
    """
    kept: dict[str, Tensor] = {}
    for name, size in widths.items():
        site = sites.width(name)
        readers = _readers(net, x, site)  # the weights before them may have changed by now
        going = site.units - max(1, size // site.unit)
        costs = _norms(net, site) if not readers else torch.zeros(site.units, dtype=torch.float64)
        gone = torch.zeros(site.units, dtype=torch.bool)
        for _ in range(going):
            now = sum((reader.costs().cpu() for reader in readers), costs)
            unit = int(now.masked_fill(gone, torch.inf).argmin())
            gone[unit] = True
            for reader in readers:
                reader.remove(unit)
        for reader in readers:
            reader.install()
        kept[site.name] = (~gone).nonzero().flatten()
    return kept


def _readers(net: nn.Module, x: Tensor, site: WidthSite) -> list[_Reader]:
    """The layers that read a width, with what they see of it on `x`; none where one of them is not linear in it."""
    layers = [(net.get_submodule(port.module), port) for port in site.readers]
    if not layers or not all(_reads_units(layer, port) for layer, port in layers):
        return []
    seen: dict[int, Tensor] = {}
    hooks = [
        layer.register_forward_pre_hook(lambda module, args: seen.__setitem__(id(module), args[0].detach()))
        for layer, _ in layers
    ]
    try:
        with eval_mode(net):
            net(x)
    finally:
        for hook in hooks:
            hook.remove()
    return [_reader(layer, port, seen[id(layer)], site.units) for layer, port in layers]


def _reads_units(layer: nn.Module, port: Port) -> bool:
    """Whether a layer multiplies each unit of the width with one column of its weight, and adds a bias."""
    kind, weight = layer_type(layer), getattr(layer, "weight", None)
    return (
        kind is not None
        and kind.build is not None  # no embedding
        and not kind.spatial
        and getattr(layer, "bias", None) is not None
        and isinstance(weight, Tensor)
        and port.dim == weight.ndim - 1
        and len(port.spans) == 1
        and port.spans[0].block == 1
    )


def _reader(layer: nn.Module, port: Port, seen: Tensor, units: int) -> _Reader:
    columns = torch.arange(units, device=seen.device) + port.spans[0].offset
    weight = layer.weight
    assert isinstance(weight, Tensor)
    values = seen.double() if weight.ndim == 3 else seen.double().flatten(0, -2).unsqueeze(0)
    values = values.index_select(2, columns)  # (M, N, U)
    mean = values.mean(1)
    centred = values - mean[:, None]
    covariance = centred.transpose(1, 2) @ centred / values.shape[1]
    level = covariance.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1e-12)
    ridge = _RIDGE * level[:, None, None] * torch.eye(units, dtype=torch.float64, device=seen.device)
    own = weight.index_select(weight.ndim - 1, columns).double()
    return _Reader(
        layer, columns, mean, torch.linalg.inv(covariance + ridge), own if own.ndim == 3 else own.unsqueeze(0)
    )


def _norms(net: nn.Module, site: WidthSite) -> Tensor:
    """(U,): the squared norm of what writes each unit."""
    total = torch.zeros(site.units, dtype=torch.float64)
    for port in site.writers:
        if port.role != "write" or port.parameter != "weight":
            continue
        tensor = net.get_parameter(port.name).detach().double().cpu()
        rows = tensor.movedim(port.dim, 0).flatten(1).square().sum(1)
        for span in port.spans:
            total += rows[span.offset : span.offset + site.units * span.block].view(site.units, -1).sum(1)
    return total
