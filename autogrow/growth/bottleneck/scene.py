"""A net seen on batches: what passed its layers, the units that would help, and what they would do to the loss.

Shape legend: M members, N rows, F features, O outputs, k units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from torch import Tensor, nn

from autogrow.growth.bottleneck.patches import answer, outgoing_size, written_rows
from autogrow.growth.bottleneck.problem import (
    Batch,
    Loss,
    Passed,
    Units,
    best_units,
    record,
    width_layers,
    width_problem,
)
from autogrow.growth.bottleneck.trial import Trial, best_amplitude, loss_with
from autogrow.growth.sites.find import WidthSite

Moves = dict[str, Tensor]  # by reader: what is added to its output


class Scene:
    """What passed the named layers on the batches to fit to (`fitted`), and on the last one, to measure on (`held`)."""

    def __init__(self, net: nn.Module, names: Iterable[str], batches: Sequence[Batch], loss: Loss) -> None:
        self.net, self.loss, self.held_batch = net, loss, batches[-1]
        names = list(names)
        self.fitted = record(net, names, batches[:-1] or batches, loss)
        self.held = record(net, names, batches[-1:], loss) if len(batches) > 1 else self.fitted

    def problem(self, site: WidthSite, passed: Mapping[str, Passed], *, project: bool) -> tuple[Tensor, Tensor]:
        """What new units of a width would read, and what is wanted of them (see `width_problem`)."""
        writer, readers = width_layers(self.net, site)
        bias = getattr(self.net.get_submodule(writer), "bias", None) is not None
        return width_problem(self.net, writer, readers, passed, bias=bias, project=project)

    def units(self, site: WidthSite, count: int, *, project: bool = True) -> Units:
        """The best new units of a width; `project`: for what its readers cannot do themselves."""
        return best_units(*self.problem(site, self.fitted, project=project), count)

    def answers(
        self, site: WidthSite, units: Units, passed: Mapping[str, Passed], act: Callable[[Tensor], Tensor] | None = None
    ) -> Moves:
        """What new units add to the outputs of their readers: to first order, or with their activation."""
        values = self.problem(site, passed, project=False)[0] @ units.incoming.mT
        if act is not None:
            values = act(values)
        moves, offset = {}, 0
        for reader in width_layers(self.net, site)[1]:
            layer = self.net.get_submodule(reader)
            outgoing = units.outgoing[:, offset : offset + outgoing_size(layer)]
            moves[reader] = answer(layer, values, outgoing, passed[reader].read_at)
            offset += outgoing_size(layer)
        return moves

    def trial(self, moves: Moves) -> Trial:
        """What a move of the readers' outputs does to the loss on the held batch, at its best amplitude."""
        slope, square = 0.0, 0.0
        for name, move in moves.items():
            passed = self.held[name]
            slope += float((passed.goal * written_rows(self.net.get_submodule(name), move)).sum()) / passed.at.numel()
            square += passed.norm**2
        return best_amplitude(self.net, moves, slope, square**0.5, self.held_batch, self.loss)

    def loss_after(self, moves: Moves) -> float:
        """The loss on the held batch with a move as it is."""
        return loss_with(self.net, moves, 1.0, self.held_batch, self.loss)
