"""Runs of every kind of net that a run can deliver, small: what exports are tried on."""

import datetime

import numpy as np
import pandas as pd

from autogrow import fit
from autogrow.data import DataSpec
from autogrow.policy import Cycle, FixedSchedule, Growth, LifeCycle, Never
from autogrow.train.fit.spec import FitSpec, NetSpec, OptimizerSpec, TrainerSpec

ROWS = 240


def mixed_table():
    """Numbers with gaps, some that 32-bit floats would merge, categories with gaps, dates with hours; targets."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=ROWS), rng.exponential(size=ROWS)
    hue = rng.choice(["red", "blue", "green"], ROWS)
    far = 1e9 + 1e-3 * rng.normal(size=ROWS)
    day = [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=int(h)) for h in rng.integers(0, 20_000, ROWS)]
    score = np.sin(2 * a) + b + (hue == "red") + (far - 1e9) * 300 + np.array([d.month for d in day]) / 6
    return pd.DataFrame(
        {
            "a": np.where(rng.random(ROWS) < 0.2, np.nan, a),
            "hue": np.where(rng.random(ROWS) < 0.1, None, hue),
            "b": b,
            "far": far,
            "day": day,
            "zip": rng.choice(["x1", "x2", "x3", "x4", "x5"], ROWS),
            "score": 5e6 + 3 * score,
            "other": 1e9 + score * rng.normal(size=ROWS),
            "kind": pd.cut(score, [-99, 1, 2.5, 99], labels=["low", "middle", "high"]).astype(str),
            "yes": np.where(score > 2, "yes", "no"),
        }
    )


def images():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, ROWS)
    x = rng.integers(0, 120, (ROWS, 2, 8, 8)) + 120 * (
        np.arange(2)[None, :, None, None] == (y % 2)[:, None, None, None]
    )
    return x.astype(np.uint8), y


DENSE = {"widths": [8, 8]}
KINDS = {
    # name: (target, what of the data, what of the net)
    "digits": ("digits", {}, {"widths": [12]}),
    "regression, knots": ("score", {}, {"widths": [8, 6], "knots": 4}),
    "several targets, tanh, batch norm": (["score", "other"], {}, {**DENSE, "activation": "tanh", "norm": "batch"}),
    "embedded": ("kind", {"categories": "embed"}, DENSE),
    "two classes": ("yes", {}, {**DENSE, "activation": "sigmoid"}),
    "members, layer norm": ("kind", {}, {**DENSE, "members": 2, "norm": "layer", "activation": "gelu"}),
    "members of values": ("score", {}, {**DENSE, "members": 3, "residual": True}),
    "residual": ("kind", {}, {"widths": [8, 8, 8], "residual": True}),
    "deepened by a block, rms norm": ("kind", {}, {"widths": [8], "norm": "rms", "activation": "mish"}),
    "images, dense": ("images", {}, {"widths": [12]}),
    "images, conv": ("images", {}, {"kind": "conv", "widths": [4, 4], "norm": "batch"}),
}


def trained(kind, folder):
    """The folder of a run of this kind."""
    target, of_data, of_net = KINDS[kind]
    folder.mkdir()
    if target == "digits":
        data = {"source": "sklearn", "name": "digits"}
    elif target == "images":
        x, y = images()
        np.savez(folder / "images.npz", x=x, y=y)
        data = {"source": "npz", "path": str(folder / "images.npz"), "target": "y"}
    else:
        targets = [target] if isinstance(target, str) else target
        table = mixed_table()
        away = [name for name in ("score", "other", "kind", "yes") if name not in targets]
        table.drop(columns=away).to_csv(folder / "table.csv", index=False)
        data = {"path": str(folder / "table.csv"), "target": target}
    deepens = Growth(when=FixedSchedule((1,)), where=Cycle("D"))
    spec = FitSpec(
        data=DataSpec(**data, **of_data),
        policy=LifeCycle(growth=deepens if "deepened" in kind else Growth(when=Never())),
        net=NetSpec(**of_net),
        optimizer=OptimizerSpec(lr=0.02),
        trainer=TrainerSpec(max_epochs=20, check_every=4),
        out=folder / "run",
    )
    fit(spec).write()
    return folder / "run", spec.data
