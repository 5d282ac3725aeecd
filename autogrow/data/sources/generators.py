"""Rows made on the spot: small problems with a known answer.

Seeded by `generator_seed`, never by the global random state.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
from sklearn import datasets

from autogrow.data.raw import Raw, from_arrays
from autogrow.data.spec import DataSpec
from autogrow.errors import DataError, nearest

Arrays = tuple[np.ndarray, np.ndarray]


def generate(spec: DataSpec) -> Raw:
    """The rows of the named generator. Raises DataError for an unknown one."""
    if spec.name not in GENERATORS:
        raise DataError(f"data.name {spec.name!r} is not a generator; {nearest(spec.name, GENERATORS)}")
    x, y = GENERATORS[spec.name](spec)
    return from_arrays(
        x, y, f"generated: {spec.name}, {spec.rows} rows, noise {spec.noise}, seed {spec.generator_seed}"
    )


def moons(spec: DataSpec) -> Arrays:
    """Two interleaving half circles in the plane."""
    x, y = datasets.make_moons(spec.rows, noise=spec.noise, random_state=spec.generator_seed)
    return x, y


def spirals(spec: DataSpec) -> Arrays:
    """`classes` arms of a spiral in the plane, two turns each; `noise` is the std of the angle in radians."""
    rng = np.random.default_rng(spec.generator_seed)
    y = np.arange(spec.rows) % spec.classes
    radius = rng.uniform(0.05, 1.0, spec.rows)
    angle = 4 * np.pi * radius + 2 * np.pi * y / spec.classes + rng.normal(0.0, spec.noise, spec.rows)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), y


def blobs(spec: DataSpec) -> Arrays:
    """`classes` Gaussian clouds in `features` dimensions, each of std 10·`noise`."""
    x, y = datasets.make_blobs(
        spec.rows, spec.features, centers=spec.classes, cluster_std=10 * spec.noise, random_state=spec.generator_seed
    )[:2]
    return x, y


def friedman1(spec: DataSpec) -> Arrays:
    """Friedman's first regression problem (Multivariate adaptive regression splines, 1991): 5 of the inputs matter."""
    if spec.features < 5:
        raise DataError(f"data.features must be at least 5 for friedman1, got {spec.features}")
    x, y = datasets.make_friedman1(spec.rows, spec.features, noise=spec.noise, random_state=spec.generator_seed)
    return x, y


def mnist1d(spec: DataSpec) -> Arrays:
    """Ten digits as 40-point curves (Greydanus & Kobak, Scaling down deep learning, 2020), by the package mnist1d."""
    try:
        from mnist1d.data import get_dataset_args, make_dataset
    except ModuleNotFoundError:
        raise DataError("data=mnist1d needs the package mnist1d: pip install mnist1d") from None
    args = get_dataset_args()
    args.num_samples, args.seed, args.iid_noise_scale = spec.rows, spec.generator_seed, spec.noise
    before = random.getstate(), np.random.get_state()
    try:  # the package seeds the global generators
        made = make_dataset(args)
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
    return np.concatenate([made["x"], made["x_test"]]), np.concatenate([made["y"], made["y_test"]])


GENERATORS: dict[str, Callable[[DataSpec], Arrays]] = {
    "moons": moons,
    "spirals": spirals,
    "blobs": blobs,
    "friedman1": friedman1,
    "mnist1d": mnist1d,
}
