"""Whitening, least squares and the leading singular vectors, batched over members, at the sizes growth needs.

Shape legend: M members, N rows, F features, O outputs, k singular triples.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_RCOND = 1e-10  # of the second moments of features, in float64
_WHOLE_SVD = 512  # below this size the whole decomposition is cheap


def whitening(features: Tensor) -> Tensor:
    """B (M, F, r) with Bᵀ S B = 1 on the span of the features, S = E[φφᵀ]; columns beyond their rank are 0.

    By the smaller of the two Gram matrices, so that few rows of many features (a batch of 256 in front of a layer of
    4096) stay cheap.
    """
    rows, size = features.shape[-2:]
    few = rows < size
    values, vectors = torch.linalg.eigh((features @ features.mT if few else features.mT @ features) / rows)
    inverse = _inverse(values).unsqueeze(-2)
    base: Tensor = features.mT @ vectors * (inverse / rows**0.5) if few else vectors * inverse.sqrt()
    return base


def _inverse(values: Tensor) -> Tensor:
    floor = _RCOND * values.amax(-1, keepdim=True)
    return torch.where(values > floor, 1 / values.clamp(min=1e-300), 0.0)


def fit(features: Tensor, goal: Tensor) -> Tensor:
    """Least squares: D (M, F, O) that makes features @ D closest to the goal."""
    base = whitening(features)
    return base @ (base.mT @ (features.mT @ goal)) / features.shape[-2]


def leading_svd_of_product(
    one: Tensor, other: Tensor, count: int, *, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The `count` leading singular triples of oneᵀ @ other, one (M, N, n), other (M, N, m), as of `leading_svd`.

    With few rows N the product has rank N and is never formed: its factors' QR decompositions carry it to N × N.
    """
    rows, smaller = one.shape[-2], min(one.shape[-1], other.shape[-1])
    if rows >= smaller or smaller <= _WHOLE_SVD:
        return leading_svd(one.mT @ other, count, generator=generator)
    base, core = torch.linalg.qr(one.mT)
    other_base, other_core = torch.linalg.qr(other.mT)
    left, values, right = leading_svd(core @ other_core.mT, count, generator=generator)
    return base @ left, values, other_base @ right


def leading_svd(
    matrix: Tensor, count: int, *, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The `count` leading singular triples U (…, n, k), σ (…, k), V (…, m, k), zeros beyond the matrix's rank.

    Whole where the matrix is small; else by a randomised range finder with power iterations (Halko, Martinsson, Tropp
    2011, Algorithm 4.4), drawn from `generator` (by default from a fixed seed), never from the global one.
    """
    smaller = min(matrix.shape[-2:])
    kept = min(count, smaller)
    sketch = kept + 10
    if smaller <= _WHOLE_SVD or 2 * sketch >= smaller:
        left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    else:
        generator = generator or torch.Generator(matrix.device).manual_seed(0)
        shape = (*matrix.shape[:-2], matrix.shape[-1], sketch)
        probe = torch.randn(shape, dtype=matrix.dtype, device=generator.device, generator=generator).to(matrix.device)
        base = torch.linalg.qr(matrix @ probe).Q
        for _ in range(4):
            base = torch.linalg.qr(matrix @ torch.linalg.qr(matrix.mT @ base).Q).Q
        left, values, right = torch.linalg.svd(base.mT @ matrix, full_matrices=False)
        left = base @ left
    left, values, right = left[..., :kept], values[..., :kept], right.mT[..., :kept]
    missing = count - kept
    pad = nn.functional.pad
    return pad(left, (0, missing)), pad(values, (0, missing)), pad(right, (0, missing))
