"""From the encoded tensor to the net's input: missing filled, standardised.

Buffers only, one module for tables and images.

B batch, D encoded columns, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

CLIP = 10.0  # standard deviations; a lone outlier, or a spike in an almost constant column, stays a bounded input
CELLS = 1 << 20  # of a table that are looked at together: a small one whole, of a large one some columns or rows
_NEAR = 1 << 18  # cells that stay in a processor's cache while they are worked on
_ASKED, _EACH_WAY = 1 << 13, 180  # values that are sorted to guess where the middle is, and how far they may be wrong
CONSTANT = 1e-6  # a channel's std below this share of its mean is rounding, of the sums that it comes from


class Standardise(nn.Module):
    """Elementwise: fill NaN, subtract the mean, divide by the std, clamp.

    Maps (B, D) to (B, D) or (B, C, H, W) to itself. `scale` is 1/std, and 0 for a column that is constant in the
    training rows: whatever it holds later, the net has never learned what to make of it. Columns that are passed
    through (one-hot, codes) have mean 0, scale 1 and no clamp.
    """

    fill: Tensor
    mean: Tensor
    scale: Tensor
    clip: Tensor

    def __init__(self, fill: Tensor, mean: Tensor, scale: Tensor, clip: Tensor) -> None:
        super().__init__()
        for name, value in (("fill", fill), ("mean", mean), ("scale", scale), ("clip", clip)):
            self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        """The encoded tensor, ready for the net."""
        z = (torch.where(torch.isnan(x), self.fill, x) - self.mean) * self.scale
        return torch.minimum(torch.maximum(z, -self.clip), self.clip)

    def in_place(self, x: Tensor) -> Tensor:
        """As `forward`, into the encoded tensor itself, some rows at a time: a large one is not held twice."""
        with torch.no_grad():
            for rows in x.split(max(1, _NEAR // max(1, x[:1].numel()))):
                gaps = torch.isnan(rows)
                if gaps.any():
                    rows.copy_(torch.where(gaps, self.fill, rows))
                rows.sub_(self.mean).mul_(self.scale).clamp_(-self.clip, self.clip)
        return x

    def state(self) -> dict[str, Tensor]:
        """Its buffers, by name."""
        return {name: value.detach().clone().cpu() for name, value in self.named_buffers()}

    @staticmethod
    def from_state(state: Mapping[str, Tensor]) -> Standardise:
        """The inverse of `state`."""
        return Standardise(**{name: state[name].clone() for name in ("fill", "mean", "scale", "clip")})


def fit_table(x: Tensor, numeric: int) -> Standardise:
    """Fitted on the encoded training rows (n, D): the first `numeric` columns are filled (median) and standardised."""
    return fit_columns(list(x.T.numpy()), numeric)


def fit_columns(columns: Sequence[np.ndarray], numeric: int) -> Standardise:
    """As `fit_table`, of encoded columns (n,) that each lie together."""
    width = max(1, CELLS // max(1, len(columns[0])))
    firsts = range(0, numeric, width)
    found = [_statistics(np.stack(columns[k : min(k + width, numeric)], axis=1)) for k in firsts]
    fill, mean, scale = (torch.cat(parts) for parts in zip(*found, strict=True)) if found else torch.zeros(3, 0)
    passed = len(columns) - numeric

    def padded(values: Tensor, rest: float) -> Tensor:
        return torch.cat([values.float(), torch.full((passed,), rest)])

    return Standardise(
        padded(fill, 0.0), padded(mean, 0.0), padded(scale, 1.0), padded(torch.full_like(mean, CLIP), torch.inf)
    )


def _statistics(table: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """Of columns (n, d): what missing values are filled with, the mean and 1/std, (d,) float64 each."""
    columns = torch.from_numpy(table)
    gaps = torch.isnan(columns)
    some = bool(gaps.any())
    fill = torch.tensor([_median(column, gaps=some) for column in table.T], dtype=torch.float64)
    filled = torch.where(gaps, fill, columns.double()) if some else columns.double()
    mean = filled.mean(0)
    varies = filled.amax(0) > filled.amin(0)  # what only rounding makes different, the encoder has made the same
    std = filled.sub_(mean).square_().mean(0).sqrt()  # in place: fresh memory takes longer than the arithmetic
    return fill, mean, torch.where(varies, 1 / std.clamp_min(torch.finfo(torch.float32).tiny), 0.0)


def _median(column: np.ndarray, *, gaps: bool) -> float:
    """The median (of two in the middle the lesser one) of what is there; 0 where nothing is. gaps: it may have some."""
    seen = column[~np.isnan(column)] if gaps else column
    return float(_ranked(seen, (len(seen) - 1) // 2)) if len(seen) else 0.0


def _ranked(values: np.ndarray, rank: int) -> Any:
    """The value of (n,) that has so many before it when they are sorted. Of many only those are looked through that lie
    where a few of them say (Floyd and Rivest 1975, doi 10.1145/360680.360691); all, where these are wrong.
    """
    if len(values) > 8 * _ASKED:
        asked = np.sort(values[:: len(values) // _ASKED])
        about = rank * len(asked) // len(values)
        least, most = asked[max(0, about - _EACH_WAY)], asked[min(about + _EACH_WAY, len(asked) - 1)]
        before = np.count_nonzero(values < least)
        near = values[(values >= least) & (values <= most)]
        if before <= rank < before + len(near):
            values, rank = near, rank - int(before)
    return np.partition(values, rank)[rank]


def fit_images(images: np.ndarray) -> Standardise:
    """Fitted on the training images (n, C, H, W): one mean and one std for each channel.

    Sums are exact for 8-bit images and do not depend on the number of threads.
    """
    total, squares = np.zeros(images.shape[1]), np.zeros(images.shape[1])
    for start in range(0, len(images), 1024):
        part = images[start : start + 1024].astype(np.float64)
        total += part.sum(axis=(0, 2, 3))
        squares += np.square(part, out=part).sum(axis=(0, 2, 3))
    count = images.size / images.shape[1]
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    scale = np.divide(1.0, std, out=np.zeros_like(std), where=std > CONSTANT * np.abs(mean))
    zeros = torch.zeros(len(mean), 1, 1)
    mean_of, scale_of = (torch.from_numpy(v).float().view(-1, 1, 1) for v in (mean, scale))
    return Standardise(zeros, mean_of, scale_of, zeros + torch.inf)
