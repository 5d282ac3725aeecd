"""The new entries of a tensor: what is drawn for fresh units, and the noise that parts copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autogrow.growth.draws import normal, own_std
from autogrow.growth.sites.find import Port
from autogrow.growth.surgery.units import Growth


@dataclass(frozen=True)
class Entries:
    """The new entries of one span."""

    old: Tensor
    shape: Sequence[int]
    dim: int
    port: Port
    growth: Growth
    block: int
    generator: torch.Generator

    def fill(self) -> float | str | Tensor:
        """A number, 'mean', or drawn values of the fresh entries."""
        port, growth, units = self.port, self.growth, self.growth.units
        given = (units.outgoing if port.role == "read" else units.incoming).get(port.name)
        if given is not None:
            return given
        if port.role in ("read", "key"):
            scale = (
                units.draw_out if growth.drawn is None else float(port.role == "read" and port.module in growth.drawn)
            )
            return self._drawn(scale, opposite=units.paired) if scale else 0.0
        # tied to a reader: zero where nothing is normalised, else what the norm takes for nothing
        if port.role == "tied" or (growth.start != "draw" and self._normalised):
            return self._mean() if growth.start == "mean" else 0.0
        if (
            growth.norm_bias
            and port.parameter == "bias"
            and growth.site.normed
            and port.module in growth.site.normed.norms
        ):
            return self._drawn(growth.norm_bias, std=1.0).abs()
        if port.fill == "draw":
            return self._drawn(units.draw_in)
        return port.fill

    def _drawn(self, scale: float, *, std: float | None = None, opposite: bool = False) -> Tensor:
        units = self.growth.units
        count = units.fresh
        half = -(-count // 2) if units.paired else count
        drawn = normal((half, self.block, *self._rest()), self.generator)
        if units.paired:
            mirrored = drawn[: count - half]
            if opposite and count - half < half:
                drawn[-1] = 0  # nobody answers the odd one out
            drawn = torch.cat([drawn, -mirrored if opposite else mirrored])
        drawn *= scale * (std if std is not None else own_std(self.old))
        return self._laid(drawn)

    def _mean(self) -> str | Tensor:
        """The mean of the old units, each times the gain that what is written here is multiplied by."""
        gain = self.growth.gains.get(self.port.module)
        if gain is None or self.port.role != "write":
            return "mean"
        along = [1] * self.old.ndim
        along[self.dim] = -1
        mean = (self.old.detach() * gain.to(self.old).view(along)).mean(self.dim, keepdim=True)
        return mean.expand(resized(mean.shape, self.dim, self.growth.units.fresh * self.block)).contiguous()

    @property
    def _normalised(self) -> bool:
        """Whether a norm sees what is written here, before another layer reads it."""
        rule = self.growth.site.normed
        return self.port.fill == "mean" or (
            self.port.role == "write" and (rule is None or self.port.module in rule.summed)
        )

    @property
    def noisy(self) -> bool:
        """Whether something is added to copies here."""
        units = self.growth.units
        level = {"read": units.outgoing_noise, "key": units.outgoing_noise, "write": units.incoming_noise}.get(
            self.port.role, 0.0
        )
        return bool(level) and units.fresh == 0

    def noise(self) -> Tensor:
        """What is added to the copies: noise that sums to zero over a unit's copies, or noise on new copies."""
        units, old_units = self.growth.units, self.growth.site.units
        size = (len(units.index), self.block, *self._rest())
        dtype = self.old.dtype if self.old.dtype == torch.float64 else torch.float32
        if not self.noisy:
            return self._laid(torch.zeros(size, dtype=dtype))
        drawn = normal(size, self.generator).to(dtype)
        if self.port.role in ("read", "key"):
            copies = torch.bincount(units.index, minlength=old_units).view(-1, *[1] * (drawn.ndim - 1))
            total = drawn.new_zeros((old_units, *drawn.shape[1:])).index_add_(0, units.index, drawn)
            drawn -= (total / copies)[units.index]
            drawn *= units.outgoing_noise * own_std(self.old)
        else:
            drawn *= units.incoming_noise * own_std(self.old)
            drawn[:old_units] = 0
        return self._laid(drawn)

    def _rest(self) -> list[int]:
        return [s for d, s in enumerate(self.shape) if d != self.dim]

    def _laid(self, values: Tensor) -> Tensor:
        return values.flatten(0, 1).movedim(0, self.dim)


def resized(shape: Sequence[int], dim: int, size: int) -> list[int]:
    """The shape with another size along one dimension."""
    return [size if d == dim else s for d, s in enumerate(shape)]
